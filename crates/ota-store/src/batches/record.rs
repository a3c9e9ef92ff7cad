//! The history of ended tasks, and the list of events.

use std::collections::BTreeMap;

use ota_core::event::Event;
use ota_core::ids::{BatchId, DeviceName, DeviceRef, ProductKey};
use ota_core::task::Task;
use ota_core::time::Timestamp;

use super::Page;
use crate::keys;
use crate::kv::Kv;
use crate::shard::Shard;
use crate::transact::{Change, StoreError, update};
use crate::{events, shards};

/// Writes ended tasks into their batch's history; returns the devices of which they are news.
///
/// # Errors
/// The store's.
pub async fn record(
    kv: &impl Kv,
    batch: BatchId,
    page: u32,
    ended: &[(DeviceName, Task)],
    now: Timestamp,
) -> Result<Vec<DeviceName>, StoreError> {
    update(kv, &keys::page(batch, page), now, |found: Option<Page>| {
        let mut found = found.unwrap_or_default();
        let news: Vec<DeviceName> = ended
            .iter()
            .filter(|(device, task)| found.record(device, task))
            .map(|(device, _)| device.clone())
            .collect();
        if news.is_empty() { Change::Keep(news) } else { Change::Put(found, news) }
    })
    .await
}

/// Writes all ended tasks that still lie in a shard into their batches' histories, lists them and what lies in the
/// shard's outbox as events, and only then takes them out of the shard. Returns how many it took out.
///
/// # Errors
/// The store's.
pub async fn record_shard(
    kv: &impl Kv,
    product: &ProductKey,
    shard: u32,
    now: Timestamp,
) -> Result<u32, StoreError> {
    match shards::load_shard(kv, product, shard).await? {
        Some(found) => record_found(kv, product, (shard, &found), now).await,
        None => Ok(0),
    }
}

/// Does what [`record_shard`] does to the shard that holds a device; `None` if there is no such product.
///
/// # Errors
/// The store's.
pub async fn record_shard_of(
    kv: &impl Kv,
    device: &DeviceRef,
    now: Timestamp,
) -> Result<Option<u32>, StoreError> {
    let found = shards::load_for(kv, &device.product_key, &device.device_name, now).await?;
    let Some((shard, found)) = found else { return Ok(None) };
    record_found(kv, &device.product_key, (shard, &found), now).await.map(Some)
}

/// Does what [`record_shard`] does to a shard, by its number, that has just been read.
///
/// # Errors
/// The store's.
pub async fn record_found(
    kv: &impl Kv,
    product: &ProductKey,
    (shard, found): (u32, &Shard),
    now: Timestamp,
) -> Result<u32, StoreError> {
    let ended = ended_tasks(found).map_err(shards::corrupt(product, shard))?;
    if ended.is_empty() && found.outbox.is_empty() {
        return Ok(0);
    }
    let mut pages: BTreeMap<(BatchId, u32), Vec<(DeviceName, Task)>> = BTreeMap::new();
    for (name, task) in &ended {
        let page = found.brief(task.batch_id).map_or(shard, |brief| brief.page);
        pages.entry((task.batch_id, page)).or_default().push((name.clone(), task.clone()));
    }
    for ((batch, page), ended) in &pages {
        record(kv, *batch, *page, ended, now).await?;
    }
    events::append(kv, happenings(product, found, &ended), now).await?;
    let removed = shards::update_shard(kv, product, shard, now, |shard| {
        let mut removed = 0;
        for (name, task) in &ended {
            let Some(mut device) = shard.get(name)? else { continue };
            let before = device.ended.len();
            device.ended.retain(|ended| ended != task);
            if device.ended.len() < before {
                removed += 1;
                shard.put(device);
            }
        }
        let before = shard.outbox.len();
        shard.outbox.retain(|event| !found.outbox.contains(event));
        removed += (before - shard.outbox.len()) as u32;
        Ok(if removed > 0 { Change::Put((), removed) } else { Change::Keep(0) })
    });
    Ok(removed.await?.unwrap_or(0))
}

fn ended_tasks(shard: &Shard) -> Result<Vec<(DeviceName, Task)>, crate::record::Corrupt> {
    let devices = shard.devices()?;
    let ended =
        devices.iter().flat_map(|device| device.ended.iter().map(|task| (device.name.clone(), task.clone())));
    Ok(ended.collect())
}

/// Returns what is to be told of a shard: its outbox, and the ends of tasks.
fn happenings(product: &ProductKey, shard: &Shard, ended: &[(DeviceName, Task)]) -> Vec<Event> {
    let ends = ended.iter().filter_map(|(name, task)| {
        let device = DeviceRef { product_key: product.clone(), device_name: name.clone() };
        // The brief of a batch stays as long as a task of it lies here.
        let brief = shard.brief(task.batch_id)?;
        Event::task_ended(&device, task, &brief.policy.target_version)
    });
    let mut events: Vec<Event> = shard.outbox.iter().cloned().chain(ends).collect();
    events.sort_by_key(|event| event.at);
    events
}
