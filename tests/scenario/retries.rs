//! Attempts that fail and are made again.

use ota_tests::{World, json, minutes, seconds};

#[test]
fn r128_a_failed_attempt_is_made_again_after_the_interval_as_often_as_the_count_says() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"retry": {"after_minutes": 10, "count_max": 2}});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    let lamp = world.device("lamp-1");
    for attempt in 1..=3 {
        assert_eq!(lamp.told().len(), 1, "attempt {attempt}");
        lamp.progress(-2, &format!("attempt {attempt}"));
        world.run(minutes(9));
        assert!(lamp.told().is_empty(), "not before the interval is over");
        world.run(minutes(1) + seconds(10));
    }
    assert!(lamp.told().is_empty());
    assert_eq!(batch.outcome(), ["lamp-1 failed download-failed"]);
    let task = batch.task("lamp-1");
    assert_eq!(
        (&task["retries_used"], &task["reason"]["description"]),
        (&json!(2), &json!("device code -2: attempt 3"))
    );
}

#[test]
fn r128_an_interval_of_zero_is_at_once() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"retry": {"after_minutes": 0, "count_max": 1}});
    let _batch = world.batch(&world.ready_package("1.1.0"), asked);
    let lamp = world.device("lamp-1");
    lamp.progress(-1, "");
    world.settle();
    assert_eq!(lamp.told().len(), 2);
}

#[test]
fn r129_while_a_retry_waits_the_status_stays() {
    let world = World::new().product("lamp").devices(2);
    let asked = json!({"retry": {"after_minutes": 10, "count_max": 1}});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    world.device("lamp-1").progress(-1, "");
    world.device("lamp-2").progress(5, "");
    world.device("lamp-2").progress(-1, "");
    let statuses: Vec<_> = batch.tasks().iter().map(|task| task["status"].clone()).collect();
    assert_eq!(statuses, ["notified", "in-progress"]);
    assert_eq!(
        batch.task("lamp-1")["reason"]["code"],
        "upgrade-failed",
        "what the last attempt came to is told"
    );
}

#[test]
fn r131_a_retry_for_an_offline_device_waits_until_it_connects() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"retry": {"after_minutes": 10, "count_max": 1}});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    let lamp = world.device("lamp-1");
    lamp.progress(-1, "");
    lamp.disconnect();
    world.run(minutes(30));
    assert_eq!(world.published().len(), 1);
    lamp.connect("1.0.0");
    world.settle();
    lamp.upgrade();
    assert_eq!(batch.outcome(), ["lamp-1 succeeded"]);
}

#[test]
fn a_device_that_connects_before_the_interval_is_over_is_not_told_early() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"retry": {"after_minutes": 30, "count_max": 1}});
    let _batch = world.batch(&world.ready_package("1.1.0"), asked);
    let lamp = world.device("lamp-1");
    lamp.progress(-1, "");
    world.run(minutes(5));
    lamp.restart("1.0.0");
    world.run(minutes(20));
    assert!(lamp.told().is_empty());
    world.run(minutes(6));
    assert_eq!(lamp.told().len(), 1);
}

#[test]
fn the_same_failure_told_twice_uses_up_one_retry() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"retry": {"after_minutes": 10, "count_max": 1}});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    let lamp = world.device("lamp-1");
    lamp.progress(-1, "once");
    lamp.repeat();
    lamp.repeat();
    assert_eq!(batch.task("lamp-1")["retries_used"], 1);
    assert_eq!(batch.task("lamp-1")["status"], "notified");
}

#[test]
fn r128_a_retry_may_succeed() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"retry": {"after_minutes": 10, "count_max": 1}});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    let lamp = world.device("lamp-1");
    lamp.progress(-3, "");
    world.run(minutes(11));
    lamp.upgrade();
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded"]);
    assert!(batch.task("lamp-1").get("reason").is_none());
    assert_eq!(batch.status(), "completed");
}
