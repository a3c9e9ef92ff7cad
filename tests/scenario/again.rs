//! An operator has failed and canceled tasks tried once more.

use std::collections::BTreeMap;

use ota_store::memory::{Fault, MemoryKv};
use ota_tests::{
    Batch, World, invariant_counts_are_the_sum_of_the_tasks, invariant_nothing_is_left_to_do,
    invariant_one_task_per_device, json, minutes, seconds,
};

use crate::crash;

/// A batch in which lamp-1 has failed and lamp-2 was told.
fn one_failed() -> (World, Batch) {
    let world = World::new().product("lamp").devices(2);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").progress(30, "");
    world.device("lamp-1").progress(-4, "bad block");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 failed flash-failed", "lamp-2 notified"]);
    (world, batch)
}

/// Asks for one device's task again.
fn again(world: &World, batch: &Batch, device: &str) -> ota_tests::Answer {
    world.reupgrade(&[batch.task_id(device)])
}

fn as_it_should_be(batch: &Batch) {
    invariant_counts_are_the_sum_of_the_tasks(batch);
    invariant_one_task_per_device(batch, &["lamp-1", "lamp-2"]);
}

#[test]
fn r134_t20_a_failed_task_of_a_running_batch_is_tried_once_more() {
    let (world, batch) = one_failed();
    let lamp = world.device("lamp-1");
    lamp.told();
    let told = again(&world, &batch, "lamp-1").expect(200).json();
    assert_eq!((&told["tasks"][0]["status"], &told["tasks"][0]["progress"]), (&json!("queued"), &json!(0)));
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-2 notified"], "without the old reason");
    as_it_should_be(&batch);
    lamp.upgrade();
    world.device("lamp-2").upgrade();
    world.run(seconds(10));
    assert_eq!((batch.outcome()[0].as_str(), batch.status().as_str()), ("lamp-1 succeeded", "completed"));
    as_it_should_be(&batch);
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r134_t20_an_ended_batch_keeps_its_status_while_a_task_is_tried_again() {
    let (world, batch) = one_failed();
    world.device("lamp-2").upgrade();
    world.run(minutes(1));
    let (before, lamp) = (batch.get(), world.device("lamp-1"));
    assert_eq!(before["status"], "completed");
    lamp.told();
    let _queued = again(&world, &batch, "lamp-1").expect(200);
    lamp.progress(10, "");
    assert_eq!(batch.outcome(), ["lamp-1 in-progress", "lamp-2 succeeded"]);
    as_it_should_be(&batch);
    lamp.upgrade();
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded", "lamp-2 succeeded"]);
    as_it_should_be(&batch);
    let after = batch.get();
    for field in ["status", "started_at", "ended_at"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!((&before["counts"]["failed"], &after["counts"]["failed"]), (&json!(1), &json!(0)));
    assert_eq!(world.events("type=batch-status").len(), 2, "begun and ended once");
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r134_r170_the_second_end_of_a_task_is_told_as_the_first_was() {
    let (world, batch) = one_failed();
    let _queued = again(&world, &batch, "lamp-1").expect(200);
    world.advance(1);
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    let told = world.events("type=task-ended");
    let statuses: Vec<_> = told.iter().map(|event| event["payload"]["status"].as_str()).collect();
    assert_eq!(statuses, [Some("FAILED"), Some("SUCCEEDED")]);
    assert_eq!(told[0]["payload"]["taskId"], told[1]["payload"]["taskId"]);
    assert_ne!(told[0]["event_id"], told[1]["event_id"]);
}

#[test]
fn r134_a_canceled_task_is_tried_again_and_the_old_cancel_does_not_end_it() {
    let world = World::new().product("lamp").devices(2);
    world.device("lamp-2").disconnect();
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let _canceled = batch.cancel(&json!({"queued": true, "notified": true, "in_progress": true})).expect(202);
    world.run(seconds(10));
    assert_eq!(batch.status(), "canceled");
    let lamp = world.device("lamp-1");
    let _queued = world.reupgrade(&[batch.task_id("lamp-1"), batch.task_id("lamp-2")]).expect(200);
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-2 queued"]);
    lamp.progress(10, "");
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-1 in-progress", "lamp-2 queued"]);
    lamp.restart("1.1.0");
    world.device("lamp-2").connect("1.0.0");
    world.run(seconds(10));
    world.device("lamp-2").upgrade();
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded", "lamp-2 succeeded"]);
    assert_eq!(batch.status(), "canceled", "as it was");
    as_it_should_be(&batch);
}

#[test]
fn r128_r134_a_task_tried_again_has_its_retries_and_its_time_anew() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"timeout_minutes": 30, "retry": {"after_minutes": 0, "count_max": 1}});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    let lamp = world.device("lamp-1");
    lamp.progress(1, "");
    world.run(minutes(25));
    lamp.progress(-1, "");
    world.run(seconds(10));
    lamp.progress(-1, "");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 failed upgrade-failed"]);
    let _queued = again(&world, &batch, "lamp-1").expect(200);
    lamp.progress(1, "");
    world.run(minutes(20));
    assert_eq!(batch.outcome(), ["lamp-1 in-progress"], "the clock began anew");
    lamp.progress(-1, "");
    assert_eq!(batch.task("lamp-1")["retries_used"], 1);
    world.run(seconds(10));
    lamp.progress(-1, "");
    assert_eq!(batch.outcome(), ["lamp-1 failed upgrade-failed"]);
}

#[test]
fn r96_r134_a_task_tried_again_needs_consent_again() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"needs_confirmation": true}));
    let id = [batch.task_id("lamp-1")];
    let _confirmed = world.confirm(&id).expect(200);
    world.device("lamp-1").progress(-1, "");
    world.run(seconds(10));
    let _queued = world.reupgrade(&id).expect(200);
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-1 unconfirmed"]);
    let _confirmed = world.confirm(&id).expect(200);
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
}

#[test]
fn r134_only_failed_and_canceled_tasks_are_tried_again() {
    let world = World::new().product("lamp").devices(5);
    world.device("lamp-1").disconnect();
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-3").progress(5, "");
    world.device("lamp-4").upgrade();
    world.device("lamp-5").progress(-1, "");
    world.run(seconds(10));
    let before = batch.outcome();
    let ids: Vec<String> = (1..=5).map(|n| batch.task_id(&format!("lamp-{n}"))).collect();
    let expected: Vec<String> = (0..4).map(|n| format!("/task_ids/{n} task.not-ended")).collect();
    assert_eq!(world.reupgrade(&ids).faults(), expected);
    assert_eq!(batch.outcome(), before, "all or none");
    assert_eq!(again(&world, &batch, "lamp-5").status, 200);
    assert_eq!(again(&world, &batch, "lamp-5").faults(), ["/task_ids/0 task.not-ended"]);
}

#[test]
fn r134_at_most_ten_tasks_are_tried_again_at_once() {
    let world = World::new().product("lamp").devices(11);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let devices = world.all_devices();
    devices.iter().for_each(|device| device.progress(-1, ""));
    world.run(seconds(10));
    let ids: Vec<String> = devices.iter().map(|device| batch.task_id(device.name())).collect();
    assert_eq!(world.reupgrade(&ids).faults(), ["/task_ids value.too-many"]);
    assert_eq!(world.reupgrade(&[]).faults(), ["/task_ids value.missing"]);
    assert_eq!(world.reupgrade(&["x".into()]).faults(), ["/task_ids/0 task.unknown"]);
    assert_eq!(batch.get()["counts"]["failed"], 11);
    let _queued = world.reupgrade(&ids[1..]).expect(200);
    let counts = batch.get()["counts"].clone();
    assert_eq!((&counts["failed"], &counts["notified"]), (&json!(1), &json!(10)));
}

#[test]
fn r134_r135_a_task_is_not_tried_again_while_its_device_is_busy() {
    let (world, batch) = one_failed();
    let next = world.batch_for(&world.ready_package("1.2.0"), &["lamp-1"]);
    assert_eq!(again(&world, &batch, "lamp-1").faults(), ["/task_ids/0 task.device-busy"]);
    assert_eq!(next.outcome(), ["lamp-1 notified"]);
    let _canceled = next.cancel(&json!({"notified": true})).expect(202);
    assert_eq!(again(&world, &batch, "lamp-1").status, 200);
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-2 notified"]);
    // Now the other way round.
    assert_eq!(again(&world, &next, "lamp-1").faults(), ["/task_ids/0 task.device-busy"]);
}

#[test]
fn r134_r136_a_task_that_failed_because_its_device_was_busy_is_tried_again_when_it_is_free() {
    let world = World::new().product("lamp").devices(1);
    let old = world.batch(&world.ready_package("1.1.0"), json!({}));
    let new = world.batch(&world.ready_package("1.2.0"), json!({}));
    assert_eq!(new.outcome(), ["lamp-1 failed device-busy"]);
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    assert_eq!(old.status(), "completed");
    let _queued = again(&world, &new, "lamp-1").expect(200);
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    assert_eq!(new.outcome(), ["lamp-1 succeeded"]);
    assert_eq!(world.device("lamp-1").version(), "1.2.0");
}

#[test]
fn r134_a_task_of_a_package_that_is_gone_is_not_tried_again() {
    let (world, batch) = one_failed();
    world.device("lamp-2").upgrade();
    world.run(seconds(10));
    let package = world.find_package(batch.get()["package_id"].as_str().unwrap());
    let _gone = package.delete().expect(204);
    assert_eq!(again(&world, &batch, "lamp-1").faults(), ["/task_ids/0 task.package-not-verified"]);
    assert_eq!(batch.outcome()[0], "lamp-1 failed flash-failed");
}

#[test]
fn r134_a_task_of_a_package_that_is_being_verified_is_not_tried_again() {
    let world = World::new().product("lamp").devices(2);
    let package = world.package("1.1.0");
    let told = world.verify(&package, &["lamp-1"]);
    let trial = world.find_batch(told["batch"]["batch_id"].as_str().unwrap());
    world.device("lamp-1").progress(-1, "");
    world.run(seconds(10));
    assert_eq!(again(&world, &trial, "lamp-1").faults(), ["/task_ids/0 task.package-not-verified"], "failed");
    world.verify(&package, &["lamp-2"]);
    assert_eq!(
        again(&world, &trial, "lamp-1").faults(),
        ["/task_ids/0 task.package-not-verified"],
        "verifying"
    );
    world.device("lamp-2").upgrade();
    world.run(seconds(10));
    let _queued = again(&world, &trial, "lamp-1").expect(200);
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    assert_eq!(
        (trial.outcome()[0].as_str(), package.verification().as_str()),
        ("lamp-1 succeeded", "verified")
    );
}

#[test]
fn r133_r134_a_device_that_left_its_version_meanwhile_is_upgraded_from_where_it_is() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let lamp = world.device("lamp-1");
    lamp.restart("1.0.5");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 failed version-mismatch"]);
    let _queued = again(&world, &batch, "lamp-1").expect(200);
    lamp.restart("1.0.5");
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-1 notified"], "it runs what it ran when the task was queued again");
    assert_eq!(batch.task("lamp-1")["source_version"], "1.0.5");
}

#[test]
fn r73_r134_a_device_that_has_come_to_the_target_meanwhile_is_not_told() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let _canceled = batch.cancel(&json!({"notified": true})).expect(202);
    let lamp = world.device("lamp-1");
    lamp.restart("1.1.0");
    world.run(seconds(10));
    lamp.told();
    let _queued = again(&world, &batch, "lamp-1").expect(200);
    world.run(minutes(1));
    assert!(lamp.told().is_empty());
    assert_eq!(batch.outcome(), ["lamp-1 succeeded"]);
    assert_eq!(batch.get()["counts"]["succeeded"], 1);
}

#[test]
fn r54_r134_a_device_that_left_the_source_versions_meanwhile_is_not_told() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"source_versions": ["1.0.0"]});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    let lamp = world.device("lamp-1");
    lamp.restart("1.0.5");
    world.run(seconds(10));
    lamp.told();
    let _queued = again(&world, &batch, "lamp-1").expect(200);
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 failed source-version-mismatch"]);
    assert!(lamp.told().is_empty());
}

/// Consent, a failure, a cancel by device, and both tasks tried again: one in the running batch, one in the ended one.
fn story(world: World) {
    world.be_patient();
    let world = world.product("lamp").devices(2);
    crash::gather(&world);
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, json!({"needs_confirmation": true}));
    crash::live(&world, &[], || batch.get()["expanded"] == true);
    let status = |device: &str| batch.task(device)["status"].as_str().unwrap_or_default().to_owned();
    // Whoever was not answered asks again; that it was done already is as good.
    let until = |device: &str, wanted: &str, act: &dyn Fn()| {
        crash::live(&world, &[], || {
            if status(device) != wanted {
                act();
            }
            status(device) == wanted
        });
    };
    let (one, two) = ([batch.task_id("lamp-1")], [batch.task_id("lamp-2")]);
    let confirm = |id: &[String]| drop(world.confirm(id));
    until("lamp-1", "notified", &|| confirm(&one));
    until("lamp-1", "failed", &|| world.device("lamp-1").progress(-1, ""));
    until("lamp-1", "unconfirmed", &|| drop(world.reupgrade(&one)));
    until("lamp-2", "canceled", &|| drop(world.cancel_by_device(&package, &["lamp-2"], &json!({}))));
    until("lamp-1", "notified", &|| confirm(&one));
    crash::live(&world, &["lamp-1"], || batch.status() == "completed");
    until("lamp-2", "unconfirmed", &|| drop(world.reupgrade(&two)));
    until("lamp-2", "notified", &|| confirm(&two));
    crash::live(&world, &["lamp-2"], || status("lamp-2") == "succeeded");

    crash::come_to_rest(&world);
    assert_eq!(batch.outcome(), ["lamp-1 succeeded", "lamp-2 succeeded"]);
    assert_eq!(batch.status(), "completed");
    as_it_should_be(&batch);
    invariant_nothing_is_left_to_do(&world);
    let ends: BTreeMap<String, String> = world
        .events("type=task-ended")
        .iter()
        .map(|event| (event["event_id"].to_string(), event["payload"]["status"].to_string()))
        .collect();
    let mut ends: Vec<String> = ends.into_values().collect();
    ends.sort();
    assert_eq!(ends, ["\"FAILED\"", "\"SUCCEEDED\"", "\"SUCCEEDED\""]);
}

#[test]
fn r134_trying_again_survives_a_refusal_of_any_one_operation() {
    crash::each_in_turn(story, MemoryKv::new, Fault::Refused);
}

#[test]
fn r134_trying_again_survives_the_loss_of_any_one_answer() {
    crash::each_in_turn(story, MemoryKv::with_spin_quirks, Fault::AnswerLost);
}
