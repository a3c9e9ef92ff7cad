//! Batches for thousands of named devices, which come as a file.

use ota_tests::{
    Call, World, hours, invariant_counts_are_the_sum_of_the_tasks, invariant_nothing_is_left_to_do, json,
    minutes, seconds,
};

fn rows(names: impl Iterator<Item = usize>) -> String {
    names.map(|n| format!("lamp-{n}\n")).collect()
}

fn blob_keys(world: &World) -> usize {
    world.kv().dump().iter().filter(|(key, _)| key.starts_with("blob/")).count()
}

#[test]
fn r66_a_batch_for_a_list_takes_exactly_its_devices() {
    let world = World::new().product("lamp").devices(300);
    // As spreadsheets write it: a byte order mark, both line ends, empty rows, commas.
    let list = format!("\u{feff}{}\r\n\n lamp-299 , lamp-300\r\n", rows((1..=250).step_by(2)).trim_end());
    let batch = world.batch(&world.ready_package("1.1.0"), world.listed(&list));
    let told = batch.get();
    assert_eq!(told["target"], json!({"selection": "specific", "listed": 127}));
    assert_eq!(told["counts"]["total"], 127);
    let mut expected: Vec<String> =
        (1..=250).step_by(2).chain([299, 300]).map(|n| format!("lamp-{n}")).collect();
    expected.sort();
    let tasks = batch.tasks();
    let names: Vec<&str> = tasks.iter().filter_map(|task| task["device_name"].as_str()).collect();
    assert_eq!(names, expected);
    assert_eq!(world.pushes(), 127);
    world.run(minutes(1));
    assert_eq!((batch.tasks().len(), world.pushes()), (127, 127));
}

#[test]
fn r66_the_tasks_are_those_of_the_list_also_after_the_fleet_has_grown() {
    let world = World::new().product("lamp").devices(400);
    let list = rows(101..=300);
    let batch = world.batch(&world.ready_package("1.1.0"), world.listed(&list));
    for n in (101..=300).step_by(2) {
        world.device(&format!("lamp-{n}")).upgrade();
    }
    world.run(seconds(10));
    // Most of the devices move to other shards, some with a task that goes on, some with one in the history.
    world.register(3_000);
    world.run(minutes(1));
    assert_eq!(batch.tasks().len(), 200);
    assert_eq!(batch.get()["counts"]["total"], 200);
    invariant_counts_are_the_sum_of_the_tasks(&batch);
    for n in (102..=300).step_by(2) {
        world.device(&format!("lamp-{n}")).upgrade();
    }
    world.run(minutes(1));
    let told = batch.get();
    assert_eq!((&told["status"], &told["counts"]["succeeded"]), (&json!("completed"), &json!(200)));
    world.register(1_000);
    world.advance(hours(2));
    world.run(seconds(10));
    assert_eq!(batch.tasks().len(), 200);
    assert_eq!(batch.task("lamp-101")["status"], "succeeded");
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r66_ten_thousand_rows_are_taken() {
    let world = World::new().product("lamp");
    let devices = world.register(10_000);
    // One in a hundred has ever connected, which is enough.
    for device in devices.iter().step_by(100) {
        device.connect("1.0.0");
    }
    let batch = world.batch(&world.ready_package("1.1.0"), world.listed(&rows(1..=10_000)));
    world.run(minutes(1));
    let told = batch.get();
    assert_eq!((&told["target"]["listed"], &told["expanded"]), (&json!(10_000), &json!(true)));
    assert_eq!((&told["counts"]["total"], &told["counts"]["notified"]), (&json!(100), &json!(100)));
}

#[test]
fn r66_one_row_more_is_refused_and_so_is_a_list_of_nothing() {
    let world = World::new().product("lamp").devices(2);
    let package = world.ready_package("1.1.0");
    let long = world.try_batch(&package, &world.listed(&rows(1..=10_001)));
    assert_eq!(long.faults(), ["/target/device_list batch.list-too-long"]);
    assert!(long.text_of("detail").contains("10001"), "{}", long.text_of("detail"));
    let empty = world.try_batch(&package, &world.listed("\n ,\n"));
    assert_eq!(empty.faults(), ["/target/device_list value.missing"]);
    let binary = Call::new("POST", "/v1/uploads?file_name=devices.csv").bytes([0xff, 0xfe, 0x00]);
    let upload = world.send(&binary).expect(201).text_of("upload_id");
    let asked = json!({"target": {"selection": "specific", "device_list": upload}});
    assert_eq!(world.try_batch(&package, &asked).faults(), ["/target/device_list value.malformed"]);
    assert!(world.list("/v1/batches", 50).is_empty());
}

#[test]
fn r66_bad_rows_are_told_each_with_its_number() {
    let world = World::new().product("lamp").devices(2);
    let list = "lamp-1\nno\nlamp 2\n\nlamp-1\nlamp-2,lamp-2\n";
    let refused = world.try_batch(&world.ready_package("1.1.0"), &world.listed(list));
    let mut faults = refused.faults();
    faults.sort();
    let expected =
        ["row:2 value.length", "row:3 value.charset", "row:5 value.duplicate", "row:6 value.duplicate"];
    assert_eq!(faults, expected);
}

#[test]
fn r66_names_the_product_does_not_have_are_told() {
    let world = World::new().product("lamp").devices(2);
    let refused = world.try_batch(&world.ready_package("1.1.0"), &world.listed("lamp-1\nlamp-8\nlamp-9\n"));
    assert_eq!(refused.faults(), ["/target/device_list batch.unknown-devices"]);
    assert!(refused.text_of("detail").contains("lamp-8, lamp-9"), "{}", refused.text_of("detail"));
    assert!(!refused.text_of("detail").contains("lamp-1,"), "{}", refused.text_of("detail"));
}

#[test]
fn r66_a_list_is_read_rightly_while_its_fleet_is_half_way_through_growing() {
    let world = World::new().product("lamp").devices(1_000);
    world.be_patient();
    for at in 1.. {
        let finished = world.register_and_die(200, at * 7);
        let package = world.ready_package(&format!("1.{at}"));
        let made = world.try_batch(&package, &world.listed(&rows(1..=1_000)));
        assert_eq!(made.problem(), "201 ", "died at operation {}", at * 7);
        let batch = world.find_batch(&made.text_of("batch_id"));
        world.mend();
        assert_eq!(batch.get()["counts"]["total"], 1_000, "died at operation {}", at * 7);
        let _canceled = batch.cancel(&json!({"queued": true, "notified": true})).expect(202);
        world.run(seconds(10));
        if finished {
            assert!(at > 3, "registering takes only {} operations", at * 7);
            return;
        }
    }
}

#[test]
fn r66_a_list_of_devices_on_other_versions_passes_them_over() {
    let world = World::new().product("lamp").devices(3);
    world.device("lamp-1").report("1.1.0");
    world.register(1);
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, world.listed("lamp-1\nlamp-2\nlamp-4\n"));
    assert_eq!(batch.outcome(), ["lamp-2 notified"]);
    let nobody = world.try_batch(&package, &world.listed("lamp-1\nlamp-4\n"));
    assert_eq!(nobody.problem(), "422 batch.no-device");
}

#[test]
fn r67_names_and_a_list_together_are_refused() {
    let world = World::new().product("lamp").devices(2);
    let package = world.ready_package("1.1.0");
    let mut both = world.listed("lamp-1\n");
    both["target"]["devices"] = json!(["lamp-2"]);
    assert_eq!(world.try_batch(&package, &both).faults(), ["/target/device_list batch.names-and-list"]);
    let mut all = world.listed("lamp-1\n");
    all["target"]["selection"] = json!("all");
    assert_eq!(world.try_batch(&package, &all).faults(), ["/target/device_list value.not-allowed"]);
    let mut dynamic = world.listed("lamp-1\n");
    dynamic["mode"] = json!("dynamic");
    let faults = world.try_batch(&package, &dynamic).faults();
    assert!(faults.contains(&"/target/selection batch.dynamic-target".to_owned()), "{faults:?}");
}

#[test]
fn r66_a_list_has_at_most_five_megabytes() {
    let world = World::new().product("lamp").devices(1);
    let list = |bytes: usize| format!("{}lamp-1\n", "\n".repeat(bytes - 7));
    let most = 5 * 1024 * 1024;
    let batch = world.batch(&world.ready_package("1.1.0"), world.listed(&list(most)));
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
    assert_eq!(world.upload_list(&list(most + 1)).problem(), "413 package.file-too-large");
    // One that does not say how long it is is cut off, and leaves nothing behind.
    let before = blob_keys(&world);
    let endless = Call::new("POST", "/v1/uploads?file_name=devices.csv").bytes(list(most + 1));
    assert_eq!(world.send(&endless).problem(), "413 package.file-too-large");
    assert_eq!(blob_keys(&world), before);
}

#[test]
fn r66_a_list_is_no_package_and_a_package_is_no_list() {
    let world = World::new().product("lamp").devices(1);
    let upload = world.upload_list("lamp-1\n").expect(201).text_of("upload_id");
    let refused = world.try_package("1.2.0", &json!({"upload_id": upload}));
    assert_eq!(refused.status, 422, "{}", refused.problem());
    let image = world.upload(b"lamp-1\n").expect(201).text_of("upload_id");
    let package = world.ready_package("1.1.0");
    for not_there in [image.as_str(), "00000000000000000000000000000000", "nonsense"] {
        let asked = json!({"target": {"selection": "specific", "device_list": not_there}});
        let faults = world.try_batch(&package, &asked).faults();
        assert_eq!(faults, ["/target/device_list batch.list-unknown"], "{not_there}");
    }
}

#[test]
fn r66_a_list_serves_several_batches_and_is_collected_after_its_hour() {
    let world = World::new().product("lamp").devices(3);
    let asked = world.listed("lamp-1\nlamp-2\n");
    let one = world.batch(&world.ready_package("1.1.0"), asked.clone());
    world.all_devices()[..2].iter().for_each(|device| device.upgrade());
    let two = world.batch(&world.ready_package("1.2.0"), asked.clone());
    assert_eq!((one.tasks().len(), two.tasks().len()), (2, 2));
    let kept = blob_keys(&world);
    world.advance(hours(1));
    let late = world.try_batch(&world.ready_package("1.3.0"), &asked);
    assert_eq!(late.faults(), ["/target/device_list batch.list-unknown"], "its hour is over");
    let kept_more = blob_keys(&world);
    world.run(minutes(2));
    assert!(blob_keys(&world) < kept_more && kept > 0, "the list is gone");
    world.all_devices()[..2].iter().for_each(|device| {
        device.obey();
    });
    world.run(seconds(10));
    assert_eq!(two.outcome(), ["lamp-1 succeeded", "lamp-2 succeeded"], "the batch has kept the names");
    assert_eq!(two.status(), "completed");
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r66_the_same_request_after_the_list_is_gone_is_answered_with_its_batch() {
    let world = World::new().product("lamp").devices(2);
    let package = world.ready_package("1.1.0");
    let mut body = world.listed("lamp-1\n");
    body["package_id"] = json!(package.id);
    let request = Call::post("/v1/batches", &body).key("once");
    let made = world.send(&request).expect(201).text_of("batch_id");
    world.settle();
    world.advance(hours(2));
    world.run(seconds(10));
    let again = world.send(&request).expect(201).json();
    assert_eq!((&again["batch_id"], &again["target"]["listed"]), (&json!(made), &json!(1)));
    assert_eq!(world.find_batch(&made).outcome(), ["lamp-1 notified"]);
}

#[test]
fn r143_r144_a_batch_for_a_list_is_canceled_like_any_other() {
    let world = World::new().product("lamp").devices(300);
    let batch = world.batch(&world.ready_package("1.1.0"), world.listed(&rows(1..=250)));
    world.register(2_000);
    let _canceled = batch.cancel(&json!({"queued": true, "notified": true, "in_progress": true})).expect(202);
    world.run(seconds(10));
    let told = batch.get();
    assert_eq!((&told["status"], &told["counts"]["canceled"]), (&json!("canceled"), &json!(250)));
    world.advance(hours(2));
    world.run(seconds(10));
    invariant_nothing_is_left_to_do(&world);
}
