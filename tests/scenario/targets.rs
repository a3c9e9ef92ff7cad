//! Which devices a batch is for.

use ota_tests::{World, hours, json, minutes};

#[test]
fn r64_a_batch_for_all_takes_every_eligible_device() {
    let world = World::new().product("lamp").devices(4);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    assert_eq!(batch.get()["counts"]["total"], 4);
}

#[test]
fn r65_a_batch_for_named_devices_takes_these_only() {
    let world = World::new().product("lamp").devices(4);
    let batch = world.batch_for(&world.ready_package("1.1.0"), &["lamp-2", "lamp-4"]);
    assert_eq!(batch.outcome(), ["lamp-2 notified", "lamp-4 notified"]);
}

#[test]
fn r65_names_the_product_does_not_have_are_told() {
    let world = World::new().product("lamp").devices(1);
    let target = json!({"target": {"selection": "specific", "devices": ["lamp-1", "lamp-8", "lamp-9"]}});
    let refused = world.try_batch(&world.ready_package("1.1.0"), &target);
    assert_eq!(refused.problem(), "422 batch.unknown-devices");
    assert!(refused.text_of("detail").contains("lamp-8, lamp-9"), "{}", refused.text_of("detail"));
}

#[test]
fn r65_two_hundred_names_are_taken_and_one_more_is_not() {
    let world = World::new().product("lamp").devices(201);
    let package = world.ready_package("1.1.0");
    let names: Vec<String> = (1..=201).map(|n| format!("lamp-{n}")).collect();
    let ask = |names: &[String]| {
        world.try_batch(&package, &json!({"target": {"selection": "specific", "devices": names}}))
    };
    assert_eq!(ask(&names).problem(), "422 value.too-many");
    assert_eq!(ask(&names[..200]).expect(201).json()["counts"]["total"], 200);
}

#[test]
fn r73_a_device_that_runs_the_target_version_gets_no_task() {
    let world = World::new().product("lamp").devices(3);
    world.device("lamp-2").report("1.1.0");
    let package = world.ready_package("1.1.0");
    assert_eq!(world.batch(&package, json!({})).outcome(), ["lamp-1 notified", "lamp-3 notified"]);
}

#[test]
fn r74_a_batch_without_any_eligible_device_is_refused() {
    let world = World::new().product("lamp").devices(2);
    world.all_devices().iter().for_each(|device| device.report("1.1.0"));
    let package = world.ready_package("1.1.0");
    assert_eq!(world.try_batch(&package, &json!({})).problem(), "422 batch.no-device");
    let named = json!({"target": {"selection": "specific", "devices": ["lamp-1"]}});
    assert_eq!(world.try_batch(&package, &named).problem(), "422 batch.no-device");
    assert!(world.list("/v1/batches", 50).is_empty());
}

#[test]
fn r75_a_device_that_never_connected_is_in_no_batch() {
    let world = World::new().product("lamp").devices(1);
    world.register(2);
    assert_eq!(world.batch(&world.ready_package("1.1.0"), json!({})).outcome(), ["lamp-1 notified"]);
}

#[test]
fn r76_a_device_that_is_activated_later_gets_no_task() {
    let world = World::new().product("lamp").devices(1);
    let later = world.register(1).remove(0);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.advance(minutes(1));
    later.connect("1.0.0");
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
    assert!(later.told().is_empty());
}

#[test]
fn r76_the_devices_are_those_of_the_creation_even_if_the_dispatcher_gets_to_them_later() {
    // More shards than a request gives their tasks.
    let world = World::new().product("lamp").devices(4_400);
    world.all_devices()[..10].iter().for_each(|device| device.disconnect());
    let later = world.register(10);
    let package = world.ready_package("1.1.0");
    let body = json!({"package_id": package.id, "target": {"selection": "all"}});
    let made = world.send(&ota_tests::Call::post("/v1/batches", &body)).expect(201);
    assert_eq!(made.json()["expanded"], false, "{}", made.json());
    world.advance(minutes(1));
    later.iter().for_each(|device| device.connect("1.0.0"));
    world.run(minutes(1));
    let batch = world.find_batch(&made.text_of("batch_id"));
    let told = batch.get();
    assert_eq!((&told["expanded"], &told["counts"]["total"]), (&json!(true), &json!(4_400)));
    assert_eq!(batch.tasks().len(), 4_400);
}

#[test]
fn r54_source_versions_choose_the_devices() {
    let world = World::new().product("lamp").devices(3);
    world.device("lamp-2").report("1.0.5");
    world.device("lamp-3").report("0.9.0");
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"source_versions": ["1.0.0", "1.0.5"]}));
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-2 notified"]);
}

#[test]
fn r56_a_batch_for_named_devices_takes_no_source_versions() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({
        "target": {"selection": "specific", "devices": ["lamp-1"]},
        "source_versions": ["1.0.0"],
    });
    let refused = world.try_batch(&world.ready_package("1.1.0"), &asked);
    assert_eq!(refused.faults(), ["/source_versions batch.source-versions-not-allowed"]);
}

#[test]
fn r60_a_package_may_have_several_batches_for_different_source_versions() {
    let world = World::new().product("lamp").devices(2);
    world.device("lamp-2").report("1.0.5");
    let package = world.ready_package("1.1.0");
    let one = world.batch(&package, json!({"source_versions": ["1.0.0"]}));
    let two = world.batch(&package, json!({"source_versions": ["1.0.5"]}));
    assert_eq!(
        (one.outcome(), two.outcome()),
        (vec!["lamp-1 notified".into()], vec!["lamp-2 notified".into()])
    );
}

#[test]
fn a_device_that_left_the_source_versions_is_not_pushed_to() {
    let world = World::new().product("lamp").devices(2);
    world.device("lamp-1").disconnect();
    let asked = json!({"source_versions": ["1.0.0"], "retry": {"after_minutes": 10, "count_max": 1}});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    world.device("lamp-1").connect("3.0.0");
    world.run(minutes(11));
    assert_eq!(batch.outcome(), ["lamp-1 failed source-version-mismatch", "lamp-2 notified"]);
    assert!(world.device("lamp-1").told().is_empty());
}

#[test]
fn a_fleet_that_grows_while_a_batch_runs_loses_no_task() {
    let world = World::new().product("lamp").devices(1_000);
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, json!({}));
    for device in world.all_devices().iter().step_by(2) {
        device.upgrade();
    }
    // From 16 shards to more: half of the tasks move, some of them ended, some not.
    world.register(1_000);
    world.run(minutes(1));
    assert_eq!(batch.get()["counts"]["succeeded"], 500);
    for device in world.all_devices().iter().filter(|device| device.version() == "1.0.0") {
        device.upgrade();
    }
    world.run(minutes(1));
    assert_eq!(batch.status(), "completed");
    assert_eq!(batch.tasks().len(), 1_000);
    world.register(1_000);
    world.advance(hours(1));
    for device in ["lamp-1", "lamp-500", "lamp-1000"] {
        assert_eq!(batch.task(device)["status"], "succeeded", "{device}");
    }
    assert_eq!(batch.tasks().len(), 1_000);
}

#[test]
fn the_history_of_an_ended_batch_is_found_after_the_fleet_has_grown() {
    let world = World::new().product("lamp").devices(600);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.all_devices().iter().for_each(|device| device.upgrade());
    world.run(minutes(1));
    assert_eq!(batch.status(), "completed");
    // The shards forget what the ended batch asked of them, and then their devices move.
    world.advance(hours(1));
    let next = world.batch(&world.ready_package("1.2.0"), json!({}));
    world.register(2_000);
    assert_eq!(batch.tasks().len(), 600);
    for device in world.all_devices().iter().filter(|device| device.is_online()) {
        assert_eq!(batch.task(device.name())["status"], "succeeded", "{}", device.name());
        assert_eq!(next.task(device.name())["status"], "notified", "{}", device.name());
    }
}
