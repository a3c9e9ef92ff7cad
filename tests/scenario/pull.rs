//! Batches that push nothing: devices get their upgrade when they ask.

use ota_tests::{World, json, minutes, seconds};

#[test]
fn r95_a_batch_that_pushes_nothing_is_delivered_to_who_asks() {
    let world = World::new().product("lamp").devices(2);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"push": false}));
    let lamp = world.device("lamp-1");
    lamp.restart("1.0.0");
    world.run(minutes(10));
    assert!(world.published().is_empty(), "not at once, not at a connect, not later");
    assert_eq!(batch.outcome(), ["lamp-1 queued", "lamp-2 queued"]);
    assert_eq!(batch.task("lamp-1")["queued_because"], "pull-only");

    let answer = lamp.ask();
    assert_eq!((&answer["code"], &answer["data"]["version"]), (&json!(200), &json!("1.1.0")));
    assert!(answer["data"]["url"].as_str().is_some_and(|url| !url.is_empty()));
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-2 queued"]);
    assert_eq!(lamp.ask()["data"]["version"], "1.1.0", "whoever asks again is answered again");

    lamp.progress(50, "");
    lamp.restart("1.1.0");
    world.device("lamp-2").restart("1.1.0");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded", "lamp-2 succeeded"]);
    assert_eq!(batch.status(), "completed");
    assert_eq!(lamp.ask()["data"], json!({}), "nothing is left to get");
    assert!(world.published().iter().all(|push| push.topic.ends_with("get_reply")));
}

#[test]
fn r95_r102_a_device_that_was_answered_is_not_pushed_to_when_it_connects_again() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"push": false}));
    let lamp = world.device("lamp-1");
    lamp.ask();
    lamp.progress(10, "");
    lamp.restart("1.0.0");
    world.run(minutes(2));
    assert!(lamp.told().is_empty());
    assert_eq!(batch.outcome(), ["lamp-1 failed version-mismatch"], "which is a failure as in every batch");
}

#[test]
fn r95_r128_a_retry_waits_until_the_device_asks_again() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"push": false, "retry": {"after_minutes": 10, "count_max": 1}});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    let lamp = world.device("lamp-1");
    lamp.ask();
    lamp.progress(-2, "no room");
    world.run(minutes(30));
    assert!(lamp.told().is_empty());
    assert_eq!(
        (batch.outcome()[0].as_str(), batch.status().as_str()),
        ("lamp-1 notified download-failed", "in-progress")
    );
    assert_eq!(lamp.ask()["data"]["version"], "1.1.0");
    lamp.progress(-2, "no room");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 failed download-failed"]);
}

#[test]
fn r93_r95_answers_take_nothing_of_the_rate() {
    let world = World::new().product("lamp").devices(12);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"push": false, "push_per_minute_max": 10}));
    for device in world.all_devices() {
        assert_eq!(device.ask()["data"]["version"], "1.1.0", "{}", device.name());
    }
    assert_eq!(batch.get()["counts"]["notified"], 12);
}

#[test]
fn r95_a_trial_may_be_pulled_too() {
    let world = World::new().product("lamp").devices(1);
    let package = world.package("1.1.0");
    let _begun = world.try_verify(&package, &json!({"devices": ["lamp-1"], "push": false})).expect(201);
    world.run(minutes(1));
    let lamp = world.device("lamp-1");
    assert!(lamp.told().is_empty());
    assert_eq!(lamp.ask()["data"]["version"], "1.1.0");
    lamp.restart("1.1.0");
    world.run(seconds(10));
    assert_eq!(package.verification(), "verified");
}
