//! Where the private half of a product's key pair is not.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use ota_core::ids::ProductKey;
use ota_platform::Platform;
use ota_store::security::StoredSecurity;
use ota_tests::{Call, World, json, minutes};
use rsa::PrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PrivateKeyParts;
use sha2::Sha256;

/// Bytes of a part that are searched for: too many to be met by chance.
const PART_BYTES: usize = 32;

fn stored(world: &World) -> StoredSecurity {
    let product = ProductKey::new(&world.product_key()).expect("the service makes good keys");
    let stored = world.block_on(ota_store::security::get(world.kv(), &product));
    stored.expect("the store works").expect("the product has a key pair")
}

fn secret(world: &World) -> String {
    world.block_on(world.engine().variable("secrets_key")).expect("the variable is set")
}

/// Opens what rests in the store by its documented form, without the service's code.
fn private_half(world: &World) -> Vec<u8> {
    let mut key = [0; 32];
    let expanded = Hkdf::<Sha256>::new(None, secret(world).as_bytes());
    expanded.expand(b"overair product key pair v1", &mut key).expect("32 bytes are one block");
    let pair = stored(world).key_pair;
    let (nonce, msg) = pair.sealed.split_first_chunk::<24>().expect("a nonce comes first");
    let aad = format!("{}\0{}", world.product_key(), pair.public_key);
    let opened = XChaCha20Poly1305::new(&Key::from(key))
        .decrypt(&XNonce::from(*nonce), Payload { msg, aad: aad.as_bytes() });
    opened.expect("it opens with the secret, for the product and its public key")
}

/// Returns what must not be found: pieces of the exponent and of both primes, as bytes and as text.
fn parts(pkcs8: &[u8]) -> Vec<Vec<u8>> {
    let key = PrivateKey::from_pkcs8_der(pkcs8).expect("what is sealed is a private key in PKCS #8");
    let mut numbers = vec![key.d().to_be_bytes().to_vec()];
    numbers.extend(key.primes().iter().map(|prime| prime.to_be_bytes().to_vec()));
    assert_eq!(numbers.len(), 3);
    let pieces = numbers.iter().map(|number| number[number.len() - PART_BYTES..].to_vec());
    let pieces: Vec<Vec<u8>> = pieces.collect();
    assert!(pieces.iter().all(|piece| holds(pkcs8, piece)), "the search finds what is there");
    let texts = pieces.iter().map(|piece| hex::encode(piece).into_bytes());
    let named = [b"PRIVATE KEY".to_vec()];
    pieces.iter().cloned().chain(texts).chain(named).collect()
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn r39_the_private_key_is_in_no_answer_no_message_no_log_and_in_the_store_only_sealed() {
    let world = World::new().product("lamp").devices(1);
    let uri = format!("/v1/products/{}/security", world.product_key());
    let switch = |on: bool| world.send(&Call::new("PUT", &uri).bytes(json!({"enabled": on}).to_string()));
    let mut answers = vec![switch(true), world.send(&Call::get(&uri)), switch(true)];
    let _batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let _answer = world.device("lamp-1").ask();

    // What goes wrong with a key pair is logged.
    let secret = secret(&world);
    world.device("lamp-1").restart("1.1.0");
    let _batch = world.send(&Call::post(
        "/v1/batches",
        &json!({"package_id": world.ready_package("1.3.0").id, "target": {"selection": "all"}}),
    ));
    let _asked = world.engine().take_posted();
    world.engine().set_variable("secrets_key", &"w".repeat(64));
    world.advance(minutes(1));
    answers.push(world.send_once(&Call::new("POST", "/internal/dispatch/tick")).expect(500));
    answers.push(switch(true).expect(500));
    answers.push(switch(false).expect(200));
    world.engine().set_variable("secrets_key", &secret);
    let log = world.engine().log_lines().join("\n");
    assert!(log.contains("security.key-sealed"), "{log}");

    let mut seen: Vec<(String, Vec<u8>)> = world.kv().dump();
    seen.extend(answers.into_iter().map(|answer| ("an answer".to_owned(), answer.body)));
    seen.extend(
        world.published().into_iter().map(|push| (push.topic, push.payload.to_string().into_bytes())),
    );
    seen.push(("the log".to_owned(), log.into_bytes()));
    for part in parts(&private_half(&world)).iter().chain([&secret.clone().into_bytes(), &vec![b'w'; 64]]) {
        for (place, text) in &seen {
            assert!(!holds(text, part), "{place} holds a part of the private key, or the secret");
        }
    }
}

#[test]
fn r39_a_key_pair_that_is_moved_to_another_product_does_not_open_there() {
    let world = World::new().product("lamp");
    let switch = |key: &str| {
        let uri = format!("/v1/products/{key}/security");
        world.send(&Call::new("PUT", uri).bytes(r#"{"enabled":true}"#))
    };
    let lamp = world.product_key();
    let _on = switch(&lamp).expect(200);
    let world = world.clone().product("radio");
    let radio = world.product_key();
    let (_, value) = world
        .kv()
        .dump()
        .into_iter()
        .find(|(key, _)| *key == format!("product/{lamp}/security"))
        .expect("the lamp's key pair is stored");
    world.block_on(ota_store::Kv::set(world.kv(), &format!("product/{radio}/security"), &value)).unwrap();
    assert_eq!(switch(&radio).problem(), "500 security.key-sealed");
    assert_eq!(switch(&lamp).status, 200);
}
