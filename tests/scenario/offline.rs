//! Devices that are away, come back, or restart in between.

use ota_tests::{World, hours, json, minutes, seconds};

#[test]
fn r90_an_online_device_is_told_at_once() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
    assert_eq!(world.device("lamp-1").told().len(), 1);
    assert_eq!(world.published()[0].at_ms, ota_tests::START_MS, "without a tick of the clock");
}

#[test]
fn r91_an_offline_device_stays_queued_and_is_told_when_it_connects() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    lamp.disconnect();
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.run(minutes(5));
    let task = batch.task("lamp-1");
    assert_eq!((&task["status"], &task["queued_because"]), (&json!("queued"), &json!("offline")));
    assert!(world.published().is_empty());

    lamp.connect("1.0.0");
    world.settle();
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
    assert_eq!(lamp.told().len(), 1, "at once, for it has said that it needs the upgrade");
}

#[test]
fn a_device_that_connects_silently_is_told_after_five_seconds() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    lamp.disconnect();
    let _batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    lamp.connect_silently();
    world.settle();
    world.advance(seconds(4));
    world.tick();
    assert!(lamp.told().is_empty(), "it may be about to tell its version");
    world.advance(seconds(1));
    world.tick();
    assert_eq!(lamp.told().len(), 1);
}

#[test]
fn r102_a_device_that_was_told_and_connects_again_is_told_again_and_its_status_stays() {
    let world = World::new().product("lamp").devices(2);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let (told, begun) = (world.device("lamp-1"), world.device("lamp-2"));
    begun.progress(40, "");
    for lamp in [&told, &begun] {
        lamp.disconnect();
        world.run(minutes(1));
        lamp.connect_silently();
        world.run(seconds(10));
        assert_eq!(lamp.told().len(), 1, "{}", lamp.name());
    }
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-2 in-progress"]);
}

#[test]
fn r103_a_device_that_restarts_into_the_new_image_is_not_told_again() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let lamp = world.device("lamp-1");
    lamp.upgrade();
    world.run(minutes(10));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded"]);
    assert_eq!(world.published().len(), 1, "told once, and never again");
}

#[test]
fn r103_a_device_that_needs_four_seconds_to_tell_its_new_version_is_not_told_again() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let lamp = world.device("lamp-1");
    lamp.progress(100, "");
    lamp.disconnect();
    world.run(minutes(2));
    lamp.connect_silently();
    world.settle();
    for _ in 0..4 {
        world.advance(seconds(1));
        world.tick();
    }
    lamp.report("1.1.0");
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded"]);
    assert_eq!(world.published().len(), 1);
}

#[test]
fn r117_a_report_of_the_source_version_changes_nothing_before_the_upgrade_began() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").report("1.0.0");
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
    assert_eq!(world.published().len(), 1);
}

#[test]
fn r133_the_first_version_a_device_ever_reports_is_its_source_version_and_no_failure() {
    let world = World::new().product("lamp");
    let lamp = world.register(1).remove(0);
    lamp.connect_silently();
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    assert!(batch.task("lamp-1").get("source_version").is_none());
    lamp.report("0.1.0");
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
    assert_eq!(batch.task("lamp-1")["source_version"], "0.1.0");
}

#[test]
fn the_late_end_of_an_older_connection_does_not_make_a_device_offline() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    let topic = format!("/overair/presence/{}/lamp-1", world.product_key());
    let word = |status: &str, session: &str| json!({"status": status, "session": session, "at": 1});
    lamp.say(&topic, &word("online", "new"));
    lamp.say(&topic, &word("offline", "old"));
    assert_eq!(lamp.get()["state"], "online");
    lamp.say(&topic, &word("offline", "new"));
    assert_eq!(lamp.get()["state"], "offline");
}

#[test]
fn a_push_that_the_broker_did_not_take_is_made_again() {
    let world = World::new().product("lamp").devices(2);
    world.engine().set_broker_down(true);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.run(minutes(1));
    assert!(world.published().is_empty());
    world.engine().set_broker_down(false);
    world.run(seconds(20));
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-2 notified"]);
    for device in world.all_devices() {
        assert_eq!(device.told().len(), 1, "{}", device.name());
    }
}

#[test]
fn r124_an_offline_device_is_waited_for_however_long_it_takes() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    lamp.disconnect();
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"timeout_minutes": 1}));
    for _ in 0..60 {
        world.advance(hours(24));
        world.tick();
    }
    assert_eq!(batch.outcome(), ["lamp-1 queued"]);
    lamp.connect("1.0.0");
    world.settle();
    lamp.upgrade();
    world.run(seconds(10));
    assert_eq!(batch.status(), "completed");
}

#[test]
fn r102_a_device_whose_connecting_nobody_announced_is_told_again_when_it_speaks() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let lamp = world.device("lamp-1");
    lamp.disconnect();
    world.be_patient();
    world.kv().set_faults(|_, _| Some(ota_store::memory::Fault::Refused));
    lamp.connect_silently();
    world.kv().clear_faults();
    lamp.report("1.0.0");
    world.run(seconds(10));
    assert_eq!(lamp.told().len(), 1);
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
}
