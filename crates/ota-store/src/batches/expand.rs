//! Giving devices their tasks, shard by shard.

use ota_core::batch::{Batch, Brief, TargetSelection, admit, gray_key};
use ota_core::ids::BatchId;
use ota_core::time::Timestamp;

use super::look::page_of;
use super::{StoredBatch, change, get, visits};
use crate::kv::Kv;
use crate::shards::{self, Shape};
use crate::transact::{Change, StoreError};
use crate::work::{self, OpenBatches};

/// How long the brief of a batch that is not listed as open is kept: the list was read a moment before the shard.
const BRIEF_GRACE_MS: u64 = 10 * 60 * 1000;

/// What a step of expansion came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Tasks made by this step.
    pub made: u32,
    /// Shards visited by this step.
    pub visited: u32,
    /// Whether every device that is meant has its task now.
    pub done: bool,
}

/// Gives the devices of one shard their tasks, and returns how many it gave: one read, and one swap if there were any. A
/// dynamic batch leaves its brief in every shard, so that devices can join it later.
///
/// `None` while devices are on their way from the shard into another: these cannot be given a task before they have
/// arrived, and a brief left here now would come along and say that they have been.
///
/// # Errors
/// The store's.
pub async fn expand_shard(
    kv: &impl Kv,
    batch: &Batch,
    shard: u32,
    open: &OpenBatches,
    now: Timestamp,
) -> Result<Option<u32>, StoreError> {
    let page = page_of(batch, shard);
    let made = shards::update_shard(kv, &batch.product_key, shard, now, |shard| {
        if shard.is_splitting() {
            return Ok(Change::Keep(None));
        }
        if shard.brief(batch.id).is_some() {
            return Ok(Change::Keep(Some(0)));
        }
        let mut made = 0;
        for mut device in shard.devices()? {
            if admit(batch, &mut device, &shard.briefs, now).made_task() {
                device.joined.retain(|(id, _)| *id == batch.id || shard.brief(*id).is_some());
                shard.put(device);
                made += 1;
            }
        }
        if made == 0 && !batch.mode.is_dynamic() {
            return Ok(Change::Keep(Some(0)));
        }
        shard.forget_briefs(|brief| {
            !open.contains(brief.batch_id) && now.ms_since(brief.created_at) > BRIEF_GRACE_MS
        })?;
        shard.briefs.push(Brief::of(batch, page));
        Ok(Change::Put((), Some(made)))
    });
    Ok(made.await?.unwrap_or(Some(0)))
}

/// Ends the joining of a dynamic batch in one shard, once its strategy is canceled.
///
/// # Errors
/// The store's.
pub async fn close_joining(
    kv: &impl Kv,
    batch: &Batch,
    shard: u32,
    now: Timestamp,
) -> Result<(), StoreError> {
    shards::update_shard(kv, &batch.product_key, shard, now, |shard| {
        let open =
            shard.briefs.iter_mut().find(|brief| brief.batch_id == batch.id && brief.joining.is_some());
        Ok(match open {
            Some(brief) => {
                brief.joining = None;
                Change::Put((), ())
            }
            None => Change::Keep(()),
        })
    })
    .await?;
    Ok(())
}

/// Counts the devices of one shard that the batch may take, without giving them anything.
///
/// # Errors
/// The store's.
pub async fn count_eligible(kv: &impl Kv, batch: &Batch, shard: u32) -> Result<u32, StoreError> {
    let Some(found) = shards::load_shard(kv, &batch.product_key, shard).await? else { return Ok(0) };
    let devices = found.devices().map_err(shards::corrupt(&batch.product_key, shard))?;
    Ok(devices.iter().filter(|device| batch.is_eligible(device)).count() as u32)
}

/// Gives devices their tasks, up to `shards_max` shards at a time, from where the batch's cursor stands; a gray rollout
/// finds its cutoff first.
///
/// # Errors
/// The store's.
pub async fn expand(
    kv: &impl Kv,
    id: BatchId,
    shards_max: u32,
    now: Timestamp,
) -> Result<Expansion, StoreError> {
    let done = Expansion { done: true, ..Expansion::default() };
    let Some(mut stored) = get(kv, id).await? else { return Ok(done) };
    if stored.expanded || stored.drained {
        return Ok(done);
    }
    if !stored.batch.takes_devices() {
        // Devices that were not reached yet get no task that would only be canceled.
        stop(kv, id, now).await?;
        return Ok(done);
    }
    let mut expansion = Expansion::default();
    while let TargetSelection::Gray { cutoff: None, .. } = stored.batch.target {
        let Some(shape) = shards::shape(kv, &stored.batch.product_key).await? else { return Ok(done) };
        if shape.is_splitting() || expansion.visited >= shards_max {
            return Ok(expansion);
        }
        expansion.visited += search(kv, &mut stored, shape, shards_max - expansion.visited, now).await?;
    }
    let open = work::open_batches(kv).await?;
    // The shards of named devices have no lasting cursor, because their numbers change when the fleet grows: the walk
    // begins anew, and passes over those that were visited for the price of a read.
    let named = matches!(stored.batch.target, TargetSelection::Specific { .. });
    while expansion.visited < shards_max {
        let Some(shape) = shards::shape(kv, &stored.batch.product_key).await? else { break };
        let visits = visits(&stored.batch, shape.shards);
        let mut at = if named { 0 } else { stored.expand_cursor as usize };
        // The first shard that has to be looked at again.
        let mut again = usize::MAX;
        while let Some(visit) = visits.get(at)
            && expansion.visited < shards_max
        {
            let made = expand_shard(kv, &stored.batch, visit.shard, &open, now).await?;
            again = again.min(if made.is_none() { at } else { usize::MAX });
            expansion.made += made.unwrap_or(0);
            expansion.visited += u32::from(!named || made != Some(0));
            at += 1;
        }
        let reached = at.min(again);
        stored.expand_cursor = stored.expand_cursor.max(reached as u32);
        let same = shards::shape(kv, &stored.batch.product_key).await? == Some(shape);
        expansion.done = reached >= visits.len() && same && !shape.is_splitting();
        // Whoever began a split is at it; the next step looks again.
        if expansion.done || shape.is_splitting() || again < at {
            break;
        }
    }
    finish(kv, &stored, expansion, now).await
}

/// Ends an expansion before it has reached every device. Somebody who began before it was stopped may still give devices their
/// tasks, in shards that nobody will come to again: the batch is held open until they have, or must be dead.
async fn stop(kv: &impl Kv, id: BatchId, now: Timestamp) -> Result<(), StoreError> {
    change(kv, id, now, |stored| {
        if stored.expanded {
            return (false, ());
        }
        stored.expanded = true;
        stored.hold_open(now);
        (true, ())
    })
    .await?;
    Ok(())
}

/// Notes how far an expansion came.
async fn finish(
    kv: &impl Kv,
    reached: &StoredBatch,
    expansion: Expansion,
    now: Timestamp,
) -> Result<Expansion, StoreError> {
    let cursor = reached.expand_cursor;
    change(kv, reached.batch.id, now, |stored| {
        let changed = stored.expand_cursor < cursor || stored.expanded != (stored.expanded || expansion.done);
        stored.expand_cursor = stored.expand_cursor.max(cursor);
        stored.expanded |= expansion.done;
        (changed, ())
    })
    .await?;
    Ok(expansion)
}

/// Goes on with the search for the cutoff of a gray rollout by up to `shards_max` shards, notes how far it came, and
/// returns how many it visited. Whoever searches at the same time from the same place finds the same.
async fn search(
    kv: &impl Kv,
    stored: &mut StoredBatch,
    shape: Shape,
    shards_max: u32,
    now: Timestamp,
) -> Result<u32, StoreError> {
    let (before, from) = (stored.gray.clone(), stored.expand_cursor);
    let mut walk = before.clone().unwrap_or_default();
    let mut cursor = from;
    // A walk that saw the fleet grow would count some devices twice, others never.
    if walk.shards != shape.shards {
        walk.search.restart_walk();
        (walk.shards, cursor) = (shape.shards, 0);
    }
    let end = shape.shards.min(cursor.saturating_add(shards_max));
    let visited = end.saturating_sub(cursor);
    for shard in cursor..end {
        let Some(found) = shards::load_shard(kv, &stored.batch.product_key, shard).await? else { continue };
        let devices = found.devices().map_err(shards::corrupt(&stored.batch.product_key, shard))?;
        for device in devices.iter().filter(|device| stored.batch.is_eligible(device)) {
            walk.search.count(gray_key(stored.batch.id, &device.name));
        }
    }
    cursor = end;
    let TargetSelection::Gray { percent, .. } = stored.batch.target else { return Ok(visited) };
    let same = shards::shape(kv, &stored.batch.product_key).await? == Some(shape);
    let mut found = None;
    if !same {
        walk.search.restart_walk();
        cursor = 0;
    } else if cursor >= shape.shards {
        found = walk.search.finish_walk(percent);
        cursor = 0;
    }
    let noted = change(kv, stored.batch.id, now, |stored| {
        if stored.gray != before || stored.expand_cursor != from {
            return (false, stored.clone());
        }
        stored.gray = found.is_none().then(|| walk.clone());
        stored.expand_cursor = cursor;
        if found.is_some() {
            stored.batch.target = TargetSelection::Gray { percent, cutoff: found };
        }
        (true, stored.clone())
    });
    if let Some(noted) = noted.await? {
        *stored = noted;
    }
    Ok(visited.max(1))
}
