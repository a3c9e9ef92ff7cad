//! Events on their way to webhooks, when all goes well.

use ota_core::event::Event;
use ota_core::ids::{DeviceName, DeviceRef, ModuleName, ProductKey, Version};
use ota_core::time::Timestamp;
use ota_store::events;
use ota_tests::{Call, Received, Value, World, json, minutes, reply, seconds};

/// Lists so many events, as if devices had reported so many versions.
pub(crate) fn happen(world: &World, count: u64) {
    let product_key = ProductKey::new(&world.product_key()).expect("the service makes good keys");
    let device = DeviceRef { product_key, device_name: DeviceName::new("lamp-1").expect("a good name") };
    let made = (0..count).map(|n| {
        let version = Version::new(&format!("{}-{n}", world.next("v"))).expect("a good version");
        Event::version_changed(&device, &ModuleName::default_module(), &version, Timestamp(world.now_ms()))
    });
    let made = made.collect();
    world.block_on(events::append(world.kv(), made, Timestamp(world.now_ms()))).expect("the store works");
}

pub(crate) fn counts(world: &World, webhook: &str) -> Value {
    world.get(format!("/v1/webhooks/{webhook}"))["counts"].clone()
}

/// What some requests tell: type and one field of each.
fn told(received: &[Received], field: &str) -> Vec<String> {
    let words = |one: &Received| {
        let event = one.event();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        format!("{} {}", text(&event["type"]), text(&event["data"][field]))
    };
    received.iter().map(words).collect()
}

#[test]
fn r170_r171_r172_every_event_arrives_as_a_cloud_event_with_the_vendors_fields() {
    let world = World::new();
    let receiver = world.receiver();
    let (id, _) = world.webhook(&json!({"url": "https://hooks.test/in?token=1"}));
    let world = world.product("lamp").devices(1);
    let _batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").upgrade();
    world.run(minutes(1));
    let received = receiver.received();
    let listed = world.events("");
    assert_eq!(received.len(), listed.len(), "each once: {received:?}");
    for event in &listed {
        let one = received.iter().find(|one| one.id() == event["event_id"]).expect("each has arrived");
        assert_eq!(one.url, "https://hooks.test/in?token=1");
        assert_eq!(one.header("content-type"), "application/cloudevents+json; charset=utf-8");
        assert_eq!(one.header("content-length"), one.body.len().to_string());
        let sent = one.event();
        let (kind, subject) = match event["type"].as_str() {
            Some("task-ended") => ("task.finished", "devices/lamp-1".to_owned()),
            Some("version-changed") => ("version.changed", "devices/lamp-1".to_owned()),
            _ => ("batch.status", format!("batches/{}", event["payload"]["jobId"].as_str().unwrap())),
        };
        let expected = json!({
            "specversion": "1.0",
            "id": event["event_id"],
            "source": format!("/overair/products/{}", world.product_key()),
            "type": format!("dev.overair.{kind}"),
            "subject": subject,
            "time": sent["time"],
            "datacontenttype": "application/json",
            "data": event["payload"],
        });
        assert_eq!(sent, expected);
        assert!(sent["time"].as_str().is_some_and(|time| time.starts_with("2023-11-14T22:13:")), "{sent}");
    }
    let kinds = told(&received, "status");
    let expected = [
        "dev.overair.version.changed ",
        "dev.overair.batch.status IN_PROGRESS",
        "dev.overair.task.finished SUCCEEDED",
        "dev.overair.version.changed ",
        "dev.overair.batch.status COMPLETED",
    ];
    assert!(expected.iter().all(|kind| kinds.iter().any(|told| told == kind)), "{kinds:?}");
    let all = json!({"behind": 0, "pending": 0, "delivered": 5, "dead": 0, "dropped": 0, "missed": 0});
    assert_eq!(counts(&world, &id), all);
    let delivery = world.deliveries(&id, "delivered").pop().unwrap();
    let expected = json!({
        "delivery_id": delivery["event_id"], "event_id": delivery["event_id"],
        "event_type": delivery["event_type"], "status": "delivered", "attempts": 1, "last_status": 204,
        "created_at": delivery["created_at"], "delivered_at": delivery["created_at"],
    });
    assert_eq!(delivery, expected);
}

#[test]
fn a_webhook_is_told_of_its_types_and_product_and_of_what_comes_after_it() {
    let world = World::new().product("lamp").devices(2);
    let lamp = world.product_key();
    world.run(seconds(10));
    let receiver = world.receiver();
    let _all = world.webhook(&json!({"url": "https://all.test/"}));
    let _batches = world.webhook(&json!({"url": "https://batches.test/", "event_types": ["batch.status"]}));
    let _lamps = world.webhook(&json!({"url": "https://lamps.test/", "product_key": lamp}));
    let _batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let world = world.product("bulb").devices(3);
    world.run(seconds(10));
    let received = receiver.received();
    let at = |host: &str| received.iter().filter(|one| one.url.contains(host)).count();
    assert_eq!((at("all.test"), at("batches.test"), at("lamps.test")), (4, 1, 1));
}

#[test]
fn without_webhooks_a_tick_costs_one_read_more_and_with_idle_ones_one_for_each() {
    let world = World::new().product("lamp");
    let tick = || world.operations(|| drop(world.tick()));
    let observer = world.observe();
    world.tick();
    assert_eq!(observer.count(&["get", "read"], |key| key.starts_with("webhook") || key == "events"), 1);
    let before = tick();
    for _ in 0..3 {
        let _made = world.webhook(&json!({}));
    }
    world.tick();
    let after = tick();
    assert_eq!(after.reads, before.reads + 4, "the list of events, and each one's queue");
    assert_eq!((after.writes, after.swaps), (before.writes, before.swaps));
}

#[test]
fn a_test_says_that_it_is_one_and_arrives_whatever_the_webhook_is_told() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, _) = world.webhook(&json!({"event_types": ["batch.status"]}));
    let queued = world.send(&Call::new("POST", format!("/v1/webhooks/{id}/test"))).expect(202).json();
    assert_eq!((&queued["event_type"], &queued["status"]), (&json!("webhook.test"), &json!("pending")));
    assert_eq!(receiver.received().len(), 0, "the dispatcher sends it");
    world.run(seconds(5));
    let received = receiver.received();
    assert_eq!(received.len(), 1);
    let event = received[0].event();
    assert_eq!(
        (&event["type"], &event["data"]),
        (&json!("dev.overair.webhook.test"), &json!({"webhook_id": id}))
    );
    assert_eq!(
        (&event["id"], event["id"].as_str()),
        (&queued["event_id"], Some(received[0].header("webhook-id")))
    );
    assert_eq!(world.events(""), Vec::<Value>::new(), "it is no event");
}

#[test]
fn deliveries_are_listed_newest_first_in_pages_and_by_status() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, _) = world.webhook(&json!({}));
    happen(&world, 5);
    world.run(seconds(5));
    receiver.answer(|_| reply(500));
    happen(&world, 4);
    world.run(seconds(5));
    let uri = format!("/v1/webhooks/{id}/deliveries");
    let listed = world.list(&uri, 2);
    let statuses: Vec<&str> = listed.iter().filter_map(|one| one["status"].as_str()).collect();
    assert_eq!(statuses, [["pending"; 4].as_slice(), &["delivered"; 5]].concat());
    let count = |status: &str| world.deliveries(&id, status).len();
    assert_eq!((count("pending"), count("delivered"), count("dead")), (4, 5, 0));
    let pending = world.deliveries(&id, "pending").remove(0);
    assert_eq!((&pending["attempts"], &pending["last_status"]), (&json!(1), &json!(500)));
    assert!(
        pending["next_attempt_at"].as_u64() > Some(world.now_ms()) && pending.get("delivered_at").is_none()
    );
}

#[test]
fn more_than_can_wait_waits_in_the_list_and_arrives_too() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, _) = world.webhook(&json!({}));
    receiver.answer(|_| reply(503));
    happen(&world, 1_300);
    world.run(minutes(1));
    let counted = counts(&world, &id);
    assert_eq!((&counted["pending"], &counted["behind"]), (&json!(1_000), &json!(300)));
    receiver.answer(|_| reply(200));
    receiver.received();
    world.run(minutes(20));
    assert_eq!(receiver.taken().len(), 1_300);
    let counted = counts(&world, &id);
    assert_eq!(
        (&counted["pending"], &counted["behind"], &counted["delivered"]),
        (&json!(0), &json!(0), &json!(1_300))
    );
    assert_eq!(world.deliveries(&id, "").len(), 100, "the latest are kept");
}

#[test]
fn a_slow_receiver_does_not_keep_others_waiting() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let clock = world.engine().clone();
    receiver.answer(move |received| {
        if received.url.contains("slow.test") {
            clock.advance_ms(10_000);
        }
        reply(200)
    });
    let _slow = world.webhook(&json!({"url": "https://slow.test/"}));
    let _quick = world.webhook(&json!({"url": "https://quick.test/"}));
    happen(&world, 40);
    let mut quick = 0;
    for _ in 0..2 {
        world.advance(seconds(1));
        let before = world.now_ms();
        world.tick();
        assert!(world.now_ms() - before <= 60_000, "a tick ends in time");
        quick += receiver.received().iter().filter(|one| one.url.contains("quick.test")).count();
    }
    assert_eq!(quick, 40, "in the tick in which it came first, at the latest");
    world.run(minutes(10));
    let slow: Vec<String> = receiver.received().iter().map(Received::id).collect();
    assert!(slow.len() >= 30, "{}", slow.len());
}
