//! Why was this device upgraded by the batch, or why not?

use ota_tests::{Call, Value, World, hours, json, minutes, seconds};

fn is(code: &str, rule: &str) -> (String, String) {
    (code.to_owned(), rule.to_owned())
}

#[test]
fn a_task_that_waits_tells_what_it_waits_for() {
    let world = World::new().product("lamp").devices(12);
    world.device("lamp-1").disconnect();
    let named = json!({"selection": "specific", "devices": ["lamp-1", "lamp-2"]});
    let start = world.now_ms() + hours(1);
    let asked = json!({"target": named, "schedule": {"start_at": start}});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    assert_eq!(batch.why(&world, "lamp-1"), is("scheduled", "R92"));
    assert_eq!(batch.why(&world, "lamp-3"), is("not-named", "R65"));
    world.run(hours(1));
    assert_eq!(batch.why(&world, "lamp-1"), is("offline", "R91"));
    assert_eq!(batch.why(&world, "lamp-2"), is("notified", "R114"));
    world.device("lamp-2").progress(30, "");
    assert_eq!(batch.why(&world, "lamp-2"), is("in-progress", "R116"));

    let package = world.ready_package("1.2.0");
    let of = |device: &str, more: Value| {
        let mut asked = json!({"target": {"selection": "specific", "devices": [device]}});
        for (field, value) in more.as_object().into_iter().flatten() {
            asked[field] = value.clone();
        }
        world.batch(&package, asked)
    };
    assert_eq!(of("lamp-2", json!({})).why(&world, "lamp-2"), is("device-busy", "R136"));
    let consent = of("lamp-3", json!({"needs_confirmation": true}));
    assert_eq!(consent.why(&world, "lamp-3"), is("unconfirmed", "R96"));
    assert_eq!(of("lamp-4", json!({"push": false})).why(&world, "lamp-4"), is("pull-only", "R95"));
    let retried = of("lamp-5", json!({"retry": {"after_minutes": 10, "count_max": 1}}));
    world.device("lamp-5").progress(-1, "");
    assert_eq!(retried.why(&world, "lamp-5"), is("waits-for-retry", "R128"));
}

#[test]
fn the_twelfth_device_waits_for_the_rate() {
    let world = World::new().product("lamp").devices(12);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"push_per_minute_max": 10}));
    let codes: Vec<_> = world.all_devices().iter().map(|device| batch.why(&world, device.name())).collect();
    assert_eq!(codes.iter().filter(|why| **why == is("rate-limited", "R93")).count(), 2);
    assert_eq!(codes.iter().filter(|why| **why == is("notified", "R114")).count(), 10);
}

#[test]
fn a_device_without_a_task_is_told_the_condition_it_does_not_meet() {
    let world = World::new().product("lamp").devices(3);
    world.register(2);
    world.device("lamp-2").restart("1.0.1");
    world.device("lamp-3").restart("1.1.0");
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"source_versions": ["1.0.0"]}));
    world.advance(1);
    world.device("lamp-5").connect("1.0.0");
    world.run(seconds(10));
    assert_eq!(batch.why(&world, "lamp-2"), is("other-version", "R54"));
    assert_eq!(batch.why(&world, "lamp-3"), is("at-target", "R73"));
    assert_eq!(batch.why(&world, "lamp-4"), is("never-activated", "R75"));
    assert_eq!(batch.why(&world, "lamp-5"), is("activated-later", "R76"));
    assert_eq!(batch.outcome(), ["lamp-1 notified"], "and they have none indeed");
}

#[test]
fn a_device_outside_the_share_or_the_region_is_told_so() {
    let world = World::new().product("lamp").devices(3);
    let package = world.ready_package("1.1.0");
    let gray = world.batch(&package, json!({"target": {"selection": "gray", "gray_percent": "34"}}));
    world.run(seconds(10));
    let chosen: Vec<String> =
        gray.tasks().iter().map(|task| task["device_name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(chosen.len(), 1);
    for device in world.all_devices() {
        let expected =
            if chosen[0] == device.name() { is("notified", "R114") } else { is("not-in-the-share", "R69") };
        assert_eq!(gray.why(&world, device.name()), expected, "{}", device.name());
    }
    let _canceled = gray.cancel(&json!({"notified": true})).expect(202);

    let place = |name: &str, region: Value| {
        let uri = format!("/v1/products/{}/devices/{name}", world.product_key());
        let _set = world.send(&Call::patch(uri, &json!({"region": region}))).expect(200);
    };
    place("lamp-1", json!({"province": "Zhejiang", "city": "Hangzhou"}));
    place("lamp-2", json!({"province": "Jiangsu"}));
    let target = json!({"selection": "region", "regions": [{"province": "Zhejiang"}]});
    let regional = world.batch(&package, json!({"target": target}));
    assert_eq!(regional.why(&world, "lamp-1"), is("notified", "R114"));
    assert_eq!(regional.why(&world, "lamp-2"), is("other-region", "R72"));
    assert_eq!(regional.why(&world, "lamp-3"), is("other-region", "R72"), "whose place is not known");
}

#[test]
fn an_ended_task_tells_how_it_ended() {
    let world = World::new().product("lamp").devices(5);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"timeout_minutes": 1}));
    world.device("lamp-1").upgrade();
    world.device("lamp-2").progress(-2, "no room");
    world.device("lamp-3").progress(10, "");
    world.device("lamp-5").report("0.9");
    world.run(minutes(2));
    let _canceled = batch.cancel(&json!({"notified": true})).expect(202);
    assert_eq!(batch.why(&world, "lamp-1"), is("succeeded", "R115"));
    assert_eq!(batch.why(&world, "lamp-2"), is("download-failed", "R120"));
    assert_eq!(batch.why(&world, "lamp-3"), is("timeout", "R123"));
    assert_eq!(batch.why(&world, "lamp-4"), is("canceled-by-user", "R144"));
    assert_eq!(batch.why(&world, "lamp-5"), is("version-mismatch", "R118"));
    world.device("lamp-4").restart("1.1.0");
    assert_eq!(batch.why(&world, "lamp-4"), is("canceled-by-user", "R154"));
    let told = |name: &str| world.get(format!("/v1/batches/{}/devices/{name}/why", batch.id));
    assert_eq!((&told("lamp-1")["upgraded"], &told("lamp-4")["upgraded"]), (&json!(true), &json!(false)));
    assert_eq!(told("lamp-2")["task"]["status"], "failed");
    assert!(told("lamp-2")["because"].as_str().unwrap().contains("no room"));
    assert_ne!(told("lamp-2")["change"], "");
}

#[test]
fn a_dynamic_batch_tells_why_a_device_has_not_joined() {
    let world = World::new().product("lamp").devices(2);
    let asked = json!({"mode": "dynamic", "new_reports_only": true, "source_versions": ["1.0.0"]});
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    world.device("lamp-2").restart("1.0.9");
    world.run(seconds(10));
    assert_eq!(batch.why(&world, "lamp-1"), is("nothing-new", "R108"));
    assert_eq!(batch.why(&world, "lamp-2"), is("other-version", "R54"));
    let _canceled = batch.cancel(&json!({"strategy": true})).expect(202);
    assert_eq!(batch.why(&world, "lamp-1"), is("strategy-canceled", "R110"));
}

#[test]
fn a_question_about_nobody_is_refused() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let ask = |id: &str, name: &str| {
        world.send(&Call::get(format!("/v1/batches/{id}/devices/{name}/why"))).problem()
    };
    assert_eq!(ask(&batch.id, "lamp-9"), "404 request.not-found");
    assert_eq!(ask(&"0".repeat(32), "lamp-1"), "404 request.not-found");
    assert_eq!(ask("x", "lamp-1"), "404 request.not-found");
}
