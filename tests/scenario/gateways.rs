//! Devices behind a gateway.

use ota_tests::{Call, Gateway, Value, World, json, minutes, seconds};

/// A gateway `meter-1` that is connected, and meters behind it that never were.
fn meters(count: usize) -> (World, Gateway) {
    let world = World::new().product("meter");
    world.register(count + 1);
    let gateway = world.gateway("meter-1");
    gateway.device().connect("1.0.0");
    let names: Vec<String> = (2..count + 2).map(|n| format!("meter-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let _put = gateway.put_behind(&names).expect(204);
    (world, gateway)
}

fn names(world: &World, gateway: &Gateway) -> Vec<String> {
    let items = world.list(&gateway.path(), 1);
    items.iter().map(|item| item["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn r168_two_meters_are_upgraded_over_their_gateways_connection() {
    let (world, gateway) = meters(2);
    let subs = [world.device("meter-2"), world.device("meter-3")];
    for sub in &subs {
        assert_eq!(sub.get()["state"], "unactive");
        assert_eq!(gateway.login(sub.name()), 200);
        assert_eq!(sub.get()["state"], "online");
        sub.report("1.0.0");
    }
    let batch = world.batch_for(&world.ready_package("1.1.0"), &["meter-2", "meter-3"]);
    assert_eq!(batch.outcome(), ["meter-2 notified", "meter-3 notified"]);
    for sub in &subs {
        let told = sub.told();
        assert_eq!(told.len(), 1, "on its own topic");
        sub.progress(0, "");
        sub.progress(100, "");
        // It restarts, and its gateway with its connection stays.
        assert_eq!(gateway.logout(sub.name()), 200);
        assert_eq!(sub.get()["state"], "offline");
        assert_eq!(gateway.login(sub.name()), 200);
        sub.report(&told[0].version);
    }
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["meter-2 succeeded", "meter-3 succeeded"]);
    assert_eq!(batch.status(), "completed");
    assert_eq!(gateway.device().get()["state"], "online");
    assert!(gateway.device().told().is_empty());
}

#[test]
fn r168_sub_devices_go_offline_with_their_gateway_and_are_told_when_they_log_in_again() {
    let (world, gateway) = meters(2);
    let subs = [world.device("meter-2"), world.device("meter-3")];
    for sub in &subs {
        assert_eq!(gateway.login(sub.name()), 200);
        sub.report("1.0.0");
    }
    gateway.disconnect();
    for sub in &subs {
        assert_eq!(sub.get()["state"], "offline");
    }
    let batch = world.batch_for(&world.ready_package("1.1.0"), &["meter-2", "meter-3"]);
    gateway.device().connect("1.0.0");
    world.run(minutes(5));
    // The gateway's return alone is not theirs.
    let task = batch.task("meter-2");
    assert_eq!((&task["status"], &task["queued_because"]), (&json!("queued"), &json!("offline")));
    assert_eq!(gateway.login("meter-2"), 200);
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["meter-2 notified", "meter-3 queued"]);
    assert_eq!(subs[0].told().len(), 1);
}

#[test]
fn r168_who_is_refused_is_told_by_number_and_does_not_come_online() {
    let (world, gateway) = meters(1);
    let stranger = world.register(1).remove(0);
    let ask = |params: &Value| gateway.ask("login", params);
    let sub = world.device("meter-2");
    let right = gateway.credentials("meter-2", sub.secret());
    let mut unsigned = right.clone();
    unsigned["sign"] = Value::Null;
    for (params, code, message) in [
        (unsigned, 460, "request parameter error"),
        (json!([]), 460, "request parameter error"),
        (gateway.credentials("meter-9", "secret"), 6100, "device not found"),
        (gateway.credentials("meter-3", stranger.secret()), 6401, "topological relation not exist"),
        (gateway.credentials("meter-2", stranger.secret()), 6287, "invalid sign"),
    ] {
        let reply = ask(&params);
        assert_eq!((&reply["code"], &reply["message"]), (&json!(code), &json!(message)), "{params}");
        assert_eq!(reply["id"], "1");
    }
    assert_eq!(gateway.logout("meter-3"), 520);
    for device in [&sub, &stranger] {
        assert_eq!(device.get()["state"], "unactive");
    }
    let reply = ask(&right);
    let data = json!({"productKey": world.product_key(), "deviceName": "meter-2"});
    assert_eq!(reply, json!({"id": "1", "code": 200, "data": data, "message": "success"}));
    assert_eq!(sub.get()["state"], "online");
    let log = world.engine().log_lines().join("\n");
    assert!(!log.contains(sub.secret()) && !log.contains(right["sign"].as_str().unwrap()), "{log}");
}

#[test]
fn r167_a_gateway_speaks_for_its_own_sub_devices_only() {
    let (world, gateway) = meters(1);
    world.register(1);
    let other = world.gateway("meter-3");
    other.device().connect("1.0.0");
    assert_eq!(other.login("meter-2"), 6401, "though it knows the secret");
    assert_eq!(gateway.login("meter-2"), 200);
    assert_eq!(other.logout("meter-2"), 520);
    assert_eq!(world.device("meter-2").get()["state"], "online");
}

#[test]
fn r168_several_are_logged_in_together_or_not_at_all() {
    let (world, gateway) = meters(3);
    let entry = |name: &str| {
        let mut entry = gateway.credentials(name, world.device(name).secret());
        entry.as_object_mut().unwrap().remove("signMethod");
        entry
    };
    let states = || -> Vec<String> {
        let state =
            |n: usize| world.device(&format!("meter-{n}")).get()["state"].as_str().unwrap().to_owned();
        (2..5).map(state).collect()
    };
    let mut wrong = entry("meter-3");
    wrong["sign"] = json!("00");
    let list = json!({"signMethod": "hmacSha256", "deviceList": [entry("meter-2"), wrong, entry("meter-4")]});
    let reply = gateway.ask("batch_login", &list);
    assert_eq!(reply["code"], 6287);
    assert_eq!(reply["data"], json!([{"productKey": world.product_key(), "deviceName": "meter-3"}]));
    assert_eq!(states(), ["unactive"; 3]);

    let list = json!({"signMethod": "hmacSha256",
        "deviceList": [entry("meter-2"), entry("meter-3"), entry("meter-4")]});
    let reply = gateway.ask("batch_login", &list);
    assert_eq!((&reply["code"], reply["data"].as_array().unwrap().len()), (&json!(200), 3));
    assert_eq!(states(), ["online"; 3]);

    let named = |n: usize| json!({"productKey": world.product_key(), "deviceName": format!("meter-{n}")});
    let reply = gateway.ask("batch_logout", &json!([named(2), named(3)]));
    assert_eq!(reply["code"], 200);
    assert_eq!(states(), ["offline", "offline", "online"]);
}

#[test]
fn r168_a_login_that_cannot_be_answered_is_asked_for_again() {
    let (world, gateway) = meters(1);
    world.be_patient();
    world.engine().set_broker_down(true);
    let params = gateway.credentials("meter-2", world.device("meter-2").secret());
    assert_eq!(gateway.say("login", &params), 503);
    world.engine().set_broker_down(false);
    assert_eq!(gateway.say("login", &params), 204);
    assert_eq!(world.device("meter-2").get()["state"], "online");
}

#[test]
fn r168_an_operator_puts_devices_behind_a_gateway_and_takes_them_away() {
    let (world, gateway) = meters(3);
    assert_eq!(names(&world, &gateway), ["meter-2", "meter-3", "meter-4"]);
    let _again = gateway.put_behind(&["meter-3"]).expect(204);
    assert_eq!(gateway.login("meter-3"), 200);
    let _gone = gateway.take_away("meter-3").expect(204);
    assert_eq!(names(&world, &gateway), ["meter-2", "meter-4"]);
    assert_eq!(world.device("meter-3").get()["state"], "offline", "at once");
    assert_eq!(gateway.login("meter-3"), 6401);
    let _again = gateway.take_away("meter-3").expect(204);
}

#[test]
fn r168_a_device_of_another_product_may_stand_behind_a_gateway() {
    let (world, gateway) = meters(1);
    let made = world.send(&Call::post("/v1/products", &json!({"name": "valve"})).key("valve")).expect(201);
    let key = made.text_of("product_key");
    let uri = format!("/v1/products/{key}/devices");
    let _made = world.send(&Call::post(uri, &json!({"devices": [{"name": "v@lv:1"}]}))).expect(201);
    let listed = json!({"sub_devices": [{"product_key": key, "name": "v@lv:1"}]});
    let _put = world.send(&Call::post(gateway.path(), &listed)).expect(204);
    assert_eq!(world.list(&gateway.path(), 50)[1], json!({"product_key": key, "name": "v@lv:1"}));
    let _gone = world.send(&Call::delete(format!("{}/{key}/v%40lv%3A1", gateway.path()))).expect(204);
    assert_eq!(names(&world, &gateway), ["meter-2"]);
}

#[test]
fn r168_every_fault_of_a_request_about_sub_devices_is_told_at_once() {
    let (world, gateway) = meters(2);
    world.register(2);
    let other = world.gateway("meter-4");
    let refused = other.put_behind(&["meter-2", "meter-9", "meter-1", "meter-4", "meter-5"]);
    assert_eq!(
        refused.faults(),
        [
            "/sub_devices/0 device.has-gateway",
            "/sub_devices/1 device.unknown",
            "/sub_devices/2 device.is-gateway",
            "/sub_devices/3 device.is-gateway",
        ]
    );
    assert_eq!(refused.problem(), "422 request.invalid");
    assert!(names(&world, &other).is_empty(), "nor is the good one taken");
    assert_eq!(other.put_behind(&["meter-2"]).problem(), "409 device.has-gateway");
    assert_eq!(world.gateway("meter-2").put_behind(&["meter-5"]).problem(), "409 device.is-sub-device");

    let key = world.product_key();
    let malformed = json!({"sub_devices": [
        {"name": "meter-5"},
        {"product_key": key, "name": "no"},
        {"product_key": key, "name": "meter-5", "more": 1},
        {"product_key": key, "name": "meter-5"},
    ]});
    let refused = world.send(&Call::post(gateway.path(), &malformed));
    let mut faults = refused.faults();
    faults.sort();
    assert_eq!(
        faults,
        [
            "/sub_devices/0/product_key value.missing",
            "/sub_devices/1/name value.length",
            "/sub_devices/2/more value.not-allowed",
            "/sub_devices/3 value.duplicate",
        ]
    );
    let many: Vec<String> = (0..101).map(|n| format!("meter-{n:03}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(gateway.put_behind(&many).faults(), ["/sub_devices value.too-many"]);
    assert_eq!(gateway.put_behind(&[]).faults(), ["/sub_devices value.missing"]);
    let nobody = gateway.path().replace("meter-1", "meter-9");
    assert_eq!(world.send(&Call::get(&nobody)).problem(), "404 request.not-found");
    assert_eq!(world.send(&Call::delete(format!("{nobody}/{key}/meter-2"))).status, 404);
}

#[test]
fn r168_deleting_a_gateway_or_a_sub_device_ends_what_was_between_them() {
    let (world, gateway) = meters(2);
    assert_eq!(gateway.login("meter-2"), 200);
    world.device("meter-2").delete();
    assert_eq!(names(&world, &gateway), ["meter-3"]);
    gateway.device().delete();
    world.register(1);
    let detached: Vec<Value> = world
        .published()
        .into_iter()
        .filter(|message| message.topic.starts_with("/overair/sub-device/"))
        .filter_map(|message| message.payload["detach"][0].get("deviceName").cloned())
        .collect();
    assert_eq!(detached, ["meter-2", "meter-3"], "the broker is told of both");
    // The device that is left may stand behind another gateway.
    let heir = world.gateway("meter-2");
    let _put = heir.put_behind(&["meter-3"]).expect(204);
}
