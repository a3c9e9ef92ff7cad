//! Two batches want one device.

use ota_tests::{World, json, seconds};

#[test]
fn r136_without_overwrite_the_newer_batchs_task_fails_and_the_present_one_goes_on() {
    let world = World::new().product("lamp").devices(1);
    let old = world.batch(&world.ready_package("1.1.0"), json!({}));
    let new = world.batch(&world.ready_package("1.2.0"), json!({}));
    assert_eq!(new.outcome(), ["lamp-1 failed device-busy"]);
    assert_eq!(old.outcome(), ["lamp-1 notified"]);
    world.run(seconds(10));
    assert_eq!(new.status(), "completed");
    world.device("lamp-1").upgrade();
    assert_eq!(old.outcome(), ["lamp-1 succeeded"]);
}

#[test]
fn r137_with_overwrite_a_queued_or_notified_task_is_canceled_and_the_newer_one_queued() {
    let world = World::new().product("lamp").devices(2);
    world.device("lamp-1").disconnect();
    let old = world.batch(&world.ready_package("1.1.0"), json!({}));
    assert_eq!(old.outcome(), ["lamp-1 queued", "lamp-2 notified"]);
    let new = world.batch(&world.ready_package("1.2.0"), json!({"overwrite": true}));
    assert_eq!(old.outcome(), ["lamp-1 canceled overwritten", "lamp-2 canceled overwritten"]);
    assert_eq!(new.outcome(), ["lamp-1 queued", "lamp-2 notified"]);
    assert_eq!(world.device("lamp-2").told().last().unwrap().version, "1.2.0");
    world.run(seconds(10));
    assert_eq!(old.status(), "completed", "nobody canceled the batch");
}

#[test]
fn r138_with_overwrite_an_upgrade_in_progress_goes_on_and_the_newer_task_fails() {
    let world = World::new().product("lamp").devices(1);
    let old = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").progress(10, "");
    let new = world.batch(&world.ready_package("1.2.0"), json!({"overwrite": true}));
    assert_eq!(
        (old.outcome(), new.outcome()),
        (vec!["lamp-1 in-progress".into()], vec!["lamp-1 failed device-busy".into()])
    );
}

#[test]
fn r135_a_device_is_in_at_most_one_active_task() {
    let world = World::new().product("lamp").devices(3);
    world.device("lamp-2").progress(1, "");
    let mut batches = Vec::new();
    for version in 1..=5 {
        let package = world.ready_package(&format!("2.{version}"));
        batches.push(world.batch(&package, json!({"overwrite": version % 2 == 0})));
        if version == 2 {
            world.device("lamp-2").progress(1, "");
        }
    }
    for device in ["lamp-1", "lamp-2", "lamp-3"] {
        let active = batches.iter().filter(|batch| {
            let status = batch.task(device)["status"].clone();
            ["queued", "notified", "in-progress"].iter().any(|active| status == *active)
        });
        assert_eq!(active.count(), 1, "{device}");
    }
}

#[test]
fn r140_once_its_task_has_ended_a_device_can_be_upgraded_again() {
    let world = World::new().product("lamp").devices(1);
    let one = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").progress(-1, "");
    let two = world.batch(&world.ready_package("1.2.0"), json!({}));
    world.device("lamp-1").upgrade();
    assert_eq!(
        (one.outcome(), two.outcome()),
        (vec!["lamp-1 failed upgrade-failed".into()], vec!["lamp-1 succeeded".into()])
    );
}

#[test]
fn r140_the_same_package_may_be_tried_again_on_a_device_that_failed() {
    let world = World::new().product("lamp").devices(2);
    let package = world.ready_package("1.1.0");
    let one = world.batch(&package, json!({}));
    world.device("lamp-1").progress(-1, "");
    world.device("lamp-2").upgrade();
    world.run(seconds(10));
    let two = world.batch(&package, json!({}));
    assert_eq!(one.outcome(), ["lamp-1 failed upgrade-failed", "lamp-2 succeeded"]);
    assert_eq!(two.outcome(), ["lamp-1 notified"]);
}
