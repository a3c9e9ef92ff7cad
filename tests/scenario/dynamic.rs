//! Batches that devices may join after they were made.

use ota_tests::{
    Batch, Package, Value, World, hours, invariant_counts_are_the_sum_of_the_tasks,
    invariant_nothing_is_left_to_do, json, minutes, seconds,
};

/// Makes a dynamic batch that upgrades from these versions; `more` adds to the request.
pub(crate) fn dynamic(world: &World, package: &Package, sources: &[&str], more: Value) -> Batch {
    let mut asked = more;
    asked["mode"] = json!("dynamic");
    asked["source_versions"] = json!(sources);
    world.batch(package, asked)
}

/// Returns why a device stands with a batch as it does, in one word.
fn why(world: &World, batch: &Batch, device: &str) -> String {
    let told = world.get(format!("/v1/batches/{}/devices/{device}/why", batch.id));
    told["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn r105_r106_r107_r109_a_dynamic_batch_takes_present_later_activated_and_later_matching_devices() {
    let world = World::new().product("lamp").devices(3);
    world.device("lamp-2").report("0.9.0");
    world.device("lamp-3").report("0.8.0");
    let new = world.register(1).remove(0);
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
    let told = batch.get();
    assert_eq!((&told["mode"], &told["new_reports_only"]), (&json!("dynamic"), &json!(false)));
    assert_eq!(batch.outcome(), ["lamp-1 notified"], "the present ones, which is what is meant by default");

    world.advance(hours(100));
    new.connect("1.0.0");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-4 notified"], "one activated later");
    world.device("lamp-2").restart("1.0.0");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-2 notified", "lamp-4 notified"]);
    assert_eq!(world.device("lamp-2").told().len(), 1);
    assert_eq!(why(&world, &batch, "lamp-3"), "other-version");
    for name in ["lamp-1", "lamp-2", "lamp-4"] {
        world.device(name).restart("1.1.0");
    }
    world.run(seconds(10));
    assert_eq!(batch.get()["counts"]["succeeded"], 3);
    invariant_counts_are_the_sum_of_the_tasks(&batch);
}

#[test]
fn r106_a_device_that_connects_without_a_word_joins_once_it_tells_its_version() {
    let world = World::new().product("lamp").devices(1);
    let new = world.register(1).remove(0);
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
    world.advance(minutes(1));
    new.connect_silently();
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
    new.report("1.0.0");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 notified", "lamp-2 notified"]);
}

#[test]
fn r106_a_device_registered_long_after_the_batch_joins_it() {
    let world = World::new().product("lamp").devices(1);
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
    world.device("lamp-1").upgrade();
    world.run(hours(1));
    let world = world.devices(1);
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded", "lamp-2 notified"]);
}

#[test]
fn r108_new_reports_only_takes_nobody_present_but_whoever_tells_a_new_version_later() {
    let world = World::new().product("lamp").devices(3);
    world.device("lamp-2").report("0.9.0");
    let new = world.register(1).remove(0);
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({"new_reports_only": true}));
    assert_eq!((batch.outcome().len(), batch.status().as_str()), (0, "in-progress"));
    world.advance(minutes(1));
    // What is told again is not new.
    world.device("lamp-1").report("1.0.0");
    world.device("lamp-3").restart("1.0.0");
    world.run(minutes(1));
    assert_eq!(batch.outcome(), [""; 0]);
    assert_eq!(why(&world, &batch, "lamp-1"), "nothing-new");

    world.device("lamp-2").report("1.0.0");
    new.connect("1.0.0");
    world.device("lamp-3").report("0.9.0");
    world.device("lamp-3").report("1.0.0");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-2 notified", "lamp-3 notified", "lamp-4 notified"]);
}

#[test]
fn r113_a_dynamic_batch_goes_on_when_all_its_tasks_have_ended() {
    let world = World::new().product("lamp").devices(2);
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
    world.device("lamp-1").upgrade();
    world.device("lamp-2").progress(-1, "");
    world.run(minutes(2));
    world.advance(hours(24 * 30));
    world.run(minutes(1));
    let told = batch.get();
    assert_eq!((&told["status"], &told["counts"]["total"]), (&json!("in-progress"), &json!(2)));
    assert!(told.get("ended_at").is_none(), "{told}");
    invariant_counts_are_the_sum_of_the_tasks(&batch);
}

#[test]
fn r113_a_dynamic_batch_for_nobody_waits_for_its_first_device() {
    let world = World::new().product("lamp");
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
    world.run(minutes(1));
    assert_eq!(batch.status(), "in-progress");
    let world = world.devices(1);
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
}

#[test]
fn r61_a_package_has_one_dynamic_batch_until_its_strategy_is_canceled() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let asked = json!({"mode": "dynamic", "source_versions": ["1.0.0"]});
    let first = world.batch(&package, asked.clone());
    let other_versions = json!({"mode": "dynamic", "source_versions": ["0.9.0"]});
    for asked in [&asked, &other_versions] {
        let refused = world.try_batch(&package, asked);
        assert_eq!(refused.problem(), "409 batch.dynamic-exists");
        assert!(refused.text_of("detail").contains(&first.id), "{}", refused.text_of("detail"));
    }
    // That all its tasks have ended changes nothing.
    world.device("lamp-1").upgrade();
    world.run(minutes(1));
    assert_eq!(world.try_batch(&package, &asked).problem(), "409 batch.dynamic-exists");
    // A static one of the same package may run beside it.
    world.device("lamp-1").report("0.7.0");
    let beside = world.batch(&package, json!({}));
    assert_eq!(beside.outcome(), ["lamp-1 notified"]);

    let _canceled = first.cancel(&json!({"strategy": true})).expect(202);
    let second = world.batch(&package, other_versions);
    assert_eq!((first.status().as_str(), second.status().as_str()), ("canceled", "in-progress"));
    assert_eq!(world.list("/v1/batches", 50).len(), 3, "what was refused was not made");
}

#[test]
fn r110_r145_canceling_the_strategy_lets_nobody_join_and_running_tasks_go_on() {
    let world = World::new().product("lamp").devices(4);
    world.device("lamp-4").disconnect();
    let more = json!({"timeout_minutes": 10, "retry": {"after_minutes": 10, "count_max": 1}});
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], more);
    world.device("lamp-1").progress(10, "and no further");
    world.device("lamp-2").progress(-2, "no route");
    world.run(seconds(10));

    let canceled = batch.cancel_by_default().expect(202).json();
    assert_eq!(canceled["status"], "canceled");
    assert_eq!(canceled["strategy_canceled_at"], world.now_ms());
    let world = world.devices(1);
    world.device("lamp-5").report("0.9.0");
    world.device("lamp-5").report("1.0.0");
    world.device("lamp-4").connect("1.0.0");
    world.device("lamp-3").upgrade();
    world.run(minutes(11));
    let expected = ["lamp-1 failed timeout", "lamp-2 notified", "lamp-3 succeeded", "lamp-4 notified"];
    let words: Vec<String> =
        batch.outcome().iter().map(|words| words.replace(" download-failed", "")).collect();
    assert_eq!(words, expected);
    assert_eq!(world.device("lamp-2").told().len(), 2, "the retry was made");
    assert_eq!(world.device("lamp-4").told().len(), 1, "who had its task is told when it connects");
    assert!(world.device("lamp-5").told().is_empty());
    assert_eq!(why(&world, &batch, "lamp-5"), "strategy-canceled");
    assert_eq!(batch.status(), "canceled");

    let ended_at = batch.get()["ended_at"].clone();
    world.device("lamp-2").restart("1.1.0");
    world.device("lamp-4").restart("1.1.0");
    world.run(seconds(10));
    assert_eq!(batch.get()["counts"]["succeeded"], 3);
    assert_eq!(batch.get()["ended_at"], ended_at, "it ended when it was canceled");
    invariant_counts_are_the_sum_of_the_tasks(&batch);
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r110_a_device_that_reports_before_the_dispatcher_heard_of_the_cancel_does_not_join() {
    let world = World::new().product("lamp").devices(1);
    world.device("lamp-1").report("0.9.0");
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
    let uri = format!("/v1/batches/{}/cancel", batch.id);
    let _canceled = world.send(&ota_tests::Call::new("POST", uri)).expect(202);
    world.device("lamp-1").report("1.0.0");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), [""; 0]);
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r146_with_options_the_running_tasks_are_canceled_as_well() {
    let world = World::new().product("lamp").devices(4);
    world.device("lamp-1").disconnect();
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
    world.device("lamp-3").progress(10, "");
    world.device("lamp-4").upgrade();
    let all = json!({"strategy": true, "queued": true, "notified": true, "in_progress": true});
    let _canceled = batch.cancel(&all).expect(202);
    let canceled = |lamp: &str| format!("{lamp} canceled canceled-by-user");
    let expected = [canceled("lamp-1"), canceled("lamp-2"), canceled("lamp-3"), "lamp-4 succeeded".into()];
    assert_eq!(batch.outcome(), expected);
    world.run(seconds(10));
    assert_eq!(batch.status(), "canceled");
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r145_r146_running_tasks_may_be_canceled_after_the_strategy_and_without_it() {
    let world = World::new().product("lamp").devices(2);
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
    // Without the strategy the batch goes on, and takes others.
    world.device("lamp-1").progress(10, "");
    let _canceled = batch.cancel(&json!({"in_progress": true})).expect(202);
    assert_eq!(batch.outcome(), ["lamp-1 canceled canceled-by-user", "lamp-2 notified"]);
    world.run(seconds(10));
    assert_eq!(batch.status(), "in-progress");
    world.advance(minutes(1));
    let world = world.devices(1);
    world.run(seconds(10));
    world.device("lamp-3").progress(10, "");
    world.run(seconds(10));
    assert_eq!(batch.task("lamp-3")["status"], "in-progress", "it began after the cancel");

    let _canceled = batch.cancel_by_default().expect(202);
    let _canceled = batch.cancel(&json!({"notified": true})).expect(202);
    let canceled = "canceled canceled-by-user";
    let expected = [format!("lamp-1 {canceled}"), format!("lamp-2 {canceled}"), "lamp-3 in-progress".into()];
    assert_eq!(batch.outcome(), expected);
}

#[test]
fn r149_a_static_batch_has_no_strategy_to_cancel() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let both = json!({"strategy": true, "notified": true});
    for refused in [batch.cancel(&json!({"strategy": true})), batch.cancel(&both)] {
        assert_eq!(refused.problem(), "409 batch.not-dynamic");
    }
    assert_eq!(batch.outcome(), ["lamp-1 notified"], "all of it is refused");
}

#[test]
fn r150_what_is_canceled_cannot_be_canceled_once_more() {
    let world = World::new().product("lamp").devices(1);
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
    let _canceled = batch.cancel_by_default().expect(202);
    assert_eq!(batch.cancel_by_default().problem(), "409 batch.strategy-canceled");
    assert_eq!(batch.cancel(&json!({"strategy": true})).problem(), "409 batch.strategy-canceled");
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    assert_eq!(batch.cancel(&json!({"strategy": true})).problem(), "409 batch.ended");
    assert_eq!(batch.cancel(&json!({"notified": true})).problem(), "409 batch.ended");
}

#[test]
fn r62_r111_a_device_that_matches_two_dynamic_batches_joins_the_newest() {
    let world = World::new().product("lamp").devices(1);
    world.device("lamp-1").report("0.9.0");
    let (b, c, d) = (world.ready_package("B"), world.ready_package("C"), world.ready_package("D"));
    let mut batches = Vec::new();
    for package in [&b, &c, &d] {
        batches.push(dynamic(&world, package, &["1.0.0"], json!({})));
        world.advance(minutes(1));
    }
    world.device("lamp-1").report("1.0.0");
    world.run(seconds(10));
    let outcomes = || batches.iter().map(Batch::outcome).collect::<Vec<_>>();
    assert_eq!(outcomes(), [vec![], vec![], vec!["lamp-1 notified".to_owned()]]);
    assert_eq!(world.device("lamp-1").told().last().unwrap().version, "D");

    // Once the newest takes nobody any more, it is the next one's turn.
    let _canceled = batches[2].cancel(&json!({"strategy": true, "notified": true})).expect(202);
    let world = world.devices(1);
    world.run(seconds(10));
    assert_eq!(batches[1].outcome(), ["lamp-2 notified"]);
    assert!(batches[0].outcome().is_empty());
}

#[test]
fn a_failed_device_joins_again_by_another_version_and_not_by_the_same() {
    let world = World::new().product("lamp").devices(1);
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0", "1.0.5"], json!({}));
    let lamp = world.device("lamp-1");
    lamp.progress(-1, "");
    world.run(seconds(10));
    lamp.report("1.0.0");
    lamp.restart("1.0.0");
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-1 failed upgrade-failed"]);
    lamp.report("1.0.5");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 notified"], "one task, which has begun anew");
    assert_eq!(batch.task("lamp-1")["source_version"], "1.0.5");
    invariant_counts_are_the_sum_of_the_tasks(&batch);
    lamp.upgrade();
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded"]);
    assert_eq!(batch.get()["counts"]["total"], 1);
}

#[test]
fn a_device_that_leaves_for_another_source_version_fails_and_joins_at_once() {
    let world = World::new().product("lamp").devices(1);
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0", "1.0.5"], json!({}));
    let lamp = world.device("lamp-1");
    world.advance(minutes(1));
    lamp.restart("1.0.5");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
    assert_eq!(batch.task("lamp-1")["source_version"], "1.0.5");
    assert_eq!(lamp.told().len(), 1);
    invariant_counts_are_the_sum_of_the_tasks(&batch);
}

#[test]
fn r112_a_device_that_bounces_between_versions_stops_after_ten() {
    let world = World::new().product("lamp").devices(1);
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
    let lamp = world.device("lamp-1");
    let mut upgrades = 0;
    for _ in 0..14 {
        world.run(seconds(10));
        upgrades += u32::from(lamp.obey());
        world.run(seconds(10));
        lamp.restart("1.0.0");
    }
    world.run(minutes(1));
    assert_eq!(upgrades, 10);
    assert_eq!(batch.outcome(), ["lamp-1 succeeded"], "its last one");
    assert_eq!(batch.get()["counts"]["total"], 1);
    invariant_counts_are_the_sum_of_the_tasks(&batch);
}

#[test]
fn r136_a_device_that_is_busy_with_an_older_task_fails_in_the_dynamic_batch_or_leaves_the_older() {
    for (overwrite, old, new) in [
        (false, "lamp-1 notified", "lamp-1 failed device-busy"),
        (true, "lamp-1 canceled overwritten", "lamp-1 notified"),
    ] {
        let world = World::new().product("lamp").devices(1);
        let older = world.batch(&world.ready_package("1.1.0"), json!({}));
        let newer =
            dynamic(&world, &world.ready_package("1.2.0"), &["1.0.0"], json!({"overwrite": overwrite}));
        assert_eq!(older.outcome(), [old], "overwrite {overwrite}");
        assert_eq!(newer.outcome(), [new], "overwrite {overwrite}");
    }
}
