//! Dynamic batches and fleets that grow, stores that fail, and others who act at the same moment.

use ota_tests::{
    Call, World, invariant_counts_are_the_sum_of_the_tasks, invariant_nothing_is_left_to_do,
    invariant_one_task_per_device, json, minutes, seconds,
};

use crate::dynamic::dynamic;

#[test]
fn r106_devices_of_a_fleet_that_has_grown_many_times_still_join() {
    let world = World::new().product("lamp").devices(100);
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
    let added = world.register(3_000);
    for device in added.iter().step_by(10) {
        device.connect("1.0.0");
    }
    world.run(minutes(1));
    let told = batch.get();
    assert_eq!((&told["counts"]["total"], &told["counts"]["notified"]), (&json!(400), &json!(400)));
    for device in added.iter().step_by(10) {
        device.upgrade();
    }
    world.run(minutes(1));
    assert_eq!(batch.get()["counts"]["succeeded"], 300);
    assert_eq!(batch.tasks().len(), 400);
}

#[test]
fn r107_a_device_that_comes_back_after_its_shard_has_split_has_one_task() {
    let world = World::new().product("lamp").devices(300);
    let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
    world.all_devices().iter().for_each(|device| device.upgrade());
    world.run(minutes(1));
    assert_eq!(batch.get()["counts"]["succeeded"], 300);
    // Half of the devices move to other shards, and their history stays where it was written.
    world.register(1_500);
    for device in world.all_devices().iter().filter(|device| device.is_online()) {
        device.report("1.0.0");
    }
    world.run(minutes(1));
    let told = batch.get();
    assert_eq!((&told["counts"]["total"], &told["counts"]["notified"]), (&json!(300), &json!(300)));
    assert_eq!(batch.tasks().len(), 300, "no device is listed twice");
    invariant_counts_are_the_sum_of_the_tasks(&batch);

    let _canceled = batch.cancel_by_default().expect(202);
    for device in world.all_devices().iter().filter(|device| device.is_online()) {
        device.upgrade();
    }
    world.run(minutes(1));
    assert_eq!(batch.get()["counts"]["succeeded"], 300);
    invariant_counts_are_the_sum_of_the_tasks(&batch);
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r64_r105_whoever_dies_while_a_fleet_grows_keeps_no_batch_from_any_device() {
    for at in 1.. {
        // Nobody is there who could say a word.
        let world = World::new().product("lamp").devices(1_000);
        world.all_devices().iter().for_each(|device| device.disconnect());
        let finished = world.register_and_die(100, at * 5);
        let open = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
        let fixed = world.try_batch(&world.ready_package("1.2.0"), &json!({"overwrite": true}));
        let fixed = world.find_batch(&fixed.expect(201).text_of("batch_id"));
        world.mend();
        for batch in [&open, &fixed] {
            let told = batch.get();
            let reached = (&told["expanded"], &told["counts"]["total"]);
            assert_eq!(reached, (&json!(true), &json!(1_000)), "died at operation {}", at * 5);
        }
        if finished {
            assert!(at > 5, "registering takes only {} operations", at * 5);
            return;
        }
    }
}

#[test]
fn r110_a_strategy_canceled_before_all_of_a_large_fleet_is_reached_stops_there() {
    // More shards than a request gives their tasks.
    let world = World::new().product("lamp").devices(4_400);
    let package = world.ready_package("1.1.0");
    let asked = json!({"package_id": package.id, "target": {"selection": "all"}, "mode": "dynamic",
        "source_versions": ["1.0.0"]});
    let made = world.send(&Call::post("/v1/batches", &asked)).expect(201);
    assert_eq!(made.json()["expanded"], false, "{}", made.json());
    let batch = world.find_batch(&made.text_of("batch_id"));
    let reached = batch.tasks().len();
    let _canceled = batch.cancel_by_default().expect(202);
    world.run(minutes(5));
    assert_eq!(batch.tasks().len(), reached);
    assert!((1_000..4_400).contains(&reached), "{reached}");
    assert_eq!(batch.get()["counts"]["notified"], reached);
}

/// A dynamic batch that three devices join, each in its own way, until it is canceled. Told with failures in `crash`.
pub(crate) fn story(world: World) {
    world.be_patient();
    let world = world.product("lamp").devices(3);
    live(&world, || world.all_devices().iter().all(|device| device.get()["versions"][0].is_object()));
    world.device("lamp-2").report("0.9.0");
    live(&world, || world.device("lamp-2").get()["versions"][0]["version"] == "0.9.0");
    world.device("lamp-3").report("1.0.5");
    live(&world, || world.device("lamp-3").get()["versions"][0]["version"] == "1.0.5");
    let package = world.ready_package("1.1.0");
    let batch = dynamic(&world, &package, &["1.0.0"], json!({"push_per_minute_max": 10}));
    live(&world, || batch.get()["expanded"] == true);
    world.device("lamp-2").report("1.0.0");
    live(&world, || batch.tasks().len() == 2);
    world.device("lamp-3").report("1.0.0");
    live(&world, || batch.tasks().len() == 3);
    for name in ["lamp-1", "lamp-2", "lamp-3"] {
        let told = || batch.task(name)["status"] == "notified";
        live(&world, told);
        world.device(name).report("1.1.0");
        live(&world, || batch.task(name)["status"] == "succeeded");
    }
    assert_eq!(batch.status(), "in-progress");
    // The same word again, to one that did not hear it was understood, is refused.
    let canceled = batch.cancel(&json!({"strategy": true}));
    assert!(matches!(canceled.status, 202 | 409), "{canceled:?}");
    live(&world, || batch.status() == "canceled");
    world.kv().clear_faults();
    world.run(minutes(1));
    world.advance(25 * 60 * minutes(1));
    world.run(seconds(10));
    invariant_one_task_per_device(&batch, &["lamp-1", "lamp-2", "lamp-3"]);
    invariant_counts_are_the_sum_of_the_tasks(&batch);
    invariant_nothing_is_left_to_do(&world);
    assert_eq!(world.list("/v1/batches", 50).len(), 1, "no batch is doubled");
}

/// Lets time pass, with devices saying again what they said last, until the story has come where it should.
#[track_caller]
fn live(world: &World, done: impl Fn() -> bool) {
    for _ in 0..60 {
        world.run(seconds(5));
        if done() {
            return;
        }
        world.advance(minutes(1));
        world.all_devices().iter().for_each(|device| device.repeat());
    }
    panic!("it never ends; log: {:?}", world.engine().log_lines().last());
}

#[test]
fn r110_a_cancel_at_any_moment_of_a_report_lets_the_device_join_or_not_and_leaves_nothing_open() {
    for at in 1.. {
        let world = World::new().product("lamp").devices(1);
        let lamp = world.device("lamp-1");
        lamp.report("0.9.0");
        let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
        let cancel = Call::new("POST", format!("/v1/batches/{}/cancel", batch.id));
        let answered = world.interrupt(at, cancel);
        lamp.report("1.0.0");
        world.run(seconds(10));
        world.kv().clear_faults();
        let Some(status) = answered.get() else {
            assert!(at > 10, "the story has only {at} operations");
            return;
        };
        assert_eq!(status, 202, "operation {at}");
        assert_eq!(batch.status(), "canceled", "operation {at}");
        lamp.obey();
        world.run(seconds(20));
        let ended = batch.outcome();
        assert!(ended.is_empty() || ended == ["lamp-1 succeeded"], "operation {at}: {ended:?}");
        invariant_counts_are_the_sum_of_the_tasks(&batch);
        invariant_nothing_is_left_to_do(&world);
    }
}

#[test]
fn r110_r113_a_cancel_at_any_moment_of_a_tick_at_any_moment_of_a_report_leaves_nothing_open() {
    for at in 1.. {
        for behind in 1.. {
            let world = World::new().product("lamp").devices(1);
            let lamp = world.device("lamp-1");
            lamp.report("0.9.0");
            let batch = dynamic(&world, &world.ready_package("1.1.0"), &["1.0.0"], json!({}));
            // A walk has counted what the next one will: nothing. The next may end the batch.
            world.run(seconds(20));
            let cancel = Call::new("POST", format!("/v1/batches/{}/cancel", batch.id));
            let tick = Call::new("POST", "/internal/dispatch/tick");
            let answered = world.interrupt_twice(at, tick, behind, cancel);
            lamp.report("1.0.0");
            world.kv().clear_faults();
            let Some(status) = answered.get() else {
                if behind > 1 {
                    break;
                }
                assert!(at > 3, "a report has only {at} operations");
                return;
            };
            assert_eq!(status, 202, "operation {at}, then {behind}");
            world.run(seconds(20));
            lamp.obey();
            world.run(seconds(20));
            let ended = batch.outcome();
            assert!(
                ended.is_empty() || ended == ["lamp-1 succeeded"],
                "operation {at}, then {behind}: {ended:?}"
            );
            invariant_counts_are_the_sum_of_the_tasks(&batch);
            invariant_nothing_is_left_to_do(&world);
        }
    }
}

#[test]
fn r106_a_report_at_any_moment_of_the_making_of_a_batch_makes_the_device_join_once() {
    for at in 1.. {
        let world = World::new().product("lamp").devices(1);
        let lamp = world.device("lamp-1");
        lamp.report("0.9.0");
        let package = world.ready_package("1.1.0");
        let (topic, payload) = lamp.version_report("1.0.0");
        let rival = Call::post(format!("/internal/device-messages?topic={topic}"), &payload);
        let answered = world.interrupt(at, rival);
        let batch = dynamic(&world, &package, &["1.0.0"], json!({}));
        world.run(seconds(10));
        world.kv().clear_faults();
        let Some(status) = answered.get() else {
            assert!(at > 30, "the story has only {at} operations");
            return;
        };
        assert_eq!(status, 204, "operation {at}");
        assert_eq!(batch.outcome(), ["lamp-1 notified"], "operation {at}");
        assert_eq!(world.pushes(), 1, "operation {at}");
    }
}

#[test]
fn r61_two_dynamic_batches_of_a_package_at_the_same_time_are_one() {
    for at in 1.. {
        let world = World::new().product("lamp").devices(1);
        let package = world.ready_package("1.1.0");
        let body = |source: &str| {
            json!({"package_id": package.id, "target": {"selection": "all"}, "mode": "dynamic",
                "source_versions": [source]})
        };
        let theirs = Call::post("/v1/batches", &body("0.9.0")).key("theirs");
        let answered = world.interrupt(at, theirs.clone());
        let mine = world.send(&Call::post("/v1/batches", &body("1.0.0")).key("mine")).status;
        world.kv().clear_faults();
        let Some(mut rivals) = answered.get() else {
            assert!(at > 20, "the story has only {at} operations");
            return;
        };
        if rivals == 503 {
            rivals = world.send(&theirs).status;
        }
        let mut both = [mine, rivals];
        both.sort_unstable();
        assert_eq!(both, [201, 409], "operation {at}");
        world.run(seconds(10));
        assert_eq!(world.list("/v1/batches", 50).len(), 1, "operation {at}");
    }
}
