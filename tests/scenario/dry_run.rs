//! Trying a batch out before it is made: what would it do?

use std::collections::BTreeMap;

use ota_core::ids::ProductKey;
use ota_core::time::Timestamp;
use ota_store::shards;
use ota_tests::{Batch, Call, Package, Token, Value, World, hours, json, minutes};
use proptest::prelude::*;

/// What all parts of a dry run come to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    devices: u64,
    refused: BTreeMap<String, u64>,
    minutes: Option<u64>,
    parts: u32,
}

fn asked(package: &Package, more: &Value) -> Value {
    let mut body = json!({"package_id": package.id, "target": {"selection": "all"}});
    more.as_object().into_iter().flatten().for_each(|(field, value)| body[field] = value.clone());
    body
}

fn part(world: &World, package: &Package, more: &Value, cursor: Option<&str>) -> Value {
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    let uri = format!("/v1/batches?dry_run=true{cursor}");
    world.send(&Call::post(uri, &asked(package, more))).expect(200).json()
}

/// Adds a part up; returns where to go on.
fn add(sum: &mut Sum, part: &Value) -> Option<String> {
    sum.devices += part["devices"].as_u64().expect("a number of devices");
    for refused in part["refused"].as_array().expect("a list of reasons") {
        let count = refused["count"].as_u64().expect("a number of devices");
        let names = refused["devices"].as_array().expect("a list of names").len() as u64;
        assert!(names == count.min(5), "{refused}");
        *sum.refused.entry(refused["code"].as_str().expect("a code").to_owned()).or_default() += count;
    }
    sum.minutes = part["minutes_at_rate"].as_u64();
    sum.parts += 1;
    let next = part["next_cursor"].as_str().map(str::to_owned);
    assert_eq!(part["walked"], next.is_none(), "{part}");
    next
}

fn dry_run(world: &World, package: &Package, more: &Value) -> Sum {
    let (mut sum, mut cursor) = (Sum::default(), None);
    loop {
        cursor = add(&mut sum, &part(world, package, more, cursor.as_deref()));
        if cursor.is_none() {
            return sum;
        }
        assert!(sum.parts < 1_000, "the parts never end");
    }
}

/// Runs a batch dry, then makes it, and compares: the numbers, and for those who get no task the reason that is told later.
#[track_caller]
fn same(world: &World, package: &Package, more: &Value) -> (Sum, Batch) {
    let before = world.kv().dump();
    let sum = dry_run(world, package, more);
    assert_eq!(world.kv().dump(), before, "a dry run writes nothing");
    assert!(!sum.refused.contains_key("not-reached"), "{sum:?}");
    let told = part(world, package, more, None);
    let batch = world.batch(package, more.clone());
    world.run(minutes(1));
    let counts = batch.get()["counts"].clone();
    let busy = sum.refused.get("device-busy").copied().unwrap_or(0);
    assert_eq!(counts["total"], sum.devices + busy, "{more}: {sum:?}");
    assert_eq!(batch.outcome().iter().filter(|line| line.ends_with("device-busy")).count() as u64, busy);
    // Which devices a gray rollout chooses is another matter each time.
    if more["target"]["selection"] != "gray" {
        for refused in told["refused"].as_array().into_iter().flatten() {
            for device in refused["devices"].as_array().into_iter().flatten() {
                let device = device.as_str().unwrap_or_default();
                let why = world.get(format!("/v1/batches/{}/devices/{device}/why", batch.id));
                assert_eq!(why["code"], refused["code"], "{device}: {why}");
            }
        }
    }
    (sum, batch)
}

fn refused(codes: &[(&str, u64)]) -> BTreeMap<String, u64> {
    codes.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect()
}

/// Twelve lamps: 1 runs the target, 2 and 3 another version, 4 is in a task, 5 in one that has begun, 6 and 7 are in
/// Zhejiang; 11 and 12 have never connected.
fn lamps() -> (World, Package) {
    let world = World::new().product("lamp").devices(10);
    let _never = world.register(2);
    world.device("lamp-1").report("1.1.0");
    world.device("lamp-2").report("0.9.0");
    world.device("lamp-3").report("0.9.0");
    let other = world.ready_package("1.0.5");
    let _busy = world.batch_for(&other, &["lamp-4", "lamp-5"]);
    world.device("lamp-5").progress(10, "");
    for lamp in ["lamp-6", "lamp-7"] {
        let _placed = world.place(lamp, &json!({"province": "330000"})).expect(200);
    }
    let package = world.ready_package("1.1.0");
    (world, package)
}

#[test]
fn a_dry_run_tells_how_many_would_be_upgraded_and_why_the_others_would_not() {
    let (world, package) = lamps();
    let told = part(&world, &package, &json!({"push_per_minute_max": 10}), None);
    let expected = json!({
        "devices": 7, "walked": true, "minutes_at_rate": 1,
        "refused": [
            {"code": "at-target", "count": 1, "devices": ["lamp-1"]},
            {"code": "device-busy", "count": 2, "devices": told["refused"][1]["devices"]},
            {"code": "never-activated", "count": 2, "devices": told["refused"][2]["devices"]},
        ],
    });
    assert_eq!(told, expected);
    let (sum, _) = same(&world, &package, &json!({}));
    assert_eq!((sum.devices, sum.parts), (7, 1));
}

#[test]
fn every_kind_of_target_comes_to_what_the_batch_comes_to() {
    let zhejiang = json!({"selection": "region", "regions": [{"province": "330000"}]});
    let gray = json!({"selection": "gray", "gray_percent": "33.3"});
    for (more, devices, codes) in [
        (
            json!({"overwrite": true}),
            8,
            refused(&[("at-target", 1), ("device-busy", 1), ("never-activated", 2)]),
        ),
        (
            json!({"source_versions": ["0.9.0"]}),
            2,
            refused(&[("at-target", 1), ("other-version", 7), ("never-activated", 2)]),
        ),
        (json!({"target": zhejiang}), 2, refused(&[("other-region", 8), ("never-activated", 2)])),
        (
            json!({"target": {"selection": "specific", "devices": ["lamp-1", "lamp-5", "lamp-8", "lamp-12"]}}),
            1,
            refused(&[("at-target", 1), ("device-busy", 1), ("never-activated", 1)]),
        ),
        (
            json!({"mode": "dynamic", "source_versions": ["1.0.0"]}),
            5,
            refused(&[("at-target", 1), ("device-busy", 2), ("never-activated", 2), ("other-version", 2)]),
        ),
        (
            json!({"mode": "dynamic", "source_versions": ["1.0.0"], "new_reports_only": true}),
            0,
            refused(&[("at-target", 1), ("never-activated", 2), ("nothing-new", 7), ("other-version", 2)]),
        ),
    ] {
        let (world, package) = lamps();
        let (sum, _) = same(&world, &package, &more);
        assert_eq!((sum.devices, &sum.refused), (devices, &codes), "{more}");
    }
    let (world, package) = lamps();
    let (sum, _) = same(&world, &package, &world.listed("lamp-2\nlamp-3\nlamp-4\nlamp-11\n"));
    assert_eq!((sum.devices, sum.refused), (2, refused(&[("device-busy", 1), ("never-activated", 1)])));
    // Of nine that may be chosen some are busy, and the dice say which.
    let (world, package) = lamps();
    let sum = dry_run(&world, &package, &json!({"target": gray}));
    let busy = sum.refused.get("device-busy").copied().unwrap_or(0);
    assert_eq!((sum.devices + busy, sum.refused["not-in-the-share"]), (2, 7), "{sum:?}");
}

#[test]
fn a_gray_rollout_takes_its_share_in_the_dry_run_too() {
    for (devices, percent) in [(1, "0.001"), (3, "33.333"), (100, "29"), (250, "12.345")] {
        let world = World::new().product("lamp").devices(devices);
        let more = json!({"target": {"selection": "gray", "gray_percent": percent}});
        let (sum, batch) = same(&world, &world.ready_package("1.1.0"), &more);
        assert_eq!(sum.devices, batch.tasks().len() as u64, "{percent} % of {devices}");
    }
}

#[test]
fn sub_devices_are_devices_in_a_dry_run_as_well() {
    let world = World::new().product("lamp").devices(1);
    let _sub = world.register(2);
    let gateway = world.gateway("lamp-1");
    let _put = gateway.put_behind(&["lamp-2", "lamp-3"]).expect(204);
    let _in = gateway.login("lamp-2");
    world.device("lamp-2").report("1.0.0");
    let (sum, _) = same(&world, &world.ready_package("1.1.0"), &json!({}));
    assert_eq!((sum.devices, sum.refused), (2, refused(&[("never-activated", 1)])));
}

#[test]
fn a_delta_and_a_module_are_looked_at_by_their_own_versions() {
    let world = World::new().product("lamp").devices(4);
    let module = format!("/v1/products/{}/modules", world.product_key());
    let _made = world.send(&Call::post(module, &json!({"name": "mcu"}))).expect(201);
    world.device("lamp-1").report_module("mcu", "7");
    world.device("lamp-2").report_module("mcu", "8");
    let more = json!({"needs_verification": false, "module": "mcu"});
    let made = world.try_package("8", &more).expect(201).text_of("package_id");
    let (sum, _) = same(&world, &world.find_package(&made), &json!({"source_versions": ["7"]}));
    assert_eq!(sum.devices, 1);
    assert_eq!(sum.refused, refused(&[("at-target", 1), ("other-version", 2)]));
}

#[test]
fn a_batch_that_would_be_refused_is_refused_with_the_same_words_and_every_fault() {
    let world = World::new().product("lamp").devices(2);
    let (ready, trial) = (world.ready_package("1.1.0"), world.package("1.2.0"));
    let dynamic = json!({"mode": "dynamic", "source_versions": ["1.0.0"]});
    let _running = world.batch(&ready, dynamic.clone());
    let nobody = json!({"source_versions": ["5.0.0"]});
    let ghost = json!({"target": {"selection": "specific", "devices": ["ghost"]}});
    let wrong = json!({"mode": "never", "push_per_minute_max": 1, "tags": 5, "unknown": true});
    let bad_list = json!({"target": {"selection": "specific", "device_list": "0".repeat(32)}});
    for (package, more) in [
        (&ready, &dynamic),
        (&ready, &nobody),
        (&ready, &ghost),
        (&ready, &wrong),
        (&ready, &bad_list),
        (&trial, &json!({})),
    ] {
        let before = world.kv().dump();
        let dry = world.send(&Call::post("/v1/batches?dry_run=true", &asked(package, more)));
        assert_eq!(world.kv().dump(), before, "{more}");
        let real = world.try_batch(package, more);
        assert_eq!((dry.problem(), dry.faults()), (real.problem(), real.faults()), "{more}");
        assert!(dry.status == 422 || dry.status == 409, "{}", dry.problem());
    }
}

#[test]
fn a_dry_run_takes_no_lane_and_sees_those_that_are_taken() {
    let world = World::new().product("lamp").devices(2);
    let settings = json!({"settings": {"conflict_policy": "source-version"}});
    let uri = format!("/v1/products/{}", world.product_key());
    let _set = world.send(&Call::patch(uri, &settings)).expect(200);
    let (one, two) = (world.ready_package("1.1.0"), world.ready_package("1.2.0"));
    for package in [&one, &two] {
        assert_eq!(dry_run(&world, package, &json!({})).devices, 2);
    }
    let batch = world.batch(&one, json!({}));
    let dry = world.send(&Call::post("/v1/batches?dry_run=true", &asked(&two, &json!({}))));
    assert_eq!(dry.problem(), "409 batch.conflict");
    // A claim whose batch is over stands in nobody's way, although it is still there.
    world.all_devices().iter().for_each(|device| device.upgrade());
    world.run(minutes(1));
    assert_eq!(batch.status(), "completed");
    assert_eq!(dry_run(&world, &two, &json!({})).devices, 2);
}

#[test]
fn the_minutes_are_those_of_the_pushes_at_the_rate() {
    let world = World::new().product("lamp").devices(25);
    let package = world.ready_package("1.1.0");
    let minutes = |more: &Value| dry_run(&world, &package, more).minutes;
    assert_eq!(minutes(&json!({"push_per_minute_max": 10})), Some(3));
    assert_eq!(minutes(&json!({})), Some(1));
    assert_eq!(minutes(&json!({"push": false})), None);
}

fn split(world: &World, count: u32) {
    let product = ProductKey::new(&world.product_key()).expect("the product's key is one");
    let shape = world.block_on(shards::shape(world.kv(), &product)).expect("the store works");
    let target = shape.expect("there is a product").shards + count;
    let grown = shards::grow(world.kv(), &product, target, count, Timestamp(world.now_ms()));
    world.block_on(grown).expect("the store works");
}

#[test]
fn a_large_fleet_is_walked_over_in_parts_that_sum_up() {
    let (world, package) = lamps();
    split(&world, 600);
    let rate = json!({"push_per_minute_max": 10, "overwrite": true});
    let (sum, _) = same(&world, &package, &rate);
    assert_eq!((sum.parts, sum.devices, sum.minutes), (3, 8, Some(1)));
    let world = World::new().product("lamp").devices(40);
    split(&world, 600);
    let gray = json!({"target": {"selection": "gray", "gray_percent": "33"}, "push_per_minute_max": 10});
    let (sum, _) = same(&world, &world.ready_package("1.1.0"), &gray);
    assert_eq!((sum.parts, sum.devices, sum.minutes), (3, 13, Some(2)));
}

#[test]
fn a_fleet_that_grows_between_two_parts_has_every_device_counted_once() {
    for selection in ["all", "gray", "specific"] {
        let world = World::new().product("lamp").devices(60);
        let names: Vec<String> = world.all_devices().iter().map(|device| device.name().to_owned()).collect();
        split(&world, 284);
        let more = match selection {
            "specific" => json!({"target": {"selection": selection, "devices": names}}),
            "gray" => json!({"target": {"selection": selection, "gray_percent": "100"}}),
            _ => json!({}),
        };
        let package = world.ready_package("1.1.0");
        let mut sum = Sum::default();
        let mut cursor = None;
        loop {
            cursor = add(&mut sum, &part(&world, &package, &more, cursor.as_deref()));
            if cursor.is_none() {
                break;
            }
            split(&world, 150);
        }
        assert_eq!((sum.devices, sum.refused), (60, BTreeMap::new()), "{selection}");
    }
}

#[test]
fn a_cursor_that_no_dry_run_has_led_to_is_refused_or_ends() {
    let world = World::new().product("lamp").devices(3);
    split(&world, 100);
    let body = asked(&world.ready_package("1.1.0"), &json!({}));
    let with =
        |cursor: &str| world.send(&Call::post(format!("/v1/batches?dry_run=true&cursor={cursor}"), &body));
    let huge = u64::MAX;
    let few = "16.0.0.0".to_owned();
    for bad in
        ["", "x", "116", "116.0", "116.0.0", "116.0.0.0.0", "0.0.0.0", "4294967295.0.0.0", "117.0.0.0", &few]
    {
        assert_eq!(with(bad).problem(), "422 value.malformed", "{bad}");
    }
    let beyond = with(&format!("116.{}.{huge}.{huge}", u32::MAX)).expect(200).json();
    assert_eq!((&beyond["devices"], &beyond["walked"]), (&json!(0), &json!(true)));
    for query in
        ["dry_run=yes", "dry_run", "dry_run=false&cursor=1.1.1.1", "dry_run=true&limit=5", "cursor=1.1.1.1"]
    {
        let answer = world.send(&Call::post(format!("/v1/batches?{query}"), &body));
        assert_eq!(answer.status, 422, "{query}: {answer:?}");
    }
    assert!(world.list("/v1/batches", 50).is_empty());
    let _made = world.send(&Call::post("/v1/batches?dry_run=false", &body)).expect(201);
}

#[test]
fn a_dry_run_is_no_change_and_still_an_operators() {
    let (world, package) = lamps();
    let (viewer, operator) = (world.token("viewer", &[]), world.token("operator", &[&world.product_key()]));
    let call = || Call::post("/v1/batches?dry_run=true", &asked(&package, &json!({}))).key("once");
    let status = |token: &Token, call: Call| world.send_as(token, call).status;
    assert_eq!(status(&viewer, call()), 403);
    let before = world.kv().dump();
    assert_eq!(
        (status(&operator, call()), status(&operator, call())),
        (200, 200),
        "not even in the audit log"
    );
    assert_eq!(world.kv().dump(), before);
    world.advance(hours(1));
    let made = world.send_as(&operator, Call::post("/v1/batches", &asked(&package, &json!({}))).key("once"));
    assert_eq!(made.status, 201, "and the key is not used up");
}

fn any_lamp() -> impl Strategy<Value = u8> {
    0..8_u8
}

fn any_batch() -> impl Strategy<Value = Value> {
    let target = prop_oneof![
        Just(json!({"selection": "all"})),
        Just(json!({"selection": "region", "regions": [{"province": "330000"}, {"province": "110000"}]})),
        Just(json!({"selection": "specific", "devices": ["lamp-1", "lamp-2", "lamp-3", "lamp-4", "lamp-5"]})),
        (1..100_u8).prop_map(|percent| json!({"selection": "gray", "gray_percent": percent.to_string()})),
    ];
    (target, any::<[bool; 5]>()).prop_map(|(target, [overwrite, dynamic, from, multi, confirm])| {
        let named = target["selection"] == "specific";
        let mut batch = json!({"target": target, "needs_confirmation": confirm});
        let gray = batch["target"]["selection"] == "gray";
        if dynamic && !named && !gray {
            batch["mode"] = "dynamic".into();
        }
        if (from || dynamic) && !named {
            batch["source_versions"] = json!(["1.0.0", "0.9.0"]);
        }
        if multi {
            batch["multi_module"] = true.into();
        } else {
            batch["overwrite"] = overwrite.into();
        }
        batch
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_fleet_and_the_batch_the_numbers_are_those_of_the_batch(
        fleet in prop::collection::vec(any_lamp(), 5..30),
        batch in any_batch(),
    ) {
        let world = World::new().product("lamp");
        let lamps = world.register(fleet.len());
        let busy = world.ready_package("1.0.5");
        for (lamp, kind) in lamps.iter().zip(&fleet) {
            match kind {
                0 => continue,
                1 => lamp.connect("1.1.0"),
                2 => lamp.connect("0.9.0"),
                3 => lamp.connect("0.8.0"),
                _ => lamp.connect("1.0.0"),
            }
            if *kind == 4 {
                let _placed = world.place(lamp.name(), &json!({"province": "330000"}));
            }
            if *kind >= 6 {
                let _busy = world.batch_for(&busy, &[lamp.name()]);
            }
            if *kind == 7 {
                lamp.progress(5, "");
            }
        }
        world.advance(1);
        let package = world.ready_package("1.1.0");
        let dry = world.send(&Call::post("/v1/batches?dry_run=true", &asked(&package, &batch)));
        if dry.status != 200 {
            prop_assert_eq!(dry.problem(), world.try_batch(&package, &batch).problem());
        } else if batch["target"]["selection"] == "gray" {
            let sum = dry_run(&world, &package, &batch);
            let busy = sum.refused.get("device-busy").copied().unwrap_or(0);
            let made = world.batch(&package, batch);
            prop_assert_eq!(&made.get()["counts"]["total"], &json!(sum.devices + busy));
        } else {
            same(&world, &package, &batch);
        }
    }
}
