extern crate std;

use std::sync::OnceLock;

use rsa::PublicKey;
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const MD5: [u8; 16] = [1; 16];
const SHA256: [u8; 32] = [2; 32];

fn secrets() -> SecretsKey {
    SecretsKey::new(SECRET).unwrap()
}

fn product(key: &str) -> ProductKey {
    ProductKey::new(key).unwrap()
}

/// One key pair for all tests: making one takes a good part of a second.
fn sealed() -> SealedKeyPair {
    static MADE: OnceLock<SealedKeyPair> = OnceLock::new();
    MADE.get_or_init(|| SealedKeyPair::make(&secrets(), &product("a1lamp"), [[1; 16], [2; 16]]).unwrap())
        .clone()
}

fn passes(digest: &[u8], signature: &[u8]) -> bool {
    let public = PublicKey::from_public_key_pem(&sealed().public_key).unwrap();
    public.pkcs1v15_verify::<Sha256>(digest, signature).is_ok()
}

fn sign(digest: &[u8]) -> Vec<u8> {
    sealed().open(&secrets(), &product("a1lamp")).unwrap().sign(digest, [7; 16]).unwrap()
}

#[test]
fn r39_the_public_key_is_a_pem_of_2048_bits_with_the_exponent_65537() {
    let pem = sealed().public_key;
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{pem}");
    assert!(pem.ends_with("\n-----END PUBLIC KEY-----\n"), "{pem}");
    let public = PublicKey::from_public_key_pem(&pem).unwrap();
    assert_eq!(public.n().bit_width(), 2_048);
    assert_eq!(*public.e(), rsa::BoxedUint::from(65_537_u32));
}

#[test]
fn r39_the_private_half_opens_with_its_secret_for_its_product_and_its_public_half_only() {
    let sealed = sealed();
    assert!(sealed.open(&secrets(), &product("a1lamp")).is_ok());
    let refused = |pair: &SealedKeyPair, secrets: &SecretsKey, key: &str| {
        assert_eq!(pair.open(secrets, &product(key)).err(), Some(SecurityError::Sealed));
    };
    refused(&sealed, &secrets(), "a1fan");
    refused(&sealed, &SecretsKey::new(&SECRET.replace('0', "1")).unwrap(), "a1lamp");
    let other_public = sealed.public_key.replacen('A', "B", 1);
    refused(&SealedKeyPair { public_key: other_public, ..sealed.clone() }, &secrets(), "a1lamp");
    for at in [0, NONCE_BYTES, sealed.sealed.len() - 1] {
        let mut altered = sealed.clone();
        altered.sealed[at] ^= 1;
        refused(&altered, &secrets(), "a1lamp");
    }
    for len in [0, NONCE_BYTES, sealed.sealed.len() - 1] {
        let cut = SealedKeyPair { sealed: sealed.sealed[..len].to_vec(), ..sealed.clone() };
        refused(&cut, &secrets(), "a1lamp");
    }
}

#[test]
fn r39_what_rests_and_what_is_shown_hold_nothing_of_the_private_half() {
    let sealed = sealed();
    let open = sealed.open(&secrets(), &product("a1lamp")).unwrap();
    let whole = open.0.to_pkcs8_der().unwrap();
    let mut parts = alloc::vec![open.0.d().to_be_bytes().to_vec()];
    parts.extend(open.0.primes().iter().map(|prime| prime.to_be_bytes().to_vec()));
    assert_eq!(parts.len(), 3);
    let rests = [sealed.public_key.as_bytes(), &sealed.sealed].concat();
    let shown = alloc::format!("{sealed:?}");
    for part in &parts {
        // The second half of each is long enough to be met nowhere by chance.
        let tail = &part[part.len() / 2..];
        let holds = |text: &[u8]| text.windows(tail.len()).any(|window| window == tail);
        assert!(holds(whole.as_bytes()), "the search finds what is there");
        assert!(!holds(&rests) && !holds(shown.as_bytes()));
    }
    assert!(!shown.contains("sealed"), "{shown}");
}

#[test]
fn r40_the_signature_is_of_the_binary_digest_and_344_characters_on_the_wire() {
    for digest in [MD5.as_slice(), &SHA256] {
        let signature = sign(digest);
        assert!(passes(digest, &signature));
        assert!(!passes(hex::encode(digest).as_bytes(), &signature), "not of the digest's text");
        let wire = render_signature(&signature);
        assert_eq!(wire.len(), 344);
        assert!(wire.ends_with("=="), "{wire}");
    }
}

#[test]
fn r40_the_same_digest_has_the_same_signature_whatever_the_randomness() {
    let open = sealed().open(&secrets(), &product("a1lamp")).unwrap();
    assert_eq!(open.sign(&MD5, [1; 16]), open.sign(&MD5, [2; 16]));
    assert_ne!(open.sign(&MD5, [1; 16]), open.sign(&SHA256, [1; 16]));
}

#[test]
fn r41_an_altered_digest_or_signature_does_not_pass() {
    let signature = sign(&SHA256);
    for at in 0..SHA256.len() {
        let mut altered = SHA256;
        altered[at] ^= 0x80;
        assert!(!passes(&altered, &signature), "digest byte {at}");
    }
    let mut altered = signature.clone();
    altered[100] ^= 1;
    assert!(!passes(&SHA256, &altered));
    assert!(!passes(&SHA256, &signature[1..]));
    assert!(!passes(&MD5, &signature));
}

#[test]
fn a_secret_has_32_to_1024_characters() {
    for (len, good) in [(0, false), (31, false), (32, true), (1_024, true), (1_025, false)] {
        assert_eq!(SecretsKey::new(&"s".repeat(len)).is_ok(), good, "{len}");
    }
}
