//! No minute sees more pushes of a batch than its rate.

use ota_tests::{World, invariant_pushes_within_rate, json, minutes, seconds};

#[test]
fn r93_sixty_devices_at_ten_a_minute_are_told_ten_a_minute() {
    let world = World::new().product("lamp").devices(60);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"push_per_minute_max": 10}));
    assert_eq!(world.published().len(), 10, "the first minute's at once");
    let waiting = batch.tasks().into_iter().find(|task| task["status"] == "queued").unwrap();
    assert_eq!(waiting["queued_because"], "rate-limited");
    world.run(minutes(3));
    invariant_pushes_within_rate(&world, 10);
    assert!((20..=40).contains(&world.published().len()), "{}", world.published().len());
    world.run(minutes(4));
    invariant_pushes_within_rate(&world, 10);
    assert_eq!(world.published().len(), 60, "each once");
    assert_eq!(batch.get()["counts"]["notified"], 60);
}

#[test]
fn r93_devices_that_come_all_at_once_are_told_within_the_rate() {
    let world = World::new().product("lamp").devices(40);
    world.all_devices().iter().for_each(|device| device.disconnect());
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"push_per_minute_max": 10}));
    for device in world.all_devices() {
        device.connect("1.0.0");
        world.settle();
        world.advance(200);
    }
    assert_eq!(world.published().len(), 10);
    world.run(minutes(5));
    invariant_pushes_within_rate(&world, 10);
    assert_eq!(batch.get()["counts"]["notified"], 40);
}

#[test]
fn r93_a_push_that_is_made_again_counts_as_well() {
    let world = World::new().product("lamp").devices(10);
    let _batch = world.batch(&world.ready_package("1.1.0"), json!({"push_per_minute_max": 10}));
    for device in world.all_devices() {
        device.restart("1.0.0");
    }
    world.run(seconds(50));
    assert_eq!(world.published().len(), 10, "the minute's tokens are used up");
    world.run(minutes(1));
    assert_eq!(world.published().len(), 20);
    invariant_pushes_within_rate(&world, 10);
}

#[test]
fn the_rate_is_each_batchs_own() {
    let world = World::new().product("lamp").devices(30);
    let slow = json!({"push_per_minute_max": 10, "target": {"selection": "specific", "devices":
        (1..=15).map(|n| format!("lamp-{n}")).collect::<Vec<_>>()}});
    let _slow = world.batch(&world.ready_package("1.1.0"), slow);
    let _fast = world.batch(&world.ready_package("1.2.0"), json!({}));
    assert_eq!(world.published().len(), 25);
}
