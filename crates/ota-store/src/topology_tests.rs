use std::cell::Cell;
use std::rc::Rc;

use ota_core::device::DeviceSecret;
use ota_core::ids::{DeviceName, ProductKey};
use ota_core::product::Product;

use super::*;
use crate::devices::NewDevice;
use crate::memory::{Fault, MemoryKv};
use crate::products;
use crate::testing::block_on;

const NOW: Timestamp = Timestamp(1_000);

fn device(name: &str) -> DeviceRef {
    let (product_key, device_name) = (ProductKey::new("a1").unwrap(), DeviceName::new(name).unwrap());
    DeviceRef { product_key, device_name }
}

/// A store with a product and these devices.
fn store(names: &[&str]) -> MemoryKv {
    let kv = MemoryKv::with_spin_quirks();
    let key = ProductKey::new("a1").unwrap();
    let product = Product {
        key: key.clone(),
        name: "meter".into(),
        modules: Vec::new(),
        created_at: NOW,
        settings: Default::default(),
    };
    block_on(products::create(&kv, product, NOW)).unwrap().unwrap();
    let made_secret = DeviceSecret::from_random([0; 16]);
    let new = |name: &&str| NewDevice {
        name: DeviceName::new(name).unwrap(),
        secret: None,
        made_secret: made_secret.clone(),
        region: None,
    };
    let new: Vec<NewDevice> = names.iter().map(new).collect();
    block_on(devices::register(&kv, &key, &new, NOW)).unwrap().unwrap();
    kv
}

fn add_all(kv: &MemoryKv, gateway: &str, names: &[&str]) -> Result<(), Vec<(String, &'static str)>> {
    let subs: Vec<DeviceRef> = names.iter().map(|name| device(name)).collect();
    let told = block_on(add(kv, &device(gateway), &subs, "/sub_devices", NOW, |_| true)).unwrap();
    told.map_err(|faults| faults.0.into_iter().map(|fault| (fault.pointer, fault.code)).collect())
}

fn listed(kv: &MemoryKv, gateway: &str) -> Vec<String> {
    let (found, _) = block_on(sub_devices(kv, &device(gateway), 0, 200)).unwrap();
    found.iter().map(|device| device.device_name.to_string()).collect()
}

fn gateway(kv: &MemoryKv, name: &str) -> Option<String> {
    block_on(gateway_of(kv, &device(name))).unwrap().map(|gateway| gateway.device_name.to_string())
}

#[test]
fn names_that_no_key_may_hold_have_keys_of_their_own() {
    let names = ["a@bc", "a:bc", "a.bc", "A.BC"];
    let keys: Vec<String> = names.iter().map(|name| keys::topology(&device(name))).collect();
    assert_eq!(keys[0], "topology/a1/61406263");
    assert!(keys.iter().all(|key| key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'/')));
    let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
    assert_eq!(distinct.len(), names.len());
}

#[test]
fn r168_devices_come_to_a_gateway_and_go() {
    let kv = store(&["gate-1", "sub-1", "sub-2", "sub-3"]);
    assert_eq!(add_all(&kv, "gate-1", &["sub-1", "sub-2"]), Ok(()));
    assert_eq!(add_all(&kv, "gate-1", &["sub-2", "sub-3"]), Ok(()), "one was there already");
    assert_eq!(listed(&kv, "gate-1"), ["sub-1", "sub-2", "sub-3"]);
    assert!(block_on(remove(&kv, &device("gate-1"), &device("sub-2"), NOW)).unwrap());
    assert!(!block_on(remove(&kv, &device("gate-1"), &device("sub-2"), NOW)).unwrap());
    assert_eq!(listed(&kv, "gate-1"), ["sub-1", "sub-3"]);
    assert_eq!(gateway(&kv, "sub-2"), None);
}

#[test]
fn r168_every_fault_is_told_at_once_and_nothing_changes() {
    let kv = store(&["gate-1", "gate-2", "sub-1", "sub-2", "sub-3"]);
    assert_eq!(add_all(&kv, "gate-2", &["sub-2"]), Ok(()));
    let told = add_all(&kv, "gate-1", &["sub-1", "sub-2", "sub-9", "gate-2", "gate-1"]).unwrap_err();
    let told: Vec<_> = told.iter().map(|(pointer, code)| (pointer.as_str(), *code)).collect();
    let expected = [
        ("/sub_devices/1", "device.has-gateway"),
        ("/sub_devices/2", "device.unknown"),
        ("/sub_devices/3", "device.is-gateway"),
        ("/sub_devices/4", "device.is-gateway"),
    ];
    assert_eq!(told, expected);
    assert_eq!((listed(&kv, "gate-1"), gateway(&kv, "sub-1")), (vec![], None));
    assert_eq!(add_all(&kv, "sub-2", &["sub-3"]), Err(vec![("/sub_devices".into(), "device.is-sub-device")]));
}

#[test]
fn r168_of_two_gateways_that_want_a_device_at_the_same_moment_one_gets_it() {
    // The rival's request comes right before each operation of ours in turn.
    for at in 1.. {
        let kv = store(&["gate-1", "gate-2", "sub-1"]);
        let (engine, seen) = (kv.clone(), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&seen);
        kv.set_faults(move |_, _| {
            counted.set(counted.get() + 1);
            if counted.get() == at {
                // While the record is just being claimed by us the rival is told to come again.
                let _told = block_on(add(&engine, &device("gate-2"), &[device("sub-1")], "", NOW, |_| true));
            }
            None
        });
        let ours = add_all(&kv, "gate-1", &["sub-1"]);
        kv.clear_faults();
        let (one, two) = (listed(&kv, "gate-1"), listed(&kv, "gate-2"));
        assert_eq!(one.len() + two.len(), 1, "at operation {at}: {one:?} {two:?}");
        assert_eq!(ours.is_ok(), one.len() == 1, "at operation {at}: {ours:?}");
        if seen.get() < at {
            assert!(at > 5, "the rival was tried at {at} operations only");
            return;
        }
    }
}

#[test]
fn r168_a_crash_at_any_operation_is_mended_by_asking_again() {
    for at in 1.. {
        let kv = store(&["gate-1", "gate-2", "sub-1", "sub-2"]);
        assert_eq!(add_all(&kv, "gate-1", &["sub-2"]), Ok(()));
        let seen = Rc::new(Cell::new(0));
        let counted = Rc::clone(&seen);
        kv.set_faults(move |_, _| {
            counted.set(counted.get() + 1);
            (counted.get() >= at).then_some(Fault::Refused)
        });
        let (gate, sub) = (device("gate-1"), device("sub-2"));
        let crashed = block_on(add(&kv, &gate, &[device("sub-1")], "", NOW, |_| true)).is_err()
            || block_on(remove(&kv, &gate, &sub, NOW)).is_err();
        kv.clear_faults();
        // Whatever is half done, what is shown is what holds.
        for name in listed(&kv, "gate-1") {
            assert_eq!(gateway(&kv, &name), Some("gate-1".into()), "at operation {at}");
        }
        // A claim whose owner died is given out again after a while.
        let mut later = NOW;
        while let Err(error) = block_on(add(&kv, &gate, &[device("sub-1")], "", later, |_| true)) {
            assert!(matches!(error, StoreError::Contention { .. }) && later.0 < 1_000_000, "{error}");
            later = Timestamp(later.0 + crate::claim::GRACE_MS);
        }
        block_on(remove(&kv, &gate, &sub, later)).unwrap();
        assert_eq!(listed(&kv, "gate-1"), ["sub-1"], "at operation {at}");
        let stored = block_on(find(&kv, &gate)).unwrap().sub_devices;
        assert_eq!(stored, [device("sub-1")], "at operation {at}: nothing is left on the list");
        assert_eq!(add_all(&kv, "gate-2", &["sub-2"]), Ok(()), "at operation {at}: it is free for another");
        if !crashed {
            return;
        }
    }
}

#[test]
fn r168_a_device_that_is_deleted_leaves_no_trace_on_either_side() {
    let kv = store(&["gate-1", "gate-2", "sub-1", "sub-2", "sub-3"]);
    assert_eq!(add_all(&kv, "gate-1", &["sub-1", "sub-2"]), Ok(()));
    let place = block_on(forget(&kv, &device("sub-1"), NOW)).unwrap();
    assert_eq!(place.gateway, Some(device("gate-1")));
    assert_eq!(listed(&kv, "gate-1"), ["sub-2"]);
    let place = block_on(forget(&kv, &device("gate-1"), NOW)).unwrap();
    assert_eq!(place.sub_devices, [device("sub-2")]);
    assert_eq!(gateway(&kv, "sub-2"), None);
    assert_eq!(add_all(&kv, "gate-2", &["sub-2", "gate-1"]), Ok(()), "as if they had never met");
    assert_eq!(block_on(forget(&kv, &device("sub-3"), NOW)).unwrap(), Topology::default());
}

#[test]
fn r168_a_long_list_is_told_in_pages() {
    let names: Vec<String> = (0..5).map(|n| format!("sub-{n}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).chain(["gate-1"]).collect();
    let kv = store(&all);
    assert_eq!(add_all(&kv, "gate-1", &all[..5]), Ok(()));
    let page = |from| block_on(sub_devices(&kv, &device("gate-1"), from, 2)).unwrap();
    assert_eq!(page(0), (vec![device("sub-0"), device("sub-1")], true));
    assert_eq!(page(4), (vec![device("sub-4")], false));
    assert_eq!(page(5), (vec![], false));
}
