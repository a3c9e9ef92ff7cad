//! Lists in pages: every item once, whatever the size of the pages.

use std::collections::BTreeSet;

use ota_tests::{Call, Value, World, json, seconds};

/// Every page size gives the same items, each once.
#[track_caller]
fn once_each(world: &World, uri: &str, id: &str, count: usize) {
    for limit in [1, 3, 7, 100] {
        let items = world.list(uri, limit);
        let ids: BTreeSet<&str> = items.iter().filter_map(|item| item[id].as_str()).collect();
        assert_eq!((items.len(), ids.len()), (count, count), "{uri} by {limit}");
    }
}

#[test]
fn products_are_listed_once_each() {
    let mut world = World::new();
    for n in 0..10 {
        world = world.product(&format!("lamp-{n}"));
    }
    once_each(&world, "/v1/products", "product_key", 10);
}

#[test]
fn devices_are_listed_once_each() {
    let world = World::new().product("lamp");
    world.register(150);
    once_each(&world, &format!("/v1/products/{}/devices", world.product_key()), "name", 150);
}

#[test]
fn r180_packages_are_listed_once_each_by_product_and_version() {
    let world = World::new().product("bulb");
    let _bulb = world.package("1.0");
    let other = world.product_key();
    let world = world.product("lamp");
    for n in 0..12 {
        world.package(&format!("1.{n}"));
    }
    once_each(&world, "/v1/packages", "package_id", 13);
    once_each(&world, &format!("/v1/packages?product_key={other}"), "package_id", 1);
    once_each(&world, &format!("/v1/packages?product_key={}", world.product_key()), "package_id", 12);
    once_each(&world, "/v1/packages?target_version=1.0", "package_id", 2);
    once_each(&world, &format!("/v1/packages?target_version=1.0&product_key={other}"), "package_id", 1);
}

#[test]
fn batches_are_listed_once_each_newest_first() {
    let world = World::new().product("lamp").devices(1);
    let (one, two) = (world.ready_package("1.1"), world.ready_package("1.2"));
    let mut ids = Vec::new();
    for n in 0..11 {
        ids.push(world.batch(if n % 3 == 0 { &two } else { &one }, json!({})).id);
    }
    once_each(&world, "/v1/batches", "batch_id", 11);
    once_each(&world, &format!("/v1/batches?package_id={}", one.id), "batch_id", 7);
    let listed: Vec<Value> =
        world.list("/v1/batches", 4).iter().map(|batch| batch["batch_id"].clone()).collect();
    ids.reverse();
    assert_eq!(listed, ids);
}

#[test]
fn r173_tasks_are_listed_once_each_by_status() {
    let world = World::new().product("lamp").devices(120);
    let batch = world.batch(&world.ready_package("1.1"), json!({}));
    let devices = world.all_devices();
    devices[..40].iter().for_each(|device| device.upgrade());
    devices[40..60].iter().for_each(|device| device.progress(5, ""));
    devices[60..65].iter().for_each(|device| device.progress(-1, ""));
    let uri = format!("/v1/batches/{}/tasks", batch.id);
    for moment in ["before the ends are in the history", "after"] {
        once_each(&world, &uri, "device_name", 120);
        for (status, count) in [
            ("succeeded", 40),
            ("in-progress", 20),
            ("failed", 5),
            ("notified", 55),
            ("queued", 0),
            ("canceled", 0),
        ] {
            let listed = world.list(&format!("{uri}?status={status}"), 7);
            assert_eq!(listed.len(), count, "{status} {moment}");
        }
        world.run(seconds(10));
    }
}

#[test]
fn tasks_of_named_devices_are_listed_once_each() {
    let world = World::new().product("lamp").devices(60);
    let names: Vec<String> = (1..=50).map(|n| format!("lamp-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let batch = world.batch_for(&world.ready_package("1.1"), &names);
    world.all_devices()[..20]
        .iter()
        .filter(|device| names.contains(&device.name()))
        .for_each(|d| d.upgrade());
    once_each(&world, &format!("/v1/batches/{}/tasks", batch.id), "device_name", 50);
}

#[test]
fn a_limit_or_cursor_that_is_none_is_refused_on_every_list() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1"), json!({}));
    let lists = [
        "/v1/products".to_owned(),
        format!("/v1/products/{}/devices", world.product_key()),
        "/v1/packages".to_owned(),
        "/v1/batches".to_owned(),
        format!("/v1/batches/{}/tasks", batch.id),
    ];
    for uri in lists {
        for limit in ["0", "201", "-1", "many", ""] {
            let refused = world.send(&Call::get(format!("{uri}?limit={limit}")));
            assert_eq!(refused.faults(), ["query:limit value.range"], "{uri} {limit}");
        }
        let refused = world.send(&Call::get(format!("{uri}?cursor=nowhere")));
        assert_eq!(refused.faults(), ["query:cursor value.malformed"], "{uri}");
        let refused = world.send(&Call::get(format!("{uri}?page=1&size=2")));
        assert_eq!(
            refused.faults(),
            ["query:page value.not-allowed", "query:size value.not-allowed"],
            "{uri}"
        );
    }
    let refused = world.send(&Call::get(format!("/v1/batches/{}/tasks?status=done", batch.id)));
    assert_eq!(refused.faults(), ["query:status value.not-one-of"]);
    let refused = world.send(&Call::get("/v1/batches?package_id=x"));
    assert_eq!(refused.faults(), ["query:package_id value.malformed"]);
}

#[test]
fn cursors_from_elsewhere_break_nothing() {
    let world = World::new().product("lamp").devices(3);
    let batch = world.batch(&world.ready_package("1.1"), json!({}));
    let key = world.product_key();
    for uri in [
        "/v1/products?cursor=18446744073709551615".to_owned(),
        format!("/v1/products/{key}/devices?cursor=4294967295.x"),
        format!("/v1/packages?cursor={}", "0".repeat(32)),
        "/v1/batches?cursor=4294967295.4294967295".to_owned(),
        "/v1/batches?cursor=0.0".to_owned(),
        format!("/v1/batches/{}/tasks?cursor=18446744073709551615.", batch.id),
    ] {
        assert_eq!(world.send(&Call::get(&uri)).status, 200, "{uri}");
    }
}
