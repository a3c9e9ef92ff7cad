//! Upgrades that take too long.

use ota_tests::{World, json, minutes, seconds};

#[test]
fn r123_the_timeout_counts_from_the_first_progress() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"timeout_minutes": 10}));
    world.run(minutes(60));
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
    world.device("lamp-1").progress(1, "");
    world.run(minutes(9));
    world.device("lamp-1").progress(99, "further progress does not move it");
    world.run(seconds(50));
    assert_eq!(batch.outcome(), ["lamp-1 in-progress"]);
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 failed timeout"]);
    assert_eq!(batch.task("lamp-1")["reason"]["description"], "timeout");
}

#[test]
fn r124_without_progress_there_is_no_timeout() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"timeout_minutes": 1}));
    for _ in 0..30 {
        world.advance(minutes(24 * 60));
        world.tick();
    }
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
}

#[test]
fn r125_neither_a_retry_nor_another_push_restarts_the_clock() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"timeout_minutes": 15, "retry": {"after_minutes": 10, "count_max": 5}});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    let lamp = world.device("lamp-1");
    lamp.progress(1, "");
    lamp.progress(-1, "");
    world.run(minutes(11));
    assert_eq!(lamp.told().len(), 2, "the second attempt");
    lamp.progress(1, "");
    lamp.restart("1.0.0");
    world.run(minutes(3));
    assert_eq!(batch.task("lamp-1")["status"], "in-progress");
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-1 failed timeout"]);
}

#[test]
fn r126_a_timeout_is_never_retried() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"timeout_minutes": 5, "retry": {"after_minutes": 0, "count_max": 5}});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    world.device("lamp-1").progress(1, "");
    world.run(minutes(60));
    assert_eq!(batch.outcome(), ["lamp-1 failed timeout"]);
    assert_eq!(world.published().len(), 1);
}

#[test]
fn an_offline_device_times_out_as_well() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"timeout_minutes": 5}));
    world.device("lamp-1").progress(1, "");
    world.device("lamp-1").disconnect();
    world.run(minutes(6));
    assert_eq!(batch.outcome(), ["lamp-1 failed timeout"]);
    assert_eq!(batch.status(), "completed");
}
