//! Upgrades that fail, and what is told of it.

use ota_tests::{World, json, minutes, seconds};

#[test]
fn r120_each_step_below_zero_fails_the_task_with_its_reason_and_the_devices_words() {
    let world = World::new().product("lamp").devices(4);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let told = [
        (-1, "no battery", "upgrade-failed", "device code -1: no battery"),
        (-2, "no route", "download-failed", "device code -2: no route"),
        (-3, "校验失败", "verify-failed", "device code -3: 校验失败"),
        (-4, "", "flash-failed", "device code -4"),
    ];
    for (device, (step, desc, code, description)) in world.all_devices().iter().zip(told) {
        device.progress(10, "");
        device.progress(step, desc);
        let task = batch.task(device.name());
        assert_eq!(task["status"], "failed");
        assert_eq!(task["reason"], json!({"code": code, "description": description}));
    }
    world.run(seconds(10));
    assert_eq!(batch.status(), "completed");
}

#[test]
fn r121_steps_that_mean_nothing_are_ignored() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    for step in [-5, -100, 101, 1_000] {
        world.device("lamp-1").progress(step, "");
    }
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
}

#[test]
fn r118_a_report_of_another_version_before_the_upgrade_began_fails_it() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").report("0.9.0");
    assert_eq!(batch.outcome(), ["lamp-1 failed version-mismatch"]);
    assert_eq!(batch.task("lamp-1")["reason"]["description"], "report version is not conform");
}

#[test]
fn r119_a_report_of_the_source_version_once_it_began_fails_it() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").progress(90, "");
    world.device("lamp-1").restart("1.0.0");
    assert_eq!(batch.outcome(), ["lamp-1 failed version-mismatch"], "the upgrade was rolled back");
}

#[test]
fn r130_without_retries_the_first_failed_attempt_is_the_end() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").progress(-1, "");
    world.run(minutes(20));
    assert_eq!(batch.outcome(), ["lamp-1 failed upgrade-failed"]);
    assert_eq!(world.published().len(), 1);
}

#[test]
fn a_device_that_was_not_told_cannot_fail() {
    let world = World::new().product("lamp").devices(1);
    world.engine().set_broker_down(false);
    let lamp = world.device("lamp-1");
    lamp.disconnect();
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    lamp.progress(-1, "something else");
    assert_eq!(batch.task("lamp-1")["status"], "queued");
}

#[test]
fn what_a_device_says_after_the_end_changes_nothing() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let lamp = world.device("lamp-1");
    lamp.progress(-1, "");
    lamp.progress(50, "late");
    lamp.restart("1.1.0");
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-1 failed upgrade-failed"]);
    assert_eq!(lamp.get()["versions"][0]["version"], "1.1.0");
}
