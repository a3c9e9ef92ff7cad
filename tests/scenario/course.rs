//! How a batch went: the points of its history.

use ota_tests::{Call, Value, World, hours, json, minutes, seconds};

fn points(world: &World, batch: &str) -> Vec<Value> {
    let told = world.get(format!("/v1/batches/{batch}/history"));
    told["items"].as_array().cloned().expect("a history has items")
}

fn of(points: &[Value], status: &str) -> Vec<u64> {
    points.iter().map(|point| point[status].as_u64().expect("every point has every count")).collect()
}

#[test]
fn a_history_tells_how_the_counts_went_from_the_first_task_to_the_last() {
    let world = World::new().product("lamp").devices(3);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    for device in world.all_devices() {
        world.run(minutes(2));
        device.upgrade();
    }
    world.run(seconds(10));
    assert_eq!(batch.status(), "completed");
    let points = points(&world, &batch.id);
    assert_eq!(of(&points, "succeeded"), [0, 1, 2, 3]);
    assert_eq!(of(&points, "total"), [3, 3, 3, 3]);
    let at = of(&points, "at");
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= minutes(1)), "{at:?}");
    assert_eq!(points[3]["succeeded"], batch.get()["counts"]["succeeded"]);
}

#[test]
fn what_changes_within_a_minute_is_one_point_and_the_end_is_told_at_once() {
    let world = World::new().product("lamp").devices(4);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    for device in world.all_devices() {
        device.upgrade();
        world.run(seconds(5));
    }
    world.run(seconds(10));
    assert_eq!(of(&points(&world, &batch.id), "succeeded"), [0, 4]);
}

#[test]
fn what_was_counted_last_is_told_although_it_is_less_than_a_minute_old() {
    let world = World::new().product("lamp").devices(2);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.device("lamp-1").upgrade();
    world.run(seconds(5));
    assert_eq!(of(&points(&world, &batch.id), "succeeded"), [0, 1]);
    world.run(minutes(2));
    assert_eq!(of(&points(&world, &batch.id), "succeeded"), [0, 1], "and noted once");
}

#[test]
fn a_batch_of_many_days_keeps_its_whole_span_in_a_bounded_number_of_points() {
    let world = World::new().product("lamp").devices(1);
    let more = json!({"mode": "dynamic", "source_versions": ["1.0.0"]});
    let batch = world.batch(&world.ready_package("1.1.0"), more);
    let began = world.now_ms();
    let rounds = 400;
    for _ in 0..rounds {
        world.register(1).remove(0).connect("1.0.0");
        world.advance(minutes(10));
        world.tick();
    }
    let at = of(&points(&world, &batch.id), "at");
    assert!((100..=240).contains(&at.len()), "{} points", at.len());
    assert!(at[0] - began <= minutes(10) && world.now_ms() - at[at.len() - 1] <= minutes(10));
    let gaps: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (least, most) = (gaps.iter().min().copied(), gaps.iter().max().copied());
    assert!(most <= least.map(|least| 2 * least), "from {least:?} to {most:?}");
}

#[test]
fn a_verification_has_a_history_too_and_a_batch_that_is_not_there_has_none() {
    let world = World::new().product("lamp").devices(1);
    let package = world.package("1.1.0");
    let trial = world.verify(&package, &["lamp-1"]);
    world.run(hours(1));
    let id = trial["batch"]["batch_id"].as_str().expect("a verification is a batch");
    assert_eq!(of(&points(&world, id), "notified"), [1]);
    let nowhere = world.send(&Call::get(format!("/v1/batches/{}/history", "0".repeat(32))));
    assert_eq!(nowhere.problem(), "404 request.not-found");
    let asked = world.send(&Call::get(format!("/v1/batches/{id}/history?limit=5")));
    assert_eq!(asked.problem(), "422 value.not-allowed");
}

#[test]
fn a_batch_that_was_made_before_there_were_histories_has_an_empty_one() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let key = format!("batch/{}/history", batch.id);
    world.block_on(ota_store::Kv::delete(world.kv(), &key)).expect("the store works");
    world.device("lamp-1").upgrade();
    world.run(minutes(2));
    assert_eq!(batch.status(), "completed");
    assert_eq!(points(&world, &batch.id), [Value::Null; 0]);
}
