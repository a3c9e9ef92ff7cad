//! What happened, told in the vendor's words to whoever asks.

use std::collections::{BTreeMap, BTreeSet};

use ota_store::memory::{Fault, MemoryKv};
use ota_tests::{Call, Value, World, hours, json, minutes, seconds};

use crate::crash;

/// The values of one field of the payloads of some events.
fn told(events: &[Value], field: &str) -> Vec<String> {
    let text = |event: &Value| event["payload"][field].as_str().unwrap_or_default().to_owned();
    events.iter().map(text).collect()
}

fn statuses(world: &World) -> Vec<String> {
    told(&world.events("type=batch-status"), "status")
}

#[test]
fn r170_a_tasks_success_and_failure_are_told_with_all_their_fields() {
    let world = World::new().product("lamp").devices(2);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").upgrade();
    world.advance(seconds(7));
    world.device("lamp-2").progress(-4, "bad block");
    let failed_at = world.now_ms();
    world.run(seconds(10));
    let events = world.events("type=task-ended");
    assert_eq!(told(&events, "status"), ["SUCCEEDED", "FAILED"]);
    let failed = &events[1];
    let expected = json!({
        "iotId": failed["payload"]["iotId"],
        "productKey": world.product_key(),
        "deviceName": "lamp-2",
        "status": "FAILED",
        "messageCreateTime": failed_at,
        "srcVersion": "1.0.0",
        "destVersion": "1.1.0",
        "desc": "device code -4: bad block",
        "jobId": batch.id,
        "taskId": batch.task_id("lamp-2"),
    });
    assert_eq!(failed["payload"], expected);
    assert_eq!((&failed["type"], &failed["at"]), (&json!("task-ended"), &json!(failed_at)));
    assert_eq!(failed["topic"], format!("/{}/lamp-2/ota/upgrade", world.product_key()));
    assert_eq!(failed["product_key"], world.product_key());
    assert_eq!(events[0]["payload"]["desc"], "success");
    assert_ne!(events[0]["payload"]["iotId"], failed["payload"]["iotId"]);
    assert_ne!(events[0]["event_id"], failed["event_id"]);
}

#[test]
fn r170_r172_a_verification_is_told_like_a_batch() {
    let world = World::new().product("lamp").devices(1);
    let package = world.package("1.1.0");
    let trial = world.verify(&package, &["lamp-1"])["batch"]["batch_id"].clone();
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    let ends = world.events("type=task-ended");
    assert_eq!((told(&ends, "status"), &ends[0]["payload"]["jobId"]), (vec!["SUCCEEDED".into()], &trial));
    assert_eq!(statuses(&world), ["IN_PROGRESS", "COMPLETED"]);
}

#[test]
fn r126_r170_a_timeout_is_told_by_the_vendors_word() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"timeout_minutes": 1, "retry": {"after_minutes": 0, "count_max": 5}});
    let _batch = world.batch(&world.ready_package("1.1.0"), asked);
    world.device("lamp-1").progress(1, "");
    world.run(minutes(2));
    assert_eq!(told(&world.events("type=task-ended"), "desc"), ["timeout"]);
}

#[test]
fn r139_a_device_that_was_busy_and_a_cancel_are_not_told() {
    let world = World::new().product("lamp").devices(1);
    let old = world.batch(&world.ready_package("1.1.0"), json!({}));
    let new = world.batch(&world.ready_package("1.2.0"), json!({}));
    assert_eq!(new.outcome(), ["lamp-1 failed device-busy"]);
    let _canceled = old.cancel(&json!({"notified": true})).expect(202);
    world.run(minutes(1));
    assert_eq!(world.events("type=task-ended"), Vec::<Value>::new());
}

#[test]
fn r170_a_failure_that_is_retried_is_told_when_it_is_final() {
    let world = World::new().product("lamp").devices(1);
    let asked = json!({"retry": {"after_minutes": 0, "count_max": 1}});
    let _batch = world.batch(&world.ready_package("1.1.0"), asked);
    world.device("lamp-1").progress(-1, "");
    world.run(seconds(10));
    assert!(world.events("type=task-ended").is_empty());
    world.device("lamp-1").progress(-1, "");
    world.run(seconds(10));
    assert_eq!(told(&world.events("type=task-ended"), "status"), ["FAILED"]);
}

#[test]
fn r171_a_version_is_told_when_it_changes_and_only_then() {
    let world = World::new().product("lamp").devices(1);
    world.add_module("mcu");
    let lamp = world.device("lamp-1");
    for _ in 0..2 {
        lamp.restart("1.0.0");
        lamp.report_module("mcu", "7");
    }
    lamp.report_module("mcu", "8");
    let changed_at = world.now_ms();
    world.advance(seconds(1));
    lamp.report_module("mcu", "7");
    world.run(seconds(10));
    let events = world.events("type=version-changed");
    assert_eq!(told(&events, "moduleVersion"), ["1.0.0", "7", "8", "7"]);
    assert_eq!(told(&events, "moduleName"), ["default", "mcu", "mcu", "mcu"]);
    let expected = json!({
        "iotId": events[0]["payload"]["iotId"],
        "deviceName": "lamp-1",
        "productKey": world.product_key(),
        "moduleName": "mcu",
        "moduleVersion": "8",
        "messageCreateTime": changed_at,
    });
    assert_eq!(events[2]["payload"], expected);
    assert_eq!(events[2]["topic"], format!("/{}/lamp-1/ota/version/post", world.product_key()));
}

#[test]
fn r171_a_version_is_told_of_a_device_that_no_batch_knows() {
    let world = World::new().product("lamp");
    let lamp = world.register(1).remove(0);
    lamp.connect("1.0.0");
    world.run(seconds(10));
    assert_eq!(world.events("").len(), 1);
}

#[test]
fn r172_a_batchs_whole_life_is_told() {
    let world = World::new().product("lamp").devices(1);
    let start = world.now_ms() + minutes(10);
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, json!({"schedule": {"start_at": start}}));
    world.run(minutes(1));
    assert_eq!(statuses(&world), ["PLANNED"]);
    world.run(minutes(10));
    assert_eq!(statuses(&world), ["PLANNED", "IN_PROGRESS"]);
    world.device("lamp-1").upgrade();
    world.run(minutes(1));
    let events = world.events("type=batch-status");
    assert_eq!(told(&events, "status"), ["PLANNED", "IN_PROGRESS", "COMPLETED"]);
    let expected = json!({
        "productKey": world.product_key(),
        "moduleName": "default",
        "packageId": package.id,
        "jobId": batch.id,
        "status": "COMPLETED",
        "messageCreateTime": batch.get()["ended_at"],
    });
    assert_eq!(events[2]["payload"], expected);
    let topic = format!("/{}/{}/{}/ota/job/status", world.product_key(), package.id, batch.id);
    assert_eq!(events[2]["topic"], topic);
    world.run(minutes(5));
    assert_eq!(statuses(&world).len(), 3, "each once");
}

#[test]
fn r172_a_canceled_batch_is_told_as_canceled_whatever_it_was_before() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let schedule = json!({"schedule": {"start_at": world.now_ms() + hours(1)}});
    let planned = world.batch(&package, schedule);
    world.run(minutes(1));
    let _canceled = planned.cancel(&json!({"scheduled": true})).expect(202);
    world.run(minutes(1));
    assert_eq!(statuses(&world), ["PLANNED", "CANCELED"]);

    let running = world.batch(&package, json!({}));
    world.run(minutes(1));
    let _canceled = running.cancel(&json!({"notified": true})).expect(202);
    world.run(minutes(1));
    assert_eq!(statuses(&world)[2..], ["IN_PROGRESS", "CANCELED"]);

    let asked = json!({"mode": "dynamic", "source_versions": ["1.0.0"]});
    let dynamic = world.batch(&package, asked);
    world.run(minutes(1));
    let _canceled = dynamic.cancel(&json!({"strategy": true})).expect(202);
    world.run(minutes(1));
    assert_eq!(statuses(&world)[4..], ["IN_PROGRESS", "CANCELED"]);
    assert_eq!(dynamic.outcome(), ["lamp-1 notified"]);
    world.device("lamp-1").upgrade();
    world.run(minutes(1));
    assert_eq!(statuses(&world).len(), 6, "the end of its last task is no change of the batch");
    assert_eq!(told(&world.events("type=task-ended"), "status"), ["SUCCEEDED"]);
}

#[test]
fn events_are_filtered_by_type_and_product_and_read_on_from_where_one_stopped() {
    let world = World::new().product("lamp").devices(70);
    let lamp = world.product_key();
    let _batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let world = world.product("bulb").devices(30);
    world.run(seconds(10));
    let bulb = world.product_key();
    let count = |query: &str| world.events(query).len();
    assert_eq!(count(""), 101);
    assert_eq!(
        (count("type=version-changed"), count("type=batch-status"), count("type=task-ended")),
        (100, 1, 0)
    );
    let of = |key: &str| count(&format!("product_key={key}"));
    assert_eq!((of(&lamp), of(&bulb)), (71, 30));
    assert_eq!(count(&format!("product_key={bulb}&type=batch-status")), 0);
    let ids: BTreeSet<String> = world.events("").iter().map(|event| event["event_id"].to_string()).collect();
    assert_eq!(ids.len(), 101, "each has its own id");

    let page = world.get("/v1/events?limit=200");
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = || world.get(format!("/v1/events?cursor={cursor}"));
    assert_eq!((&next()["items"], &next()["next_cursor"]), (&json!([]), &json!(cursor)));
    world.device("lamp-1").disconnect();
    let hall = world.register(1).remove(0);
    hall.connect("9.9");
    world.run(seconds(10));
    assert_eq!(told(next()["items"].as_array().unwrap(), "moduleVersion"), ["9.9"]);
}

#[test]
fn a_wrong_question_for_events_is_told_all_its_faults() {
    let world = World::new().product("lamp");
    let ask = |query: &str| world.send(&Call::get(format!("/v1/events?{query}")));
    let expected = ["query:type value.not-one-of", "query:product_key value.charset"];
    assert_eq!(ask("type=tasks&product_key=a%20b").faults(), expected);
    assert_eq!(ask("limit=201").faults(), ["query:limit value.range"]);
    assert_eq!(ask("cursor=x").faults(), ["query:cursor value.malformed"]);
    assert_eq!(ask("since=1").faults(), ["query:since value.not-allowed"]);
    assert_eq!(world.send(&Call::get("/v1/events").token(None)).status, 401);
    assert_eq!(world.send(&Call::post("/v1/events", &json!({}))).status, 405);
    assert_eq!(ask("").json()["items"], json!([]));
}

/// Devices that report, a planned batch that begins and ends, a success and a failure.
fn eventful(world: World) {
    world.be_patient();
    let world = world.product("lamp").devices(2);
    crash::gather(&world);
    let schedule = json!({"start_at": world.now_ms() + minutes(20)});
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"schedule": schedule}));
    crash::live(&world, &["lamp-1"], || {
        if batch.task("lamp-2")["status"] == "notified" {
            world.device("lamp-2").progress(-1, "");
        }
        batch.status() == "completed"
    });
    crash::come_to_rest(&world);
    let mut happenings: BTreeMap<String, String> = BTreeMap::new();
    for event in world.events("") {
        let payload = &event["payload"];
        let words = ["deviceName", "status", "moduleVersion"].map(|field| payload[field].as_str());
        let words = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let known = happenings.insert(event["event_id"].to_string(), words.clone());
        assert!(known.is_none_or(|known| known == words), "one id for two happenings");
    }
    // A happening that is told twice has the same id both times, so here it is once.
    let mut told: Vec<String> = happenings.into_values().collect();
    told.sort();
    let expected = [
        "COMPLETED",
        "IN_PROGRESS",
        "PLANNED",
        "lamp-1 1.0.0",
        "lamp-1 1.1.0",
        "lamp-1 SUCCEEDED",
        "lamp-2 1.0.0",
        "lamp-2 FAILED",
    ];
    assert_eq!(told, expected);
}

#[test]
fn r170_r171_r172_events_survive_a_refusal_of_any_one_operation() {
    crash::each_in_turn(eventful, MemoryKv::new, Fault::Refused);
}

#[test]
fn r170_r171_r172_events_survive_the_loss_of_any_one_answer() {
    crash::each_in_turn(eventful, MemoryKv::with_spin_quirks, Fault::AnswerLost);
}
