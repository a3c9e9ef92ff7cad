//! Batches that begin and end at a time of their own.

use ota_tests::{Batch, Call, Value, World, hours, invariant_nothing_is_left_to_do, json, minutes, seconds};

const DAY: u64 = hours(24);

/// Asks for a batch that begins `start` from now and ends `lasts` later; `more` adds to the request.
fn scheduled(world: &World, start: u64, lasts: Option<u64>, more: Value) -> Batch {
    let start_at = world.now_ms() + start;
    let mut asked = more;
    asked["schedule"]["start_at"] = json!(start_at);
    if let Some(lasts) = lasts {
        asked["schedule"]["end_at"] = json!(start_at + lasts);
    }
    world.batch(&world.ready_package("1.1.0"), asked)
}

/// Moves the clock to a moment, and lets the dispatcher come by.
fn go_to(world: &World, at: u64) {
    world.advance(at - world.now_ms());
    world.tick();
    world.settle();
}

#[test]
fn r92_before_its_start_a_batch_is_planned_and_its_tasks_wait_for_the_moment() {
    let world = World::new().product("lamp").devices(3);
    world.device("lamp-3").disconnect();
    let start = world.now_ms() + minutes(10);
    let batch = scheduled(&world, minutes(10), None, json!({}));
    let told = batch.get();
    assert_eq!((&told["status"], &told["schedule"]["start_at"]), (&json!("planned"), &json!(start)));
    assert!(told.get("started_at").is_none() && told["schedule"].get("end_at").is_none(), "{told}");
    for task in batch.tasks() {
        let words = (&task["status"], &task["queued_because"], &task["scheduled_at"]);
        assert_eq!(words, (&json!("queued"), &json!("scheduled"), &json!(start)), "{task}");
    }
    let waiting = world.device("lamp-3").get()["tasks"][0].clone();
    assert_eq!((&waiting["queued_because"], &waiting["scheduled_at"]), (&json!("scheduled"), &json!(start)));
}

#[test]
fn r92_nothing_is_told_before_the_start_and_pushes_begin_at_the_start() {
    let world = World::new().product("lamp").devices(3);
    world.device("lamp-3").disconnect();
    let start = world.now_ms() + minutes(10);
    let batch = scheduled(&world, minutes(10), None, json!({}));
    world.run(minutes(5));
    assert_eq!(world.device("lamp-1").ask()["data"], json!({}), "who asks early is told of nothing");
    world.device("lamp-2").restart("1.0.0");
    world.run(minutes(4));
    go_to(&world, start - 1);
    assert_eq!((world.pushes(), batch.status().as_str()), (0, "planned"));
    assert_eq!(world.device("lamp-1").ask()["data"], json!({}));

    go_to(&world, start);
    assert_eq!((world.pushes(), batch.status().as_str()), (2, "in-progress"));
    assert_eq!(batch.get()["started_at"], start);
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-2 notified", "lamp-3 queued"]);
    let waiting = batch.task("lamp-3");
    assert_eq!(waiting["queued_because"], "offline");
    assert!(waiting.get("scheduled_at").is_none(), "{waiting}");

    world.device("lamp-3").connect("1.0.0");
    world.run(seconds(10));
    world.all_devices().iter().for_each(|device| device.upgrade());
    world.run(seconds(10));
    assert_eq!(batch.status(), "completed");
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r92_who_asks_at_the_very_start_is_answered_even_before_the_dispatcher_comes_by() {
    let world = World::new().product("lamp").devices(1);
    let _batch = scheduled(&world, minutes(5), None, json!({}));
    world.advance(minutes(5) - 1);
    assert_eq!(world.device("lamp-1").ask()["data"], json!({}));
    world.advance(1);
    assert_eq!(world.device("lamp-1").ask()["data"]["version"], "1.1.0");
}

#[test]
fn r76_r92_the_devices_are_those_of_the_creation_and_not_of_the_start() {
    let world = World::new().product("lamp").devices(1);
    let later = world.register(1).remove(0);
    let batch = scheduled(&world, DAY, None, json!({}));
    world.advance(hours(1));
    later.connect("1.0.0");
    world.advance(DAY);
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
    assert!(later.told().is_empty());
}

#[test]
fn r92_r115_a_device_that_comes_to_the_target_before_the_start_has_succeeded() {
    let world = World::new().product("lamp").devices(2);
    let batch = scheduled(&world, hours(1), None, json!({}));
    world.device("lamp-1").restart("1.1.0");
    world.device("lamp-2").restart("3.0.0");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded", "lamp-2 failed version-mismatch"]);
    assert_eq!(batch.status(), "completed", "nothing is left to begin");
    world.advance(hours(1));
    world.run(seconds(10));
    assert_eq!((batch.status().as_str(), world.pushes()), ("completed", 0));
}

/// A batch that lasts an hour, right before its end: one device was told, one has begun, one is offline, one is done.
fn about_to_end(more: Value) -> (World, Batch, u64) {
    let world = World::new().product("lamp").devices(4);
    world.device("lamp-3").disconnect();
    let end = world.now_ms() + minutes(5) + hours(1);
    let batch = scheduled(&world, minutes(5), Some(hours(1)), more);
    world.run(minutes(5) + seconds(5));
    world.device("lamp-2").progress(10, "");
    world.device("lamp-4").upgrade();
    go_to(&world, end - 1);
    let before = ["lamp-1 notified", "lamp-2 in-progress", "lamp-3 queued", "lamp-4 succeeded"];
    assert_eq!(batch.outcome(), before);
    (world, batch, end)
}

#[test]
fn r94_at_the_end_what_has_not_begun_is_canceled_and_what_has_may_finish() {
    let (world, batch, end) = about_to_end(json!({}));
    let pushes = world.pushes();
    go_to(&world, end);
    let after = [
        "lamp-1 canceled schedule-finished",
        "lamp-2 in-progress",
        "lamp-3 canceled schedule-finished",
        "lamp-4 succeeded",
    ];
    assert_eq!(batch.outcome(), after);
    assert_eq!(batch.status(), "in-progress", "lamp-2 goes on");

    world.device("lamp-3").connect("1.0.0");
    world.device("lamp-1").restart("1.0.0");
    world.run(minutes(1));
    assert_eq!(world.pushes(), pushes, "nothing is pushed after the end");
    assert_eq!(world.device("lamp-1").ask()["data"], json!({}));
    assert_eq!(world.device("lamp-3").ask()["data"], json!({}));

    world.device("lamp-2").progress(90, "");
    world.device("lamp-2").restart("1.1.0");
    world.run(seconds(10));
    let told = batch.get();
    assert_eq!(told["status"], "completed", "nobody canceled it");
    assert_eq!((&told["counts"]["succeeded"], &told["counts"]["canceled"]), (&json!(2), &json!(2)));
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r94_a_hard_stop_cancels_what_has_begun_as_well() {
    let (world, batch, end) = about_to_end(json!({"schedule": {"hard_stop": true}}));
    go_to(&world, end);
    let ended = "canceled schedule-finished";
    assert_eq!(batch.outcome()[..3], ["lamp-1", "lamp-2", "lamp-3"].map(|lamp| format!("{lamp} {ended}")));
    world.run(seconds(10));
    assert_eq!(batch.status(), "completed");
    world.device("lamp-2").restart("1.1.0");
    assert_eq!(batch.task("lamp-2")["status"], "canceled", "a late version comes too late");
}

#[test]
fn r94_no_device_is_pushed_to_after_the_end_however_many_still_wait_for_their_turn() {
    let world = World::new().product("lamp").devices(25);
    world.all_devices().iter().for_each(|device| device.disconnect());
    let end = world.now_ms() + minutes(5) + hours(1);
    let batch = scheduled(&world, minutes(5), Some(hours(1)), json!({"push_per_minute_max": 10}));
    go_to(&world, end - seconds(10));
    world.all_devices().iter().for_each(|device| device.connect("1.0.0"));
    world.settle();
    assert_eq!(world.pushes(), 10);
    world.run(minutes(5));
    assert_eq!(world.pushes(), 10);
    assert_eq!((batch.status().as_str(), &batch.get()["counts"]["canceled"]), ("completed", &json!(25)));
}

#[test]
fn r94_a_retry_that_would_come_after_the_end_is_not_waited_for() {
    let world = World::new().product("lamp").devices(2);
    let retry = json!({"retry": {"after_minutes": 30, "count_max": 5}});
    let batch = scheduled(&world, minutes(5), Some(hours(1)), retry);
    world.run(minutes(5) + seconds(5));
    world.device("lamp-1").progress(-2, "no route");
    world.advance(minutes(31));
    world.device("lamp-2").progress(-2, "no route");
    world.run(seconds(10));
    assert_eq!(batch.task("lamp-1")["status"], "notified");
    assert_eq!(batch.outcome()[1], "lamp-2 failed download-failed");
    assert_eq!(world.device("lamp-1").told().len(), 2);
}

#[test]
fn r94_an_upgrade_that_failed_once_and_goes_on_may_finish_after_the_end() {
    let world = World::new().product("lamp").devices(1);
    let retry = json!({"retry": {"after_minutes": 10, "count_max": 1}});
    let batch = scheduled(&world, minutes(5), Some(hours(1)), retry);
    world.run(minutes(5) + seconds(5));
    let lamp = world.device("lamp-1");
    lamp.progress(20, "");
    lamp.progress(-2, "no route");
    world.run(minutes(11));
    assert_eq!(lamp.told().len(), 2, "the second attempt");
    lamp.progress(50, "");
    world.advance(hours(1));
    world.run(seconds(10));
    assert_eq!(batch.task("lamp-1")["status"], "in-progress");
    // It restarts into the new image, and needs a while until it can tell.
    lamp.disconnect();
    lamp.connect_silently();
    world.run(seconds(30));
    lamp.report("1.1.0");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded"]);
    assert_eq!(batch.status(), "completed");
}

#[test]
fn r77_r78_r79_r80_what_no_schedule_may_be_is_told_by_name() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let now = world.now_ms();
    let faults = |schedule: Value| world.try_batch(&package, &json!({"schedule": schedule})).faults();
    let start = now + hours(1);
    for (schedule, fault) in [
        (json!({"start_at": now - 1}), "/schedule/start_at batch.start-in-past"),
        (json!({"start_at": now + minutes(5) - 1}), "/schedule/start_at batch.start-too-soon"),
        (json!({"start_at": now + minutes(4) + seconds(59)}), "/schedule/start_at batch.start-too-soon"),
        (json!({"start_at": now + 7 * DAY + 1}), "/schedule/start_at batch.start-too-late"),
        (json!({"start_at": start, "end_at": start - 1}), "/schedule/end_at batch.end-before-start"),
        (json!({"start_at": start, "end_at": start + hours(1) - 1}), "/schedule/end_at batch.end-too-soon"),
        (json!({"start_at": start, "end_at": start + 30 * DAY + 1}), "/schedule/end_at batch.end-too-late"),
        (json!({"end_at": start}), "/schedule/start_at batch.end-without-start"),
        (json!({}), "/schedule/start_at batch.end-without-start"),
    ] {
        assert_eq!(faults(schedule.clone()), [fault], "{schedule}");
    }
    let dynamic = json!({"mode": "dynamic", "source_versions": ["1.0.0"], "schedule": {"start_at": start}});
    assert_eq!(world.try_batch(&package, &dynamic).faults(), ["/schedule batch.schedule-static-only"]);
    assert!(world.list("/v1/batches", 50).is_empty(), "none of them was made");

    for good in [
        json!({"start_at": now + minutes(5)}),
        json!({"start_at": now + 7 * DAY}),
        json!({"start_at": start, "end_at": start + hours(1)}),
        json!({"start_at": start, "end_at": start + 30 * DAY}),
    ] {
        let made = world.try_batch(&package, &json!({"schedule": good}));
        assert_eq!(made.problem(), "201 ", "{good}");
    }
}

#[test]
fn r143_canceling_a_planned_batch_without_a_word_ends_all_of_it() {
    let world = World::new().product("lamp").devices(2);
    world.device("lamp-2").disconnect();
    let batch = scheduled(&world, hours(1), Some(hours(2)), json!({}));
    let _canceled = batch.cancel_by_default().expect(202);
    let canceled = ["lamp-1 canceled canceled-by-user", "lamp-2 canceled canceled-by-user"];
    assert_eq!(batch.outcome(), canceled);
    assert_eq!(batch.status(), "canceled");
    assert!(batch.get().get("started_at").is_none(), "it never began");
    world.advance(hours(1));
    world.device("lamp-2").connect("1.0.0");
    world.run(minutes(1));
    assert_eq!((batch.status().as_str(), world.pushes()), ("canceled", 0));
    assert_eq!(batch.cancel_by_default().problem(), "409 batch.ended");
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r143_a_cancel_that_the_dispatcher_hears_of_after_the_start_still_means_every_task() {
    let world = World::new().product("lamp").devices(2);
    let batch = scheduled(&world, minutes(5), None, json!({}));
    world.advance(minutes(5) - 1);
    let uri = format!("/v1/batches/{}/cancel", batch.id);
    let _canceled = world.send(&Call::new("POST", uri)).expect(202);
    // The word to the dispatcher is lost, and the next tick comes when the batch should have begun.
    let _lost = world.engine().take_posted();
    world.advance(seconds(5));
    world.tick();
    world.run(seconds(10));
    let canceled = ["lamp-1 canceled canceled-by-user", "lamp-2 canceled canceled-by-user"];
    assert_eq!(batch.outcome(), canceled);
    assert_eq!((batch.status().as_str(), world.pushes()), ("canceled", 0));
}

#[test]
fn r143_once_a_batch_runs_it_has_no_scheduled_tasks_left_to_cancel() {
    let world = World::new().product("lamp").devices(2);
    world.device("lamp-2").disconnect();
    let batch = scheduled(&world, minutes(5), None, json!({}));
    world.run(minutes(5));
    for answer in [batch.cancel_by_default(), batch.cancel(&json!({"scheduled": true}))] {
        assert_eq!(answer.problem(), "202 ");
    }
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-2 queued"]);
    assert_eq!(batch.status(), "in-progress");
    let _canceled = batch.cancel(&json!({"queued": true, "notified": true})).expect(202);
    world.run(seconds(10));
    assert_eq!(batch.status(), "canceled");
}

#[test]
fn r148_a_batch_without_a_schedule_has_no_scheduled_tasks() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    assert_eq!(batch.cancel(&json!({"scheduled": true})).problem(), "409 batch.no-schedule");
    assert_eq!(batch.cancel_by_default().problem(), "409 batch.no-schedule");
    assert_eq!(batch.cancel(&json!({})).problem(), "422 batch.cancel-nothing");
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
}
