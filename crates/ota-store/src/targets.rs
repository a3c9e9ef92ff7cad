//! Looking at a new batch's devices before the batch is made.

use ota_core::batch::{Batch, BatchError, TargetSelection};
use ota_core::error::Faults;
use ota_core::time::Timestamp;

use crate::batches::{count_meant, visits};
use crate::devices;
use crate::kv::Kv;
use crate::shards;
use crate::transact::StoreError;
use ota_core::ids::DeviceRef;

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
    if let TargetSelection::Specific { devices: names } = &batch.target {
        let mut unknown = Vec::new();
        let mut meant = 0;
        for name in names {
            let device = DeviceRef { product_key: batch.product_key.clone(), device_name: name.clone() };
            match devices::find(kv, &device, now).await? {
                None => unknown.push(name.as_str().to_owned()),
                Some((found, _)) => meant += u32::from(batch.means(&found)),
            }
        }
        if !unknown.is_empty() {
            faults.add(pointer, &BatchError::UnknownDevices { names: unknown });
        } else if meant == 0 {
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
        if count_meant(kv, batch, visit.shard).await? > 0 {
            return Ok(Ok(()));
        }
    }
    if visits.len() <= LOOK_SHARDS_MAX {
        faults.add(pointer, &BatchError::NoDevice);
    }
    Ok(faults.into_result())
}
