//! What the documents disagree on, as the settings of a product have it; and what belongs to creating batches.

use ota_tests::{Batch, Call, Value, World, json, minutes, seconds};

/// A world whose product lets one source version be in one running batch only.
fn exclusive() -> World {
    let world = World::new().product("lamp").devices(3);
    world.set(&json!({"conflict_policy": "source-version"}));
    world
}

fn from(version: &str) -> Value {
    json!({"source_versions": [version]})
}

#[test]
fn r63_while_a_to_b_runs_a_to_c_is_a_conflict() {
    let world = exclusive();
    let (b, c) = (world.ready_package("2.0"), world.ready_package("3.0"));
    world.device("lamp-3").restart("1.5.0");
    let running = world.batch(&b, from("1.0.0"));
    let refused = world.try_batch(&c, &from("1.0.0"));
    assert_eq!(refused.problem(), "409 batch.conflict");
    assert!(refused.json().to_string().contains(&running.id), "it says which: {refused:?}");
    assert_eq!(world.try_batch(&c, &json!({})).problem(), "409 batch.conflict", "from any version");
    let named = json!({"target": {"selection": "specific", "devices": ["lamp-3"]}});
    assert_eq!(world.try_batch(&c, &named).problem(), "409 batch.conflict", "named devices run any version");
    assert_eq!(world.list("/v1/batches", 50).len(), 1, "what was refused leaves no batch");
    let beside = world.batch(&c, from("1.5.0"));
    assert_eq!(beside.outcome(), ["lamp-3 notified"], "another version is no conflict");
}

#[test]
fn r63_the_version_is_free_once_the_batch_has_ended_or_was_canceled() {
    let world = exclusive();
    let (b, c) = (world.ready_package("2.0"), world.ready_package("3.0"));
    let running = world.batch(&b, from("1.0.0"));
    world.device("lamp-1").upgrade();
    world.device("lamp-2").progress(-1, "");
    world.run(seconds(10));
    assert_eq!(world.try_batch(&c, &from("1.0.0")).problem(), "409 batch.conflict", "lamp-3 is still at it");
    world.device("lamp-3").progress(-1, "");
    world.run(seconds(10));
    assert_eq!(running.status(), "completed");
    let next = world.batch(&c, from("1.0.0"));
    assert_eq!(next.outcome(), ["lamp-2 notified", "lamp-3 notified"]);
    assert_eq!(world.try_batch(&b, &from("1.0.0")).problem(), "409 batch.conflict");
    let _canceled = next.cancel(&json!({"queued": true, "notified": true, "in_progress": true})).expect(202);
    world.run(seconds(10));
    assert_eq!(world.try_batch(&b, &from("1.0.0")).status, 201);
}

#[test]
fn r60_r63_batches_of_one_package_are_no_conflict() {
    let world = exclusive();
    let package = world.ready_package("2.0");
    let named = |device: &str| json!({"target": {"selection": "specific", "devices": [device]}});
    assert_eq!(world.try_batch(&package, &named("lamp-1")).status, 201);
    assert_eq!(world.try_batch(&package, &named("lamp-2")).status, 201);
}

#[test]
fn r63_modules_are_no_rivals() {
    let world = exclusive();
    world.add_module("mcu");
    world.device("lamp-1").report_module("mcu", "1.0.0");
    let _whole = world.batch(&world.ready_package("2.0"), from("1.0.0"));
    let mcu = world.try_batch(&world.ready_package_of("mcu", "3.0"), &from("1.0.0"));
    assert_eq!(mcu.status, 201, "{mcu:?}");
}

#[test]
fn r62_r63_without_the_setting_versions_do_not_matter() {
    let world = World::new().product("lamp").devices(1);
    let _running = world.batch(&world.ready_package("2.0"), from("1.0.0"));
    let second = world.batch(&world.ready_package("3.0"), from("1.0.0"));
    assert_eq!(second.outcome(), ["lamp-1 failed device-busy"], "only devices do (R135)");
    let dynamic = json!({"mode": "dynamic", "source_versions": ["1.0.0"]});
    assert_eq!(world.try_batch(&world.ready_package("4.0"), &dynamic).status, 201);
    assert_eq!(world.try_batch(&world.ready_package("5.0"), &dynamic).status, 201);
}

/// A batch with one retry whose only device has begun.
fn begun(world: &World, more: &Value) -> Batch {
    let mut asked = json!({"source_versions": ["1.0.0"], "retry": {"after_minutes": 0, "count_max": 1}});
    for (field, value) in more.as_object().into_iter().flatten() {
        asked[field] = value.clone();
    }
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    world.device("lamp-1").progress(10, "");
    batch
}

#[test]
fn r119_a_product_may_forgive_a_report_of_the_source_version_while_in_progress() {
    for (forgives, retries) in [(false, 1), (true, 0)] {
        let world = World::new().product("lamp").devices(1);
        world.set(&json!({"forgive_source_version": forgives}));
        let batch = begun(&world, &json!({}));
        world.device("lamp-1").restart("1.0.0");
        world.run(seconds(20));
        let task = batch.task("lamp-1");
        assert_eq!((&task["status"], &task["retries_used"]), (&json!("in-progress"), &json!(retries)));
        world.device("lamp-1").report("1.0.7");
        assert_eq!(batch.task("lamp-1")["reason"]["code"], "version-mismatch", "a foreign version never is");
    }
}

#[test]
fn r119_what_was_decided_before_the_setting_changed_stays_decided() {
    let world = World::new().product("lamp").devices(1);
    let batch = begun(&world, &json!({"retry": null}));
    world.set(&json!({"forgive_source_version": true}));
    world.device("lamp-1").report("1.0.0");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 failed version-mismatch"]);
}

#[test]
fn r118_r128_a_product_may_retry_only_what_has_begun() {
    let world = World::new().product("lamp").devices(2);
    world.set(&json!({"narrow_retries": true}));
    let batch = begun(&world, &json!({}));
    world.device("lamp-1").progress(-2, "");
    world.device("lamp-2").progress(-2, "");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 in-progress download-failed", "lamp-2 failed download-failed"]);
    assert_eq!(world.device("lamp-1").told().len(), 2);
}

#[test]
fn r128_such_a_product_wants_source_versions_with_its_retries() {
    let world = World::new().product("lamp").devices(1);
    world.set(&json!({"narrow_retries": true}));
    let package = world.ready_package("1.1.0");
    let retry = json!({"retry": {"after_minutes": 0, "count_max": 1}});
    assert_eq!(world.try_batch(&package, &retry).faults(), ["/retry batch.retry-needs-source-versions"]);
    assert_eq!(world.try_batch(&package, &json!({})).status, 201, "without retries it does not");
    world.set(&json!({"narrow_retries": false}));
    assert_eq!(world.try_batch(&package, &retry).status, 201);
}

#[test]
fn r82_r125_a_product_may_refuse_a_retry_that_could_never_happen() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let ask = |after: u32, timeout: Option<u32>| {
        let retry = json!({"after_minutes": after, "count_max": 1});
        world.try_batch(&package, &json!({"retry": retry, "timeout_minutes": timeout}))
    };
    assert_eq!(ask(30, Some(30)).status, 201, "by default it is taken");
    world.set(&json!({"strict_retry_interval": true}));
    for (after, timeout) in [(30, 30), (60, 30), (10, 1), (1440, 1440)] {
        let expected = ["/retry/after_minutes batch.retry-after-timeout"];
        assert_eq!(ask(after, Some(timeout)).faults(), expected, "{after} {timeout}");
    }
    for (after, timeout) in [(30, Some(31)), (0, Some(1)), (1440, None)] {
        assert_eq!(ask(after, timeout).status, 201, "{after} {timeout:?}");
    }
}

#[test]
fn r81_a_service_may_push_ten_times_as_fast() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let ask = |rate: u32| world.try_batch(&package, &json!({"push_per_minute_max": rate}));
    let range = ["/push_per_minute_max value.range"];
    assert_eq!(ask(1_001).faults(), range);
    assert_eq!(world.batch(&package, json!({})).get()["push_per_minute_max"], 1_000);
    let fast = json!({"settings": {"fast_push": true}});
    let _set = world.send(&Call::patch("/v1/settings", &fast)).expect(200);
    assert_eq!((ask(10_001).faults(), ask(9).faults()), (vec![range[0].into()], vec![range[0].into()]));
    assert_eq!((ask(10_000).status, ask(10).status), (201, 201));
    assert_eq!(world.batch(&package, json!({})).get()["push_per_minute_max"], 10_000);
}

#[test]
fn r50_in_the_older_way_a_package_is_verified_when_its_trial_starts() {
    let world = World::new().product("lamp").devices(3);
    world.set(&json!({"verification_mode": "legacy"}));
    let package = world.package("1.1.0");
    assert_eq!(world.try_batch(&package, &json!({})).problem(), "422 batch.package-not-verified");
    let first = world.verify(&package, &["lamp-1"]);
    assert_eq!((&first["status"], package.verification()), (&json!("verified"), "verified".into()));
    world.device("lamp-1").progress(-1, "");
    world.run(seconds(10));
    assert_eq!(package.verification(), "verified", "whatever the device does");
    let told = world.get(format!("/v1/packages/{}/verification", package.id));
    assert_eq!(told["tasks"][0]["status"], "failed", "and its result is shown");
    assert_eq!(world.batch_for(&package, &["lamp-3"]).outcome(), ["lamp-3 notified"]);
}

#[test]
fn r50_in_the_older_way_a_trial_may_be_repeated_also_while_one_runs() {
    let world = World::new().product("lamp").devices(3);
    world.set(&json!({"verification_mode": "legacy"}));
    let package = world.package("1.1.0");
    let trial = |told: Value| world.find_batch(told["batch"]["batch_id"].as_str().unwrap());
    let one = trial(world.verify(&package, &["lamp-1"]));
    let two = trial(world.verify(&package, &["lamp-2"]));
    assert_ne!(one.id, two.id);
    world.device("lamp-1").progress(-1, "");
    world.device("lamp-2").upgrade();
    world.run(seconds(10));
    assert_eq!((one.status(), two.status()), ("completed".into(), "completed".into()));
    let three = trial(world.verify(&package, &["lamp-1", "lamp-3"]));
    assert_eq!(three.outcome(), ["lamp-1 notified", "lamp-3 notified"]);
    let told = world.get(format!("/v1/packages/{}/verification", package.id));
    assert_eq!(told["tasks"].as_array().map(Vec::len), Some(2), "the latest trial is shown");
    assert_eq!(package.verification(), "verified");
    world.set(&json!({"verification_mode": "strict"}));
    let again = world.try_verify(&package, &json!({"devices": ["lamp-1"]}));
    assert_eq!(again.problem(), "409 package.verification");
}

#[test]
fn r45_a_trial_may_be_limited_to_devices_on_certain_versions() {
    let world = World::new().product("lamp").devices(3);
    world.device("lamp-2").restart("1.0.1");
    let _silent = world.register(1);
    world.device("lamp-4").connect_silently();
    let package = world.package("1.1.0");
    let ask = |devices: &[&str], sources: &[&str]| {
        world.try_verify(&package, &json!({"devices": devices, "source_versions": sources}))
    };
    let refused = ask(&["lamp-1", "lamp-2"], &["1.0.1"]);
    assert_eq!(refused.problem(), "422 batch.other-version");
    assert!(refused.json().to_string().contains("lamp-1"), "{refused:?}");
    assert_eq!(ask(&["lamp-4"], &["1.0.1"]).problem(), "422 batch.never-reported");
    assert_eq!(ask(&["lamp-2"], &["1.1.0"]).faults(), ["/source_versions/0 batch.source-is-target"]);
    assert_eq!(ask(&["lamp-2"], &["1.0.1", "1.0.1"]).faults(), ["/source_versions/1 value.duplicate"]);
    assert_eq!(package.verification(), "unverified", "what was refused left it alone");
    let told = ask(&["lamp-2"], &["1.0.1", "0.9"]).expect(201).json();
    assert_eq!(told["batch"]["source_versions"], json!(["1.0.1", "0.9"]));
}

#[test]
fn r46_a_delta_is_tried_from_its_own_version_only() {
    let world = World::new().product("lamp").devices(2);
    world.device("lamp-2").restart("1.0.1");
    let made = world.try_package("1.1.0", &json!({"kind": "delta", "source_version": "1.0.0"})).expect(201);
    let package = world.find_package(&made.text_of("package_id"));
    let other = world.try_verify(&package, &json!({"devices": ["lamp-2"]}));
    assert_eq!(other.problem(), "422 batch.other-version");
    let asked = json!({"devices": ["lamp-1"], "source_versions": ["1.0.1"]});
    assert_eq!(world.try_verify(&package, &asked).faults(), ["/source_versions/0 batch.source-not-deltas"]);
    assert_eq!(world.try_verify(&package, &json!({"devices": ["lamp-1"]})).status, 201);
}

#[test]
fn r47_the_versions_to_upgrade_from_are_those_of_the_devices_but_for_the_target() {
    let world = World::new().product("lamp").devices(5);
    world.device("lamp-4").restart("1.1.0");
    world.device("lamp-5").restart("1.0.1");
    let package = world.package("1.1.0");
    let uri = format!("/v1/products/{}/versions?package_id={}", world.product_key(), package.id);
    let expected = json!([{"version": "1.0.0", "devices": 3}, {"version": "1.0.1", "devices": 1}]);
    assert_eq!(world.get(&uri)["versions"], expected);
    let world = world.product("bulb");
    let stranger = format!("/v1/products/{}/versions?package_id={}", world.product_key(), package.id);
    assert_eq!(world.send(&Call::get(stranger)).faults(), ["query:package_id value.malformed"]);
}

#[test]
fn r55_a_dynamic_batch_of_a_full_package_names_its_source_versions_and_a_delta_needs_none() {
    let world = World::new().product("lamp").devices(1);
    let dynamic = json!({"mode": "dynamic"});
    let refused = world.try_batch(&world.ready_package("1.1.0"), &dynamic);
    assert_eq!(refused.faults(), ["/source_versions batch.source-versions-required"]);
    let more = json!({"kind": "delta", "source_version": "1.0.0", "needs_verification": false, "name": "d"});
    let delta = world.find_package(&world.try_package("1.2.0", &more).expect(201).text_of("package_id"));
    assert_eq!(world.batch(&delta, dynamic).outcome(), ["lamp-1 notified"]);
}

#[test]
fn r88_a_package_of_another_product_is_refused() {
    let world = World::new().product("lamp").devices(1);
    let (ready, fresh) = (world.ready_package("1.1.0"), world.package("1.2.0"));
    let (own, world) = (world.product_key(), world.product("bulb"));
    let stranger = json!({"product_key": world.product_key()});
    assert_eq!(world.try_batch(&ready, &stranger).faults(), ["/product_key batch.product-mismatch"]);
    let asked = json!({"product_key": world.product_key(), "devices": ["lamp-1"]});
    assert_eq!(world.try_verify(&fresh, &asked).faults(), ["/product_key batch.product-mismatch"]);
    assert_eq!(world.try_batch(&ready, &json!({"product_key": own})).status, 201);
    let asked = json!({"product_key": own, "devices": ["lamp-1"]});
    let verified = world.try_verify(&fresh, &asked);
    assert_eq!(verified.status, 201, "{verified:?}");
    world.run(minutes(1));
}
