//! Canceling the tasks of named devices.

use ota_tests::{World, json, seconds};

#[test]
fn r153_the_active_tasks_of_named_devices_are_canceled_and_no_others() {
    let world = World::new().product("lamp").devices(6);
    world.device("lamp-1").disconnect();
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, json!({}));
    world.device("lamp-3").progress(10, "");
    world.device("lamp-4").upgrade();
    let named = ["lamp-1", "lamp-2", "lamp-3", "lamp-4"];
    let told = world.cancel_by_device(&package, &named, &json!({})).expect(200).json();
    assert_eq!(told, json!({"canceled": 3}), "queued, notified and in progress; what has ended stays");
    let expected = [
        "lamp-1 canceled canceled-by-user",
        "lamp-2 canceled canceled-by-user",
        "lamp-3 canceled canceled-by-user",
        "lamp-4 succeeded",
        "lamp-5 notified",
        "lamp-6 notified",
    ];
    assert_eq!(batch.outcome(), expected);
    let told = world.cancel_by_device(&package, &named, &json!({})).expect(200).json();
    assert_eq!(told, json!({"canceled": 0}), "there is nothing left to cancel");
    world.device("lamp-1").connect("1.0.0");
    world.run(seconds(10));
    assert!(world.device("lamp-1").told().is_empty());
    assert_eq!(batch.status(), "in-progress", "for the others");
}

#[test]
fn r153_only_tasks_of_the_package_are_canceled() {
    let world = World::new().product("lamp").devices(2);
    let (one, two) = (world.ready_package("1.1.0"), world.ready_package("1.2.0"));
    let batch = world.batch_for(&one, &["lamp-1"]);
    let other = world.batch_for(&two, &["lamp-2"]);
    let all = ["lamp-1", "lamp-2"];
    assert_eq!(world.cancel_by_device(&two, &all, &json!({})).json(), json!({"canceled": 1}));
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
    assert_eq!(other.outcome(), ["lamp-2 canceled canceled-by-user"]);
    let next = world.batch_for(&one, &["lamp-2"]);
    assert_eq!(next.outcome(), ["lamp-2 notified"], "a canceled device is free at once");
}

#[test]
fn r153_tasks_of_one_batch_only_are_canceled_if_the_request_says_so() {
    let world = World::new().product("lamp").devices(2);
    let package = world.ready_package("1.1.0");
    let one = world.batch_for(&package, &["lamp-1"]);
    let two = world.batch_for(&package, &["lamp-2"]);
    let stranger = world.batch(&world.ready_package("1.2.0"), json!({}));
    let all = ["lamp-1", "lamp-2"];
    let ask = |id: &str| world.cancel_by_device(&package, &all, &json!({"batch_id": id}));
    assert_eq!(ask(&stranger.id).json(), json!({"canceled": 0}), "a batch of another package");
    assert_eq!(ask("nonsense").faults(), ["/batch_id value.malformed"]);
    assert_eq!(ask(&two.id).json(), json!({"canceled": 1}));
    assert_eq!(
        (one.outcome()[0].as_str(), two.outcome()[0].as_str()),
        ("lamp-1 notified", "lamp-2 canceled canceled-by-user")
    );
}

#[test]
fn r153_one_to_two_hundred_names_are_taken_each_once() {
    let world = World::new().product("lamp").devices(201);
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, json!({}));
    let names: Vec<String> = (1..=201).map(|n| format!("lamp-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ask = |names: &[&str]| world.cancel_by_device(&package, names, &json!({}));
    assert_eq!(ask(&[]).faults(), ["/devices value.missing"]);
    assert_eq!(ask(&names).faults(), ["/devices value.too-many"]);
    assert_eq!(
        ask(&["lamp-1", "a lamp", "lamp-1"]).faults(),
        ["/devices/1 value.charset", "/devices/2 value.duplicate"]
    );
    assert_eq!(batch.get()["counts"]["canceled"], 0, "what was refused canceled nothing");
    assert_eq!(ask(&names[..200]).expect(200).json(), json!({"canceled": 200}));
    let counts = batch.get()["counts"].clone();
    assert_eq!((&counts["canceled"], &counts["notified"]), (&json!(200), &json!(1)));
}

#[test]
fn r153_a_name_the_product_does_not_have_cancels_nobody() {
    let world = World::new().product("lamp").devices(2);
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, json!({}));
    let refused = world.cancel_by_device(&package, &["lamp-1", "lamp-8", "lamp-9"], &json!({}));
    assert_eq!(refused.problem(), "422 batch.unknown-devices");
    assert!(refused.json().to_string().contains("lamp-8, lamp-9"), "{refused:?}");
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-2 notified"]);
}

#[test]
fn r153_the_package_must_be_there() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let with =
        |id: ota_tests::Value| world.cancel_by_device(&package, &["lamp-1"], &json!({"package_id": id}));
    assert_eq!(with(json!("nonsense")).faults(), ["/package_id value.malformed"]);
    assert_eq!(with(json!("0".repeat(32))).problem(), "404 request.not-found");
}

#[test]
fn r127_r153_a_canceled_device_is_not_retried_and_may_be_tried_again_by_hand() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, json!({"retry": {"after_minutes": 0, "count_max": 5}}));
    let _canceled = world.cancel_by_device(&package, &["lamp-1"], &json!({})).expect(200);
    world.run(seconds(30));
    assert_eq!(world.device("lamp-1").told().len(), 1);
    let _queued = world.reupgrade(&[batch.task_id("lamp-1")]).expect(200);
    assert_eq!(world.device("lamp-1").told().len(), 1);
}
