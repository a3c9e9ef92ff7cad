use super::*;
use crate::devices::{self, NewDevice};
use crate::memory::{Fault, MemoryKv};
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
    assert!(shards.shards > 80 && !shards.splitting, "{shards:?}");
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
                let mut count = 0;
                kv.set_faults(move |_, _| {
                    count += 1;
                    (count > crash_at).then_some(kind)
                });
                let crashed = block_on(split(&kv, &product, NOW)).is_err();
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
                block_on(split(&kv, &product, later.plus_ms(10 * claim::GRACE_MS))).unwrap();
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
