//! Devices that ask for their upgrade by themselves.

use ota_tests::{Call, World, json, minutes};

#[test]
fn r158_a_device_that_asks_is_answered_with_its_upgrade_and_is_then_notified() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    lamp.disconnect();
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, json!({}));
    lamp.connect_silently();
    let reply = lamp.ask();
    assert_eq!((&reply["code"], &reply["id"]), (&json!(200), &json!("7")));
    assert_eq!(reply["data"]["version"], "1.1.0");
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
    world.run(minutes(1));
    assert!(lamp.told().is_empty(), "it need not be told again");
}

#[test]
fn r158_a_device_that_asks_for_nothing_is_answered_with_nothing() {
    let world = World::new().product("lamp").devices(1);
    assert_eq!(world.device("lamp-1").ask()["data"], json!({}));
    world.device("lamp-1").report("1.1.0");
    assert_eq!(world.device("lamp-1").ask()["data"], json!({}));
}

#[test]
fn r159_the_older_request_is_answered_on_the_upgrade_topic() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    let topic = format!("/ota/device/request/{}/lamp-1", world.product_key());
    lamp.say(&topic, &json!({"id": 1, "params": {"version": "1.0.0"}}));
    assert!(world.published().is_empty(), "it has no word for nothing");
    lamp.disconnect();
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    lamp.connect_silently();
    lamp.say(&topic, &json!({"id": 1, "params": {"version": "1.0.0"}}));
    assert_eq!(lamp.told().remove(0).message["code"], "1000");
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
}

#[test]
fn r158_an_answer_that_the_broker_did_not_take_is_asked_for_again() {
    let world = World::new().product("lamp").devices(1);
    let topic = format!("/sys/{}/lamp-1/thing/ota/firmware/get", world.product_key());
    let ask =
        Call::post(format!("/internal/device-messages?topic={topic}"), &json!({"id": "1", "params": {}}));
    world.engine().set_broker_down(true);
    let answer = world.send_once(&ask);
    assert_eq!(answer.problem(), "503 broker.unreachable");
    assert_eq!(answer.header("retry-after"), "1");
    world.engine().set_broker_down(false);
    let _taken = world.send_once(&ask).expect(204);
}

#[test]
fn r132_what_a_device_says_of_another_module_does_not_concern_the_task() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let lamp = world.device("lamp-1");
    lamp.report_module("mcu", "1.1.0");
    let progress = format!("/ota/device/progress/{}/lamp-1", world.product_key());
    lamp.say(&progress, &json!({"id": "1", "params": {"step": "-1", "module": "mcu"}}));
    assert_eq!(batch.outcome(), ["lamp-1 notified"]);
}

#[test]
fn a_message_that_cannot_be_read_is_logged_and_dropped() {
    let world = World::new().product("lamp").devices(1);
    let key = world.product_key();
    for (topic, payload) in [
        ("/no/such/topic".to_owned(), "{}".to_owned()),
        (format!("/ota/device/inform/{key}/lamp-1"), "{".to_owned()),
        (format!("/ota/device/inform/{key}/lamp-1"), r#"{"params": {"version": "a b"}}"#.to_owned()),
        (format!("/ota/device/progress/{key}/lamp-1"), r#"{"params": {"step": "101"}}"#.to_owned()),
        (format!("/ota/device/inform/{key}/nobody"), r#"{"params": {"version": "1.0.0"}}"#.to_owned()),
        (format!("/ota/device/inform/{key}/lamp-1"), "x".repeat(300_000)),
    ] {
        let lines = world.engine().log_lines().len();
        let call = Call::new("POST", format!("/internal/device-messages?topic={topic}")).bytes(payload);
        assert_eq!(world.send(&call).status, 204, "{topic}");
        assert_eq!(world.engine().log_lines().len(), lines + 1, "{topic}");
    }
    assert_eq!(world.device("lamp-1").get()["versions"][0]["version"], "1.0.0");
}
