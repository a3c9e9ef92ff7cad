//! Canceling a batch.

use ota_store::memory::Fault;
use ota_tests::{Batch, Call, World, invariant_nothing_is_left_to_do, json, minutes, seconds};

/// A batch with an offline device, one that was told, one that has begun, one that is done.
fn four_devices() -> (World, Batch) {
    let world = World::new().product("lamp").devices(4);
    world.device("lamp-1").disconnect();
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-3").progress(10, "");
    world.device("lamp-4").upgrade();
    assert_eq!(
        batch.outcome(),
        ["lamp-1 queued", "lamp-2 notified", "lamp-3 in-progress", "lamp-4 succeeded"]
    );
    (world, batch)
}

#[test]
fn r144_r155_a_cancel_of_everything_ends_all_that_has_not_ended() {
    let (world, batch) = four_devices();
    let everything = json!({"queued": true, "notified": true, "in_progress": true});
    let _canceled = batch.cancel(&everything).expect(202);
    assert_eq!(
        batch.outcome(),
        [
            "lamp-1 canceled canceled-by-user",
            "lamp-2 canceled canceled-by-user",
            "lamp-3 canceled canceled-by-user",
            "lamp-4 succeeded"
        ]
    );
    world.run(seconds(10));
    assert_eq!(batch.status(), "canceled");
}

#[test]
fn r151_each_choice_acts_on_tasks_of_its_own_status_only() {
    for (choice, canceled) in [("queued", 0), ("notified", 1), ("in_progress", 2)] {
        let (_world, batch) = four_devices();
        let before = batch.outcome();
        let _canceled = batch.cancel(&json!({choice: true})).expect(202);
        let after = batch.outcome();
        for (index, (before, after)) in before.iter().zip(&after).enumerate() {
            let as_it_was = before == after;
            assert_eq!(as_it_was, index != canceled, "{choice}: {after}");
        }
        assert_eq!(batch.status(), "in-progress", "the rest goes on");
    }
}

#[test]
fn r151_a_cancel_of_notified_tasks_leaves_those_that_are_notified_later() {
    let (world, batch) = four_devices();
    let _canceled = batch.cancel(&json!({"notified": true, "in_progress": true})).expect(202);
    world.run(seconds(10));
    let lamp = world.device("lamp-1");
    lamp.connect("1.0.0");
    world.run(seconds(10));
    assert_eq!(batch.task("lamp-1")["status"], "notified");
    lamp.progress(10, "");
    world.run(seconds(10));
    assert_eq!(batch.task("lamp-1")["status"], "in-progress");
    lamp.restart("1.1.0");
    world.run(seconds(10));
    assert_eq!(batch.task("lamp-1")["status"], "succeeded");
    assert_eq!(batch.status(), "canceled", "some were");
}

#[test]
fn r144_a_canceled_queued_task_is_not_pushed_when_its_device_connects() {
    let (world, batch) = four_devices();
    let _canceled = batch.cancel(&json!({"queued": true})).expect(202);
    let lamp = world.device("lamp-1");
    lamp.connect("1.0.0");
    world.run(minutes(1));
    assert!(lamp.told().is_empty());
}

#[test]
fn r144_a_device_that_connects_while_the_cancel_is_under_way_is_not_pushed_to() {
    let (world, batch) = four_devices();
    // The cancel is noted, and the dispatcher has not come by.
    let uri = format!("/v1/batches/{}/cancel", batch.id);
    let _noted = world.send(&ota_tests::Call::post(uri, &json!({"queued": true}))).expect(202);
    world.engine().take_posted();
    let lamp = world.device("lamp-1");
    lamp.connect("1.0.0");
    world.settle();
    assert!(lamp.told().is_empty());
    world.run(seconds(10));
    assert_eq!(batch.task("lamp-1")["status"], "canceled");
}

#[test]
fn r147_a_cancel_says_what_to_cancel() {
    let (_world, batch) = four_devices();
    assert_eq!(batch.cancel(&json!({})).problem(), "422 batch.cancel-nothing");
    assert_eq!(batch.cancel(&json!({"queued": false})).problem(), "422 batch.cancel-nothing");
    assert_eq!(batch.cancel(&json!({"all": true})).faults(), ["/all value.not-allowed"]);
}

#[test]
fn r150_a_batch_that_has_ended_cannot_be_canceled() {
    let (world, batch) = four_devices();
    let everything = json!({"queued": true, "notified": true, "in_progress": true});
    let _canceled = batch.cancel(&everything).expect(202);
    world.run(seconds(10));
    assert_eq!(batch.cancel(&everything).problem(), "409 batch.ended");
}

#[test]
fn a_batch_may_be_canceled_choice_by_choice() {
    let (world, batch) = four_devices();
    for choice in ["queued", "notified", "in_progress"] {
        let _canceled = batch.cancel(&json!({choice: true})).expect(202);
    }
    world.run(seconds(10));
    assert_eq!(batch.status(), "canceled");
    assert_eq!(batch.get()["counts"]["canceled"], 3);
}

#[test]
fn r154_what_a_device_says_late_about_a_canceled_task_is_ignored_and_its_version_noted() {
    let (world, batch) = four_devices();
    let _canceled = batch.cancel(&json!({"in_progress": true})).expect(202);
    let lamp = world.device("lamp-3");
    lamp.progress(80, "");
    lamp.restart("1.1.0");
    world.run(seconds(10));
    assert_eq!(batch.task("lamp-3")["status"], "canceled");
    assert_eq!(lamp.get()["versions"][0]["version"], "1.1.0");
}

#[test]
fn r127_a_cancel_is_never_retried() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"retry": {"after_minutes": 0, "count_max": 5}});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    let _canceled = batch.cancel(&json!({"notified": true})).expect(202);
    world.run(minutes(20));
    assert_eq!(batch.outcome(), ["lamp-1 canceled canceled-by-user"]);
    assert_eq!(world.published().len(), 1);
}

#[test]
fn a_canceled_device_is_free_for_another_batch() {
    let (world, batch) = four_devices();
    let _canceled = batch.cancel(&json!({"queued": true, "notified": true})).expect(202);
    let next = world.batch_for(&world.ready_package("1.2.0"), &["lamp-1", "lamp-2", "lamp-3"]);
    assert_eq!(next.outcome(), ["lamp-1 queued", "lamp-2 notified", "lamp-3 failed device-busy"]);
}

#[test]
fn a_canceled_trial_has_failed() {
    let world = World::new().product("lamp").devices(1);
    let package = world.package("1.1.0");
    let told = world.verify(&package, &["lamp-1"]);
    let batch = world.find_batch(told["batch"]["batch_id"].as_str().unwrap());
    let _canceled = batch.cancel(&json!({"notified": true})).expect(202);
    world.run(seconds(10));
    assert_eq!(package.verification(), "failed");
}

#[test]
fn a_cancel_stops_a_batch_that_has_not_reached_all_devices() {
    // More shards than a request gives their tasks.
    let world = World::new().product("lamp").devices(4_400);
    let package = world.ready_package("1.1.0");
    let body = json!({"package_id": package.id, "target": {"selection": "all"}, "push_per_minute_max": 10});
    let made = world.send(&ota_tests::Call::post("/v1/batches", &body)).expect(201);
    let batch = world.find_batch(&made.text_of("batch_id"));
    let everything = json!({"queued": true, "notified": true, "in_progress": true});
    world.engine().take_posted();
    let _canceled = batch.cancel(&everything).expect(202);
    world.run(seconds(20));
    let told = batch.get();
    let (total, canceled) = (&told["counts"]["total"], &told["counts"]["canceled"]);
    // Whoever was giving tasks when it was canceled, and is not heard of, might still be at it.
    assert_eq!((&told["status"], total), (&json!("in-progress"), canceled));
    world.run(minutes(2));
    let told = batch.get();
    let (total, canceled) = (&told["counts"]["total"], &told["counts"]["canceled"]);
    assert_eq!((&told["status"], total), (&json!("canceled"), canceled));
    assert!(total.as_u64().unwrap() < 4_400, "{total}");
    assert!(world.published().is_empty());
}

#[test]
fn r144_r151_tasks_that_are_made_at_any_moment_of_a_cancel_are_canceled() {
    for at in 1.. {
        let world = World::new().product("lamp").devices(3);
        let package = world.ready_package("1.1.0");
        // The batch is made, and whoever makes it dies before the first device has its task.
        world.kv().set_faults(|key, operation| {
            (operation == "swap" && key.starts_with("fleet/")).then_some(Fault::Refused)
        });
        let body = json!({"package_id": package.id, "target": {"selection": "all"}});
        assert_eq!(world.send_once(&Call::post("/v1/batches", &body)).status, 503);
        world.kv().clear_faults();
        let id = world.list("/v1/batches", 50)[0]["batch_id"].as_str().map(str::to_owned);
        let batch = world.find_batch(&id.expect("a batch"));
        let tick = Call::new("POST", "/internal/dispatch/tick");
        let answered = world.interrupt_after(at, seconds(5), tick);
        let everything = json!({"queued": true, "notified": true, "in_progress": true});
        let canceled = batch.cancel(&everything).status;
        world.kv().clear_faults();
        let Some(ticked) = answered.get() else {
            assert!(at > 5, "a cancel has only {at} operations");
            return;
        };
        assert_eq!((canceled, ticked), (202, 200), "operation {at}");
        world.run(minutes(3));
        let left: Vec<String> =
            batch.outcome().into_iter().filter(|task| !task.contains("canceled-by-user")).collect();
        assert!(left.is_empty(), "operation {at}: {left:?}");
        assert_eq!(batch.status(), "canceled", "operation {at}");
        invariant_nothing_is_left_to_do(&world);
    }
}
