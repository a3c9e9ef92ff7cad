//! Looking at a new batch's devices before the batch is made.

use std::collections::BTreeMap;

use ota_core::batch::{Batch, BatchError, TargetSelection};
use ota_core::device::Device;
use ota_core::error::Faults;
use ota_core::time::Timestamp;

use crate::batches::{count_eligible, visits};
use crate::devices;
use crate::kv::Kv;
use crate::shard::{hash, locate};
use crate::shards;
use crate::transact::StoreError;
use ota_core::ids::{DeviceName, DeviceRef, ProductKey};

/// Shards a request looks at before it takes it that a larger fleet has some eligible device.
const LOOK_SHARDS_MAX: usize = 256;

/// Checks that a batch has a device to upgrade (R74), and that the named ones exist. Looks at a bounded number of shards:
/// in a fleet so large that none was found there, the batch is made, and ends with no task if there is truly none.
///
/// # Errors
/// The store's; the inner one is a fault at `pointer`.
pub async fn check(
    kv: &impl Kv,
    batch: &Batch,
    pointer: &str,
    now: Timestamp,
) -> Result<Result<(), Faults>, StoreError> {
    let mut faults = Faults::new();
    // Devices may come to a dynamic batch later.
    if batch.mode.is_dynamic() {
        return Ok(Ok(()));
    }
    if let TargetSelection::Specific { devices: names, listed: false } = &batch.target {
        let mut found = Vec::with_capacity(names.len());
        let mut unknown = Vec::new();
        for name in names {
            let device = DeviceRef { product_key: batch.product_key.clone(), device_name: name.clone() };
            match devices::find(kv, &device, now).await? {
                None => unknown.push(name.as_str().to_owned()),
                Some((device, _)) => found.push(device),
            }
        }
        if !unknown.is_empty() {
            faults.add(pointer, &BatchError::UnknownDevices { names: unknown });
        }
        check_versions(batch, &found, pointer, &mut faults);
        if faults.0.is_empty() && !found.iter().any(|device| batch.means(device)) {
            faults.add(pointer, &BatchError::NoDevice);
        }
        return Ok(faults.into_result());
    }
    let Some(shape) = shards::shape(kv, &batch.product_key).await? else {
        faults.add(pointer, &BatchError::NoDevice);
        return Ok(faults.into_result());
    };
    let visits = visits(batch, shape.shards);
    for visit in visits.iter().take(LOOK_SHARDS_MAX) {
        if count_eligible(kv, batch, visit.shard).await? > 0 {
            return Ok(Ok(()));
        }
    }
    if visits.len() <= LOOK_SHARDS_MAX {
        faults.add(pointer, &BatchError::NoDevice);
    }
    Ok(faults.into_result())
}

/// Refuses devices that were named one by one and cannot start from the version that a delta, or the request, asks for
/// (R45, R57). Devices on the target already are passed over as everywhere (T3).
fn check_versions(batch: &Batch, found: &[Device], pointer: &str, faults: &mut Faults) {
    if batch.sources().is_empty() {
        return;
    }
    let (mut silent, mut others) = (Vec::new(), Vec::new());
    for device in found {
        let version = device.version_of(&batch.module);
        let name = device.name.as_str().to_owned();
        match version {
            None => silent.push(name),
            Some(version) if *version == batch.policy.target_version => {}
            version if !batch.upgrades_from(version) => others.push(name),
            Some(_) => {}
        }
    }
    if !silent.is_empty() {
        faults.add(pointer, &BatchError::NeverReported { names: silent });
    }
    if !others.is_empty() {
        faults.add(pointer, &BatchError::OtherVersion { names: others });
    }
}

/// Returns those of a list's names that the product does not have: each shard is read once. Only while the fleet grows,
/// names are also looked up one by one, because their devices may be on their way to another shard.
///
/// # Errors
/// The store's.
pub async fn unknown(
    kv: &impl Kv,
    product: &ProductKey,
    names: &[DeviceName],
    now: Timestamp,
) -> Result<Vec<DeviceName>, StoreError> {
    let Some(shape) = shards::shape(kv, product).await? else { return Ok(names.to_vec()) };
    let mut by_shard: BTreeMap<u32, Vec<&DeviceName>> = BTreeMap::new();
    for name in names {
        by_shard.entry(locate(hash(name), shape.shards)).or_default().push(name);
    }
    let mut unknown = Vec::new();
    for (at, names) in by_shard {
        let shard = shards::load_shard(kv, product, at).await?.unwrap_or_default();
        for name in names {
            if shard.get(name).map_err(shards::corrupt(product, at))?.is_none() {
                unknown.push(name.clone());
            }
        }
    }
    if !unknown.is_empty() && (shape.is_splitting() || shards::shape(kv, product).await? != Some(shape)) {
        let mut truly = Vec::with_capacity(unknown.len());
        for device_name in unknown {
            let device = DeviceRef { product_key: product.clone(), device_name };
            if devices::find(kv, &device, now).await?.is_none() {
                truly.push(device.device_name);
            }
        }
        unknown = truly;
    }
    unknown.sort();
    Ok(unknown)
}
