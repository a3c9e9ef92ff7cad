//! Looking at a batch's tasks: those in the devices' shards, and those in its history.

use std::collections::{BTreeMap, BTreeSet};

use ota_core::batch::{Batch, TargetSelection, TaskCounts};
use ota_core::device::Device;
use ota_core::dispatch::{QueuedBecause, queued_because};
use ota_core::ids::{BatchId, DeviceName};
use ota_core::task::Task;
use ota_core::time::Timestamp;

use super::{Page, StoredBatch};
use crate::keys;
use crate::kv::Kv;
use crate::shard::{Shard, hash, locate};
use crate::shards;
use crate::transact::{StoreError, load};

/// Shards that a query of a batch's counts looks at; of a larger fleet it tells what the last walk counted.
const LOOK_SHARDS_MAX: usize = 64;

/// One step of a walk over a batch: a shard, and the page that is counted with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The shard.
    pub shard: u32,
    /// The page its ended tasks are in.
    pub page: u32,
    /// Whether every slot of the page belongs to this visit; otherwise only those of the shard's devices do.
    pub whole_page: bool,
}

/// The visits of a walk over a batch, in their order. Those of a whole fleet are not written out: a fleet may have tens of
/// thousands of shards, and a page of a list needs some few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visits(Written);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Written {
    /// Every shard of a fleet that has so many, each with the page of its number.
    Whole(u32),
    Out(Vec<Visit>),
}

impl Visits {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Written::Whole(shards) => *shards as usize,
            Written::Out(visits) => visits.len(),
        }
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the visit of this place in the walk.
    pub fn get(&self, at: usize) -> Option<Visit> {
        match &self.0 {
            Written::Whole(shards) => u32::try_from(at).ok().filter(|at| at < shards).map(Visit::whole),
            Written::Out(visits) => visits.get(at).copied(),
        }
    }

    /// Returns all of them.
    pub fn iter(&self) -> impl Iterator<Item = Visit> + '_ {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

impl Visit {
    fn whole(shard: u32) -> Self {
        Self { shard, page: shard, whole_page: true }
    }
}

/// What a visit found of the batch.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Devices of the shard with a task of the batch that has not ended.
    pub active: Vec<Device>,
    /// Ended tasks, recorded or not, by device.
    pub ended: Vec<(DeviceName, Task)>,
    /// How many of those are not in the history yet, of this or of any other batch.
    pub unrecorded: u32,
    /// Whether something that happened in the shard is not listed as an event yet.
    pub untold: bool,
    /// Whether devices of the shard may still join the batch.
    pub joining: bool,
}

/// A task as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTask {
    /// The device.
    pub device_name: DeviceName,
    /// The task.
    pub task: Task,
    /// Why it still waits.
    pub queued_because: Option<QueuedBecause>,
}

/// Tells whether one page holds all ended tasks of the batch: some hundreds of named devices at most.
fn has_one_page(batch: &Batch) -> bool {
    matches!(batch.target, TargetSelection::Specific { listed: false, .. })
}

/// Returns the page that holds the ended tasks of the devices that are in `shard` when the batch reaches it.
pub(super) fn page_of(batch: &Batch, shard: u32) -> u32 {
    if has_one_page(batch) { 0 } else { shard }
}

/// Returns the visits of a walk over a batch, given the number of shards of its fleet.
pub fn visits(batch: &Batch, shards: u32) -> Visits {
    let TargetSelection::Specific { devices, listed } = &batch.target else {
        return Visits(Written::Whole(shards));
    };
    let modulus = shards.max(1).next_power_of_two();
    let mut at: Vec<u32> = devices
        .iter()
        .map(hash)
        .flat_map(|hash| {
            let present = locate(hash, shards);
            // A device of a list may have been in another shard when the batch reached it, and its end be recorded there.
            let before = if *listed { pages_of(hash, modulus) } else { Vec::new() };
            before.into_iter().filter(move |page| *page < shards).chain([present])
        })
        .collect();
    at.sort_unstable();
    at.dedup();
    Visits(Written::Out(if *listed {
        at.into_iter().map(Visit::whole).collect()
    } else {
        at.into_iter().map(|shard| Visit { shard, page: 0, whole_page: false }).collect()
    }))
}

/// Looks at one visit's tasks of the batch: one read of the shard, one of the page, and more if devices have moved.
///
/// # Errors
/// The store's.
pub async fn look(kv: &impl Kv, batch: &Batch, visit: Visit, shards: u32) -> Result<Found, StoreError> {
    let shard = shards::load_shard(kv, &batch.product_key, visit.shard).await?.unwrap_or_default();
    let mut found = look_in(kv, batch, visit, shards, &shard).await?;
    if visit.whole_page {
        leave_to_others(kv, batch, visit, shards, &mut found).await?;
    }
    Ok(found)
}

/// Drops what a page says of devices that moved to another shard when the fleet grew, and have come back to the batch since
/// (R107, R134): their present task is found there. One more read for each shard that devices of the page have moved to.
async fn leave_to_others(
    kv: &impl Kv,
    batch: &Batch,
    visit: Visit,
    shards: u32,
    found: &mut Found,
) -> Result<(), StoreError> {
    let mut moved: BTreeMap<u32, Vec<DeviceName>> = BTreeMap::new();
    for (name, _) in &found.ended {
        let at = locate(hash(name), shards);
        if at != visit.shard {
            moved.entry(at).or_default().push(name.clone());
        }
    }
    let mut back: BTreeSet<DeviceName> = BTreeSet::new();
    for (at, names) in moved {
        let Some(shard) = shards::load_shard(kv, &batch.product_key, at).await? else { continue };
        for name in names {
            let device = shard.get(&name).map_err(shards::corrupt(&batch.product_key, at))?;
            let is_back = device.is_some_and(|device| {
                device.tasks.iter().chain(&device.ended).any(|task| task.batch_id == batch.id)
            });
            if is_back {
                back.insert(name);
            }
        }
    }
    found.ended.retain(|(name, _)| !back.contains(name));
    Ok(())
}

async fn look_in(
    kv: &impl Kv,
    batch: &Batch,
    visit: Visit,
    shards: u32,
    shard: &Shard,
) -> Result<Found, StoreError> {
    let devices = shard.devices().map_err(shards::corrupt(&batch.product_key, visit.shard))?;
    let page: Page = load(kv, &keys::page(batch.id, visit.page)).await?.unwrap_or_default();
    let mut found = Found {
        joining: shard.brief(batch.id).is_some_and(|brief| brief.joining.is_some()),
        untold: !shard.outbox.is_empty(),
        ..Found::default()
    };
    let mine = |name: &DeviceName| visit.whole_page || locate(hash(name), shards) == visit.shard;
    found.ended = page.slots.iter().filter(|(name, _)| mine(name)).cloned().collect();
    for device in devices {
        found.unrecorded += device.ended.len() as u32;
        for task in device.ended.iter().filter(|task| task.batch_id == batch.id) {
            match found.ended.binary_search_by(|(name, _)| name.cmp(&device.name)) {
                Ok(at) => found.ended[at].1 = task.clone(),
                // A page that moved on with a split holds it under another visit.
                Err(at) if page.get(&device.name).is_none() => {
                    found.ended.insert(at, (device.name.clone(), task.clone()));
                }
                Err(_) => {}
            }
        }
        if device.task_of(batch.id).is_some() {
            found.ended.retain(|(name, _)| *name != device.name);
            found.active.push(device);
        }
    }
    Ok(found)
}

impl Found {
    /// Returns how many tasks stand where.
    pub fn counts(&self, batch_id: BatchId) -> TaskCounts {
        let mut counts = TaskCounts::default();
        for task in self.active.iter().filter_map(|device| device.task_of(batch_id)) {
            counts.add(task.status);
        }
        for (_, task) in &self.ended {
            counts.add(task.status);
        }
        counts
    }

    /// Returns all tasks, by device name, as they stand at `now`.
    pub fn tasks(self, batch: &Batch, now: Timestamp) -> Vec<ListedTask> {
        let ended = self.ended.into_iter().map(|(device_name, task)| ListedTask {
            device_name,
            task,
            queued_because: None,
        });
        let active = self.active.into_iter().filter_map(|device| {
            let task = device.task_of(batch.id)?.clone();
            let queued_because = queued_because(&device, &task, &batch.policy, now);
            Some(ListedTask { device_name: device.name, task, queued_because })
        });
        let mut tasks: Vec<ListedTask> = ended.chain(active).collect();
        tasks.sort_by(|a, b| a.device_name.cmp(&b.device_name));
        tasks
    }
}

/// Returns the task of one device in a batch, and the page its end is or will be recorded in.
///
/// # Errors
/// The store's.
pub async fn task_of(
    kv: &impl Kv,
    batch: &Batch,
    device: &DeviceName,
    now: Timestamp,
) -> Result<Option<(ListedTask, u32)>, StoreError> {
    let Some((at, shard)) = shards::load_for(kv, &batch.product_key, device, now).await? else {
        return Ok(None);
    };
    // The device may have moved to another shard since the batch reached it. Its brief came along; once that is
    // forgotten, the page is the one of a shard that this one was split off from.
    let pages = match shard.brief(batch.id) {
        Some(brief) => vec![brief.page],
        None if has_one_page(batch) => vec![page_of(batch, at)],
        None => pages_of(hash(device), shard.modulus),
    };
    for page in pages {
        let visit = Visit { shard: at, page, whole_page: true };
        let found = look_in(kv, batch, visit, 1, &shard).await?;
        let task = found.tasks(batch, now).into_iter().find(|task| task.device_name == *device);
        if let Some(task) = task {
            return Ok(Some((task, page)));
        }
    }
    Ok(None)
}

/// Returns the numbers of all shards that a device has been in, the present one first.
fn pages_of(hash: u64, modulus: u32) -> Vec<u32> {
    let moduli = std::iter::successors(Some(modulus), |modulus| Some(modulus / 2));
    let mut pages: Vec<u32> = moduli
        .take_while(|modulus| *modulus >= shards::INITIAL)
        .map(|modulus| (hash % u64::from(modulus)) as u32)
        .collect();
    pages.dedup();
    pages
}

/// Counts the tasks of a batch: by looking at every shard where there are few, else as the last walk did. Returns the
/// counts and the moment they are of.
///
/// # Errors
/// The store's.
pub async fn counts(
    kv: &impl Kv,
    stored: &StoredBatch,
    now: Timestamp,
) -> Result<(TaskCounts, Timestamp), StoreError> {
    let Some(shape) = shards::shape(kv, &stored.batch.product_key).await? else {
        return Ok((stored.counts, stored.counted_at));
    };
    let visits = visits(&stored.batch, shape.shards);
    if stored.drained || visits.len() > LOOK_SHARDS_MAX {
        return Ok((stored.counts, stored.counted_at));
    }
    let mut counts = TaskCounts::default();
    for visit in visits.iter() {
        counts.merge(&look(kv, &stored.batch, visit, shape.shards).await?.counts(stored.batch.id));
    }
    Ok((counts, now))
}
