//! Packages: their names, versions, digests, and their end.

use ota_tests::{Call, World, json, seconds};

#[test]
fn r11_the_501st_package_is_refused_until_one_is_deleted() {
    let world = World::new().product("lamp");
    let first = world.ready_package("1.0");
    for n in 1..500 {
        world.ready_package(&format!("1.{n}"));
    }
    assert_eq!(world.try_package("2.0", &json!({})).problem(), "409 package.too-many");
    assert_eq!(world.list("/v1/packages", 200).len(), 500);
    let _gone = first.delete().expect(204);
    assert_eq!(world.try_package("2.0", &json!({})).status, 201);
}

#[test]
fn r21_a_package_belongs_to_one_product_for_good() {
    let world = World::new().product("bulb").devices(2);
    let bulb = world.product_key();
    let world = world.product("lamp").devices(1);
    let lamp = world.product_key();
    let package = world.ready_package("1.1.0");
    let moved = Call::patch(format!("/v1/packages/{}", package.id), &json!({"product_key": bulb}));
    assert!(world.send(&moved).status >= 400);
    assert_eq!(package.get()["product_key"], json!(lamp));

    let named = json!({"target": {"selection": "specific", "devices": ["bulb-1"]}});
    assert_eq!(world.try_batch(&package, &named).problem(), "422 batch.unknown-devices");
    let batch = world.batch(&package, json!({}));
    assert_eq!(batch.outcome(), ["lamp-3 notified"], "the bulbs are another product's");
    assert_eq!(batch.get()["product_key"], json!(lamp));
}

#[test]
fn r29_a_new_package_is_unverified_or_needs_no_verification() {
    let world = World::new().product("lamp");
    for (version, said, expected) in [
        ("1.0", json!({}), "unverified"),
        ("1.1", json!({"needs_verification": true}), "unverified"),
        ("1.2", json!({"needs_verification": false}), "not-needed"),
    ] {
        let made = world.try_package(version, &said).expect(201).json();
        assert_eq!(made["verification"], json!({"status": expected}), "{said}");
    }
}

#[test]
fn r19_a_package_name_is_unique_in_the_account() {
    let world = World::new().product("bulb");
    let _taken = world.try_package("1.0", &json!({"name": "spring"})).expect(201);
    let world = world.product("lamp");
    assert_eq!(world.try_package("2.0", &json!({"name": "spring"})).problem(), "409 package.name-taken");
    assert_eq!(world.try_package("2.0", &json!({"name": "Spring"})).status, 201);
}

#[test]
fn r28_a_modules_version_has_one_package() {
    let world = World::new().product("bulb");
    let _other = world.package("1.1");
    let world = world.product("lamp");
    let ask = |name: &str, more: &ota_tests::Value| {
        let mut body = json!({"name": name});
        more.as_object().into_iter().flatten().for_each(|(field, value)| body[field] = value.clone());
        world.try_package("1.1", &body).problem()
    };
    assert_eq!(ask("one", &json!({})), "201 ", "another product's does not count");
    assert_eq!(ask("two", &json!({})), "409 package.version-taken");
    let delta = |source: &str| json!({"kind": "delta", "source_version": source});
    assert_eq!(ask("three", &delta("1.0")), "201 ", "a delta is for a pair of versions");
    assert_eq!(ask("four", &delta("1.0")), "409 package.version-taken");
    assert_eq!(ask("five", &delta("0.9")), "201 ");
}

#[test]
fn r25_a_digest_or_size_that_is_told_must_be_the_files() {
    let world = World::new().product("lamp");
    let upload = world.upload(b"hello").expect(201).json();
    let ask = |more: &ota_tests::Value| {
        let mut body = json!({"upload_id": upload["upload_id"]});
        more.as_object().into_iter().flatten().for_each(|(field, value)| body[field] = value.clone());
        world.try_package("1.1", &body)
    };
    let wrong = ask(&json!({"digest": "00", "size": 4}));
    assert_eq!(wrong.faults(), ["/size package.size-mismatch", "/digest package.digest-mismatch"]);
    let wrong = ask(&json!({"digest": upload["sha256"], "digest_algorithm": "MD5"}));
    assert_eq!(wrong.problem(), "422 package.digest-mismatch");
    let right = json!({"digest": upload["md5"].as_str().unwrap().to_uppercase(), "digest_algorithm": "MD5", "size": 5});
    assert_eq!(ask(&right).expect(201).json()["digest"], upload["md5"]);
}

#[test]
fn r27_a_package_for_a_module_the_product_does_not_have_is_refused() {
    let world = World::new().product("lamp");
    assert_eq!(world.try_package("1.1", &json!({"module": "mcu"})).faults(), ["/module module.unknown"]);
    assert_eq!(world.try_package("1.1", &json!({})).expect(201).json()["module"], "default");
    let foreign = world.try_package("1.2", &json!({"product_key": "a1none"}));
    assert_eq!(foreign.faults(), ["/product_key value.malformed"]);
}

#[test]
fn a_package_in_use_is_not_deleted() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, json!({}));
    assert_eq!(package.delete().problem(), "409 package.in-use");
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    assert_eq!(batch.status(), "completed");
    assert_eq!(package.delete().status, 204);
}

#[test]
fn a_deleted_package_is_gone_and_its_name_and_version_are_free() {
    let world = World::new().product("lamp");
    let package = world.package("1.1.0");
    let _gone = package.delete().expect(204);
    assert_eq!(package.delete().problem(), "404 request.not-found");
    assert!(world.list("/v1/packages", 50).is_empty());
    let _again = world.package("1.1.0");
}

#[test]
fn a_batch_tells_of_its_package_after_that_was_deleted() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, json!({}));
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    let _gone = package.delete().expect(204);
    assert_eq!(batch.get()["target_version"], "1.1.0");
    assert_eq!(batch.outcome(), ["lamp-1 succeeded"]);
    assert_eq!(world.list(&format!("/v1/batches?package_id={}", package.id), 50).len(), 1);
}
