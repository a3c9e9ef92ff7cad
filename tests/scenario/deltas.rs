//! Packages that hold a difference.

use ota_tests::{Package, World, json, minutes};

fn delta(world: &World, source: &str, target: &str) -> Package {
    let more = json!({"kind": "delta", "source_version": source, "needs_verification": false});
    world.find_package(&world.try_package(target, &more).expect(201).text_of("package_id"))
}

#[test]
fn r57_a_delta_takes_the_devices_on_its_source_version_only() {
    let world = World::new().product("lamp").devices(3);
    world.device("lamp-2").report("0.9.0");
    let batch = world.batch(&delta(&world, "1.0.0", "1.1.0"), json!({}));
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-3 notified"]);
}

#[test]
fn r57_a_batch_of_a_delta_takes_no_other_source_version() {
    let world = World::new().product("lamp").devices(1);
    let package = delta(&world, "1.0.0", "1.1.0");
    let ask = |versions: &[&str]| world.try_batch(&package, &json!({"source_versions": versions}));
    assert_eq!(ask(&["0.9.0"]).faults(), ["/source_versions/0 batch.source-not-deltas"]);
    assert_eq!(ask(&["1.0.0", "0.9.0"]).faults(), ["/source_versions/1 batch.source-not-deltas"]);
    assert_eq!(ask(&["1.0.0"]).status, 201);
}

#[test]
fn r57_named_devices_on_another_version_are_not_given_a_delta() {
    let world = World::new().product("lamp").devices(2);
    world.device("lamp-2").report("0.9.0");
    let package = delta(&world, "1.0.0", "1.1.0");
    let _silent = world.register(1);
    let named = |devices: &[&str]| {
        let target = json!({"target": {"selection": "specific", "devices": devices}});
        world.try_batch(&package, &target)
    };
    assert_eq!(named(&["lamp-1", "lamp-2"]).faults(), ["/target batch.other-version"]);
    assert_eq!(named(&["lamp-1", "lamp-3"]).faults(), ["/target batch.never-reported"]);
    assert_eq!(world.batch_for(&package, &["lamp-1"]).outcome(), ["lamp-1 notified"]);
}

#[test]
fn r46_a_delta_is_tried_on_devices_on_its_source_version() {
    let world = World::new().product("lamp").devices(1);
    let more = json!({"kind": "delta", "source_version": "0.9.0"});
    let made = world.try_package("1.1.0", &more).expect(201);
    let package = world.find_package(&made.text_of("package_id"));
    let asked = json!({"devices": ["lamp-1"]});
    assert_eq!(world.try_verify(&package, &asked).problem(), "422 batch.other-version");
    world.device("lamp-1").report("0.9.0");
    assert_eq!(world.try_verify(&package, &asked).status, 201);
}

#[test]
fn r37_a_push_of_a_delta_says_so() {
    let world = World::new().product("lamp").devices(1);
    let _batch = world.batch(&delta(&world, "1.0.0", "1.1.0"), json!({}));
    assert_eq!(world.device("lamp-1").told()[0].message["data"]["isDiff"], 1);
}

#[test]
fn r22_r23_a_delta_leads_from_one_version_to_another() {
    let world = World::new().product("lamp");
    let ask = |more| world.try_package("1.1.0", &more).faults();
    assert_eq!(ask(json!({"kind": "delta"})), ["/source_version value.missing"]);
    assert_eq!(
        ask(json!({"kind": "delta", "source_version": "1.1.0"})),
        ["/source_version package.same-versions"]
    );
    assert_eq!(ask(json!({"source_version": "1.0.0"})), ["/source_version value.not-allowed"]);
}

#[test]
fn a_delta_is_not_pushed_to_a_device_that_has_moved_on() {
    let world = World::new().product("lamp").devices(1);
    world.device("lamp-1").disconnect();
    let batch =
        world.batch(&delta(&world, "1.0.0", "1.1.0"), json!({"retry": {"after_minutes": 0, "count_max": 1}}));
    world.device("lamp-1").connect("1.0.5");
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-1 failed source-version-mismatch"]);
    assert!(world.published().is_empty());
}
