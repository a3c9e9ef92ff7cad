//! One batch's share of a tick: expand, then walk its shards and do what is due in each.

use ota_core::batch::Batch;
use ota_core::device::Device;
use ota_core::dispatch::{ShardPlan, plan};
use ota_core::ids::BatchId;
use ota_core::task::TaskEvent;
use ota_core::time::Timestamp;
use ota_http::Problem;
use ota_platform::Platform;
use ota_store::batches::{self, Found, StoredBatch, Sweep, Visit, visits};
use ota_store::transact::Change;
use ota_store::{packages, shards};

use crate::finish;
use crate::handle::Report;
use crate::push;

/// Shards that one tick gives their tasks, per batch.
const EXPAND_SHARDS_MAX: u32 = 1_024;
/// Shards that one tick visits, per batch. A walk over a larger fleet takes several ticks.
const VISIT_SHARDS_MAX: usize = 1_024;
/// Walks that one tick makes over a batch: the second confirms that nothing moved during the first.
const WALKS_MAX: u32 = 2;

/// What a tick has used up for one batch.
#[derive(Default)]
struct Spent {
    /// Shards visited.
    visited: usize,
    /// Whether the rate allows no more pushes for now. The devices of the shards that follow wait for a later tick, and are not
    /// asked about one by one: most of a large fleet waits for most of the time.
    rate: bool,
}

/// Does what is due for one batch.
pub(crate) async fn batch<P: Platform>(
    platform: &P,
    id: BatchId,
    listed_at: Timestamp,
    report: &mut Report,
) -> Result<(), Problem> {
    let kv = platform.kv();
    let Some(stored) = batches::get(kv, id).await? else {
        return finish::without_record(platform, id, listed_at).await;
    };
    if stored.drained {
        return finish::ended(platform, &stored).await;
    }
    finish::start(platform, &stored).await?;
    // Whoever pushes finds out by itself.
    let is_pulled = !stored.batch.policy.push && stored.batch.cancel.is_none();
    if is_pulled && packages::get(kv, stored.batch.package_id).await?.is_none() {
        finish::without_package(platform, &stored.batch).await?;
    }
    let expansion = batches::expand(kv, id, EXPAND_SHARDS_MAX, platform.now()).await?;
    report.made += expansion.made;
    let mut spent = Spent::default();
    for _ in 0..WALKS_MAX {
        let Some(stored) = batches::get(kv, id).await? else { return Ok(()) };
        if stored.drained || !walk(platform, &stored, &mut spent, report).await? {
            break;
        }
    }
    finish::announce(platform, id).await
}

/// Walks on from where the last walk stopped. Returns whether another walk right away may end the batch.
async fn walk<P: Platform>(
    platform: &P,
    stored: &StoredBatch,
    spent: &mut Spent,
    report: &mut Report,
) -> Result<bool, Problem> {
    let kv = platform.kv();
    let batch = &stored.batch;
    let Some(shape) = shards::shape(kv, &batch.product_key).await? else { return Ok(false) };
    let visits = visits(batch, shape.shards);
    let fresh = Sweep { shards: shape.shards, after_expansion: stored.expanded, ..Sweep::default() };
    // A fleet that grew during a walk would be counted wrongly: devices move to shards not yet seen, or already seen.
    let mut sweep = match stored.sweep {
        sweep if sweep.cursor == 0 || sweep.shards != shape.shards => fresh,
        sweep => sweep,
    };
    while let Some(next) = visits.get(sweep.cursor as usize)
        && spent.visited < VISIT_SHARDS_MAX
    {
        let found = visit(platform, stored, next, shape.shards, spent, report).await?;
        sweep.counts.merge(&found.counts(batch.id));
        sweep.unrecorded += found.unrecorded + u32::from(found.joining && !batch.takes_devices());
        sweep.cursor += 1;
        spent.visited += 1;
    }
    let mut complete = sweep.cursor as usize >= visits.len() && !shape.is_splitting();
    if complete {
        // One that has grown meanwhile may have moved devices from where the walk had yet to come to where it never came.
        complete = shards::shape(kv, &batch.product_key).await? == Some(shape);
    }
    finish::note(platform, stored, sweep, complete).await
}

/// Does what is due in one shard, and returns how its tasks stand afterwards.
async fn visit<P: Platform>(
    platform: &P,
    stored: &StoredBatch,
    visit: Visit,
    shards: u32,
    spent: &mut Spent,
    report: &mut Report,
) -> Result<Found, Problem> {
    let (kv, batch) = (platform.kv(), &stored.batch);
    report.shards += 1;
    let now = platform.now();
    let found = batches::look(kv, batch, visit, shards).await?;
    let mut plan = plan(batch, found.active.iter(), now);
    if spent.rate {
        plan.push.clear();
    }
    let closes = found.joining && !batch.takes_devices();
    if plan.is_empty() && found.unrecorded == 0 && !found.untold && !closes {
        return Ok(found);
    }
    if closes {
        batches::close_joining(kv, batch, visit.shard, now).await?;
    }
    if !plan.end.is_empty() {
        report.ended += end(platform, batch, visit.shard, now).await?;
    }
    if !plan.push.is_empty() {
        spent.rate = !push::shard(platform, batch, visit.shard, plan.push.len(), report).await?;
    }
    report.recorded += batches::record_shard(kv, &batch.product_key, visit.shard, now).await?;
    Ok(batches::look(kv, batch, visit, shards).await?)
}

/// Ends the tasks of one shard whose end is due.
async fn end<P: Platform>(platform: &P, batch: &Batch, shard: u32, now: Timestamp) -> Result<u32, Problem> {
    let ended = change_tasks(platform, batch, shard, now, |plan, device| {
        plan.end.iter().find(|(name, _)| *name == device.name).map(|(_, event)| event.clone())
    });
    Ok(ended.await?.len() as u32)
}

/// Plans for one shard and applies to each device the event that `choose` takes from the plan; one read and at most one
/// swap for the whole shard. Returns the devices that changed. The plan is made again from what is stored now, because
/// the shard may have changed since somebody looked at it.
pub(crate) async fn change_tasks<P: Platform>(
    platform: &P,
    batch: &Batch,
    shard: u32,
    now: Timestamp,
    choose: impl Fn(&ShardPlan, &Device) -> Option<TaskEvent>,
) -> Result<Vec<Device>, Problem> {
    let changed = shards::update_shard(platform.kv(), &batch.product_key, shard, now, |shard| {
        let devices = shard.devices()?;
        let plan = plan(batch, devices.iter(), now);
        let mut changed = Vec::new();
        for mut device in devices {
            let Some(event) = choose(&plan, &device) else { continue };
            if device.apply(batch.id, &event, &batch.policy, now) {
                shard.put(device.clone());
                changed.push(device);
            }
        }
        Ok(if changed.is_empty() { Change::Keep(changed) } else { Change::Put((), changed) })
    });
    Ok(changed.await?.unwrap_or_default())
}
