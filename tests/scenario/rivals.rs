//! Two at once: somebody else acts between any two operations of a story.

use ota_tests::{
    Call, World, invariant_counts_are_the_sum_of_the_tasks, invariant_every_task_has_ended,
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
