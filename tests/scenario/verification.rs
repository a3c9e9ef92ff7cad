//! A package is tried on a few devices before it goes to many.

use ota_tests::{World, json, minutes, seconds};

#[test]
fn r42_a_package_that_is_not_verified_gets_no_batch() {
    let world = World::new().product("lamp").devices(2);
    let package = world.package("1.1.0");
    let refused = || world.try_batch(&package, &json!({})).problem();
    assert_eq!(refused(), "422 batch.package-not-verified");
    world.verify(&package, &["lamp-1"]);
    assert_eq!(refused(), "422 batch.package-not-verified", "while it is tried");
    world.device("lamp-1").progress(-1, "");
    world.run(seconds(10));
    assert_eq!(package.verification(), "failed");
    assert_eq!(refused(), "422 batch.package-not-verified", "after it failed");
}

#[test]
fn r43_a_package_that_needs_no_verification_gets_a_batch_at_once() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    assert_eq!(package.verification(), "not-needed");
    assert_eq!(world.batch(&package, json!({})).status(), "in-progress");
}

#[test]
fn r49_a_package_is_verified_when_every_test_device_succeeds() {
    let world = World::new().product("lamp").devices(3);
    let package = world.package("1.1.0");
    world.verify(&package, &["lamp-1", "lamp-2"]);
    world.device("lamp-1").upgrade();
    world.run(minutes(1));
    assert_eq!(package.verification(), "verifying", "one device is still at it");
    world.device("lamp-2").upgrade();
    world.run(seconds(10));
    assert_eq!(package.verification(), "verified");
}

#[test]
fn r49_one_test_device_that_fails_fails_the_verification() {
    let world = World::new().product("lamp").devices(2);
    let package = world.package("1.1.0");
    world.verify(&package, &["lamp-1", "lamp-2"]);
    world.device("lamp-1").upgrade();
    world.device("lamp-2").progress(-4, "flash");
    world.run(seconds(10));
    assert_eq!(package.verification(), "failed");
}

#[test]
fn r51_no_second_verification_while_one_runs_or_after_one_succeeded() {
    let world = World::new().product("lamp").devices(2);
    let package = world.package("1.1.0");
    let again = || world.try_verify(&package, &json!({"devices": ["lamp-2"]})).problem();
    world.verify(&package, &["lamp-1"]);
    assert_eq!(again(), "409 package.verification");
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    assert_eq!(again(), "409 package.verification");
    assert_eq!(world.list("/v1/batches", 50).len(), 1, "what was refused leaves no batch");
}

#[test]
fn r51_after_a_failure_a_package_may_be_tried_again() {
    let world = World::new().product("lamp").devices(2);
    let package = world.package("1.1.0");
    world.verify(&package, &["lamp-1"]);
    world.device("lamp-1").progress(-1, "");
    world.run(seconds(10));
    assert_eq!(package.verification(), "failed");
    world.verify(&package, &["lamp-2"]);
    assert_eq!(package.verification(), "verifying");
    world.device("lamp-2").upgrade();
    world.run(seconds(10));
    assert_eq!(package.verification(), "verified");
}

#[test]
fn r52_r53_the_result_of_each_device_and_the_share_of_the_finished_are_shown() {
    let world = World::new().product("lamp").devices(2);
    let package = world.package("1.1.0");
    let told = || {
        let told = world.get(format!("/v1/packages/{}/verification", package.id));
        let tasks = told["tasks"].as_array().unwrap();
        let results: Vec<_> = tasks.iter().map(|task| (&task["device_name"], &task["status"])).collect();
        json!([told["status"], told["progress_percent"], results])
    };
    assert_eq!(told(), json!(["unverified", 0, []]));
    world.verify(&package, &["lamp-1", "lamp-2"]);
    assert_eq!(told(), json!(["verifying", 0, [["lamp-1", "notified"], ["lamp-2", "notified"]]]));
    world.device("lamp-1").upgrade();
    assert_eq!(told(), json!(["verifying", 50, [["lamp-1", "succeeded"], ["lamp-2", "notified"]]]));
    world.device("lamp-2").upgrade();
    world.run(seconds(10));
    assert_eq!(told(), json!(["verified", 100, [["lamp-1", "succeeded"], ["lamp-2", "succeeded"]]]));
}

#[test]
fn r44_a_verification_names_one_to_ten_devices_each_once() {
    let world = World::new().product("lamp").devices(11);
    let package = world.package("1.1.0");
    let names: Vec<String> = (1..=11).map(|n| format!("lamp-{n}")).collect();
    let ask = |names: &[String]| world.try_verify(&package, &json!({"devices": names})).problem();
    assert_eq!(ask(&[]), "422 value.missing");
    assert_eq!(ask(&names), "422 value.too-many");
    assert_eq!(ask(&[names[0].clone(), names[0].clone()]), "422 value.duplicate");
    assert_eq!(ask(&names[..10]), "201 ");
}

#[test]
fn r48_a_verification_may_time_out() {
    let world = World::new().product("lamp").devices(1);
    let package = world.package("1.1.0");
    let asked = json!({"devices": ["lamp-1"], "timeout_minutes": 5});
    let _begun = world.try_verify(&package, &asked).expect(201);
    world.device("lamp-1").progress(1, "");
    world.run(minutes(6));
    assert_eq!(package.verification(), "failed");
}

#[test]
fn a_verification_of_devices_that_are_not_there_is_refused_and_leaves_the_package_alone() {
    let world = World::new().product("lamp").devices(1);
    let package = world.package("1.1.0");
    let refused = world.try_verify(&package, &json!({"devices": ["lamp-1", "lamp-9"]}));
    assert_eq!(refused.problem(), "422 batch.unknown-devices");
    assert_eq!(package.verification(), "unverified");
}
