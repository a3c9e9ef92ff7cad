//! Upgrading an ended task again (T20, R134).

use ota_core::batch::{Batch, Brief};
use ota_core::device::Device;
use ota_core::ids::{BatchId, DeviceName};
use ota_core::task::{Task, TaskEvent, TaskStatus};
use ota_core::time::Timestamp;

use super::{Sweep, change, device_ref, record_shard_of, task_of};
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
    let mut mark = None;
    if !dry {
        mark = open(kv, batch, now).await?;
        if mark.is_none() {
            return Ok(Reupgrade::TooManyOpen);
        }
        // The end that is about to be undone is told first.
        record_shard_of(kv, &device_ref(batch, device), now).await?;
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
    let answer = changed.await?.unwrap_or(Reupgrade::Unknown);
    if let Some(mark) = mark {
        close(kv, batch, mark, now).await?;
    }
    Ok(answer)
}

/// Opens a batch for a task that is about to be queued again: a task in a batch that nobody looks after would wait for ever.
/// Returns the mark that holds it open until then; `None` if too many batches are open.
async fn open(kv: &impl Kv, batch: &Batch, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    if !work::add_batch(kv, batch.id, now).await? {
        return Ok(None);
    }
    let marked = change(kv, batch.id, now, |stored| {
        stored.drained = false;
        (true, stored.hold_open(now))
    });
    let mark = marked.await?.unwrap_or(now);
    // Whoever was just done with the batch may have taken it off the list in between.
    let is_listed = work::add_batch(kv, batch.id, now).await?;
    Ok(is_listed.then_some(mark))
}

/// Takes the mark away. Walks that are under way may have been where the task is before it was queued: what they have counted
/// does not count.
async fn close(kv: &impl Kv, batch: &Batch, mark: Timestamp, now: Timestamp) -> Result<(), StoreError> {
    change(kv, batch.id, now, |stored| {
        stored.reopening.retain(|since| *since != mark);
        stored.sweep = Sweep::default();
        stored.walks = stored.walks.wrapping_add(1);
        (true, ())
    })
    .await?;
    Ok(())
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
