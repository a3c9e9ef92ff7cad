//! The stories of the documents themselves, from beginning to end.

use ota_tests::{
    Batch, Call, Package, Value, World, hours, invariant_nothing_is_left_to_do, json, minutes, seconds,
};

fn from_a(world: &World, package: &Package, mode: &str) -> Value {
    let asked = json!({"mode": mode, "source_versions": ["A"]});
    world.try_batch(package, &asked).json()
}

fn lamps_on_a(count: usize) -> World {
    let world = World::new().product("lamp").devices(count);
    world.all_devices().iter().for_each(|device| device.restart("A"));
    world.run(seconds(10));
    world
}

fn statuses(world: &World) -> Vec<String> {
    let events = world.get("/v1/events?type=batch-status&limit=200");
    let status = |event: &Value| event["payload"]["status"].as_str().map(str::to_owned);
    events["items"].as_array().into_iter().flatten().filter_map(status).collect()
}

#[test]
fn r62_r135_from_a_to_b_and_from_a_to_c_side_by_side_and_each_device_in_one_of_them() {
    let world = lamps_on_a(2);
    let (b, c) = (world.ready_package("B"), world.ready_package("C"));
    let to_b = from_a(&world, &b, "dynamic");
    world.advance(minutes(1));
    let to_c = from_a(&world, &c, "dynamic");
    let batch = |told: &Value| world.find_batch(told["batch_id"].as_str().unwrap());
    let (to_b, to_c) = (batch(&to_b), batch(&to_c));
    assert_eq!(to_b.outcome(), ["lamp-1 notified", "lamp-2 notified"]);
    assert_eq!(to_c.outcome(), ["lamp-1 failed device-busy", "lamp-2 failed device-busy"]);
    world.device("lamp-1").upgrade();
    // A third device comes on A: the newest of the two takes it.
    let new = world.register(1).remove(0);
    new.connect("A");
    world.run(seconds(10));
    new.upgrade();
    world.run(seconds(10));
    assert_eq!((new.version().as_str(), world.device("lamp-1").version().as_str()), ("C", "B"));
    assert_eq!(to_b.outcome(), ["lamp-1 succeeded", "lamp-2 notified"]);
    assert_eq!(to_c.outcome()[2], "lamp-3 succeeded");
}

#[test]
fn r63_where_the_older_document_holds_from_a_to_c_waits_until_from_a_to_b_is_over() {
    for mode in ["static", "dynamic"] {
        let world = lamps_on_a(2);
        let uri = format!("/v1/products/{}", world.product_key());
        let policy = json!({"settings": {"conflict_policy": "source-version"}});
        let _set = world.send(&Call::patch(uri, &policy)).expect(200);
        let (b, c) = (world.ready_package("B"), world.ready_package("C"));
        let to_b = from_a(&world, &b, mode);
        let to_b = world.find_batch(to_b["batch_id"].as_str().unwrap());
        let refused = from_a(&world, &c, mode);
        assert_eq!(refused["code"], "batch.conflict", "{mode}: {refused}");
        assert!(refused["detail"].as_str().unwrap().contains(&to_b.id), "{refused}");
        world.all_devices().iter().for_each(|device| device.upgrade());
        world.run(seconds(10));
        if mode == "dynamic" {
            assert_eq!(from_a(&world, &c, mode)["code"], "batch.conflict", "it goes on");
            let _canceled = to_b.cancel_by_default().expect(202);
        }
        world.all_devices().iter().for_each(|device| device.restart("A"));
        world.run(seconds(10));
        let to_c = from_a(&world, &c, mode);
        assert_eq!(to_c["status"], "in-progress", "{mode}: {to_c}");
    }
}

#[test]
fn r76_r106_a_device_activated_later_is_in_the_dynamic_batch_and_not_in_the_static_one() {
    let world = World::new().product("lamp").devices(1);
    let later = world.register(1).remove(0);
    let fixed = world.batch(&world.ready_package("1.1.0"), json!({}));
    let open = world.batch(
        &world.ready_package("1.2.0"),
        json!({"mode": "dynamic", "source_versions": ["1.0.0", "1.1.0"]}),
    );
    world.advance(hours(1));
    later.connect("1.0.0");
    world.run(seconds(10));
    assert_eq!(fixed.outcome(), ["lamp-1 notified"]);
    assert_eq!(open.outcome(), ["lamp-1 failed device-busy", "lamp-2 notified"]);
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    assert_eq!(fixed.status(), "completed");
    assert_eq!(open.outcome(), ["lamp-1 notified", "lamp-2 notified"], "1.1.0 is one of its source versions");
}

#[test]
fn r126_an_upgrade_that_ran_out_of_time_is_not_tried_again_although_retries_are_left() {
    let world = World::new().product("lamp").devices(2);
    let asked = json!({"timeout_minutes": 10, "retry": {"after_minutes": 0, "count_max": 5}});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    world.device("lamp-1").progress(1, "");
    world.run(minutes(30));
    assert_eq!(batch.outcome(), ["lamp-1 failed timeout", "lamp-2 notified"], "lamp-2 has not begun");
    assert_eq!((batch.task("lamp-1")["retries_used"].clone(), world.pushes()), (json!(0), 2));
}

#[test]
fn r92_r94_r172_a_batch_is_planned_begins_and_ends_and_each_is_told() {
    let world = World::new().product("lamp").devices(3);
    world.device("lamp-3").disconnect();
    let start_at = world.now_ms() + hours(2);
    let asked = json!({"schedule": {"start_at": start_at, "end_at": start_at + hours(1)}});
    let batch: Batch = world.batch(&world.ready_package("1.1.0"), asked);
    world.run(seconds(10));
    assert_eq!(statuses(&world), ["PLANNED"]);
    world.advance(hours(2));
    world.run(seconds(10));
    assert_eq!(statuses(&world), ["PLANNED", "IN_PROGRESS"]);
    world.device("lamp-1").upgrade();
    world.advance(hours(1));
    world.run(seconds(10));
    let ended = "canceled schedule-finished";
    assert_eq!(
        batch.outcome(),
        ["lamp-1 succeeded".into(), format!("lamp-2 {ended}"), format!("lamp-3 {ended}")]
    );
    assert_eq!(statuses(&world), ["PLANNED", "IN_PROGRESS", "COMPLETED"]);
    let told = batch.get();
    assert!(
        told["started_at"].as_u64() >= Some(start_at)
            && told["ended_at"].as_u64() >= Some(start_at + hours(1))
    );
    // The devices are free for the next.
    let next = world.batch(&world.ready_package("1.2.0"), json!({}));
    assert_eq!(next.outcome(), ["lamp-1 notified", "lamp-2 notified", "lamp-3 queued"]);
    let _canceled = next.cancel(&json!({"queued": true, "notified": true})).expect(202);
    world.run(seconds(10));
    invariant_nothing_is_left_to_do(&world);
}
