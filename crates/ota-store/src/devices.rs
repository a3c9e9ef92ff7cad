//! Devices: registering, finding and changing one.

use ota_core::device::{Device, DeviceError, DeviceSecret, Region};
use ota_core::event::Event;
use ota_core::ids::{BatchId, DeviceName, DeviceRef, ProductKey};
use ota_core::time::Timestamp;

use crate::kv::Kv;
use crate::record::Corrupt;
use crate::shard::{Brief, DEVICES_MAX, hash};
use crate::shards;
use crate::transact::{Change, StoreError};

/// Shards that one request gives a fleet: half as many again as a thousand devices need, so that a fleet that has become
/// far too dense catches up, and few enough for a request to bear.
const GROWTH_MAX: u32 = 128;

/// What lies beside a device in its shard.
pub struct Beside<'a> {
    /// What the batches that have reached the shard ask of its devices.
    pub briefs: &'a [Brief],
    /// What is to be told of the shard's devices.
    pub outbox: &'a mut Vec<Event>,
}

impl Beside<'_> {
    /// Returns what a batch asks.
    pub fn brief(&self, batch_id: BatchId) -> Option<&Brief> {
        self.briefs.iter().find(|brief| brief.batch_id == batch_id)
    }
}

/// A device to register.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Its name.
    pub name: DeviceName,
    /// The secret it brings along; one is made otherwise.
    pub secret: Option<DeviceSecret>,
    /// The secret it gets if it brings none.
    pub made_secret: DeviceSecret,
    /// Where it is, if that is known.
    pub region: Option<Region>,
}

/// Returns a device and what the batches that have reached its shard ask; `None` if there is no such device or product.
///
/// # Errors
/// The store's.
pub async fn find(
    kv: &impl Kv,
    device: &DeviceRef,
    now: Timestamp,
) -> Result<Option<(Device, Vec<Brief>)>, StoreError> {
    let Some((at, shard)) = shards::load_for(kv, &device.product_key, &device.device_name, now).await? else {
        return Ok(None);
    };
    let found = shard.get(&device.device_name).map_err(shards::corrupt(&device.product_key, at))?;
    Ok(found.map(|found| (found, shard.briefs)))
}

/// Changes a device; `None` if there is no such device or product.
///
/// `decide` is given the device and what lies beside it. It changes both in place and answers whether to store the change;
/// it may run several times.
///
/// # Errors
/// The store's.
pub async fn update<T>(
    kv: &impl Kv,
    device: &DeviceRef,
    now: Timestamp,
    mut decide: impl FnMut(&mut Device, &mut Beside<'_>) -> (bool, T),
) -> Result<Option<T>, StoreError> {
    let found = shards::update_for(
        kv,
        &device.product_key,
        &device.device_name,
        now,
        |shard, _| -> Result<_, Corrupt> {
            let Some(mut found) = shard.get(&device.device_name)? else { return Ok(Change::Keep(None)) };
            let mut beside = Beside { briefs: &shard.briefs, outbox: &mut shard.outbox };
            let (changed, answer) = decide(&mut found, &mut beside);
            if !changed {
                return Ok(Change::Keep(Some(answer)));
            }
            shard.put(found);
            Ok(Change::Put((), Some(answer)))
        },
    );
    Ok(found.await?.flatten())
}

/// Registers devices, some dozens per write, and lets the fleet grow where it has become too dense. A device that is
/// known stays as it is. Returns the devices' secrets in the order given, or `None` if there is no such product.
///
/// # Errors
/// The store's; the inner one for a device that is known by another secret.
pub async fn register(
    kv: &impl Kv,
    product: &ProductKey,
    devices: &[NewDevice],
    now: Timestamp,
) -> Result<Option<Vec<Result<DeviceSecret, DeviceError>>>, StoreError> {
    let mut answers: Vec<Option<Result<DeviceSecret, DeviceError>>> = vec![None; devices.len()];
    let hashes: Vec<u64> = devices.iter().map(|device| hash(&device.name)).collect();
    // What the fleet had before is what its growth is reckoned from, so that requests that come together do not each let it
    // grow by what all of them have found.
    let Some(shape) = shards::shape(kv, product).await? else { return Ok(None) };
    let mut missing = 0;
    while let Some(first) = answers.iter().position(Option::is_none) {
        let done = shards::update_for(kv, product, &devices[first].name, now, |shard, at| {
            let here = |hash: u64| hash % u64::from(shard.modulus.max(1)) == u64::from(at);
            let members: Vec<usize> =
                (first..devices.len()).filter(|i| answers[*i].is_none() && here(hashes[*i])).collect();
            let mut changed = false;
            let mut told = Vec::with_capacity(members.len());
            for index in members {
                let device = &devices[index];
                let answer = match shard.get(&device.name)? {
                    None => {
                        let secret = device.secret.clone().unwrap_or_else(|| device.made_secret.clone());
                        let region = device.region.clone();
                        shard.put(Device { region, ..Device::new(device.name.clone(), secret.clone(), now) });
                        changed = true;
                        Ok(secret)
                    }
                    Some(known) if device.secret.as_ref().is_none_or(|secret| *secret == known.secret) => {
                        Ok(known.secret)
                    }
                    Some(_) => Err(DeviceError::Exists { name: device.name.as_str().to_owned() }),
                };
                told.push((index, answer));
            }
            let outcome = (told, shard.len().saturating_sub(1) / DEVICES_MAX);
            Ok(if changed { Change::Put((), outcome) } else { Change::Keep(outcome) })
        });
        let Some((told, too_few)) = done.await? else { return Ok(None) };
        for (index, answer) in told {
            answers[index] = Some(answer);
        }
        missing += too_few as u32;
    }
    if missing > 0 {
        shards::grow(kv, product, shape.shards.saturating_add(missing), GROWTH_MAX, now).await?;
    }
    Ok(Some(answers.into_iter().flatten().collect()))
}

/// Removes a device; `None` if there is no such device or product. `false` if it stays, because it is in a task, or has the
/// end of one that is not in the batch's history yet: these would be lost with it.
///
/// # Errors
/// The store's.
pub async fn remove(kv: &impl Kv, device: &DeviceRef, now: Timestamp) -> Result<Option<bool>, StoreError> {
    let gone = shards::update_for(kv, &device.product_key, &device.device_name, now, |shard, _| {
        let Some(found) = shard.get(&device.device_name)? else { return Ok(Change::Keep(None)) };
        if !found.tasks.is_empty() || !found.ended.is_empty() {
            return Ok(Change::Keep(Some(false)));
        }
        shard.remove(&device.device_name);
        Ok(Change::Put((), Some(true)))
    });
    Ok(gone.await?.flatten())
}
