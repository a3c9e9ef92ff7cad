//! Modules: parts of a device with a version of their own.

use ota_tests::{Answer, Call, Value, World, json, seconds};

fn add(world: &World, body: &Value) -> Answer {
    world.send(&Call::post(format!("/v1/products/{}/modules", world.product_key()), body))
}

fn remove(world: &World, name: &str) -> Answer {
    world.send(&Call::delete(format!("/v1/products/{}/modules/{name}", world.product_key())))
}

fn names(world: &World) -> Vec<String> {
    let product = world.get(format!("/v1/products/{}", world.product_key()));
    let modules = product["modules"].as_array().unwrap();
    modules.iter().map(|module| module["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn r1_module_names_have_their_form() {
    let world = World::new().product("lamp");
    assert_eq!(add(&world, &json!({"name": "MCU_1.a-b"})).status, 201);
    for (bad, fault) in
        [("", "length"), ("a b", "charset"), ("模块", "charset"), (&*"m".repeat(65), "length")]
    {
        assert_eq!(add(&world, &json!({"name": bad})).faults(), [format!("/name value.{fault}")], "{bad}");
    }
}

#[test]
fn r2_r3_a_module_name_is_unique_in_its_product_whatever_its_case() {
    let world = World::new().product("lamp");
    assert_eq!(add(&world, &json!({"name": "mcu"})).status, 201);
    assert_eq!(add(&world, &json!({"name": "MCU"})).problem(), "409 module.exists");
    let world = world.product("bulb");
    assert_eq!(add(&world, &json!({"name": "mcu"})).status, 201);
}

fn change(world: &World, name: &str, body: &Value) -> Answer {
    world.send(&Call::patch(format!("/v1/products/{}/modules/{name}", world.product_key()), body))
}

#[test]
fn r4_a_module_keeps_its_name_while_its_alias_and_description_change() {
    let world = World::new().product("lamp");
    let made = add(&world, &json!({"name": "mcu", "alias": "scanner"})).expect(201).json();
    let renamed = change(&world, "mcu", &json!({"name": "cpu", "alias": "abc"}));
    assert_eq!(renamed.faults(), ["/name value.not-allowed", "/alias value.length"]);
    assert_eq!(names(&world), ["mcu"]);

    let mut expected = made;
    expected["description"] = json!("reads codes");
    assert_eq!(change(&world, "mcu", &json!({"description": "reads codes"})).expect(200).json(), expected);
    expected["alias"] = json!("reader");
    assert_eq!(change(&world, "mcu", &json!({"alias": "reader"})).expect(200).json(), expected);
    let product = world.get(format!("/v1/products/{}", world.product_key()));
    assert_eq!(product["modules"], json!([expected]));
    assert_eq!(change(&world, "mcu", &json!({"alias": ""})).expect(200).json()["alias"], Value::Null);

    assert_eq!(change(&world, "cpu", &json!({})).problem(), "404 module.unknown");
    assert_eq!(change(&world, "default", &json!({})).problem(), "422 module.reserved");
}

#[test]
fn r5_a_product_may_be_lenient_with_aliases() {
    let world = World::new().product("lamp");
    assert_eq!(add(&world, &json!({"name": "m1", "alias": "模"})).faults(), ["/alias value.length"]);
    let _made = add(&world, &json!({"name": "m1"})).expect(201);
    let uri = format!("/v1/products/{}", world.product_key());
    let _set = world.send(&Call::patch(uri, &json!({"settings": {"lenient_aliases": true}}))).expect(200);
    assert_eq!(add(&world, &json!({"name": "m2", "alias": "模"})).status, 201);
    assert_eq!(change(&world, "m1", &json!({"alias": "a"})).status, 200);
    assert_eq!(add(&world, &json!({"name": "m3", "alias": "a b"})).faults(), ["/alias value.charset"]);
    let world = world.product("bulb");
    assert_eq!(add(&world, &json!({"name": "m1", "alias": "模"})).faults(), ["/alias value.length"]);
}

#[test]
fn r175_a_devices_module_versions_are_listed_in_pages() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    for n in (0..10).rev() {
        let _made = add(&world, &json!({"name": format!("m{n}")})).expect(201);
        lamp.report_module(&format!("m{n}"), &format!("2.{n}"));
    }
    let uri = format!("/v1/products/{}/devices/lamp-1/versions", world.product_key());
    let told = |item: &Value| format!("{} {}", item["module"], item["version"]).replace('"', "");
    let expected: Vec<String> =
        std::iter::once("default 1.0.0".to_owned()).chain((0..10).map(|n| format!("m{n} 2.{n}"))).collect();
    for limit in [1, 3, 11, 200] {
        let items = world.list(&uri, limit);
        assert_eq!(items.iter().map(told).collect::<Vec<_>>(), expected, "by {limit}");
    }
    let page = world.get(format!("{uri}?limit=2"));
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next_cursor"]), (2, &json!("m0")));
    assert_eq!(world.send(&Call::get(format!("{uri}?limit=201"))).faults(), ["query:limit value.range"]);
    assert_eq!(
        world.send(&Call::get(format!("{uri}?cursor=a%20b"))).faults(),
        ["query:cursor value.malformed"]
    );

    lamp.report_module("m0", "3.0");
    let first = &world.get(format!("{uri}?cursor=default&limit=1"))["items"][0];
    assert_eq!((&first["version"], &first["previous"]), (&json!("3.0"), &json!("2.0")));
    let unknown = format!("/v1/products/{}/devices/lamp-9/versions", world.product_key());
    assert_eq!(world.send(&Call::get(unknown)).problem(), "404 request.not-found");
}

#[test]
fn r5_r6_an_alias_and_a_description_have_their_lengths() {
    let world = World::new().product("lamp");
    let good = json!({"name": "mcu", "alias": "scanner", "description": "描".repeat(100)});
    let made = add(&world, &good).expect(201).json();
    assert_eq!((&made["alias"], &made["description"]), (&good["alias"], &good["description"]));
    let bad = json!({"name": "mcu2", "alias": "abc", "description": "描".repeat(101)});
    assert_eq!(add(&world, &bad).faults(), ["/alias value.length", "/description value.length"]);
}

#[test]
fn r7_r8_default_is_always_there_and_neither_made_nor_removed() {
    let world = World::new().product("lamp");
    assert!(names(&world).is_empty());
    assert_eq!(add(&world, &json!({"name": "default"})).problem(), "422 module.reserved");
    assert_eq!(add(&world, &json!({"name": "Default"})).problem(), "422 module.reserved");
    assert_eq!(remove(&world, "default").problem(), "422 module.reserved");
    assert_eq!(world.try_package("1.1", &json!({"module": "default"})).status, 201);
}

#[test]
fn r9_a_product_has_at_most_ten_modules() {
    let world = World::new().product("lamp");
    for n in 0..10 {
        assert_eq!(add(&world, &json!({"name": format!("m{n}")})).status, 201);
    }
    assert_eq!(add(&world, &json!({"name": "m10"})).problem(), "409 module.too-many");
    assert_eq!(remove(&world, "m3").status, 204);
    assert_eq!(add(&world, &json!({"name": "m10"})).status, 201);
    assert_eq!(names(&world).len(), 10);
}

#[test]
fn r10_a_module_that_has_packages_is_not_deleted() {
    let world = World::new().product("lamp");
    let _made = add(&world, &json!({"name": "mcu"})).expect(201);
    let made = world.try_package("1.1", &json!({"module": "mcu"})).expect(201);
    assert_eq!(remove(&world, "mcu").problem(), "409 module.in-use");
    let _gone = world.find_package(&made.text_of("package_id")).delete().expect(204);
    assert_eq!(remove(&world, "mcu").status, 204);
    assert_eq!(remove(&world, "mcu").problem(), "404 module.unknown");
}

#[test]
fn r156_an_upgrade_of_a_module_follows_the_modules_reports() {
    let world = World::new().product("lamp").devices(2);
    let _made = add(&world, &json!({"name": "mcu"})).expect(201);
    let more = json!({"module": "mcu", "needs_verification": false});
    let made = world.try_package("5.0", &more).expect(201);
    let lamp = world.device("lamp-1");
    lamp.report_module("mcu", "4.0");
    world.device("lamp-2").report_module("mcu", "5.0");
    let batch = world.batch(&world.find_package(&made.text_of("package_id")), json!({}));
    assert_eq!(batch.outcome(), ["lamp-1 notified"], "lamp-2's module runs it already");
    assert_eq!(lamp.told()[0].message["data"]["module"], "mcu");
    lamp.report("5.0");
    assert_eq!(batch.outcome(), ["lamp-1 notified"], "that was the whole device");
    lamp.report_module("mcu", "5.0");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded"]);
}
