//! Upgrading an ended task again (T20, R134).

use ota_core::batch::{Batch, Brief};
use ota_core::device::Device;
use ota_core::ids::{BatchId, DeviceName};
use ota_core::task::{Task, TaskEvent, TaskStatus};
use ota_core::time::Timestamp;

use super::{change, record_shard, task_of};
use crate::kv::Kv;
use crate::shards;
use crate::transact::{Change, StoreError};
use crate::work;

/// What became of the wish to upgrade a device again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reupgrade {
    /// Its task waits again.
    Queued,
    /// It has no task of the batch.
    Unknown,
    /// Its task has this status, which is neither failed nor canceled.
    NotEnded(TaskStatus),
    /// Another task occupies it.
    Busy(BatchId),
    /// There are too many open batches for this one to be opened again.
    TooManyOpen,
}

/// Queues the ended task of a device again, if it may be. The batch's status stays as it is; the dispatcher looks after it
/// again. With `dry`, nothing is changed.
///
/// # Errors
/// The store's.
pub async fn reupgrade(
    kv: &impl Kv,
    batch: &Batch,
    device: &DeviceName,
    dry: bool,
    now: Timestamp,
) -> Result<Reupgrade, StoreError> {
    let Some((listed, page)) = task_of(kv, batch, device, now).await? else { return Ok(Reupgrade::Unknown) };
    let task = listed.task;
    if !matches!(task.status, TaskStatus::Failed | TaskStatus::Canceled) {
        return Ok(Reupgrade::NotEnded(task.status));
    }
    if !dry {
        // Opened first: a task in a batch that nobody looks after would wait for ever.
        if !work::add_batch(kv, batch.id, now).await? {
            return Ok(Reupgrade::TooManyOpen);
        }
        change(kv, batch.id, now, |stored| {
            let changed = stored.drained;
            stored.drained = false;
            (changed, ())
        })
        .await?;
        // The end that is about to be undone is told first.
        if let Some((shard, _)) = shards::load_for(kv, &batch.product_key, device, now).await? {
            record_shard(kv, &batch.product_key, shard, now).await?;
        }
    }
    let changed = shards::update_for(kv, &batch.product_key, device, now, |shard, _| {
        let Some(mut found) = shard.get(device)? else { return Ok(Change::Keep(Reupgrade::Unknown)) };
        let answer = requeue(&mut found, &task, batch, now);
        if dry || answer != Reupgrade::Queued {
            return Ok(Change::Keep(answer));
        }
        shard.put(found);
        if shard.brief(batch.id).is_none() {
            shard.briefs.push(Brief::of(batch, page));
        }
        Ok(Change::Put((), answer))
    });
    Ok(changed.await?.unwrap_or(Reupgrade::Unknown))
}

fn requeue(device: &mut Device, task: &Task, batch: &Batch, now: Timestamp) -> Reupgrade {
    if let Some(own) = device.task_of(batch.id) {
        return Reupgrade::NotEnded(own.status);
    }
    let rival = device.tasks.iter().find(|rival| rival.excludes(task.only_module.as_ref()));
    if let Some(rival) = rival {
        return Reupgrade::Busy(rival.batch_id);
    }
    let again = task.after(&TaskEvent::Reupgraded, &batch.policy, now).task;
    // It starts from where the device is now, or its next report would be taken for a failure (R118, R133).
    let version = device.version_of(&batch.module).cloned();
    device.tasks.push(Task { source_version: version.clone().or(again.source_version.clone()), ..again });
    // A device that has come to the target meanwhile is not told to go there (R73, R115).
    if let Some(version) = version.filter(|version| *version == batch.policy.target_version) {
        device.apply(batch.id, &TaskEvent::VersionReported { version }, &batch.policy, now);
    }
    Reupgrade::Queued
}
