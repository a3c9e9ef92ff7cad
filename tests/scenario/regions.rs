//! Batches for the devices of a region.

use ota_tests::{Batch, Value, World, json, minutes, seconds};

const ZHEJIANG: &str = "330000";
const HANGZHOU: &str = "330100";
const NINGBO: &str = "330200";
const BEIJING: &str = "110000";

fn at(province: &str, city: Option<&str>) -> Value {
    city.map_or_else(|| json!({"province": province}), |city| json!({"province": province, "city": city}))
}

/// Five lamps: in Hangzhou, in Ningbo, somewhere in Zhejiang, in Beijing, nobody knows where.
fn five_lamps() -> World {
    let world = World::new().product("lamp").devices(5);
    for (lamp, place) in [
        ("lamp-1", at(ZHEJIANG, Some(HANGZHOU))),
        ("lamp-2", at(ZHEJIANG, Some(NINGBO))),
        ("lamp-3", at(ZHEJIANG, None)),
        ("lamp-4", at(BEIJING, Some("110101"))),
    ] {
        assert_eq!(world.place(lamp, &place).expect(200).json()["region"], place);
    }
    world
}

fn regional(regions: &[Value]) -> Value {
    json!({"target": {"selection": "region", "regions": regions}})
}

fn lamps(batch: &Batch) -> Vec<String> {
    let name = |words: &String| words.split(' ').next().unwrap_or_default().replace("lamp-", "");
    batch.outcome().iter().map(name).collect()
}

#[test]
fn r72_a_regional_batch_takes_the_devices_located_there_only() {
    for (regions, expected) in [
        (vec![at(ZHEJIANG, None)], vec!["1", "2", "3"]),
        (vec![at(ZHEJIANG, Some(HANGZHOU))], vec!["1"]),
        (vec![at(ZHEJIANG, Some(HANGZHOU)), at(BEIJING, None)], vec!["1", "4"]),
        (vec![at(ZHEJIANG, None), at(ZHEJIANG, Some(HANGZHOU))], vec!["1", "2", "3"]),
    ] {
        let world = five_lamps();
        let batch = world.batch(&world.ready_package("1.1.0"), regional(&regions));
        assert_eq!(lamps(&batch), expected, "{regions:?}");
        assert_eq!(batch.get()["target"]["regions"], json!(regions));
        world.run(minutes(1));
        assert_eq!(
            (lamps(&batch), world.pushes()),
            (expected.iter().map(ToString::to_string).collect(), expected.len())
        );
    }
}

#[test]
fn r72_where_no_device_is_there_is_nothing_to_upgrade() {
    let world = five_lamps();
    let package = world.ready_package("1.1.0");
    for nowhere in [at("440000", None), at(BEIJING, Some("110102")), at(HANGZHOU, None)] {
        assert_eq!(world.try_batch(&package, &regional(&[nowhere])).problem(), "422 batch.no-device");
    }
}

#[test]
fn r72_a_device_of_which_no_place_is_known_any_more_is_nowhere() {
    let world = five_lamps();
    let told = world.place("lamp-1", &Value::Null).expect(200).json();
    assert!(told.get("region").is_none(), "{told}");
    let batch = world.batch(&world.ready_package("1.1.0"), regional(&[at(ZHEJIANG, None)]));
    assert_eq!(lamps(&batch), ["2", "3"]);
    let why = world.get(format!("/v1/batches/{}/devices/lamp-1/why", batch.id));
    assert_eq!((&why["code"], &why["rule"]), (&json!("other-region"), &json!("R72")));
    // Whoever moves there later is not in a static batch.
    world.advance(minutes(1));
    let _moved = world.place("lamp-5", &at(ZHEJIANG, None)).expect(200);
    world.device("lamp-5").restart("1.0.0");
    world.run(minutes(1));
    assert_eq!(lamps(&batch), ["2", "3"]);
}

#[test]
fn r72_a_region_may_be_told_when_a_device_is_registered() {
    let world = World::new().product("lamp").devices(1);
    let uri = format!("/v1/products/{}/devices", world.product_key());
    let body = json!({"devices": [{"name": "lamp-1", "region": at(BEIJING, None)},
        {"name": "lamp-9", "region": at(BEIJING, None)}]});
    let _made = world.send(&ota_tests::Call::post(&uri, &body)).expect(201);
    assert_eq!(world.get(format!("{uri}/lamp-9"))["region"], at(BEIJING, None));
    assert!(world.get(format!("{uri}/lamp-1")).get("region").is_none(), "a known device stays as it is");
}

#[test]
fn r72_r105_a_dynamic_batch_takes_devices_of_its_region_now_and_later() {
    let world = five_lamps();
    let new = world.register(2);
    let _placed = world.place("lamp-6", &at(ZHEJIANG, Some(HANGZHOU))).expect(200);
    world.device("lamp-2").report("0.9.0");
    let mut asked = regional(&[at(ZHEJIANG, None)]);
    asked["mode"] = json!("dynamic");
    asked["source_versions"] = json!(["1.0.0"]);
    let batch = world.batch(&world.ready_package("1.1.0"), asked);
    assert_eq!(lamps(&batch), ["1", "3"]);
    world.advance(minutes(1));
    new.iter().for_each(|device| device.connect("1.0.0"));
    world.device("lamp-2").report("1.0.0");
    world.run(seconds(10));
    assert_eq!(lamps(&batch), ["1", "2", "3", "6"], "lamp-7 is nobody knows where");

    // A device that moves joins by the next version it reports, not by moving.
    let _moved = world.place("lamp-4", &at(ZHEJIANG, None)).expect(200);
    world.run(seconds(10));
    assert_eq!(lamps(&batch), ["1", "2", "3", "6"]);
    world.device("lamp-4").report("0.9.0");
    world.device("lamp-4").report("1.0.0");
    world.run(seconds(10));
    assert_eq!(lamps(&batch), ["1", "2", "3", "4", "6"]);
    // And one that moves away keeps its task.
    let _moved = world.place("lamp-1", &at(BEIJING, None)).expect(200);
    world.device("lamp-1").upgrade();
    assert_eq!(batch.task("lamp-1")["status"], "succeeded");
}

#[test]
fn r72_what_no_region_can_be_is_told_by_name() {
    let world = five_lamps();
    let package = world.ready_package("1.1.0");
    let faults = |asked: &Value| world.try_batch(&package, asked).faults();
    assert_eq!(faults(&regional(&[])), ["/target/regions value.missing"]);
    assert_eq!(faults(&json!({"target": {"selection": "region"}})), ["/target/regions value.missing"]);
    let asked = regional(&[json!({"city": "x"}), at("a b", None), at("x", None), at("x", None)]);
    let expected = [
        "/target/regions/0 value.missing",
        "/target/regions/1 value.charset",
        "/target/regions/3 value.duplicate",
    ];
    assert_eq!(faults(&asked), expected);
    let many = |count: usize| regional(&(0..count).map(|n| at(&format!("p{n}"), None)).collect::<Vec<_>>());
    assert_eq!(faults(&many(101)), ["/target/regions value.too-many"]);
    assert_eq!(
        world.try_batch(&package, &many(100)).problem(),
        "422 batch.no-device",
        "they are not too many"
    );
    let elsewhere = json!({"target": {"selection": "all", "regions": [at("x", None)]}});
    assert_eq!(faults(&elsewhere), ["/target/regions value.not-allowed"]);
    assert_eq!(world.place("lamp-1", &json!({"city": "x"})).faults(), ["/region value.missing"]);
    assert_eq!(world.place("lamp-0", &at("x", None)).status, 404);
}
