//! Two at once: somebody else acts between any two operations of a story.

use futures::FutureExt;
use ota_core::ids::PackageId;
use ota_core::time::Timestamp;
use ota_store::memory::Fault;
use ota_store::packages;
use ota_tests::{
    Call, Package, Value, World, invariant_counts_are_the_sum_of_the_tasks, invariant_every_task_has_ended,
    invariant_nothing_is_left_to_do, invariant_one_task_per_device, invariant_pushes_within_rate, json,
    minutes, seconds,
};

const DEVICES: [&str; 3] = ["lamp-1", "lamp-2", "lamp-3"];

fn tick(_: &World) -> Call {
    Call::new("POST", "/internal/dispatch/tick")
}

fn message(topic: &str, payload: &ota_tests::Value) -> Call {
    Call::post(format!("/internal/device-messages?topic={topic}"), payload)
}

/// Tells a story in a new world once for each operation it makes, with the rival right before that operation.
fn at_every_operation(rival: fn(&World) -> Call, story: impl Fn(&World)) {
    for at in 1.. {
        let world = World::new().product("lamp").devices(DEVICES.len());
        let answered = world.interrupt(at, rival(&world));
        println!("operation {at}");
        story(&world);
        match answered.get() {
            // The story was over before.
            None => {
                assert!(at > 50, "the story has only {at} operations");
                return;
            }
            // Whoever comes while the story is just making a record is asked to come again.
            Some(status) => assert!(status < 500 || status == 503, "the rival was answered {status}"),
        }
    }
}

/// A batch for three devices, which upgrade.
fn upgrade(world: &World) {
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"push_per_minute_max": 10}));
    world.run(seconds(10));
    let told: Vec<usize> = DEVICES.iter().map(|name| world.device(name).told().len()).collect();
    assert_eq!(told, [1, 1, 1], "each device is told once");
    for name in DEVICES {
        world.device(name).progress(10, "");
        world.device(name).restart("1.1.0");
    }
    world.run(seconds(15));
    world.kv().clear_faults();
    invariant_every_task_has_ended(&batch);
    invariant_one_task_per_device(&batch, &DEVICES);
    invariant_counts_are_the_sum_of_the_tasks(&batch);
    invariant_nothing_is_left_to_do(world);
    invariant_pushes_within_rate(world, 10);
    assert_eq!(batch.get()["counts"]["succeeded"], 3);
}

#[test]
fn a_second_dispatcher_at_any_moment_tells_nobody_twice_and_loses_nobody() {
    at_every_operation(tick, upgrade);
}

#[test]
fn a_device_that_speaks_at_any_moment_is_heard() {
    fn report(world: &World) -> Call {
        let (topic, payload) = world.device("lamp-2").version_report("1.1.0");
        message(&topic, &payload)
    }
    at_every_operation(report, |world| {
        let package = world.ready_package("1.1.0");
        // Were lamp-2 the only one, the batch might find nobody left.
        let batch = world.batch(&package, json!({}));
        world.run(seconds(10));
        for name in ["lamp-1", "lamp-3"] {
            world.device(name).upgrade();
        }
        world.device("lamp-2").restart("1.1.0");
        world.run(seconds(15));
        world.kv().clear_faults();
        invariant_every_task_has_ended(&batch);
        invariant_counts_are_the_sum_of_the_tasks(&batch);
        invariant_nothing_is_left_to_do(world);
        assert!(
            batch.outcome().iter().all(|outcome| outcome.ends_with("succeeded")),
            "{:?}",
            batch.outcome()
        );
        assert_eq!(world.device("lamp-2").get()["versions"][0]["version"], "1.1.0");
    });
}

#[test]
fn a_device_that_is_deleted_at_any_moment_leaves_nothing_open() {
    fn delete(world: &World) -> Call {
        Call::delete(format!("/v1/products/{}/devices/lamp-2", world.product_key()))
    }
    at_every_operation(delete, |world| {
        let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
        world.run(seconds(10));
        for name in ["lamp-1", "lamp-3"] {
            world.device(name).upgrade();
        }
        world.device("lamp-2").delete();
        world.run(seconds(15));
        world.kv().clear_faults();
        invariant_every_task_has_ended(&batch);
        invariant_counts_are_the_sum_of_the_tasks(&batch);
        invariant_nothing_is_left_to_do(world);
    });
}

/// A batch that reaches a device while it is being deleted must not have its task vanish with the device.
#[test]
fn a_batch_that_is_made_while_a_device_is_deleted_loses_no_task() {
    for at in 1.. {
        let world = World::new().product("lamp").devices(DEVICES.len());
        let package = world.ready_package("1.1.0");
        let wanted = json!({"package_id": package.id, "target": {"selection": "all"}});
        let answered = world.interrupt(at, Call::post("/v1/batches", &wanted));
        world.device("lamp-2").delete();
        world.kv().clear_faults();
        let Some(status) = answered.get() else {
            assert!(at > 5, "a deletion has only {at} operations");
            return;
        };
        println!("operation {at}");
        assert_eq!(status, 201);
        let batches = world.list("/v1/batches", 10);
        let batch = world.find_batch(batches[0]["batch_id"].as_str().unwrap());
        let reached = batch.get()["counts"]["total"].as_u64().unwrap();
        for name in ["lamp-1", "lamp-3"] {
            world.run(seconds(5));
            world.device(name).upgrade();
        }
        world.run(seconds(15));
        let outcome = batch.outcome();
        assert_eq!(outcome.len() as u64, reached, "{outcome:?}");
        let deleted = outcome.iter().filter(|task| *task == "lamp-2 canceled device-deleted").count();
        assert_eq!(deleted as u64, reached - 2, "{outcome:?}");
        invariant_every_task_has_ended(&batch);
        invariant_nothing_is_left_to_do(&world);
    }
}

/// The dispatcher is about to be done with a batch whose last task has failed; at any moment of that an operator wants the task
/// tried again. The task must not be left in a batch that nobody looks after.
#[test]
fn r134_a_task_that_is_tried_again_while_its_batch_ends_is_looked_after() {
    let with_a_failed_task = || {
        let world = World::new().product("lamp").devices(1);
        let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
        world.device("lamp-1").progress(-1, "it did not work");
        let again = Call::post("/v1/tasks/reupgrade", &json!({"task_ids": [batch.task_id("lamp-1")]}));
        (world, batch, again)
    };
    let end_well = |world: &World, batch: &ota_tests::Batch| {
        world.kv().clear_faults();
        world.run(seconds(15));
        world.device("lamp-1").upgrade();
        world.run(seconds(15));
        assert_eq!(batch.outcome(), ["lamp-1 succeeded"]);
        invariant_counts_are_the_sum_of_the_tasks(batch);
        invariant_nothing_is_left_to_do(world);
    };
    // The operator comes between two operations of the dispatcher,
    for at in 1.. {
        let (world, batch, again) = with_a_failed_task();
        world.device("lamp-1").told();
        let answered = world.interrupt(at, again);
        world.tick();
        world.tick();
        match answered.get() {
            None => {
                assert!(at > 20, "two ticks have only {at} operations");
                break;
            }
            Some(status) => assert_eq!(status, 200, "operation {at}"),
        }
        end_well(&world, &batch);
    }
    // and the dispatcher between two of the operator.
    for at in 1.. {
        let (world, batch, again) = with_a_failed_task();
        world.device("lamp-1").told();
        world.tick();
        let answered = world.interrupt(at, tick(&world));
        let _queued = world.send(&again).expect(200);
        if answered.get().is_none() {
            assert!(at > 10, "a second try has only {at} operations");
            return;
        }
        end_well(&world, &batch);
    }
}

/// Whoever deletes a package looks whether a batch of it is open, and whoever makes a batch looks whether the package is there.
/// Of two who do so at once both may succeed; then the batch must end all the same.
#[test]
fn a_batch_whose_package_is_deleted_while_it_is_made_ends() {
    for wanted in [json!({}), json!({"push": false}), json!({"needs_confirmation": true})] {
        for at in 1.. {
            let world = World::new().product("lamp").devices(2);
            let package = world.ready_package("1.1.0");
            let answered = world.interrupt(at, Call::delete(format!("/v1/packages/{}", package.id)));
            let made = world.try_batch(&package, &wanted);
            world.kv().clear_faults();
            let Some(status) = answered.get() else {
                assert!(at > 20, "making a batch has only {at} operations");
                break;
            };
            println!("operation {at}: {status}, {}", made.status);
            if made.status != 201 {
                continue;
            }
            let batch = world.find_batch(&made.text_of("batch_id"));
            let ids = ["lamp-1", "lamp-2"].map(|name| batch.task_id(name));
            if status == 204 {
                world.confirm(&ids);
                world.run(minutes(1));
                invariant_every_task_has_ended(&batch);
                invariant_counts_are_the_sum_of_the_tasks(&batch);
            }
        }
    }
}

/// Whoever deletes a package has looked for batches before one was listed, and died once nobody found the package any more. Asked
/// again, the deletion goes on: what else could it do, with a package that is half gone?
#[test]
fn a_deletion_that_has_begun_goes_on_although_a_batch_was_made_just_then() {
    // More than may be pushed to in a minute: the rest still has to be, and then the package is looked for.
    let world = World::new().product("lamp").devices(12);
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, json!({"push_per_minute_max": 10}));
    let (id, now) = (package.id.parse::<PackageId>().unwrap(), Timestamp(world.now_ms()));
    packages::delete(world.kv(), id, now).now_or_never().unwrap().unwrap();
    let _gone = world.send(&Call::delete(format!("/v1/packages/{}", package.id))).expect(204);
    world.run(minutes(2));
    invariant_every_task_has_ended(&batch);
    assert_eq!(world.list("/v1/packages", 50), Vec::<Value>::new());
    // Its name and version are free.
    world.ready_package("1.1.0");
}

/// A trial whose maker has died when it was listed and had no record yet: its package, the request, to be made again, and one for a
/// trial of another device.
fn trial_without_record(world: &World) -> (Package, Call, Call) {
    let package = world.package("1.1.0");
    let uri = format!("/v1/packages/{}/verification", package.id);
    let trial = |device: &str| Call::post(&uri, &json!({"devices": [device]})).key(device);
    let (first, second) = (trial("lamp-1"), trial("lamp-2"));
    world.kv().set_faults(|key, _| key.starts_with("claim/batch/").then_some(Fault::Refused));
    assert_eq!(world.send_once(&first).status, 503, "its maker dies");
    world.kv().clear_faults();
    (package, first, second)
}

/// The maker of a trial has died before the trial had its record. Much later the same request comes again, and another one for
/// another trial frees the package of the first. Whichever wins, no trial is left that nobody looks after.
#[test]
fn a_trial_that_is_made_at_last_while_another_gives_it_up_is_looked_after() {
    for at in 1.. {
        let world = World::new().product("lamp").devices(2);
        let (_, first, second) = trial_without_record(&world);
        world.advance(minutes(2));
        let answered = world.interrupt(at, second);
        let again = world.send_once(&first);
        world.kv().clear_faults();
        let Some(status) = answered.get() else {
            assert!(at > 20, "a trial has only {at} operations");
            return;
        };
        println!("operation {at}: {status}, {}", again.status);
        for _ in 0..4 {
            world.run(seconds(15));
            world.all_devices().iter().for_each(|device| {
                device.obey();
            });
        }
        world.run(minutes(15));
        invariant_every_batch_has_ended(&world);
    }
}

#[test]
fn r51_a_trial_whose_maker_is_slow_is_not_taken_for_one_whose_maker_died() {
    for at in 1.. {
        let world = World::new().product("lamp").devices(2);
        let (package, first, second) = trial_without_record(&world);
        world.advance(seconds(29));
        let answered = world.interrupt_after(at, seconds(40), second);
        let slow = world.send_once(&first);
        world.kv().clear_faults();
        let Some(rival) = answered.get() else {
            assert!(at > 15, "the request has only {at} operations");
            return;
        };
        assert_eq!((slow.status, rival), (201, 409), "operation {at}");
        world.run(seconds(10));
        world.device("lamp-1").upgrade();
        world.run(seconds(30));
        assert_eq!(package.verification(), "verified", "operation {at}");
        let batch = world.find_batch(slow.json()["batch"]["batch_id"].as_str().expect("a batch"));
        invariant_counts_are_the_sum_of_the_tasks(&batch);
        invariant_nothing_is_left_to_do(&world);
    }
}

/// No batch is open, and no device has a task.
#[track_caller]
fn invariant_every_batch_has_ended(world: &World) {
    for batch in world.list("/v1/batches", 10) {
        invariant_every_task_has_ended(&world.find_batch(batch["batch_id"].as_str().unwrap()));
    }
    invariant_nothing_is_left_to_do(world);
}

#[test]
fn the_same_request_at_the_same_time_makes_one_batch() {
    let world = World::new().product("lamp").devices(3);
    let package = world.ready_package("1.1.0");
    let id = package.id.clone();
    for at in 1..200 {
        let world = World::new().product("lamp").devices(3);
        // Ids are the same in every world.
        let package = world.ready_package("1.1.0");
        assert_eq!(package.id, id);
        let body = json!({"package_id": id, "target": {"selection": "all"}});
        let request = Call::post("/v1/batches", &body).key("k");
        let answered = world.interrupt(at, request.clone());
        let mine = world.send(&request);
        world.kv().clear_faults();
        let both = [Some(mine.status), answered.get()];
        // Whoever comes while the other is just writing the record is asked to come again.
        assert!(both.iter().flatten().all(|status| matches!(status, 201 | 503)), "{at}: {both:?}");
        assert!(both.contains(&Some(201)), "{at}: {both:?}");
        world.run(minutes(1));
        assert_eq!(world.list("/v1/batches", 50).len(), 1, "{at}");
        assert_eq!(world.published().len(), 3, "{at}");
    }
}

#[test]
fn two_packages_of_one_name_at_the_same_time_are_one() {
    for at in 1..60 {
        let world = World::new().product("lamp");
        let upload = || world.upload(b"image").expect(201).text_of("upload_id");
        let body = |upload: String| {
            let key = world.product_key();
            json!({"product_key": key, "name": "same", "target_version": "1.1", "upload_id": upload})
        };
        let (mine, theirs) = (body(upload()), body(upload()));
        let answered = world.interrupt(at, Call::post("/v1/packages", &theirs));
        let status = world.send(&Call::post("/v1/packages", &mine)).status;
        world.kv().clear_faults();
        let Some(mut rivals) = answered.get() else { return };
        if rivals == 503 {
            rivals = world.send(&Call::post("/v1/packages", &theirs)).status;
        }
        let mut both = [status, rivals];
        both.sort_unstable();
        assert_eq!(both, [201, 409], "{at}");
        assert_eq!(world.list("/v1/packages", 50).len(), 1);
    }
    panic!("a request for a package has no end");
}

#[test]
fn two_batches_for_one_device_at_the_same_time_give_it_one_task() {
    for at in 1..200 {
        let world = World::new().product("lamp").devices(1);
        let (one, two) = (world.ready_package("1.1.0"), world.ready_package("1.2.0"));
        let body =
            |package: &ota_tests::Package| json!({"package_id": package.id, "target": {"selection": "all"}});
        let answered = world.interrupt(at, Call::post("/v1/batches", &body(&two)));
        let _made = world.send(&Call::post("/v1/batches", &body(&one))).expect(201);
        world.kv().clear_faults();
        let Some(rivals) = answered.get() else { return };
        if rivals == 503 {
            let _made = world.send(&Call::post("/v1/batches", &body(&two))).expect(201);
        } else {
            assert_eq!(rivals, 201, "{at}");
        }
        world.run(minutes(1));
        let batches = world.list("/v1/batches", 50);
        let ids = batches.iter().map(|batch| batch["batch_id"].as_str().unwrap().to_owned());
        let mut outcomes: Vec<String> = ids.flat_map(|id| world.find_batch(&id).outcome()).collect();
        outcomes.sort();
        assert_eq!(outcomes, ["lamp-1 failed device-busy", "lamp-1 notified"], "{at}");
        assert_eq!(world.published().len(), 1);
    }
    panic!("a request for a batch has no end");
}
