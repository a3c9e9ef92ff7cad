//! Batches whose tasks wait for an app's consent.

use ota_tests::{Batch, Call, Value, World, hours, json, minutes, seconds};

/// A batch over `count` devices that asks for consent; `more` adds to the request.
fn asking(count: usize, more: &Value) -> (World, Batch) {
    let world = World::new().product("lamp").devices(count);
    let mut asked = json!({"needs_confirmation": true});
    for (field, value) in more.as_object().into_iter().flatten() {
        asked[field] = value.clone();
    }
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    (world, batch)
}

fn ids(batch: &Batch, devices: std::ops::RangeInclusive<usize>) -> Vec<String> {
    devices.map(|n| batch.task_id(&format!("lamp-{n}"))).collect()
}

#[test]
fn r96_a_task_reaches_its_device_only_after_consent() {
    let (world, batch) = asking(1, &json!({}));
    let lamp = world.device("lamp-1");
    assert_eq!(batch.outcome(), ["lamp-1 unconfirmed"]);
    assert_eq!(batch.get()["counts"]["unconfirmed"], 1);
    world.run(minutes(2));
    assert_eq!(lamp.ask()["data"], json!({}), "nothing to get");
    lamp.progress(10, "of its own accord");
    lamp.restart("1.0.0");
    world.run(minutes(2));
    assert!(lamp.told().is_empty(), "nor pushed");
    assert_eq!((batch.outcome(), batch.status()), (vec!["lamp-1 unconfirmed".into()], "in-progress".into()));

    let answer = world.confirm(&ids(&batch, 1..=1)).expect(200).json();
    assert_eq!(answer["tasks"][0]["status"], "queued");
    assert_eq!(batch.outcome(), ["lamp-1 notified"], "the push follows at once");
    lamp.upgrade();
    world.run(seconds(10));
    assert_eq!((batch.outcome(), batch.status()), (vec!["lamp-1 succeeded".into()], "completed".into()));
}

#[test]
fn r96_consent_for_an_offline_device_counts_when_it_connects() {
    let (world, batch) = asking(1, &json!({}));
    let lamp = world.device("lamp-1");
    lamp.disconnect();
    let _confirmed = world.confirm(&ids(&batch, 1..=1)).expect(200);
    assert_eq!(batch.task("lamp-1")["queued_because"], "offline");
    lamp.connect("1.0.0");
    world.run(seconds(10));
    assert_eq!(lamp.told().len(), 1);
}

#[test]
fn r96_consent_is_given_once_and_covers_the_retries() {
    let (world, batch) = asking(1, &json!({"retry": {"after_minutes": 0, "count_max": 1}}));
    let _confirmed = world.confirm(&ids(&batch, 1..=1)).expect(200);
    world.device("lamp-1").progress(-2, "");
    world.run(seconds(10));
    assert_eq!(world.device("lamp-1").told().len(), 2);
}

#[test]
fn r96_r135_a_task_that_waits_for_consent_occupies_its_device() {
    let (world, batch) = asking(1, &json!({}));
    let next = world.batch(&world.ready_package("1.2.0"), json!({}));
    assert_eq!(next.outcome(), ["lamp-1 failed device-busy"]);
    let newest = world.batch(&world.ready_package("1.3.0"), json!({"overwrite": true}));
    assert_eq!(batch.outcome(), ["lamp-1 canceled overwritten"]);
    assert_eq!(newest.outcome(), ["lamp-1 notified"]);
}

#[test]
fn r96_a_device_that_comes_to_the_target_by_itself_needs_no_consent() {
    let (world, batch) = asking(2, &json!({}));
    world.device("lamp-1").restart("1.1.0");
    world.device("lamp-2").restart("1.0.5");
    world.run(seconds(10));
    assert_eq!(
        batch.outcome(),
        ["lamp-1 succeeded", "lamp-2 unconfirmed"],
        "another version is no failure yet"
    );
}

#[test]
fn r96_a_trial_may_need_consent_too() {
    let world = World::new().product("lamp").devices(1);
    let package = world.package("1.1.0");
    let asked = json!({"devices": ["lamp-1"], "needs_confirmation": true});
    let told = world.try_verify(&package, &asked).expect(201).json();
    assert_eq!(told["tasks"][0]["status"], "unconfirmed");
    let id = told["tasks"][0]["task_id"].as_str().unwrap().to_owned();
    let _confirmed = world.confirm(&[id]).expect(200);
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    assert_eq!(package.verification(), "verified");
}

#[test]
fn r97_one_to_ten_tasks_are_confirmed_at_once_each_named_once() {
    let (world, batch) = asking(11, &json!({}));
    let all = ids(&batch, 1..=11);
    assert_eq!(world.confirm(&[]).faults(), ["/task_ids value.missing"]);
    assert_eq!(world.confirm(&all).faults(), ["/task_ids value.too-many"]);
    let twice = [all[0].clone(), all[1].clone(), all[0].clone()];
    assert_eq!(world.confirm(&twice).faults(), ["/task_ids/2 value.duplicate"]);
    assert_eq!(batch.get()["counts"]["unconfirmed"], 11, "what was refused confirmed nobody");
    let told = world.confirm(&all[..10]).expect(200).json();
    assert_eq!(told["tasks"].as_array().map(Vec::len), Some(10));
    let counts = batch.get()["counts"].clone();
    assert_eq!((&counts["unconfirmed"], &counts["notified"]), (&json!(1), &json!(10)));
}

#[test]
fn r97_every_task_that_cannot_be_confirmed_is_told_and_none_is() {
    let (world, batch) = asking(3, &json!({}));
    let _stranger = world.register(1);
    let _confirmed = world.confirm(&ids(&batch, 1..=1)).expect(200);
    let (first, second) = (batch.task_id("lamp-1"), batch.task_id("lamp-2"));
    let unknown = [
        "nonsense".to_owned(),
        format!("{}.lamp-1", "0".repeat(32)),
        second.clone(),
        format!("{}.a b", batch.id),
    ];
    let expected = ["/task_ids/0 task.unknown", "/task_ids/1 task.unknown", "/task_ids/3 task.unknown"];
    assert_eq!(world.confirm(&unknown).faults(), expected);
    let mixed = [first, second, format!("{}.lamp-4", batch.id), format!("{}.lamp-9", batch.id)];
    let expected =
        ["/task_ids/0 task.not-unconfirmed", "/task_ids/2 task.unknown", "/task_ids/3 task.unknown"];
    assert_eq!(world.confirm(&mixed).faults(), expected);
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-2 unconfirmed", "lamp-3 unconfirmed"]);
}

#[test]
fn r97_consent_counts_within_the_schedule_only() {
    let world = World::new().product("lamp").devices(3);
    let start = world.now_ms() + minutes(10);
    let schedule = json!({"start_at": start, "end_at": start + hours(1)});
    let asked = json!({"needs_confirmation": true, "schedule": schedule});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    let confirm = |n: usize| world.confirm(&ids(&batch, n..=n));
    world.advance(minutes(10) - 1);
    assert_eq!(confirm(1).faults(), ["/task_ids/0 task.outside-schedule"]);
    world.advance(1);
    let _begun = confirm(1).expect(200);
    world.advance(hours(1) - 1);
    let _last_moment = confirm(2).expect(200);
    world.advance(1);
    assert_eq!(confirm(3).faults(), ["/task_ids/0 task.outside-schedule"]);
    world.run(seconds(10));
    assert_eq!(confirm(3).faults(), ["/task_ids/0 task.not-unconfirmed"]);
    assert_eq!(batch.task("lamp-3")["reason"]["code"], "schedule-finished");
    assert!(world.device("lamp-3").told().is_empty());
}

#[test]
fn r152_a_cancel_of_queued_tasks_covers_those_that_wait_for_consent_unless_it_says_otherwise() {
    for (what, canceled) in [
        (json!({"queued": true}), true),
        (json!({"queued": true, "unconfirmed": true}), true),
        (json!({"queued": true, "unconfirmed": false}), false),
        (json!({"unconfirmed": true}), true),
        (json!({"notified": true, "in_progress": true}), false),
    ] {
        let (world, batch) = asking(1, &json!({}));
        let _canceled = batch.cancel(&what).expect(202);
        world.run(seconds(10));
        let expected = if canceled { "lamp-1 canceled canceled-by-user" } else { "lamp-1 unconfirmed" };
        assert_eq!(batch.outcome(), [expected], "{what}");
        assert_eq!(batch.status(), if canceled { "canceled" } else { "in-progress" }, "{what}");
    }
}

#[test]
fn r152_a_cancel_of_unconfirmed_tasks_leaves_the_queued_ones() {
    let (world, batch) = asking(2, &json!({}));
    world.device("lamp-1").disconnect();
    let _confirmed = world.confirm(&ids(&batch, 1..=1)).expect(200);
    let _canceled = batch.cancel(&json!({"unconfirmed": true})).expect(202);
    assert_eq!(batch.outcome(), ["lamp-1 queued", "lamp-2 canceled canceled-by-user"]);
}

#[test]
fn r152_consent_that_comes_after_the_cancel_does_not_undo_it() {
    let (world, batch) = asking(1, &json!({}));
    // The cancel is noted, and the dispatcher has not come by.
    let uri = format!("/v1/batches/{}/cancel", batch.id);
    let _noted = world.send(&Call::post(uri, &json!({"queued": true}))).expect(202);
    world.engine().take_posted();
    world.advance(1);
    let confirmed = world.confirm(&ids(&batch, 1..=1));
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 canceled canceled-by-user"], "{confirmed:?}");
    assert!(world.device("lamp-1").told().is_empty());
    assert_eq!(confirmed.faults(), ["/task_ids/0 task.not-unconfirmed"]);
}
