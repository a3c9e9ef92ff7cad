//! A device that upgrades several of its modules at once.

use ota_tests::{Batch, Device, World, json, minutes, seconds};

/// A device with the modules `mcu` and `wifi`, on 7 and 3.
fn with_modules() -> (World, Device) {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    for (module, version) in [("mcu", "7"), ("wifi", "3")] {
        world.add_module(module);
        lamp.report_module(module, version);
    }
    (world, lamp)
}

/// Batches for `mcu`, for `wifi` and for the whole device, each for its module only.
fn one_for_each(world: &World) -> [Batch; 3] {
    let packages = [
        world.ready_package_of("mcu", "8"),
        world.ready_package_of("wifi", "4"),
        world.ready_package("1.1.0"),
    ];
    packages.map(|package| world.batch(&package, json!({"multi_module": true})))
}

#[test]
fn r141_a_device_is_in_one_task_for_each_module_if_the_batches_say_so() {
    let (world, lamp) = with_modules();
    let [mcu, wifi, whole] = one_for_each(&world);
    for batch in [&mcu, &wifi, &whole] {
        assert_eq!(batch.outcome(), ["lamp-1 notified"]);
        assert_eq!(batch.get()["multi_module"], true);
    }
    let told: Vec<String> = lamp.told().into_iter().map(|upgrade| upgrade.version).collect();
    assert_eq!(told, ["8", "4", "1.1.0"]);
    assert_eq!(lamp.get()["tasks"].as_array().map(Vec::len), Some(3));
    let second = world.batch(&world.ready_package_of("mcu", "9"), json!({"multi_module": true}));
    assert_eq!(second.outcome(), ["lamp-1 failed device-busy"], "not two for one module");
    lamp.report_module("wifi", "4");
    lamp.report("1.1.0");
    lamp.report_module("mcu", "8");
    world.run(seconds(10));
    for batch in [&mcu, &wifi, &whole] {
        assert_eq!((batch.outcome()[0].as_str(), batch.status().as_str()), ("lamp-1 succeeded", "completed"));
    }
}

#[test]
fn r135_r141_a_batch_that_does_not_say_so_wants_the_whole_device() {
    let (world, _lamp) = with_modules();
    let mcu = world.batch(&world.ready_package_of("mcu", "8"), json!({"multi_module": true}));
    let wifi = world.batch(&world.ready_package_of("wifi", "4"), json!({}));
    assert_eq!(wifi.outcome(), ["lamp-1 failed device-busy"]);
    let _canceled = mcu.cancel(&json!({"notified": true})).expect(202);
    let wifi = world.batch(&world.ready_package_of("wifi", "5"), json!({}));
    assert_eq!(wifi.outcome(), ["lamp-1 notified"]);
    let mcu = world.batch(&world.ready_package_of("mcu", "9"), json!({"multi_module": true}));
    assert_eq!(mcu.outcome(), ["lamp-1 failed device-busy"], "nor the other way round");
}

#[test]
fn r137_r141_a_batch_for_the_whole_device_overwrites_the_tasks_of_all_modules() {
    let (world, lamp) = with_modules();
    let [mcu, wifi, whole] = one_for_each(&world);
    let new = world.batch(&world.ready_package("1.2.0"), json!({"overwrite": true}));
    for batch in [&mcu, &wifi, &whole] {
        assert_eq!(batch.outcome(), ["lamp-1 canceled overwritten"]);
    }
    assert_eq!(new.outcome(), ["lamp-1 notified"]);
    assert_eq!(lamp.told().last().unwrap().version, "1.2.0");
}

#[test]
fn r138_r141_one_module_in_progress_keeps_the_others_too() {
    let (world, lamp) = with_modules();
    let [mcu, wifi, whole] = one_for_each(&world);
    lamp.progress_module("wifi", 10);
    let new = world.batch(&world.ready_package("1.2.0"), json!({"overwrite": true}));
    assert_eq!(new.outcome(), ["lamp-1 failed device-busy"]);
    let found = [&mcu, &wifi, &whole].map(|batch| batch.outcome().remove(0));
    assert_eq!(found, ["lamp-1 notified", "lamp-1 in-progress", "lamp-1 notified"]);
}

#[test]
fn r141_such_a_batch_does_not_overwrite() {
    let (world, _lamp) = with_modules();
    let package = world.ready_package_of("mcu", "8");
    let refused = world.try_batch(&package, &json!({"multi_module": true, "overwrite": true}));
    assert_eq!(refused.problem(), "422 batch.multi-module-overwrite");
    assert_eq!(world.try_batch(&package, &json!({"multi_module": true, "overwrite": false})).status, 201);
}

#[test]
fn r132_what_a_device_says_of_one_module_leaves_the_others_alone() {
    let (world, lamp) = with_modules();
    let [mcu, wifi, whole] = one_for_each(&world);
    let stand = || [&mcu, &wifi, &whole].map(|batch| batch.outcome().remove(0));
    lamp.progress_module("mcu", 40);
    assert_eq!(stand(), ["lamp-1 in-progress", "lamp-1 notified", "lamp-1 notified"]);
    assert_eq!(mcu.task("lamp-1")["progress"], 40);
    lamp.report_module("wifi", "3.5");
    world.run(seconds(10));
    assert_eq!(stand(), ["lamp-1 in-progress", "lamp-1 failed version-mismatch", "lamp-1 notified"]);
    lamp.progress(-3, "");
    world.run(seconds(10));
    let expected = ["lamp-1 in-progress", "lamp-1 failed version-mismatch", "lamp-1 failed verify-failed"];
    assert_eq!(stand(), expected);
    lamp.progress_module("camera", -1);
    lamp.report_module("mcu", "8");
    assert_eq!(stand()[0], "lamp-1 succeeded");
}

#[test]
fn r132_in_an_ordinary_batch_only_its_own_module_counts_too() {
    let (world, lamp) = with_modules();
    let batch = world.batch(&world.ready_package_of("mcu", "8"), json!({}));
    lamp.progress(50, "");
    lamp.progress_module("wifi", -1);
    lamp.report_module("wifi", "9");
    lamp.report("8");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
}

#[test]
fn r123_r141_each_module_has_its_own_time() {
    let (world, lamp) = with_modules();
    let timed = |package, minutes: u32| {
        world.batch(&package, json!({"multi_module": true, "timeout_minutes": minutes}))
    };
    let mcu = timed(world.ready_package_of("mcu", "8"), 5);
    let wifi = timed(world.ready_package_of("wifi", "4"), 30);
    lamp.progress_module("mcu", 1);
    lamp.progress_module("wifi", 1);
    world.run(minutes(6));
    assert_eq!(mcu.outcome(), ["lamp-1 failed timeout"]);
    assert_eq!(wifi.outcome(), ["lamp-1 in-progress"]);
}

#[test]
fn r141_r158_a_device_asks_for_each_module_by_its_name() {
    let (world, lamp) = with_modules();
    let packages = [world.ready_package_of("mcu", "8"), world.ready_package_of("wifi", "4")];
    let [mcu, wifi] =
        packages.map(|package| world.batch(&package, json!({"multi_module": true, "push": false})));
    let answer = lamp.ask_module("wifi");
    assert_eq!((&answer["data"]["version"], &answer["data"]["module"]), (&json!("4"), &json!("wifi")));
    assert_eq!((mcu.outcome()[0].as_str(), wifi.outcome()[0].as_str()), ("lamp-1 queued", "lamp-1 notified"));
    assert_eq!(lamp.ask()["data"], json!({}), "nothing for the whole device");
    assert_eq!(lamp.ask_module("mcu")["data"]["version"], "8");
}

#[test]
fn r91_r141_all_modules_are_told_when_the_device_connects() {
    let (world, lamp) = with_modules();
    lamp.disconnect();
    let _batches = one_for_each(&world);
    lamp.connect("1.0.0");
    world.run(seconds(10));
    let mut told: Vec<String> = lamp.told().into_iter().map(|upgrade| upgrade.version).collect();
    told.sort();
    assert_eq!(told, ["1.1.0", "4", "8"]);
}

#[test]
fn r141_t21_a_device_that_is_deleted_leaves_the_tasks_of_all_its_modules() {
    let (world, lamp) = with_modules();
    let [mcu, wifi, whole] = one_for_each(&world);
    lamp.progress_module("mcu", 5);
    lamp.delete();
    world.run(seconds(10));
    for batch in [&mcu, &wifi, &whole] {
        assert_eq!(batch.outcome(), ["lamp-1 canceled device-deleted"]);
        assert_eq!(batch.status(), "completed");
    }
}
