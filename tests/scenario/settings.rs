//! Settings: what another document says, asked for by product or for the whole service.

use ota_tests::{Answer, Call, Value, World, json};

fn set(world: &World, settings: &Value) -> Answer {
    let uri = format!("/v1/products/{}", world.product_key());
    world.send(&Call::patch(uri, &json!({"settings": settings})))
}

fn set_service(world: &World, settings: &Value) -> Answer {
    world.send(&Call::patch("/v1/settings", &json!({"settings": settings})))
}

fn defaults() -> Value {
    json!({
        "conflict_policy": "device",
        "verification_mode": "strict",
        "forgive_source_version": false,
        "narrow_retries": false,
        "strict_retry_interval": false,
        "lenient_aliases": false,
        "editable_tags": false,
        "delta_capable": true,
        "md5_deltas": false,
    })
}

#[test]
fn a_product_begins_with_the_newer_document_and_changes_what_is_named() {
    let world = World::new().product("lamp");
    let uri = format!("/v1/products/{}", world.product_key());
    let mut expected = defaults();
    assert_eq!(world.get(&uri)["settings"], expected);

    expected["conflict_policy"] = json!("source-version");
    expected["editable_tags"] = json!(true);
    let changed = set(&world, &json!({"conflict_policy": "source-version", "editable_tags": true}));
    assert_eq!(changed.expect(200).json()["settings"], expected);
    expected["verification_mode"] = json!("legacy");
    let changed = set(&world, &json!({"verification_mode": "legacy"})).expect(200).json();
    assert_eq!(changed["settings"], expected, "what is not named stays");
    assert_eq!(world.get(&uri), changed);
    assert_eq!(set(&world, &json!({})).expect(200).json(), changed);

    let world = world.product("bulb");
    let other = world.get(format!("/v1/products/{}", world.product_key()));
    assert_eq!(other["settings"], defaults(), "another product has its own");
}

#[test]
fn every_fault_of_settings_is_told_at_once_and_nothing_changes() {
    let world = World::new().product("lamp");
    let bad = json!({
        "conflict_policy": "sourceVersion",
        "verification_mode": true,
        "md5_deltas": "yes",
        "delta_capable": false,
        "no_such_setting": 1,
    });
    let expected = [
        "/settings/verification_mode value.malformed",
        "/settings/md5_deltas value.malformed",
        "/settings/no_such_setting value.not-allowed",
        "/settings/conflict_policy value.not-one-of",
    ];
    assert_eq!(set(&world, &bad).faults(), expected);
    let uri = format!("/v1/products/{}", world.product_key());
    let ask = |body: &Value| world.send(&Call::patch(&uri, body));
    assert_eq!(ask(&json!({})).problem(), "422 value.missing");
    assert_eq!(ask(&json!({"settings": []})).faults(), ["/settings value.malformed"]);
    assert_eq!(ask(&json!({"name": "x", "settings": {}})).faults(), ["/name value.not-allowed"]);
    assert_eq!(world.get(&uri)["settings"], defaults());
    let unknown = Call::patch("/v1/products/a1none", &json!({"settings": {}}));
    assert_eq!(world.send(&unknown).problem(), "404 request.not-found");
}

#[test]
fn r38_a_product_whose_devices_apply_no_deltas_gets_none() {
    let world = World::new().product("lamp");
    let delta = json!({"kind": "delta", "source_version": "1.0"});
    assert_eq!(world.try_package("1.1", &delta).status, 201, "deltas are allowed unless somebody says no");
    let _set = set(&world, &json!({"delta_capable": false})).expect(200);
    assert_eq!(world.try_package("1.2", &delta).faults(), ["/kind package.delta-not-supported"]);
    assert_eq!(world.try_package("1.3", &json!({})).status, 201, "a full package is no delta");
    let _set = set(&world, &json!({"delta_capable": true})).expect(200);
    assert_eq!(world.try_package("1.2", &delta).status, 201);
}

#[test]
fn r24_a_product_with_android_devices_takes_deltas_by_md5_only() {
    let world = World::new().product("lamp");
    let delta = |more: &[(&str, &str)]| {
        let mut body = json!({"kind": "delta", "source_version": "1.0"});
        more.iter().for_each(|(field, value)| body[*field] = json!(value));
        body
    };
    let _set = set(&world, &json!({"md5_deltas": true})).expect(200);
    let unsaid = world.try_package("1.1", &delta(&[]));
    assert_eq!(unsaid.faults(), ["/digest_algorithm package.delta-needs-md5"]);
    let both = world.try_package("1.1", &delta(&[("digest_algorithm", "SHA256"), ("module", "mcu")]));
    assert_eq!(both.faults(), ["/module module.unknown", "/digest_algorithm package.delta-needs-md5"]);
    let md5 = world.try_package("1.1", &delta(&[("digest_algorithm", "MD5")])).expect(201).json();
    assert_eq!(md5["digest"], md5["md5"]);
    assert_eq!(world.try_package("1.2", &json!({})).status, 201, "a full package may use SHA-256");
}

#[test]
fn the_services_settings_are_told_and_changed_one_by_one() {
    let world = World::new();
    assert_eq!(world.get("/v1/settings"), json!({"package_limits": "current", "fast_push": false}));
    let changed = set_service(&world, &json!({"fast_push": true})).expect(200).json();
    assert_eq!(changed, json!({"package_limits": "current", "fast_push": true}));
    let _changed = set_service(&world, &json!({"package_limits": "legacy"})).expect(200);
    assert_eq!(world.get("/v1/settings"), json!({"package_limits": "legacy", "fast_push": true}));
    let bad = set_service(&world, &json!({"package_limits": "old", "fast_push": 1, "delta_capable": true}));
    let expected = [
        "/settings/fast_push value.malformed",
        "/settings/delta_capable value.not-allowed",
        "/settings/package_limits value.not-one-of",
    ];
    assert_eq!(bad.faults(), expected);
    assert_eq!(world.get("/v1/settings"), json!({"package_limits": "legacy", "fast_push": true}));
}

#[test]
fn r32_the_older_limits_of_packages_hold_when_they_are_asked_for() {
    let world = World::new().product("lamp");
    let large = Call::new("POST", "/v1/uploads?file_name=a.bin").bytes(vec![7_u8; 10 * 1024 * 1024 + 1]);
    let upload =
        |name: &str| world.send(&Call::new("POST", format!("/v1/uploads?file_name={name}")).bytes("x"));
    let kept = world.send(&large).expect(201).text_of("upload_id");
    let gzip = upload("a.gzip").expect(201).text_of("upload_id");

    let _set = set_service(&world, &json!({"package_limits": "legacy"})).expect(200);
    // What was uploaded before is judged when it is to become a package.
    let late = world.try_package("1.0", &json!({"upload_id": kept, "name": "late"}));
    assert_eq!(late.problem(), "413 package.file-too-large");
    assert_eq!(
        world.try_package("1.0", &json!({"upload_id": gzip, "name": "late"})).problem(),
        "422 package.suffix"
    );
    // And the rest when it comes, whether it says how long it is or not.
    assert_eq!(world.send(&large).problem(), "413 package.file-too-large");
    let told = large.header("content-length", (10 * 1024 * 1024 + 1).to_string());
    assert_eq!(world.send(&told).problem(), "413 package.file-too-large");
    for (name, good) in [("a.zip", true), ("a.tar.gz", true), ("a.gzip", false)] {
        assert_eq!(upload(name).problem(), if good { "201 " } else { "422 package.suffix" }, "{name}");
    }
    for (name, fault) in [("abc", "length"), ("lamp-1", "charset"), ("ファームウェア", "charset")] {
        let refused = world.try_package("1.0", &json!({"name": name}));
        assert_eq!(refused.faults(), [format!("/name value.{fault}")], "{name}");
    }
    for n in 0..100 {
        let made = world.try_package(&format!("1.{n}"), &json!({"name": format!("灯泡_{n}")}));
        assert_eq!(made.status, 201);
    }
    assert_eq!(world.try_package("2.0", &json!({"name": "灯泡_100"})).problem(), "409 package.too-many");

    let _set = set_service(&world, &json!({"package_limits": "current"})).expect(200);
    assert_eq!(world.try_package("2.0", &json!({"name": "lamp-1"})).status, 201);
}
