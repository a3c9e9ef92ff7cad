//! A share of the devices first.

use std::collections::BTreeSet;

use ota_tests::{
    Batch, Call, Value, World, invariant_counts_are_the_sum_of_the_tasks, json, minutes, seconds,
};

fn gray(percent: &str) -> Value {
    json!({"target": {"selection": "gray", "gray_percent": percent}})
}

fn names(batch: &Batch) -> BTreeSet<String> {
    let name = |task: &Value| task["device_name"].as_str().map(str::to_owned);
    batch.tasks().iter().filter_map(name).collect()
}

#[test]
fn r69_r70_the_share_is_rounded_down_and_at_least_one() {
    for (devices, percent, expected) in [
        (100, "33.33", 33),
        (100, "29", 29),
        (3, "1", 1),
        (3, "33.333", 1),
        (1, "0.001", 1),
        (7, "100", 7),
        (10, "99.999", 9),
    ] {
        let world = World::new().product("lamp").devices(devices);
        let batch = world.batch(&world.ready_package("1.1.0"), gray(percent));
        let told = batch.get();
        assert_eq!(told["counts"]["total"], expected, "{percent} % of {devices}");
        assert_eq!(told["target"], json!({"selection": "gray", "gray_percent": percent}));
        assert_eq!((world.pushes(), batch.tasks().len()), (expected, expected));
        world.run(minutes(1));
        assert_eq!(batch.get()["counts"]["total"], expected, "{percent} % of {devices}, later");
    }
}

#[test]
fn r69_the_share_of_a_fleet_of_many_shards_is_exact() {
    let world = World::new().product("lamp").devices(1_500);
    let batch = world.batch(&world.ready_package("1.1.0"), gray("12.345"));
    assert_eq!(batch.get()["counts"]["total"], 185);
    // Chosen at random: each hundred of the names has some of them, and none has all.
    let chosen = names(&batch);
    for hundred in 0..15 {
        let of_it =
            (hundred * 100 + 1..=hundred * 100 + 100).filter(|n| chosen.contains(&format!("lamp-{n}")));
        assert!((1..40).contains(&of_it.count()), "hundred {hundred}");
    }
    world.all_devices().iter().for_each(|device| {
        device.obey();
    });
    world.run(minutes(1));
    assert_eq!(
        (batch.status().as_str(), batch.get()["counts"]["succeeded"].clone()),
        ("completed", json!(185))
    );
}

#[test]
fn r69_of_a_fleet_larger_than_one_request_looks_at_the_share_is_exact_as_well() {
    let world = World::new().product("lamp").devices(4_400);
    let batch = world.batch(&world.ready_package("1.1.0"), gray("10"));
    world.run(minutes(1));
    let told = batch.get();
    assert_eq!((&told["expanded"], &told["counts"]["total"]), (&json!(true), &json!(440)));
    assert_eq!(batch.tasks().len(), 440);
    invariant_counts_are_the_sum_of_the_tasks(&batch);
}

#[test]
fn r69_another_batch_chooses_other_devices() {
    let world = World::new().product("lamp").devices(100);
    let one = world.batch(&world.ready_package("1.1.0"), gray("20"));
    let two = world.batch(&world.ready_package("1.2.0"), gray("20"));
    assert_eq!((names(&one).len(), names(&two).len()), (20, 20));
    assert_ne!(names(&one), names(&two));
}

#[test]
fn r69_with_source_versions_the_share_is_one_of_the_eligible_devices() {
    let world = World::new().product("lamp").devices(40);
    for n in 1..=20 {
        world.device(&format!("lamp-{n}")).report("0.9.0");
    }
    for n in 21..=24 {
        world.device(&format!("lamp-{n}")).report("1.1.0");
    }
    world.register(100);
    // Eligible are the sixteen on 1.0.0: neither those on other versions nor those that never connected.
    let mut asked = gray("25");
    asked["source_versions"] = json!(["1.0.0"]);
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    let chosen = names(&batch);
    assert_eq!(chosen.len(), 4);
    let eligible: BTreeSet<String> = (25..=40).map(|n| format!("lamp-{n}")).collect();
    assert!(chosen.is_subset(&eligible), "{chosen:?}");
}

#[test]
fn r69_r76_devices_that_come_later_are_neither_counted_nor_chosen() {
    let world = World::new().product("lamp").devices(50);
    let package = world.ready_package("1.1.0");
    let asked = json!({"package_id": package.id, "target": {"selection": "gray", "gray_percent": "10"}});
    let made = world.send(&Call::post("/v1/batches", &asked)).expect(201);
    let batch = world.find_batch(&made.text_of("batch_id"));
    let before = names(&batch);
    world.advance(seconds(1));
    let world = world.devices(500);
    world.run(minutes(1));
    assert_eq!((before.len(), names(&batch)), (5, before));
    let mut why = BTreeSet::new();
    for device in ["lamp-1", "lamp-2", "lamp-3", "lamp-4", "lamp-5", "lamp-6", "lamp-7", "lamp-500"] {
        let told = world.get(format!("/v1/batches/{}/devices/{device}/why", batch.id));
        why.insert(told["code"].as_str().unwrap_or_default().to_owned());
    }
    assert!(why.contains("not-in-the-share") && why.contains("activated-later"), "{why:?}");
}

#[test]
fn r69_a_share_whose_devices_are_busy_or_gone_is_not_made_up_from_others() {
    let world = World::new().product("lamp").devices(20);
    let one = world.batch(&world.ready_package("1.1.0"), json!({}));
    let two = world.batch(&world.ready_package("1.2.0"), gray("25"));
    assert_eq!(one.get()["counts"]["notified"], 20);
    assert!(two.outcome().iter().all(|words| words.ends_with("failed device-busy")), "{:?}", two.outcome());
    assert_eq!(two.outcome().len(), 5);
}

#[test]
fn r69_a_second_dispatcher_at_any_moment_does_not_change_the_share() {
    for at in 1.. {
        let world = World::new().product("lamp").devices(20);
        let package = world.ready_package("1.1.0");
        let answered = world.interrupt(at, Call::new("POST", "/internal/dispatch/tick"));
        let batch = world.batch(&package, gray("25"));
        let at_first = names(&batch);
        world.run(seconds(10));
        world.kv().clear_faults();
        if answered.get().is_none() {
            assert!(at > 50, "the story has only {at} operations");
            return;
        }
        assert_eq!((names(&batch).len(), world.pushes()), (5, 5), "operation {at}");
        assert!(at_first.is_subset(&names(&batch)), "operation {at}");
    }
}

#[test]
fn r68_r71_r89_what_no_share_can_be_is_told_by_name() {
    let world = World::new().product("lamp").devices(3);
    let package = world.ready_package("1.1.0");
    let faults = |asked: &Value| world.try_batch(&package, asked).faults();
    for (percent, fault) in [
        ("0", "value.range"),
        ("0.000", "value.range"),
        ("100.001", "value.range"),
        ("33.3333", "value.malformed"),
        ("-1", "value.malformed"),
        ("1e1", "value.malformed"),
        ("10%", "value.malformed"),
        ("", "value.malformed"),
    ] {
        assert_eq!(faults(&gray(percent)), [format!("/target/gray_percent {fault}")], "{percent}");
    }
    let missing = json!({"target": {"selection": "gray"}});
    assert_eq!(faults(&missing), ["/target/gray_percent value.missing"]);
    let elsewhere = json!({"target": {"selection": "all", "gray_percent": "10"}});
    assert_eq!(faults(&elsewhere), ["/target/gray_percent value.not-allowed"]);
    for target in [
        json!({"selection": "gray", "gray_percent": "10"}),
        json!({"selection": "specific", "devices": ["lamp-1"]}),
    ] {
        let asked = json!({"mode": "dynamic", "target": target, "source_versions": ["1.0.0"]});
        let told = faults(&asked);
        assert!(told.contains(&"/target/selection batch.dynamic-target".to_owned()), "{told:?}");
    }
    assert!(world.list("/v1/batches", 50).is_empty());
    let nobody = json!({"source_versions": ["0.1.0"], "target": {"selection": "gray", "gray_percent": "10"}});
    assert_eq!(world.try_batch(&package, &nobody).problem(), "422 batch.no-device");
}
