//! From the upload of a file to the last device that runs it.

use ota_tests::{
    Call, World, invariant_bytes_belong_to_packages, invariant_counts_are_the_sum_of_the_tasks,
    invariant_every_task_has_ended, invariant_nothing_is_left_to_do, invariant_one_task_per_device, json,
    minutes, seconds,
};

#[test]
fn an_upgrade_goes_from_the_upload_over_the_trial_to_every_device() {
    let world = World::new().product("lamp").devices(3);
    let package = world.package("1.1.0");
    assert_eq!(package.verification(), "unverified");

    world.verify(&package, &["lamp-1"]);
    assert_eq!(package.verification(), "verifying");
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    assert_eq!(package.verification(), "verified");

    let batch = world.batch(&package, json!({}));
    assert_eq!(batch.outcome(), ["lamp-2 notified", "lamp-3 notified"], "lamp-1 runs it already");
    world.device("lamp-2").progress(30, "downloading");
    assert_eq!(batch.outcome(), ["lamp-2 in-progress", "lamp-3 notified"]);
    assert_eq!(batch.task("lamp-2")["progress"], 30);
    world.device("lamp-2").restart("1.1.0");
    world.device("lamp-3").upgrade();
    world.run(minutes(1));

    assert_eq!(batch.outcome(), ["lamp-2 succeeded", "lamp-3 succeeded"]);
    assert_eq!(batch.status(), "completed");
    invariant_every_task_has_ended(&batch);
    invariant_one_task_per_device(&batch, &["lamp-2", "lamp-3"]);
    invariant_counts_are_the_sum_of_the_tasks(&batch);
    invariant_nothing_is_left_to_do(&world);
    invariant_bytes_belong_to_packages(&world);
}

#[test]
fn r114_a_task_is_queued_then_notified_then_in_progress_then_succeeded() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    lamp.disconnect();
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let mut seen = vec![batch.outcome()];
    lamp.connect("1.0.0");
    world.settle();
    seen.push(batch.outcome());
    lamp.progress(0, "");
    seen.push(batch.outcome());
    lamp.restart("1.1.0");
    seen.push(batch.outcome());
    assert_eq!(seen, [["lamp-1 queued"], ["lamp-1 notified"], ["lamp-1 in-progress"], ["lamp-1 succeeded"]]);
}

#[test]
fn r116_a_hundred_percent_is_no_success() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").progress(100, "");
    world.run(minutes(10));
    assert_eq!(batch.outcome(), ["lamp-1 in-progress"]);
    assert_eq!(batch.status(), "in-progress");
}

#[test]
fn r115_a_device_may_succeed_without_a_word_of_progress() {
    let world = World::new().product("lamp").devices(2);
    world.device("lamp-2").disconnect();
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").restart("1.1.0");
    world.device("lamp-2").connect("1.1.0");
    assert_eq!(batch.outcome(), ["lamp-1 succeeded", "lamp-2 succeeded"], "from notified, and from queued");
    assert_eq!(batch.task("lamp-2")["progress"], 100);
}

#[test]
fn r142_a_batch_is_completed_when_its_tasks_have_ended_and_the_time_is_kept() {
    let world = World::new().product("lamp").devices(2);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").upgrade();
    world.run(minutes(1));
    assert_eq!(batch.status(), "in-progress");
    assert!(batch.get().get("ended_at").is_none());
    world.device("lamp-2").progress(-1, "");
    world.run(seconds(10));
    let told = batch.get();
    assert_eq!((&told["status"], &told["counts"]["failed"]), (&json!("completed"), &json!(1)));
    let ended_at = told["ended_at"].as_u64().unwrap();
    assert!(world.now_ms() - ended_at <= seconds(10));
}

#[test]
fn r162_what_a_push_announces_is_what_is_downloaded() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let _batch = world.batch(&package, json!({}));
    let told = world.device("lamp-1").told().remove(0);
    let data = &told.message["data"];
    let file = world.send(&Call::get(&told.url)).expect(200);
    assert_eq!(file.body, b"the image of 1.1.0");
    assert_eq!(told.size, file.body.len() as u64);
    assert_eq!(data["sign"], package.get()["sha256"]);
    assert_eq!((&data["signMethod"], &data["md5"]), (&json!("SHA256"), &package.get()["md5"]));
    assert_eq!((&told.message["code"], &told.message["message"]), (&json!("1000"), &json!("success")));
    assert!(data.get("module").is_none(), "R99: a push for the whole device names no module");
}

#[test]
fn r98_a_batchs_tags_and_the_packages_text_reach_the_device() {
    let world = World::new().product("lamp").devices(1);
    let made = world.try_package("1.1.0", &json!({"needs_verification": false, "udi": "for the lamp"}));
    let package = world.find_package(&made.expect(201).text_of("package_id"));
    let _batch = world.batch(&package, json!({"tags": [{"key": "line", "value": "二"}]}));
    let told = world.device("lamp-1").told().remove(0);
    assert_eq!(told.message["data"]["extData"], json!({"line": "二", "_package_udi": "for the lamp"}));
}
