//! What each thing costs, counted in operations on the store. These do not depend on the machine.

use ota_core::ids::{DeviceName, ProductKey};
use ota_core::time::Timestamp;
use ota_store::memory::Operations;
use ota_store::shard::{hash, locate};
use ota_store::{batches, shards};
use ota_tests::{Call, World, json, minutes};

const NOTHING: Operations = Operations { reads: 0, writes: 0, swaps: 0, increments: 0 };

fn reads_and_swaps(reads: u64, swaps: u64) -> Operations {
    Operations { reads, swaps, ..NOTHING }
}

#[test]
fn a_version_report_that_changes_nothing_is_one_read() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    assert_eq!(world.operations(|| lamp.report("1.0.0")), reads_and_swaps(1, 0));

    let _batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    assert_eq!(world.operations(|| lamp.report("1.0.0")), reads_and_swaps(1, 0), "with a task as well");
}

#[test]
fn a_progress_report_inside_one_status_is_one_read_and_one_swap() {
    let world = World::new().product("lamp").devices(1);
    let _batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let lamp = world.device("lamp-1");
    lamp.progress(10, "");
    assert_eq!(world.operations(|| lamp.progress(20, "")), reads_and_swaps(1, 1));
    assert_eq!(world.operations(|| lamp.progress(20, "")), reads_and_swaps(1, 0), "the same once more");
}

#[test]
fn a_report_that_changes_the_status_is_at_most_one_read_and_two_swaps() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    let cost = world.operations(|| world.device("lamp-1").progress(10, ""));
    assert_eq!(batch.outcome(), ["lamp-1 in-progress"]);
    assert!(cost.reads <= 1 && cost.swaps <= 2 && cost.writes + cost.increments == 0, "{cost:?}");
}

#[test]
fn a_report_that_ends_a_task_costs_one_read_and_one_swap_of_the_page_more() {
    let world = World::new().product("lamp").devices(2);
    let package = world.ready_package("1.1.0");
    // Named devices share a page, so the first one's end makes it.
    let batch = world.batch_for(&package, &["lamp-1", "lamp-2"]);
    world.device("lamp-1").upgrade();
    let lamp = world.device("lamp-2");
    lamp.progress(100, "");
    let cost = world.operations(|| lamp.report("1.1.0"));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded", "lamp-2 succeeded"]);
    assert!(cost.reads <= 2 && cost.swaps <= 3 && cost.writes + cost.increments == 0, "{cost:?}");
}

#[test]
fn a_device_that_speaks_of_nothing_new_while_it_waits_is_one_read() {
    let world = World::new().product("lamp").devices(1);
    assert_eq!(
        world.operations(|| world.device("lamp-1").progress(50, "of something else")),
        reads_and_swaps(1, 0)
    );
}

#[test]
fn a_request_with_a_token_that_was_made_is_one_read_more_than_one_with_the_root_token() {
    let world = World::new().product("lamp").devices(1);
    let token = world.token("viewer", &[&world.product_key()]);
    let uri = format!("/v1/products/{}/devices/lamp-1", world.product_key());
    let root = world.operations(|| {
        let _told = world.send(&Call::get(&uri)).expect(200);
    });
    let viewer = world.operations(|| {
        let _told = world.send_as(&token, Call::get(&uri)).expect(200);
    });
    assert_eq!(root.reads, 1);
    assert_eq!(viewer, Operations { reads: root.reads + 1, ..root });
}

#[test]
fn a_change_costs_two_reads_and_two_swaps_of_the_audit_log_and_a_refused_one_nothing() {
    let world = World::new().product("lamp");
    let uri = format!("/v1/products/{}/modules", world.product_key());
    let observer = world.observe();
    let _made = world.send(&Call::post(&uri, &json!({"name": "mcu"}))).expect(201);
    assert_eq!(observer.keys(&["read", "swap"]).iter().filter(|key| *key == "audit").count(), 4);
    assert_eq!(observer.count(&["get", "set", "delete", "increment"], |key| key.contains("audit")), 0);
    let _refused = world.send(&Call::post(&uri, &json!({"name": "a b"}))).expect(422);
    let _refused = world.send(&Call::post(&uri, &json!({"name": "mcu"}))).expect(409);
    assert_eq!(observer.count(&["read", "swap"], |key| key == "audit"), 4);
}

#[test]
fn a_push_to_many_devices_is_two_swaps_per_shard_however_many_there_are() {
    let world = World::new().product("lamp").devices(300);
    let package = world.ready_package("1.1.0");
    let body = json!({"package_id": package.id, "target": {"selection": "all"}});
    let _made = world.send(&Call::post("/v1/batches", &body)).expect(201);
    let observer = world.observe();
    world.settle();
    assert_eq!(world.published().len(), 300);
    let shard_of = |name: &str| locate(hash(&DeviceName::new(name).unwrap()), shards::INITIAL);
    for shard in 0..shards::INITIAL {
        let key = format!("fleet/{}/{shard}", world.product_key());
        let devices = world.all_devices().iter().filter(|device| shard_of(device.name()) == shard).count();
        assert!(devices > 5, "a shard of {devices} devices shows nothing");
        assert_eq!(observer.count(&["swap"], |k| k == key), 2, "shard {shard} of {devices} devices");
    }
}

#[test]
fn giving_devices_their_tasks_is_at_most_two_operations_per_shard() {
    let world = World::new().product("lamp").devices(300);
    let package = world.ready_package("1.1.0");
    let body = json!({"package_id": package.id, "target": {"selection": "all"}});
    let observer = world.observe();
    let _made = world.send(&Call::post("/v1/batches", &body)).expect(201);
    for shard in 0..shards::INITIAL {
        let key = format!("fleet/{}/{shard}", world.product_key());
        assert!(observer.count(&["read", "swap"], |k| k == key) <= 2, "shard {shard}");
    }
}

#[test]
fn a_request_for_a_batch_writes_as_much_for_ten_devices_as_for_three_hundred() {
    let cost_for = |devices| {
        let world = World::new().product("lamp").devices(devices);
        let package = world.ready_package("1.1.0");
        let body = json!({"package_id": package.id, "target": {"selection": "all"}});
        let cost = world.operations(|| {
            let _made = world.send(&Call::post("/v1/batches", &body)).expect(201);
        });
        cost.writes + cost.swaps + cost.increments
    };
    // One swap per shard that has devices, and both fleets have some in nearly all of the 16.
    assert!(cost_for(300) <= cost_for(10) + u64::from(shards::INITIAL));
}

#[test]
fn a_request_for_a_batch_costs_as_much_for_four_thousand_devices_as_for_eight_thousand() {
    let cost_for = |devices| {
        let world = World::new().product("lamp").devices(devices);
        let package = world.ready_package("1.1.0");
        let body = json!({"package_id": package.id, "target": {"selection": "all"}});
        world.operations(|| {
            let _made = world.send(&Call::post("/v1/batches", &body)).expect(201);
        })
    };
    // Fleets of more shards than one request gives tasks.
    let (small, large) = (cost_for(4_000), cost_for(8_000));
    assert_eq!(small, large);
    let shards_given = 64;
    assert!(small.swaps <= shards_given + 8 && small.reads <= shards_given + 32, "{small:?}");
}

#[test]
fn giving_a_whole_fleet_its_tasks_is_at_most_two_operations_per_shard_and_a_few_per_step() {
    let world = World::new().product("lamp").devices(4_000);
    let package = world.ready_package("1.1.0");
    let body = json!({"package_id": package.id, "target": {"selection": "all"}});
    let product = ProductKey::new(&world.product_key()).unwrap();
    let shards = u64::from(world.block_on(shards::shape(world.kv(), &product)).unwrap().unwrap().shards);
    assert!(shards > 80, "a fleet of {shards} shards shows nothing");
    let id = world.send(&Call::post("/v1/batches", &body)).expect(201).text_of("batch_id").parse().unwrap();
    let (first, mut steps, mut made) = (64, 0, 0);
    let cost = world.operations(|| {
        loop {
            let now = Timestamp(world.now_ms());
            let step = world.block_on(batches::expand(world.kv(), id, 16, now)).unwrap();
            (steps, made) = (steps + 1, made + step.made);
            if step.done {
                break;
            }
        }
    });
    assert!(made > 0 && steps > 1, "{made} tasks in {steps} steps");
    let operations = cost.reads + cost.swaps + cost.writes + cost.increments;
    // The batch, the open ones, the fleet's shape before and after; the batch again, and its swap.
    assert!(operations <= 2 * (shards - first) + 8 * steps, "{cost:?} for {shards} shards in {steps} steps");
}

#[test]
fn a_tick_asks_once_for_a_rate_that_is_spent_however_many_shards_wait_for_it() {
    let world = World::new().product("lamp").devices(300);
    let package = world.ready_package("1.1.0");
    let body = json!({"package_id": package.id, "target": {"selection": "all"}, "push_per_minute_max": 10});
    let _made = world.send(&Call::post("/v1/batches", &body)).expect(201);
    world.settle();
    assert_eq!(world.published().len(), 10);
    let observer = world.observe();
    world.tick();
    let shards = u64::from(shards::INITIAL);
    let fleet = format!("fleet/{}/", world.product_key());
    // By the walk, and by the one that looks for what was lost; once more each for the shard that asks.
    let reads = observer.count(&["get", "read"], |key| key.starts_with(&fleet));
    assert!(u64::try_from(reads).unwrap() <= 2 * shards + 2, "{reads} reads of {shards} shards");
    assert_eq!(observer.count(&["swap"], |key| key.starts_with(&fleet)), 0);
}

#[test]
fn a_tick_with_nothing_to_do_writes_nothing() {
    let world = World::new().product("lamp").devices(3);
    world.run(minutes(1));
    let cost = world.operations(|| {
        world.tick();
    });
    // The lists of open batches, uploads and deltas, and of webhooks, and when a tick was last noted; then some shards, in case a request to tell what is in them was lost:
    // the catalogue of products, the fleet's shape, 16 shards.
    assert_eq!(cost, reads_and_swaps(5 + 2 + 16, 0));
}

#[test]
fn a_history_costs_a_walk_one_read_and_a_change_one_swap() {
    let world = World::new().product("lamp").devices(3);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.run(minutes(2));
    let key = format!("batch/{}/history", batch.id);
    let observer = world.observe();
    world.tick();
    assert_eq!(observer.count(&["read"], |k| k == key), 1);
    assert_eq!(observer.count(&["get", "set", "swap", "increment"], |k| k == key), 0, "nothing has changed");
    world.device("lamp-1").upgrade();
    world.tick();
    world.tick();
    assert_eq!(observer.count(&["swap"], |k| k == key), 1);
}
