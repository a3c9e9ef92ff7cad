//! What the log tells of upgrades, and which request a line belongs to.

use std::collections::BTreeMap;

use ota_tests::{Call, World, json, minutes, seconds};

/// The lines about an operation that came since `before`, by their names.
fn lines(world: &World, before: usize, operation: &str) -> Vec<BTreeMap<String, String>> {
    let begins = format!("operation={operation} ");
    let all = world.engine().log_lines();
    let wanted = all.iter().skip(before).filter(|line| line.starts_with(&begins));
    let pairs = |line: &String| {
        let pairs = line.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
    };
    wanted.map(pairs).collect()
}

fn values<'a>(lines: &'a [BTreeMap<String, String>], names: &[&str]) -> Vec<Vec<&'a str>> {
    let of = |line: &'a BTreeMap<String, String>| {
        names.iter().map(|name| line.get(*name).map_or("", String::as_str)).collect()
    };
    lines.iter().map(of).collect()
}

#[test]
fn an_upgrade_is_told_from_the_push_to_the_new_version() {
    let world = World::new().product("lamp").devices(1);
    let key = world.product_key();
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let pushes = lines(&world, 0, "OTAFirmwarePush");
    let names = ["cause", "product", "device", "batch", "outcome"];
    assert_eq!(values(&pushes, &names), [["at-start", &key, "lamp-1", &batch.id, "sent"]]);
    let lamp = world.device("lamp-1");
    lamp.ask();
    let asked = lines(&world, 0, "OTAFirmwareRequest");
    assert_eq!(
        values(&asked, &["product", "device", "batch", "outcome"]),
        [[&*key, "lamp-1", &batch.id, "told"]]
    );
    lamp.progress(40, "my own words");
    let progress = lines(&world, 0, "OTAProgressReport");
    assert_eq!(values(&progress, &["device", "percent", "outcome"]), [["lamp-1", "40", "noted"]]);
    let before = world.engine().log_lines().len();
    lamp.report("1.1.0");
    let versions = lines(&world, before, "OTAVersionReport");
    let expected = [["lamp-1", "1.1.0", batch.id.as_str(), "succeeded"]];
    assert_eq!(values(&versions, &["device", "version", "batch", "outcome"]), expected);
    lamp.ask();
    assert_eq!(lines(&world, before, "OTAFirmwareRequest")[0]["outcome"], "nothing");
    assert!(!world.engine().log_lines().join("\n").contains("my own words"));
}

#[test]
fn a_failure_is_told_with_its_code_and_a_report_that_changes_nothing_is_not_told() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").progress(-2, "");
    let failed = lines(&world, 0, "OTAProgressReport");
    let names = ["failure", "batch", "outcome", "code"];
    assert_eq!(values(&failed, &names), [["download-failed", &batch.id, "failed", "download-failed"]]);
    let before = world.engine().log_lines().len();
    world.device("lamp-1").report("1.0.0");
    world.device("lamp-1").progress(-2, "");
    assert_eq!(world.engine().log_lines().len(), before);
}

#[test]
fn a_problem_is_told_under_the_id_in_the_answer() {
    let world = World::new().product("lamp").devices(1);
    world.engine().set_broker_down(true);
    let topic = format!("/sys/{}/lamp-1/thing/ota/firmware/get", world.product_key());
    let ask =
        Call::post(format!("/internal/device-messages?topic={topic}"), &json!({"id": "1", "params": {}}));
    let before = world.engine().log_lines().len();
    let answer = world.send_once(&ask);
    let instance = answer.text_of("instance");
    let problems = lines(&world, before, "Problem");
    let expected = [[instance.strip_prefix("urn:uuid:").unwrap(), "broker.unreachable"]];
    assert_eq!(values(&problems, &["request", "code"]), expected);
    // A caller's mistake is nothing that the log needs to tell.
    let before = world.engine().log_lines().len();
    let _absent = world.send_once(&Call::get("/v1/packages/nonsense")).expect(404);
    assert_eq!(world.engine().log_lines().len(), before);
}

#[test]
fn a_push_tells_why_it_was_due_now() {
    let world = World::new().product("lamp").devices(3);
    let causes = |before: usize| -> Vec<String> {
        lines(&world, before, "OTAFirmwarePush").iter().map(|line| line["cause"].clone()).collect()
    };
    let package = world.ready_package("1.1.0");
    world.device("lamp-1").disconnect();
    let _online = world.batch_for(&package, &["lamp-1"]);
    world.advance(seconds(1));
    world.device("lamp-1").connect("1.0.0");
    world.settle();
    assert_eq!(causes(0), ["at-online"]);

    let before = world.engine().log_lines().len();
    let named = json!({"selection": "specific", "devices": ["lamp-2"]});
    let asking = world.batch(&package, json!({"target": named, "needs_confirmation": true}));
    let ids = json!({"task_ids": [format!("{}.lamp-2", asking.id)]});
    let _confirmed = world.send(&Call::post("/v1/tasks/confirm", &ids)).expect(200);
    world.settle();
    assert_eq!(causes(before), ["at-confirmation"]);

    let before = world.engine().log_lines().len();
    let named = json!({"selection": "specific", "devices": ["lamp-3"]});
    let more = json!({"target": named, "retry": {"after_minutes": 10, "count_max": 1}});
    let _retried = world.batch(&package, more);
    world.device("lamp-3").progress(-1, "");
    world.run(minutes(11));
    assert_eq!(causes(before), ["at-start", "retry"]);
}

#[test]
fn a_push_that_the_broker_does_not_take_is_told_as_such() {
    let world = World::new().product("lamp").devices(1);
    world.engine().set_broker_down(true);
    let _batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let outcomes: Vec<String> =
        lines(&world, 0, "OTAFirmwarePush").iter().map(|line| line["outcome"].clone()).collect();
    assert!(!outcomes.is_empty() && outcomes.iter().all(|outcome| outcome == "not-taken"), "{outcomes:?}");
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn the_trace_of_a_request_goes_along_to_what_is_done_for_it() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let body = json!({"package_id": package.id, "target": {"selection": "all"}});
    let call =
        Call::post("/v1/batches", &body).header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let _made = world.send(&call).expect(201);
    let asked = world.engine().take_posted();
    let trace = asked[0].trace.clone().expect("the nudge bears the trace on");
    assert!(trace.starts_with(&format!("00-{TRACE}-")) && trace.ends_with("-01"), "{trace}");
    assert!(!trace.contains("00f067aa0ba902b7"), "under a span of its own");
    let tick = Call::new("POST", asked[0].path.clone()).bytes(asked[0].body.clone());
    let _done = world.send(&tick.header("traceparent", trace)).expect(200);
    assert_eq!(lines(&world, 0, "OTAFirmwarePush")[0]["trace_id"], TRACE);
}

#[test]
fn a_request_without_a_trace_or_with_a_broken_one_begins_none() {
    let world = World::new().product("lamp").devices(1);
    let body = json!({"package_id": world.ready_package("1.1.0").id, "target": {"selection": "all"}});
    let call =
        Call::post("/v1/batches", &body).header("traceparent", format!("00-{TRACE}-0000000000000000-01"));
    let _made = world.send(&call).expect(201);
    assert!(world.engine().take_posted().iter().all(|asked| asked.trace.is_none()));
    world.run(seconds(5));
    assert!(lines(&world, 0, "OTAFirmwarePush").iter().all(|line| !line.contains_key("trace_id")));
}
