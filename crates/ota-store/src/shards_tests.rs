use super::*;
use crate::devices::{self, NewDevice};
use crate::memory::{Fault, MemoryKv};
use crate::shard::DEVICES_MAX;
use crate::testing::block_on;
use ota_core::device::DeviceSecret;
use ota_core::ids::DeviceRef;
use ota_core::product::{Product, ProductSettings};

const NOW: Timestamp = Timestamp(1_000_000);

fn product(kv: &MemoryKv, n: u8) -> ProductKey {
    let key = ProductKey::from_random([n; 16]);
    let product = Product {
        key: key.clone(),
        name: format!("product {n}"),
        modules: Vec::new(),
        created_at: NOW,
        settings: ProductSettings::default(),
    };
    block_on(crate::products::create(kv, product, NOW)).unwrap().unwrap();
    key
}

fn new_devices(range: std::ops::Range<u32>) -> Vec<NewDevice> {
    range
        .map(|n| NewDevice {
            name: DeviceName::new(&format!("lamp-{n:06}")).unwrap(),
            secret: None,
            made_secret: DeviceSecret::from_random(u128::from(n).to_be_bytes()),
            region: None,
        })
        .collect()
}

fn walk(kv: &MemoryKv, product: &ProductKey) -> Vec<DeviceName> {
    let shards = block_on(shape(kv, product)).unwrap().unwrap().shards;
    let mut names: Vec<DeviceName> = (0..shards)
        .flat_map(|at| block_on(load_shard(kv, product, at)).unwrap().unwrap().devices().unwrap())
        .map(|device| device.name)
        .collect();
    names.sort();
    names
}

fn all_names(range: std::ops::Range<u32>) -> Vec<DeviceName> {
    new_devices(range).into_iter().map(|device| device.name).collect()
}

#[test]
fn a_fleet_grows_by_splitting_and_every_device_is_found_in_one_place() {
    let kv = MemoryKv::new();
    let product = product(&kv, 1);
    for start in (0..6_000).step_by(1_000) {
        block_on(devices::register(&kv, &product, &new_devices(start..start + 1_000), NOW)).unwrap().unwrap();
    }
    let shards = block_on(shape(&kv, &product)).unwrap().unwrap();
    assert!(shards.shards > 80 && !shards.is_splitting(), "{shards:?}");
    assert_eq!(walk(&kv, &product), all_names(0..6_000));
    for name in all_names(0..6_000) {
        let device = DeviceRef { product_key: product.clone(), device_name: name };
        assert!(block_on(devices::find(&kv, &device, NOW)).unwrap().is_some(), "{device}");
    }
}

#[test]
fn an_old_hint_costs_reads_and_never_a_wrong_answer() {
    let kv = MemoryKv::new();
    let product = product(&kv, 2);
    block_on(devices::register(&kv, &product, &new_devices(0..3_000), NOW)).unwrap().unwrap();
    for stale in [1, 2, 16, 17, 31] {
        for name in all_names(0..300) {
            remember(&product, stale);
            let device = DeviceRef { product_key: product.clone(), device_name: name };
            assert!(block_on(devices::find(&kv, &device, NOW)).unwrap().is_some());
            remember(&product, stale);
            let changed = block_on(devices::update(&kv, &device, NOW, |found, _| (found.spoke(NOW), ())));
            assert_eq!(changed.unwrap(), Some(()));
        }
    }
}

#[test]
fn a_crash_at_any_operation_of_a_split_loses_no_device_and_the_next_writer_finishes_it() {
    for spin_quirks in [false, true] {
        for kind in [Fault::Refused, Fault::AnswerLost] {
            for crash_at in 0..40 {
                let kv = if spin_quirks { MemoryKv::with_spin_quirks() } else { MemoryKv::new() };
                let product = product(&kv, 3);
                block_on(devices::register(&kv, &product, &new_devices(0..600), NOW)).unwrap().unwrap();
                let target = block_on(shape(&kv, &product)).unwrap().unwrap().shards + 1;
                let mut count = 0;
                kv.set_faults(move |_, _| {
                    count += 1;
                    (count > crash_at).then_some(kind)
                });
                let crashed = block_on(grow(&kv, &product, target, 9, NOW)).is_err();
                kv.clear_faults();
                // After the claim's grace somebody writes to every device.
                let later = NOW.plus_ms(claim::GRACE_MS + 1);
                for (index, name) in all_names(0..600).into_iter().enumerate() {
                    let device = DeviceRef { product_key: product.clone(), device_name: name };
                    let mut told = Err(StoreError::Contention { key: String::new() });
                    for wait in 0..4 {
                        let now = later.plus_ms(wait * (claim::GRACE_MS + 1));
                        told =
                            block_on(devices::update(&kv, &device, now, |found, _| (found.spoke(now), ())));
                        if told.is_ok() {
                            break;
                        }
                    }
                    assert!(matches!(told, Ok(Some(()))), "device {index}, crash at {crash_at}: {told:?}");
                }
                let later = later.plus_ms(10 * claim::GRACE_MS);
                block_on(mend(&kv, &product, later)).unwrap();
                block_on(grow(&kv, &product, target + 2, 9, later)).unwrap();
                assert_eq!(block_on(shape(&kv, &product)).unwrap().unwrap().shards, target + 2);
                assert_eq!(walk(&kv, &product), all_names(0..600), "crash at {crash_at} ({crashed})");
            }
        }
    }
}

#[test]
fn a_device_of_an_unknown_product_is_nowhere() {
    let kv = MemoryKv::new();
    let device = DeviceRef {
        product_key: ProductKey::from_random([9; 16]),
        device_name: DeviceName::new("lamp").unwrap(),
    };
    assert!(block_on(devices::find(&kv, &device, NOW)).unwrap().is_none());
    assert!(block_on(devices::update(&kv, &device, NOW, |_, _| (true, ()))).unwrap().is_none());
}

#[test]
fn registering_again_changes_nothing_and_tells_the_same_secret() {
    let kv = MemoryKv::new();
    let product = product(&kv, 4);
    let first = block_on(devices::register(&kv, &product, &new_devices(0..3), NOW)).unwrap().unwrap();
    let mut again = new_devices(0..3);
    again[0].made_secret = DeviceSecret::from_random([0xff; 16]);
    again[1].secret = Some(DeviceSecret::new("another").unwrap());
    let second = block_on(devices::register(&kv, &product, &again, NOW)).unwrap().unwrap();
    assert_eq!(second[0], first[0]);
    assert!(second[1].is_err());
    assert_eq!(second[2], first[2]);
}

#[test]
fn several_let_a_fleet_grow_at_once_and_what_one_left_half_done_is_mended() {
    let kv = MemoryKv::new();
    let product = product(&kv, 5);
    block_on(devices::register(&kv, &product, &new_devices(0..600), NOW)).unwrap().unwrap();
    let before = block_on(shape(&kv, &product)).unwrap().unwrap().shards;
    // Two have begun and died, the second of them after it had made its shard; a third comes and does its own.
    let first = block_on(end_and_begin(&kv, &product, None, before + 9, NOW)).unwrap();
    let second = block_on(end_and_begin(&kv, &product, None, before + 9, NOW)).unwrap();
    assert_eq!((first, second), (Some(before), Some(before + 1)));
    block_on(split_off(&kv, &product, before + 1, NOW)).unwrap();
    block_on(grow(&kv, &product, before + 4, 9, NOW)).unwrap();
    let half_done = block_on(shape(&kv, &product)).unwrap().unwrap();
    assert_eq!(half_done, Shape { shards: before, ahead: 4, there: 0b1100 });
    // All devices are found meanwhile, and those on their way make somebody finish the split.
    for name in all_names(0..600) {
        let device = DeviceRef { product_key: product.clone(), device_name: name };
        let changed = block_on(devices::update(&kv, &device, NOW, |found, _| (found.spoke(NOW), ())));
        assert_eq!(changed.unwrap(), Some(()), "{device}");
    }
    block_on(mend(&kv, &product, NOW)).unwrap();
    assert_eq!(block_on(shape(&kv, &product)).unwrap().unwrap(), Shape::of(before + 4));
    assert_eq!(walk(&kv, &product), all_names(0..600));
}

#[test]
fn no_more_shards_are_begun_than_have_one_to_come_from() {
    let mut shape = Shape::of(INITIAL);
    let begun: Vec<u32> = std::iter::from_fn(|| shape.begin(1_000)).collect();
    assert_eq!(begun, (INITIAL..INITIAL + AHEAD_MAX).collect::<Vec<_>>());
    for to in begun.into_iter().rev() {
        assert!(shape.end(to) && !shape.end(to), "{to}");
        assert!(!shape.waits_for(to));
    }
    assert_eq!(shape, Shape::of(INITIAL + AHEAD_MAX));
    // Whatever the size: all that are begun come from different shards, which are there.
    for shards in INITIAL..1_000 {
        let from = |to: u32| to % (modulus(to, to + 1) / 2);
        let sources: std::collections::BTreeSet<u32> = (shards..shards + AHEAD_MAX).map(from).collect();
        assert_eq!(sources.len(), AHEAD_MAX as usize, "{shards}");
        assert!(sources.into_iter().all(|source| source < shards), "{shards}");
    }
}

#[test]
fn each_further_shard_costs_a_growing_fleet_four_swaps_however_large_it_is() {
    for shards in [INITIAL, 1_000] {
        let kv = MemoryKv::new();
        let product = product(&kv, 6);
        block_on(grow(&kv, &product, shards, shards, NOW)).unwrap();
        // So that most that are split have devices that move.
        block_on(devices::register(&kv, &product, &new_devices(0..1_000), NOW)).unwrap().unwrap();
        let before = block_on(shape(&kv, &product)).unwrap().unwrap().shards;
        let counted = kv.operations();
        block_on(grow(&kv, &product, before + 100, 8, NOW)).unwrap();
        let cost = kv.operations().since(counted);
        assert_eq!(block_on(shape(&kv, &product)).unwrap().unwrap(), Shape::of(before + 8));
        // One to begin; then the old shard twice, the new one, and the fleet, for each.
        assert!(cost.swaps <= 1 + 4 * 8, "{cost:?} in a fleet of {before}");
        assert!(cost.reads <= 1 + 4 * 8 && cost.increments <= 8 && cost.writes == 0, "{cost:?}");
    }
}

#[test]
fn a_fleet_whose_devices_all_come_at_once_is_as_wide_as_one_that_grew_slowly() {
    for at_once in [100, 1_000, 2_000] {
        let kv = MemoryKv::new();
        let product = product(&kv, 7);
        for start in (0..8_000).step_by(at_once as usize) {
            let some = new_devices(start..start + at_once);
            block_on(devices::register(&kv, &product, &some, NOW)).unwrap().unwrap();
        }
        let shards = block_on(shape(&kv, &product)).unwrap().unwrap().shards;
        // As many as are full, if all devices had come in order; twice as many once each of them has been split.
        let full = 8_000 / DEVICES_MAX as u32;
        assert!((full..=2 * full).contains(&shards), "{shards} shards of {at_once} devices at once");
    }
}
