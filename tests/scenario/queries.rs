//! What an operator looks at: tasks by device, unfinished ones, versions, a batch's settings.

use ota_tests::{Call, Value, World, hours, json, seconds};

#[test]
fn r173_up_to_fifty_named_devices_take_the_place_of_pages() {
    let world = World::new().product("lamp").devices(52);
    let package = world.ready_package("1.1.0");
    world.device("lamp-52").restart("1.1.0");
    let batch = world.batch(&package, json!({}));
    let uri = format!("/v1/batches/{}/tasks?device_names", batch.id);
    let names = |count: usize| (1..=count).map(|n| format!("lamp-{n}")).collect::<Vec<_>>().join(",");
    let page = world.get(format!("{uri}={}&limit=1&cursor=0.&status=failed", names(50)));
    assert_eq!(page["items"].as_array().map(Vec::len), Some(50), "whatever else is asked for");
    assert_eq!(page.get("next_cursor"), None);
    let page = world.get(format!("{uri}=lamp-7,lamp-52,lamp-99,lamp-3"));
    let listed: Vec<&Value> =
        page["items"].as_array().unwrap().iter().map(|task| &task["device_name"]).collect();
    assert_eq!(listed, ["lamp-7", "lamp-3"], "who has no task of the batch is left out");
    let refused = |names: &str| world.send(&Call::get(format!("{uri}={names}"))).faults();
    assert_eq!(refused(&names(51)), ["query:device_names value.too-many"]);
    assert_eq!(refused("lamp-1,,x"), ["query:device_names value.length", "query:device_names value.length"]);
}

#[test]
fn r173_a_page_has_at_most_a_hundred_tasks() {
    let world = World::new().product("lamp").devices(101);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let uri = format!("/v1/batches/{}/tasks?limit", batch.id);
    assert_eq!(world.get(format!("{uri}=100"))["items"].as_array().map(Vec::len), Some(100));
    assert_eq!(world.send(&Call::get(format!("{uri}=101"))).faults(), ["query:limit value.range"]);
}

#[test]
fn r176_a_devices_unfinished_tasks_are_listed_by_module_and_status() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    let mut batches = Vec::new();
    for (module, more) in
        [("mcu", json!({})), ("wifi", json!({"needs_confirmation": true})), ("nfc", json!({"push": false}))]
    {
        world.add_module(module);
        lamp.report_module(module, "1");
        let mut asked = json!({"multi_module": true});
        for (field, value) in more.as_object().into_iter().flatten() {
            asked[field] = value.clone();
        }
        batches.push(world.batch(&world.ready_package_of(module, "2"), asked));
    }
    lamp.progress_module("mcu", 20);
    let uri = format!("/v1/products/{}/devices/lamp-1/tasks", world.product_key());
    let listed = |query: &str| -> Vec<String> {
        let page = world.get(format!("{uri}{query}"));
        let words = |task: &Value| {
            format!("{} {}", task["module"].as_str().unwrap(), task["status"].as_str().unwrap())
        };
        page["items"].as_array().unwrap().iter().map(words).collect()
    };
    assert_eq!(listed(""), ["mcu in-progress", "wifi unconfirmed", "nfc queued"]);
    assert_eq!(listed("?module=wifi"), ["wifi unconfirmed"]);
    assert_eq!(listed("?module=default"), [""; 0]);
    assert_eq!(listed("?status=queued"), ["nfc queued"]);
    assert_eq!(listed("?status=queued,in-progress"), ["mcu in-progress", "nfc queued"]);
    assert_eq!(listed("?status=queued&module=mcu"), [""; 0]);
    lamp.report_module("mcu", "2");
    let _canceled = batches[2].cancel(&json!({"queued": true})).expect(202);
    assert_eq!(listed(""), ["wifi unconfirmed"], "what has ended is finished, however it ended");
    let refused = |query: &str| world.send(&Call::get(format!("{uri}{query}"))).faults();
    for status in ["succeeded", "failed", "canceled", "done", "queued,failed"] {
        assert_eq!(refused(&format!("?status={status}")), ["query:status value.not-one-of"], "{status}");
    }
    assert_eq!(refused("?module=a%20b"), ["query:module value.charset"]);
    let nobody = format!("/v1/products/{}/devices/lamp-9/tasks", world.product_key());
    assert_eq!(world.send(&Call::get(nobody)).problem(), "404 request.not-found");
}

#[test]
fn the_versions_of_a_product_are_counted_by_module() {
    let world = World::new().product("lamp").devices(200);
    world.add_module("mcu");
    world.register(3);
    let devices = world.all_devices();
    for device in devices.iter().filter(|device| device.is_online()).take(30) {
        device.report("1.1.0");
        device.report_module("mcu", "7");
    }
    let uri = format!("/v1/products/{}/versions", world.product_key());
    let told = world.get(&uri);
    let expected = json!([{"version": "1.0.0", "devices": 170}, {"version": "1.1.0", "devices": 30}]);
    assert_eq!(
        (&told["module"], &told["silent"], &told["versions"]),
        (&json!("default"), &json!(3), &expected)
    );
    let told = world.get(format!("{uri}?module=mcu"));
    assert_eq!(
        (&told["silent"], &told["versions"]),
        (&json!(173), &json!([{"version": "7", "devices": 30}]))
    );
    let package = world.ready_package_of("mcu", "7");
    let told = world.get(format!("{uri}?package_id={}", package.id));
    assert_eq!(
        (&told["module"], &told["versions"]),
        (&json!("mcu"), &json!([])),
        "a package means its module"
    );
    assert_eq!(
        world.send(&Call::get(format!("{uri}?module=a%20b"))).faults(),
        ["query:module value.charset"]
    );
    assert_eq!(world.send(&Call::get("/v1/products/nothing/versions")).problem(), "404 request.not-found");
}

#[test]
fn r179_a_batch_shows_optional_settings_only_when_they_are_set() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let optional =
        ["timeout_minutes", "retry", "schedule", "new_reports_only", "strategy_canceled_at", "ended_at"];
    let plain = world.batch(&package, json!({}));
    let shown = |told: &Value| -> Vec<&str> {
        optional.into_iter().filter(|field| told.get(*field).is_some()).collect()
    };
    assert_eq!(shown(&plain.get()), [""; 0]);
    assert_eq!(plain.get()["target"], json!({"selection": "all"}));
    let _canceled = plain.cancel(&json!({"notified": true})).expect(202);
    world.run(seconds(10));
    assert_eq!(shown(&plain.get()), ["ended_at"]);

    let start = world.now_ms() + hours(1);
    let gray = json!({
        "target": {"selection": "gray", "gray_percent": "12.5"},
        "timeout_minutes": 60,
        "retry": {"after_minutes": 10, "count_max": 2},
        "schedule": {"start_at": start},
    });
    let told = world.batch(&package, gray.clone()).get();
    assert_eq!(shown(&told), ["timeout_minutes", "retry", "schedule"]);
    assert_eq!((&told["target"], &told["retry"]), (&gray["target"], &gray["retry"]));
    assert_eq!(told["schedule"], json!({"start_at": start, "hard_stop": false}));
    assert_eq!(told.get("started_at"), None, "it has not begun");

    let dynamic = json!({"mode": "dynamic", "source_versions": ["1.0.0"]});
    let dynamic = world.batch(&package, dynamic);
    assert_eq!(shown(&dynamic.get()), ["new_reports_only"]);
    assert_eq!(dynamic.get()["new_reports_only"], false);
    let _canceled = dynamic.cancel(&json!({"strategy": true})).expect(202);
    assert_eq!(dynamic.get()["strategy_canceled_at"], world.now_ms());
}
