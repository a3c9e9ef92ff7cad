//! Which devices stand behind a gateway.
//!
//! The sub-device's own record says behind which gateway it stands, and one swap of it is the whole change: it has room
//! for one gateway, so no two requests can give a device two. The gateway's record lists its sub-devices, to be shown and
//! counted. The list is written first when a device comes, and last when it goes, so that whatever a crash leaves behind
//! is a name too many on a list, never one too few; readers ask each listed device for its own word.

use ota_core::device::topology::{Topology, TopologyError};
use ota_core::error::Faults;
use ota_core::ids::DeviceRef;
use ota_core::time::Timestamp;

use crate::devices;
use crate::keys;
use crate::kv::Kv;
use crate::transact::{Change, StoreError, load, update};

/// Returns a device's place; of a device that has none, an empty one.
///
/// # Errors
/// The store's.
pub async fn find(kv: &impl Kv, device: &DeviceRef) -> Result<Topology, StoreError> {
    Ok(load(kv, &keys::topology(device)).await?.unwrap_or_default())
}

/// Returns the gateway that a device stands behind.
///
/// # Errors
/// The store's.
pub async fn gateway_of(kv: &impl Kv, device: &DeviceRef) -> Result<Option<DeviceRef>, StoreError> {
    Ok(find(kv, device).await?.gateway)
}

/// Puts devices behind a gateway: all of them, or none if any cannot be. One that is there already stays. Those that are not
/// `visible` to whoever asks are as good as not there.
///
/// # Errors
/// The store's; the inner ones are faults of the devices at `{pointer}/{index}`, or of the list at `pointer`. Somebody
/// else's request at the same moment may take one of the devices; the others are then behind this gateway all the same.
pub async fn add(
    kv: &impl Kv,
    gateway: &DeviceRef,
    sub_devices: &[DeviceRef],
    pointer: &str,
    now: Timestamp,
    visible: impl Fn(&DeviceRef) -> bool,
) -> Result<Result<(), Faults>, StoreError> {
    let mut faults = Faults::new();
    for (index, device) in sub_devices.iter().enumerate() {
        let found = devices::find(kv, device, now).await?.filter(|_| visible(device));
        let checked = match found {
            None => Err(TopologyError::Unknown { device: device.clone() }),
            Some(_) => find(kv, device).await?.check_join(device, gateway),
        };
        faults.take(&format!("{pointer}/{index}"), checked);
    }
    if !faults.0.is_empty() {
        return Ok(Err(faults));
    }
    let listed = change(kv, gateway, now, |place| place.list(sub_devices)).await?;
    if faults.take(pointer, listed).is_none() {
        return Ok(Err(faults));
    }
    let mut lost = Vec::new();
    for (index, device) in sub_devices.iter().enumerate() {
        let joined = change(kv, device, now, |place| place.join(device, gateway)).await?;
        if faults.take(&format!("{pointer}/{index}"), joined).is_none() {
            lost.push(device.clone());
        }
    }
    unlist(kv, gateway, &lost, now).await?;
    Ok(faults.into_result())
}

/// Takes a device from behind a gateway; returns whether it was there. Doing it again finishes what a crash left.
///
/// # Errors
/// The store's.
pub async fn remove(
    kv: &impl Kv,
    gateway: &DeviceRef,
    sub_device: &DeviceRef,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let was_there = leave(kv, gateway, sub_device, now).await?;
    unlist(kv, gateway, std::slice::from_ref(sub_device), now).await?;
    Ok(was_there)
}

/// Returns up to `limit` of a gateway's sub-devices after the first `from` of its list, and whether there are more.
///
/// # Errors
/// The store's.
pub async fn sub_devices(
    kv: &impl Kv,
    gateway: &DeviceRef,
    from: usize,
    limit: usize,
) -> Result<(Vec<DeviceRef>, bool), StoreError> {
    let listed = find(kv, gateway).await?.sub_devices;
    let mut found = Vec::new();
    for device in listed.iter().skip(from).take(limit) {
        if gateway_of(kv, device).await?.as_ref() == Some(gateway) {
            found.push(device.clone());
        }
    }
    Ok((found, listed.len() > from.saturating_add(limit)))
}

/// Forgets the place of a device that is about to be deleted, on both sides. Returns its gateway, if it had one, and the
/// sub-devices that it had, all of which now stand behind nothing.
///
/// # Errors
/// The store's.
pub async fn forget(kv: &impl Kv, device: &DeviceRef, now: Timestamp) -> Result<Topology, StoreError> {
    let place = find(kv, device).await?;
    if let Some(gateway) = &place.gateway {
        remove(kv, gateway, device, now).await?;
    }
    for sub_device in &place.sub_devices {
        leave(kv, device, sub_device, now).await?;
    }
    unlist(kv, device, &place.sub_devices, now).await?;
    Ok(place)
}

async fn leave(
    kv: &impl Kv,
    gateway: &DeviceRef,
    sub_device: &DeviceRef,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(change(kv, sub_device, now, |place| Ok(place.leave(gateway))).await?.unwrap_or_default())
}

async fn unlist(
    kv: &impl Kv,
    gateway: &DeviceRef,
    gone: &[DeviceRef],
    now: Timestamp,
) -> Result<(), StoreError> {
    if !gone.is_empty() {
        change(kv, gateway, now, |place| Ok(place.unlist(gone))).await?.unwrap_or_default();
    }
    Ok(())
}

/// Changes a device's place in one swap, if `decide` finds anything to change.
async fn change(
    kv: &impl Kv,
    device: &DeviceRef,
    now: Timestamp,
    mut decide: impl FnMut(&mut Topology) -> Result<bool, TopologyError>,
) -> Result<Result<bool, TopologyError>, StoreError> {
    update(kv, &keys::topology(device), now, |place: Option<Topology>| {
        let mut place = place.unwrap_or_default();
        match decide(&mut place) {
            Ok(true) => Change::Put(place, Ok(true)),
            unchanged => Change::Keep(unchanged),
        }
    })
    .await
}

#[cfg(test)]
#[path = "topology_tests.rs"]
mod tests;
