//! Signed packages: the switch, the public key, and what a device checks. The checking is done by OpenSSL, which shares
//! nothing with the service.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use ota_tests::{Call, Device, Value, World, json, minutes, seconds};
use tempfile::TempDir;

const ON: bool = true;
const OFF: bool = false;

fn uri(world: &World) -> String {
    format!("/v1/products/{}/security", world.product_key())
}

fn put(world: &World, body: &Value) -> ota_tests::Answer {
    world.send(&Call::new("PUT", uri(world)).bytes(body.to_string()))
}

#[track_caller]
fn switch(world: &World, enabled: bool) -> Value {
    put(world, &json!({"enabled": enabled})).expect(200).json()
}

fn public_key(told: &Value) -> String {
    told["public_key"].as_str().expect("the public key is told").to_owned()
}

/// What the device was pushed, and is answered when it asks, which must be the same.
fn told(device: &Device) -> Value {
    let pushed = device.told().pop().expect("the device was pushed to").message["data"].clone();
    assert_eq!(device.ask()["data"]["digestsign"], pushed["digestsign"]);
    pushed
}

/// OpenSSL, and a folder for what it reads.
struct OpenSsl(TempDir);

impl OpenSsl {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for OpenSSL's files"))
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("OpenSSL's files can be written");
        path.into_os_string().into_string().expect("the folder's name is text")
    }

    fn run(arguments: &[&str]) -> Output {
        let ran = Command::new("openssl").args(arguments).output();
        ran.unwrap_or_else(|error| panic!("this test checks signatures with the program `openssl`: {error}"))
    }

    /// Returns the binary digest of some bytes.
    fn digest(&self, algorithm: &str, bytes: &[u8]) -> Vec<u8> {
        let ran = Self::run(&["dgst", algorithm, "-binary", &self.file("bytes", bytes)]);
        assert!(ran.status.success(), "{ran:?}");
        ran.stdout
    }

    /// Tells whether a signature, in base64, is that of a digest.
    fn verifies(&self, public_key: &str, digest: &[u8], signature: &Value) -> bool {
        let wire = signature.as_str().expect("there is a signature").as_bytes();
        let decoded = Self::run(&["base64", "-d", "-A", "-in", &self.file("wire", wire)]);
        assert!(decoded.status.success(), "{decoded:?}");
        let key = self.file("key.pem", public_key.as_bytes());
        let (signature, digest) = (self.file("signature", &decoded.stdout), self.file("digest", digest));
        let ran = Self::run(&["dgst", "-sha256", "-verify", &key, "-signature", &signature, &digest]);
        match String::from_utf8_lossy(&ran.stdout).trim() {
            "Verified OK" if ran.status.success() => true,
            // Its case depends on the release.
            text if text.eq_ignore_ascii_case("verification failure") && !ran.status.success() => false,
            _ => panic!("OpenSSL cannot check the signature: {ran:?}"),
        }
    }
}

#[test]
fn r39_signing_is_off_at_first_and_the_public_key_is_told_only_while_it_is_on() {
    let world = World::new().product("lamp");
    let off = json!({"enabled": false});
    assert_eq!(world.get(uri(&world)), off);
    assert_eq!(switch(&world, OFF), off, "it was off before");

    let on = switch(&world, ON);
    assert_eq!(on["enabled"], true);
    assert!(public_key(&on).starts_with("-----BEGIN PUBLIC KEY-----\n"), "{on}");
    assert_eq!(world.get(uri(&world)), on);
    assert_eq!(switch(&world, ON), on, "it was on before");

    assert_eq!(switch(&world, OFF), off);
    assert_eq!(world.get(uri(&world)), off);
    assert_eq!(switch(&world, ON), on, "the key pair is the same as before");

    let other = world.product("radio");
    assert_eq!(other.get(uri(&other)), off, "another product has a switch of its own");
}

#[test]
fn r39_a_request_to_switch_says_on_or_off() {
    let world = World::new().product("lamp");
    assert_eq!(put(&world, &json!({})).faults(), ["/enabled value.missing"]);
    assert_eq!(put(&world, &json!({"enabled": "on"})).problem(), "422 value.malformed");
    let both = put(&world, &json!({"enabled": 1, "public_key": "mine"}));
    assert_eq!(both.faults(), ["/enabled value.malformed", "/public_key value.not-allowed"]);
    let there = "/v1/products/a1nowhere/security";
    assert_eq!(world.send(&Call::get(there)).problem(), "404 request.not-found");
    let unknown = Call::new("PUT", there).bytes(r#"{"enabled":true}"#);
    assert_eq!(world.send(&unknown).problem(), "404 request.not-found");
    assert_eq!(world.send(&Call::delete(uri(&world))).problem(), "405 request.method-not-allowed");
    assert_eq!(world.send(&Call::get(uri(&world)).token(None)).status, 401);
    assert_eq!(world.get(uri(&world)), json!({"enabled": false}));
}

#[test]
fn r40_while_signing_is_on_push_and_answer_carry_a_signature_that_openssl_verifies() {
    let (world, openssl) = (World::new().product("lamp").devices(1), OpenSsl::new());
    let key = public_key(&switch(&world, ON));
    let lamp = world.device("lamp-1");
    for (version, algorithm, option) in [("1.1.0", "SHA256", "-sha256"), ("1.2.0", "MD5", "-md5")] {
        let more = json!({"needs_verification": false, "digest_algorithm": algorithm});
        let made = world.try_package(version, &more).expect(201).text_of("package_id");
        let _batch = world.batch(&world.find_package(&made), json!({}));
        let told = told(&lamp);
        let digest = openssl.digest(option, format!("the image of {version}").as_bytes());
        assert_eq!(told["sign"], hex::encode(&digest));
        assert_eq!(told["digestsign"].as_str().map(str::len), Some(344));
        assert!(openssl.verifies(&key, &digest, &told["digestsign"]), "{told}");
        lamp.restart(version);
    }
}

#[test]
fn r40_the_signature_is_there_while_signing_is_on_at_the_moment_of_the_push() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    assert_eq!(told(&lamp)["digestsign"], Value::Null);

    switch(&world, ON);
    let signature = lamp.ask()["data"]["digestsign"].clone();
    assert!(signature.is_string(), "the batch is older than the switch");
    switch(&world, OFF);
    assert_eq!(lamp.ask()["data"]["digestsign"], Value::Null);
    switch(&world, ON);
    assert_eq!(lamp.ask()["data"]["digestsign"], signature);

    let older = format!("/ota/device/request/{}/lamp-1", world.product_key());
    lamp.say(&older, &json!({"id": "1", "params": {"version": "1.0.0"}}));
    assert_eq!(
        lamp.told().pop().expect("the older request is answered").message["data"]["digestsign"],
        signature
    );
    lamp.restart("1.1.0");
    assert_eq!(batch.outcome(), ["lamp-1 succeeded"]);
}

#[test]
fn r40_a_verification_is_signed_like_any_push() {
    let world = World::new().product("lamp").devices(1);
    switch(&world, ON);
    world.verify(&world.package("1.1.0"), &["lamp-1"]);
    assert!(told(&world.device("lamp-1"))["digestsign"].is_string());
}

#[test]
fn r41_an_altered_file_or_digest_does_not_pass() {
    let (world, openssl) = (World::new().product("lamp").devices(2), OpenSsl::new());
    let key = public_key(&switch(&world, ON));
    let (one, two) = (world.ready_package("1.1.0"), world.ready_package("1.2.0"));
    world.batch_for(&one, &["lamp-1"]);
    world.batch_for(&two, &["lamp-2"]);
    let (first, second) = (told(&world.device("lamp-1")), told(&world.device("lamp-2")));

    let mut file = world.send(&Call::get(one.url())).expect(200).body;
    let passes = |file: &[u8], told: &Value| {
        openssl.verifies(&key, &openssl.digest("-sha256", file), &told["digestsign"])
    };
    assert!(passes(&file, &first), "the file as it comes");
    assert!(!passes(&file, &second), "another package's signature");
    file[3] ^= 1;
    assert!(!passes(&file, &first), "one bit of the file is another");
    let digest = hex::decode(first["sign"].as_str().unwrap()).unwrap();
    assert!(openssl.verifies(&key, &digest, &first["digestsign"]));
    assert!(!openssl.verifies(&key, &digest[..31], &first["digestsign"]), "a digest that is cut");
    assert!(!openssl.verifies(&key, first["sign"].as_str().unwrap().as_bytes(), &first["digestsign"]));
}

#[test]
fn r40_a_package_is_signed_once_however_many_devices_it_goes_to() {
    let world = World::new().product("lamp").devices(100);
    switch(&world, ON);
    let package = world.ready_package("1.1.0");
    let observer = world.observe();
    let _batch = world.batch(&package, json!({}));
    world.run(seconds(30));
    let _answer = world.device("lamp-7").ask();
    let pushes = world.published();
    assert_eq!(pushes.len(), 101);
    let signatures: BTreeSet<&str> =
        pushes.iter().filter_map(|push| push.payload["data"]["digestsign"].as_str()).collect();
    assert_eq!(signatures.len(), 1);
    assert_eq!(observer.count(&["set"], |key| key.ends_with("/signature")), 1);
}

#[test]
fn r40_what_devices_report_costs_nothing_more_and_a_push_that_is_not_signed_one_read() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let is_signing = |key: &str| key.ends_with("/security") || key.ends_with("/signature");
    let all = ["get", "set", "delete", "read", "swap", "increment"];
    let observer = world.observe();
    let _batch = world.batch(&package, json!({}));
    assert_eq!(world.published().len(), 1);
    assert_eq!(observer.keys(&all).iter().filter(|key| is_signing(key)).count(), 1);
    let before = observer.count(&all, is_signing);
    world.device("lamp-1").progress(10, "");
    world.device("lamp-1").restart("1.1.0");
    world.run(minutes(1));
    assert_eq!(observer.count(&all, is_signing), before);
}

#[test]
fn r40_a_push_that_cannot_be_signed_does_not_go_out_without() {
    let world = World::new().product("lamp").devices(1);
    let secret = "secrets-key-of-more-than-32-characters";
    let tick = || world.send_once(&Call::new("POST", "/internal/dispatch/tick"));
    world.engine().set_variable("secrets_key", "short");
    assert_eq!(put(&world, &json!({"enabled": true})).problem(), "500 service.variable");
    assert_eq!(world.get(uri(&world)), json!({"enabled": false}));
    world.engine().set_variable("secrets_key", secret);
    switch(&world, ON);

    let body = json!({"package_id": world.ready_package("1.1.0").id, "target": {"selection": "all"}});
    let _batch = world.send(&Call::post("/v1/batches", &body)).expect(201);
    let lamp = world.device("lamp-1");
    let ask =
        format!("/internal/device-messages?topic=/sys/{}/lamp-1/thing/ota/firmware/get", world.product_key());
    let ask = Call::post(ask, &json!({"id": "7", "params": {}}));
    for (wrong, told) in [
        ("", "500 service.variable"),
        ("another-secret-of-more-than-32-characters", "500 security.key-sealed"),
    ] {
        world.engine().set_variable("secrets_key", wrong);
        world.advance(minutes(1));
        assert_eq!(tick().problem(), told);
        assert_eq!(world.send_once(&ask).problem(), told);
        assert_eq!(put(&world, &json!({"enabled": true})).problem(), told);
    }
    assert_eq!(world.published().len(), 0);
    world.engine().set_variable("secrets_key", secret);
    world.run(minutes(2));
    assert!(told(&lamp)["digestsign"].is_string(), "it goes out once it can be signed");
}

#[test]
fn r39_signing_can_be_switched_off_without_the_secret() {
    let world = World::new().product("lamp").devices(1);
    switch(&world, ON);
    world.engine().set_variable("secrets_key", "");
    assert_eq!(switch(&world, OFF), json!({"enabled": false}));
    let _batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    assert_eq!(told(&world.device("lamp-1"))["digestsign"], Value::Null);
}

#[test]
fn a_deleted_package_leaves_no_signature_behind() {
    let world = World::new().product("lamp").devices(1);
    switch(&world, ON);
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, json!({}));
    let signatures = || world.kv().dump().iter().filter(|(key, _)| key.ends_with("/signature")).count();
    assert_eq!(signatures(), 1);
    world.device("lamp-1").upgrade();
    world.run(minutes(1));
    assert_eq!(batch.status(), "completed");
    let _gone = package.delete().expect(204);
    assert_eq!(signatures(), 0);
}
