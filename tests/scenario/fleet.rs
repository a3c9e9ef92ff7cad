//! Products and devices: registering, versions, deleting.

use ota_tests::{Call, World, json, minutes, seconds};

#[test]
fn a_product_name_is_taken_once() {
    let world = World::new().product("lamp");
    let again = world.send(&Call::post("/v1/products", &json!({"name": "lamp"})));
    assert_eq!(again.problem(), "409 product.name-taken");
}

#[test]
fn registering_a_device_again_answers_its_secret_and_changes_nothing() {
    let world = World::new().product("lamp").devices(1);
    let uri = format!("/v1/products/{}/devices", world.product_key());
    let register = |device: &ota_tests::Value| world.send(&Call::post(&uri, &json!({"devices": [device]})));
    let known = register(&json!({"name": "lamp-1"})).expect(201).json();
    assert_eq!(known["devices"][0]["secret"], world.device("lamp-1").secret());
    assert_eq!(world.device("lamp-1").get()["state"], "online");
    let other = register(&json!({"name": "lamp-1", "secret": "another"}));
    assert_eq!(other.faults(), ["/devices/0/name device.exists"]);
    assert_eq!(other.status, 409);
    let own = register(&json!({"name": "lamp-2", "secret": "brought-along"})).expect(201).json();
    assert_eq!(own["devices"][0]["secret"], "brought-along");
}

#[test]
fn a_secret_is_told_only_when_a_device_is_registered() {
    let world = World::new().product("lamp").devices(1);
    let told = format!(
        "{}{:?}",
        world.device("lamp-1").get(),
        world.list(&format!("/v1/products/{}/devices", world.product_key()), 50)
    );
    assert!(!told.contains(world.device("lamp-1").secret()));
}

#[test]
fn a_device_is_unactive_then_online_then_offline() {
    let world = World::new().product("lamp");
    let lamp = world.register(1).remove(0);
    assert_eq!(lamp.get()["state"], "unactive");
    lamp.connect("1.0.0");
    assert_eq!(lamp.get()["state"], "online");
    world.advance(minutes(1));
    lamp.disconnect();
    assert_eq!(lamp.get()["state"], "offline");
    assert_eq!(lamp.get()["activated_at"], ota_tests::START_MS);
}

#[test]
fn r171_a_version_is_noted_when_it_changes_with_the_one_before() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    world.advance(minutes(1));
    lamp.report("1.0.0");
    let first = ota_tests::START_MS;
    assert_eq!(
        lamp.get()["versions"],
        json!([{"module": "default", "version": "1.0.0", "reported_at": first}])
    );
    lamp.report("1.0.1");
    lamp.report_module("mcu", "7");
    let now = world.now_ms();
    assert_eq!(
        lamp.get()["versions"],
        json!([
            {"module": "default", "version": "1.0.1", "reported_at": now, "previous": "1.0.0"},
            {"module": "mcu", "version": "7", "reported_at": now},
        ])
    );
}

#[test]
fn a_device_shows_the_task_it_is_in() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    assert!(lamp.get().get("task").is_none());
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    assert_eq!(lamp.get()["tasks"], ota_tests::json!([batch.task("lamp-1")]));
    lamp.upgrade();
    assert!(lamp.get().get("task").is_none());
}

#[test]
fn t21_deleting_a_device_cancels_its_task() {
    let world = World::new().product("lamp").devices(3);
    world.device("lamp-1").disconnect();
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-2").progress(10, "");
    let delete = |name: &str| {
        world.send(&Call::delete(format!("/v1/products/{}/devices/{name}", world.product_key())))
    };
    let _gone = delete("lamp-1").expect(204);
    let _gone = delete("lamp-2").expect(204);
    assert_eq!(delete("lamp-2").problem(), "404 request.not-found");
    let ended = ["lamp-1 canceled device-deleted", "lamp-2 canceled device-deleted", "lamp-3 notified"];
    assert_eq!(batch.outcome(), ended);
    world.device("lamp-3").upgrade();
    world.run(seconds(10));
    assert_eq!(batch.status(), "completed", "nobody canceled the batch");
    assert_eq!(batch.get()["counts"]["canceled"], 2);
}

#[test]
fn a_device_that_is_registered_anew_begins_anew() {
    let world = World::new().product("lamp").devices(2);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let old = world.device("lamp-1").secret().to_owned();
    let uri = format!("/v1/products/{}/devices", world.product_key());
    let _gone = world.send(&Call::delete(format!("{uri}/lamp-1"))).expect(204);
    let made = world.send(&Call::post(&uri, &json!({"devices": [{"name": "lamp-1"}]}))).expect(201).json();
    assert_ne!(made["devices"][0]["secret"], old);
    let told = world.get(format!("{uri}/lamp-1"));
    assert_eq!((&told["state"], &told["versions"]), (&json!("unactive"), &json!([])));
    assert_eq!(batch.outcome(), ["lamp-1 canceled device-deleted", "lamp-2 notified"]);
}

#[test]
fn what_a_deleted_device_says_is_dropped() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    let uri = format!("/v1/products/{}/devices/lamp-1", world.product_key());
    let _gone = world.send(&Call::delete(&uri)).expect(204);
    lamp.report("1.1.0");
    assert_eq!(world.send(&Call::get(&uri)).status, 404);
}
