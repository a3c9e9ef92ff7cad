//! Batches: their records, the tasks they give to devices, and the history of ended tasks.
//!
//! A batch over a fleet is work of one step per shard. Its record holds a cursor, so that whoever comes next goes on
//! where the last one stopped, and each step can be done twice without harm.
//!
//! The truth of a task that has not ended is the device's record, in its shard. An ended task stays there until the
//! batch's page holds it, and from then on the page is its history. Whoever looks at both reads the shard first: a task
//! that moves in between is then seen twice rather than not at all, and the page's word counts.

mod dry_run;
mod expand;
mod history;
mod look;
mod record;
mod tasks;

use ota_core::batch::{Batch, BatchStatus, GraySearch, History, RateWindow, TargetSelection, TaskCounts};
use ota_core::ids::{BatchId, DeviceName, DeviceRef};
use ota_core::task::Task;
use ota_core::time::Timestamp;

pub use self::dry_run::{DryRunCursor, DryRunPart, dry_run};
pub use self::expand::{Expansion, close_joining, count_eligible, expand, expand_shard};
pub use self::history::{history, note_history};
pub use self::look::{Found, ListedTask, Visit, Visits, counts, look, task_of, visits};
pub use self::record::{record, record_found, record_shard, record_shard_of};
pub use self::tasks::{Reupgrade, reupgrade};
use crate::claim::{self, Claim};
use crate::keys;
use crate::kv::Kv;
use crate::log;
use crate::record::{Corrupt, to_bytes};
use crate::transact::{Change, StoreError, load, update};
use crate::work;

/// A batch and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBatch {
    /// The batch.
    pub batch: Batch,
    /// The next visit (see [`visits`]) that gives devices their tasks.
    pub expand_cursor: u32,
    /// Whether every device that is meant has its task.
    pub expanded: bool,
    /// The search for the cutoff of a gray rollout, while it goes on; `expand_cursor` is its place then.
    pub gray: Option<GrayWalk>,
    /// How many names the batch's uploaded list has; they lie under keys of their own.
    pub listed: u32,
    /// Whether the dispatcher has nothing more to do for it: every task has ended, and no device joins any more. A batch
    /// may be canceled and have tasks that go on.
    pub drained: bool,
    /// The status that was announced last (R172).
    pub announced: Option<BatchStatus>,
    /// The walk that is under way.
    pub sweep: Sweep,
    /// What the last finished walk counted.
    pub counts: TaskCounts,
    /// When that was.
    pub counted_at: Timestamp,
    /// When a walk last counted something else than the one before.
    pub progressed_at: Timestamp,
    /// The pushes granted lately.
    pub rate: RateWindow,
    /// What the request said, so that the same idempotency key with other words is noticed.
    pub fingerprint: [u8; 16],
    /// When each request began that is about to queue an ended task again, and when the giving of tasks was stopped while somebody
    /// may have been at it. Until they have done so, or must be dead, the batch is not done with: a walk that has not met such a
    /// task says nothing.
    pub reopening: Vec<Timestamp>,
    /// How often a walk has ended, or a task was queued again. What a walk has counted that began before is not believed: it may
    /// have been where the task is too early, and of two walks that overlap neither confirms the other.
    pub walks: u32,
}

/// A walk that counts the eligible devices of a gray rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrayWalk {
    /// What is known of the cutoff.
    pub search: GraySearch,
    /// How many shards the fleet had when the walk began; a walk that saw the fleet grow is begun anew.
    pub shards: u32,
}

/// Some of the names of an uploaded device list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub Vec<DeviceName>);

/// How long a request that queues an ended task again is waited for: it may live as long as claims are held for one, and so
/// may a walk that began right before it did what it came for.
const REOPENING_MS: u64 = 2 * claim::GRACE_MS;

/// Requests that may be about to queue a task of one batch; each has a mark in the batch's record.
const REOPENING_MAX: usize = 64;

/// Names of one value: some 70 KB at the most.
const NAMES_PER_PAGE: usize = 2_000;

/// A walk of the dispatcher over a batch's shards, which may take several ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// The next visit.
    pub cursor: u32,
    /// How many shards the fleet had when the walk began; a walk that saw the fleet grow is begun anew.
    pub shards: u32,
    /// What was counted so far.
    pub counts: TaskCounts,
    /// Ended tasks seen that were not in the history yet.
    pub unrecorded: u32,
    /// Whether the walk began after the last device got its task.
    pub after_expansion: bool,
}

/// The ended tasks of the devices of one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// By device name, sorted.
    pub slots: Vec<(DeviceName, Task)>,
}

impl StoredBatch {
    /// Wraps a new batch.
    pub fn new(batch: Batch, fingerprint: [u8; 16]) -> Self {
        Self {
            counted_at: batch.created_at,
            progressed_at: batch.created_at,
            batch,
            expand_cursor: 0,
            expanded: false,
            gray: None,
            listed: 0,
            drained: false,
            announced: None,
            sweep: Sweep::default(),
            counts: TaskCounts::default(),
            rate: RateWindow::default(),
            fingerprint,
            reopening: Vec::new(),
            walks: 0,
        }
    }

    /// Holds the batch open for somebody who may be about to queue a task that no walk has met. Returns the mark to take away once
    /// that is done; it loses its meaning by itself after a while.
    fn hold_open(&mut self, now: Timestamp) -> Timestamp {
        self.reopening.retain(|since| now.ms_since(*since) < REOPENING_MS);
        if self.reopening.len() >= REOPENING_MAX {
            // The oldest is the likeliest to be dead.
            self.reopening.remove(0);
        }
        // Of two in one millisecond each has a mark of its own.
        let last = self.reopening.iter().max().map_or(now, |last| last.plus_ms(1));
        let mark = now.max(last);
        self.reopening.push(mark);
        mark
    }

    /// Tells whether somebody may be about to queue a task that no walk has met.
    pub fn is_reopening(&self, now: Timestamp) -> bool {
        self.reopening.iter().any(|since| now.ms_since(*since) < REOPENING_MS)
    }
}

impl Page {
    /// Returns the ended task of a device.
    pub fn get(&self, device: &DeviceName) -> Option<&Task> {
        self.slots.binary_search_by(|(name, _)| name.cmp(device)).ok().map(|at| &self.slots[at].1)
    }

    /// Notes an ended task; returns whether it is news. An older end of the same task is not.
    pub fn record(&mut self, device: &DeviceName, task: &Task) -> bool {
        match self.slots.binary_search_by(|(name, _)| name.cmp(device)) {
            Ok(at) if self.slots[at].1.updated_at >= task.updated_at => false,
            Ok(at) => {
                self.slots[at].1 = task.clone();
                true
            }
            Err(at) => {
                self.slots.insert(at, (device.clone(), task.clone()));
                true
            }
        }
    }
}

/// Makes a batch: lists it, then writes its record, which is what makes it exist. A batch that exists is answered.
/// `None` if too many batches are open.
///
/// # Errors
/// The store's.
pub async fn create(
    kv: &impl Kv,
    stored: &StoredBatch,
    now: Timestamp,
) -> Result<Option<StoredBatch>, StoreError> {
    let id = stored.batch.id;
    // Whoever walks these lists passes over an id that has no record (yet).
    if !work::add_new_batch(kv, id, now).await? {
        return Ok(None);
    }
    log::append(kv, &keys::package_batches(stored.batch.package_id), id.0, now).await?;
    log::append(kv, keys::BATCHES, id.0, now).await?;
    let stored = &StoredBatch { listed: put_names(kv, &stored.batch).await?, ..stored.clone() };
    let key = keys::batch(id);
    match claim::take(kv, &key, now).await? {
        Claim::Won => {
            kv.set(&keys::history(id), &to_bytes(&History::default(), 1)).await?;
            kv.set(&key, &to_bytes(stored, 1)).await?;
            Ok(Some(stored.clone()))
        }
        Claim::Exists => get(kv, id).await,
        Claim::Pending => Err(StoreError::Contention { key }),
    }
}

/// Stores the names of an uploaded list apart from the batch, which is written at every step, and returns how many there
/// are.
async fn put_names(kv: &impl Kv, batch: &Batch) -> Result<u32, StoreError> {
    let TargetSelection::Specific { devices, listed: true } = &batch.target else { return Ok(0) };
    for (page, names) in (0..).zip(devices.chunks(NAMES_PER_PAGE)) {
        kv.set(&keys::names(batch.id, page), &to_bytes(&Names(names.to_vec()), 1)).await?;
    }
    Ok(devices.len() as u32)
}

/// Returns a batch, with the names of its list if it has one.
///
/// # Errors
/// The store's.
pub async fn get(kv: &impl Kv, id: BatchId) -> Result<Option<StoredBatch>, StoreError> {
    let Some(mut stored) = get_without_names(kv, id).await? else { return Ok(None) };
    fetch_names(kv, &mut stored).await?;
    Ok(Some(stored))
}

/// Returns a batch as its record has it: one read, and without the names of its list if it has one.
///
/// # Errors
/// The store's.
pub async fn get_without_names(kv: &impl Kv, id: BatchId) -> Result<Option<StoredBatch>, StoreError> {
    load(kv, &keys::batch(id)).await
}

/// Adds the names of a batch's list to a record that was read without them, as [`change`] does.
///
/// # Errors
/// The store's.
pub async fn fetch_names(kv: &impl Kv, stored: &mut StoredBatch) -> Result<(), StoreError> {
    let id = stored.batch.id;
    let TargetSelection::Specific { devices, listed: true } = &mut stored.batch.target else { return Ok(()) };
    if devices.len() == stored.listed as usize {
        return Ok(());
    }
    devices.clear();
    for page in 0..stored.listed.div_ceil(NAMES_PER_PAGE as u32) {
        let key = keys::names(id, page);
        let missing =
            || StoreError::Corrupt { key: key.clone(), source: Corrupt("a page is missing".into()) };
        devices.extend(load::<Names>(kv, &key).await?.ok_or_else(missing)?.0);
    }
    Ok(())
}

/// Removes what a batch that never came to be may have left.
///
/// # Errors
/// The store's.
pub async fn forget(kv: &impl Kv, id: BatchId) -> Result<(), StoreError> {
    let pages = ota_core::limits::DEVICE_LIST_ROWS_MAX.div_ceil(NAMES_PER_PAGE) as u32;
    for page in 0..pages {
        kv.delete(&keys::names(id, page)).await?;
    }
    kv.delete(&keys::history(id)).await?;
    Ok(())
}

/// Changes a batch in place; `None` if there is no such batch. `decide` answers whether to store the change.
///
/// # Errors
/// The store's.
pub async fn change<T>(
    kv: &impl Kv,
    id: BatchId,
    now: Timestamp,
    mut decide: impl FnMut(&mut StoredBatch) -> (bool, T),
) -> Result<Option<T>, StoreError> {
    update(kv, &keys::batch(id), now, |stored: Option<StoredBatch>| {
        let Some(mut stored) = stored else { return Change::Keep(None) };
        match decide(&mut stored) {
            (true, answer) => Change::Put(stored, Some(answer)),
            (false, answer) => Change::Keep(Some(answer)),
        }
    })
    .await
}

/// Returns a device's identity in the batch's product.
pub fn device_ref(batch: &Batch, name: &DeviceName) -> DeviceRef {
    DeviceRef { product_key: batch.product_key.clone(), device_name: name.clone() }
}
