//! The pairs that go along to the devices.

use ota_tests::{Answer, Batch, Call, Value, World, json, seconds};

fn change(world: &World, batch: &Batch, tags: &Value) -> Answer {
    world.send(&Call::patch(format!("/v1/batches/{}", batch.id), tags))
}

fn tag(key: &str, value: &str) -> Value {
    json!({"key": key, "value": value})
}

#[test]
fn r87_the_tags_of_a_batch_are_fixed_at_its_creation() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"tags": [tag("line", "2")]}));
    let refused = change(&world, &batch, &json!({"tags": [tag("line", "3")]}));
    assert_eq!(refused.problem(), "409 batch.tags-fixed");
    assert_eq!(batch.get()["tags"], json!([tag("line", "2")]));
}

#[test]
fn r87_a_product_may_let_them_be_edited_and_who_is_told_later_is_told_the_new_ones() {
    let world = World::new().product("lamp").devices(2);
    world.set(&json!({"editable_tags": true}));
    let late = world.device("lamp-2");
    late.disconnect();
    let batch =
        world.batch(&world.ready_package("1.1.0"), json!({"tags": [tag("line", "2"), tag("hall", "a")]}));
    let changed = change(&world, &batch, &json!({"tags": [tag("line", "3")]})).expect(200).json();
    assert_eq!(changed["tags"], json!([tag("line", "3")]), "all of them are replaced");
    assert_eq!(batch.get()["tags"], changed["tags"]);
    late.connect("1.0.0");
    world.run(seconds(10));
    assert_eq!(
        world.device("lamp-1").told()[0].message["data"]["extData"],
        json!({"line": "2", "hall": "a"})
    );
    assert_eq!(late.told()[0].message["data"]["extData"], json!({"line": "3"}));
    assert_eq!(
        world.device("lamp-1").ask()["data"]["extData"],
        json!({"line": "3"}),
        "who asks again is told anew"
    );

    let _none = change(&world, &batch, &json!({"tags": []})).expect(200);
    assert_eq!(late.ask()["data"].get("extData"), None);
}

#[test]
fn r86_r87_edited_tags_follow_the_rules_of_new_ones() {
    let world = World::new().product("lamp").devices(1);
    world.set(&json!({"editable_tags": true}));
    let batch = world.batch(&world.ready_package("1.1.0"), json!({"tags": [tag("line", "2")]}));
    let faults = |tags: Value| change(&world, &batch, &tags).faults();
    assert_eq!(change(&world, &batch, &Value::Null).status / 100, 4);
    let eleven: Vec<Value> = (0..11).map(|n| tag(&format!("k{n}"), "v")).collect();
    assert_eq!(faults(json!({"tags": eleven})), ["/tags value.too-many"]);
    let bad = [tag("a_b", "v"), tag("x", ""), tag("x", "v"), tag(&"k".repeat(31), "v")];
    let expected = [
        "/tags/0/key value.charset",
        "/tags/1/value value.length",
        "/tags/2/key value.duplicate",
        "/tags/3/key value.length",
    ];
    assert_eq!(faults(json!({"tags": bad})), expected);
    assert_eq!(faults(json!({"tags": [], "overwrite": true})), ["/overwrite value.not-allowed"]);
    assert_eq!(batch.get()["tags"], json!([tag("line", "2")]));
    assert_eq!(change(&world, &world.find_batch(&"0".repeat(32)), &json!({"tags": []})).status, 404);
    let ten: Vec<Value> = (0..10).map(|n| tag(&format!("k{n}"), "v")).collect();
    assert_eq!(change(&world, &batch, &json!({"tags": ten})).status, 200);
}
