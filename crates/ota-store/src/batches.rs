//! Batches: their records, the tasks they give to devices, and the history of ended tasks.
//!
//! A batch over a fleet is work of one step per shard. Its record holds a cursor, so that whoever comes next goes on
//! where the last one stopped, and each step can be done twice without harm.
//!
//! The truth of a task that has not ended is the device's record, in its shard. An ended task stays there until the
//! batch's page holds it, and from then on the page is its history. Whoever looks at both reads the shard first: a task
//! that moves in between is then seen twice rather than not at all, and the page's word counts.

use ota_core::batch::{Batch, RateWindow, TargetSelection, TaskCounts, admit};
use ota_core::device::Device;
use ota_core::dispatch::{QueuedBecause, queued_because};
use ota_core::ids::{BatchId, DeviceName, DeviceRef, ProductKey};
use ota_core::task::Task;
use ota_core::time::Timestamp;

use crate::claim::{self, Claim};
use crate::keys;
use crate::kv::Kv;
use crate::log;
use crate::record::to_bytes;
use crate::shard::{Brief, Shard, hash, locate};
use crate::shards;
use crate::transact::{Change, StoreError, load, update};
use crate::work::{self, OpenBatches};

/// How long the brief of a batch that is not listed as open is kept: the list was read a moment before the shard.
const BRIEF_GRACE_MS: u64 = 10 * 60 * 1000;

/// A batch and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBatch {
    /// The batch.
    pub batch: Batch,
    /// The next visit (see [`visits`]) that gives devices their tasks.
    pub expand_cursor: u32,
    /// Whether every device that is meant has its task.
    pub expanded: bool,
    /// The walk that is under way.
    pub sweep: Sweep,
    /// What the last finished walk counted.
    pub counts: TaskCounts,
    /// When that was.
    pub counted_at: Timestamp,
    /// The pushes granted lately.
    pub rate: RateWindow,
    /// What the request said, so that the same idempotency key with other words is noticed.
    pub fingerprint: [u8; 16],
}

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

/// What a visit found of the batch.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Devices of the shard with a task of the batch that has not ended.
    pub active: Vec<Device>,
    /// Ended tasks, recorded or not, by device.
    pub ended: Vec<(DeviceName, Task)>,
    /// How many of those are not in the history yet, of this or of any other batch.
    pub unrecorded: u32,
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

impl StoredBatch {
    /// Wraps a new batch.
    pub fn new(batch: Batch, fingerprint: [u8; 16]) -> Self {
        Self {
            counted_at: batch.created_at,
            batch,
            expand_cursor: 0,
            expanded: false,
            sweep: Sweep::default(),
            counts: TaskCounts::default(),
            rate: RateWindow::default(),
            fingerprint,
        }
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

/// Returns the page that holds the ended tasks of the devices that are in `shard` when the batch reaches it.
fn page_of(batch: &Batch, shard: u32) -> u32 {
    match batch.target {
        TargetSelection::All => shard,
        // Some hundreds of devices at most: one page holds them all.
        TargetSelection::Specific { .. } => 0,
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
    if !work::add_batch(kv, id, now).await? {
        return Ok(None);
    }
    log::append(kv, &keys::package_batches(stored.batch.package_id), id.0, now).await?;
    log::append(kv, keys::BATCHES, id.0, now).await?;
    let key = keys::batch(id);
    match claim::take(kv, &key, now).await? {
        Claim::Won => {
            kv.set(&key, &to_bytes(stored, 1)).await?;
            Ok(Some(stored.clone()))
        }
        Claim::Exists => get(kv, id).await,
        Claim::Pending => Err(StoreError::Contention { key }),
    }
}

/// Returns a batch.
///
/// # Errors
/// The store's.
pub async fn get(kv: &impl Kv, id: BatchId) -> Result<Option<StoredBatch>, StoreError> {
    load(kv, &keys::batch(id)).await
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

/// Returns the visits of a walk over a batch, given the number of shards of its fleet.
pub fn visits(batch: &Batch, shards: u32) -> Vec<Visit> {
    match &batch.target {
        TargetSelection::All => {
            (0..shards).map(|shard| Visit { shard, page: shard, whole_page: true }).collect()
        }
        TargetSelection::Specific { devices } => {
            let mut at: Vec<u32> = devices.iter().map(|name| locate(hash(name), shards)).collect();
            at.sort_unstable();
            at.dedup();
            at.into_iter().map(|shard| Visit { shard, page: 0, whole_page: false }).collect()
        }
    }
}

/// Gives the devices of one shard their tasks, and returns how many it gave: one read, and one swap if there were any.
///
/// # Errors
/// The store's.
pub async fn expand_shard(
    kv: &impl Kv,
    batch: &Batch,
    shard: u32,
    open: &OpenBatches,
    now: Timestamp,
) -> Result<u32, StoreError> {
    let page = page_of(batch, shard);
    let made = shards::update_shard(kv, &batch.product_key, shard, now, |shard| {
        if shard.brief(batch.id).is_some() {
            return Ok(Change::Keep(0));
        }
        let mut made = 0;
        for mut device in shard.devices()? {
            if admit(batch, &mut device, now).made_task() {
                shard.put(device);
                made += 1;
            }
        }
        if made == 0 {
            return Ok(Change::Keep(0));
        }
        shard.forget_briefs(|brief| {
            !open.contains(brief.batch_id) && now.ms_since(brief.created_at) > BRIEF_GRACE_MS
        })?;
        shard.briefs.push(Brief {
            batch_id: batch.id,
            page,
            module: batch.module.clone(),
            policy: batch.policy.clone(),
            created_at: batch.created_at,
        });
        Ok(Change::Put((), made))
    });
    Ok(made.await?.unwrap_or(0))
}

/// Counts the devices of one shard that the batch means, without giving them anything.
///
/// # Errors
/// The store's.
pub async fn count_meant(kv: &impl Kv, batch: &Batch, shard: u32) -> Result<u32, StoreError> {
    let Some(found) = shards::load_shard(kv, &batch.product_key, shard).await? else { return Ok(0) };
    let devices = found.devices().map_err(corrupt(&batch.product_key, shard))?;
    Ok(devices.iter().filter(|device| batch.means(device)).count() as u32)
}

/// Writes one ended task into its batch's history; returns whether it is news.
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

/// Writes all ended tasks that still lie in a shard into their batches' histories, and takes them out of the shard.
/// Returns how many it took out.
///
/// # Errors
/// The store's.
pub async fn record_shard(
    kv: &impl Kv,
    product: &ProductKey,
    shard: u32,
    now: Timestamp,
) -> Result<u32, StoreError> {
    let Some(found) = shards::load_shard(kv, product, shard).await? else { return Ok(0) };
    let devices = found.devices().map_err(corrupt(product, shard))?;
    let mut groups: Vec<(BatchId, u32, Vec<(DeviceName, Task)>)> = Vec::new();
    for device in &devices {
        for task in &device.ended {
            let page = found.brief(task.batch_id).map_or(shard, |brief| brief.page);
            let entry = (device.name.clone(), task.clone());
            match groups.iter_mut().find(|(id, at, _)| (*id, *at) == (task.batch_id, page)) {
                Some((_, _, group)) => group.push(entry),
                None => groups.push((task.batch_id, page, vec![entry])),
            }
        }
    }
    for (batch, page, ended) in &groups {
        record(kv, *batch, *page, ended, now).await?;
    }
    let recorded: Vec<&(DeviceName, Task)> = groups.iter().flat_map(|(_, _, ended)| ended).collect();
    if recorded.is_empty() {
        return Ok(0);
    }
    let removed = shards::update_shard(kv, product, shard, now, |shard| {
        let mut removed = 0;
        for (name, task) in &recorded {
            let Some(mut device) = shard.get(name)? else { continue };
            let before = device.ended.len();
            device.ended.retain(|ended| ended != task);
            if device.ended.len() < before {
                removed += 1;
                shard.put(device);
            }
        }
        Ok(if removed > 0 { Change::Put((), removed) } else { Change::Keep(0) })
    });
    Ok(removed.await?.unwrap_or(0))
}

/// Looks at one visit's tasks of the batch: one read of the shard, one of the page.
///
/// # Errors
/// The store's.
pub async fn look(kv: &impl Kv, batch: &Batch, visit: Visit, shards: u32) -> Result<Found, StoreError> {
    let shard = shards::load_shard(kv, &batch.product_key, visit.shard).await?.unwrap_or_default();
    look_in(kv, batch, visit, shards, &shard).await
}

async fn look_in(
    kv: &impl Kv,
    batch: &Batch,
    visit: Visit,
    shards: u32,
    shard: &Shard,
) -> Result<Found, StoreError> {
    let devices = shard.devices().map_err(corrupt(&batch.product_key, visit.shard))?;
    let page: Page = load(kv, &keys::page(batch.id, visit.page)).await?.unwrap_or_default();
    let mut found = Found::default();
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
        if device.task.as_ref().is_some_and(|task| task.batch_id == batch.id) {
            found.ended.retain(|(name, _)| *name != device.name);
            found.active.push(device);
        }
    }
    Ok(found)
}

impl Found {
    /// Returns how many tasks stand where.
    pub fn counts(&self) -> TaskCounts {
        let mut counts = TaskCounts::default();
        for task in self.active.iter().filter_map(|device| device.task.as_ref()) {
            counts.add(task.status);
        }
        for (_, task) in &self.ended {
            counts.add(task.status);
        }
        counts
    }

    /// Returns all tasks, by device name.
    pub fn tasks(self) -> Vec<ListedTask> {
        let ended = self.ended.into_iter().map(|(device_name, task)| ListedTask {
            device_name,
            task,
            queued_because: None,
        });
        let active = self.active.into_iter().filter_map(|device| {
            let task = device.task.clone()?;
            let queued_because = queued_because(&device, &task);
            Some(ListedTask { device_name: device.name, task, queued_because })
        });
        let mut tasks: Vec<ListedTask> = ended.chain(active).collect();
        tasks.sort_by(|a, b| a.device_name.cmp(&b.device_name));
        tasks
    }
}

/// Returns the task of one device in a batch.
///
/// # Errors
/// The store's.
pub async fn task_of(
    kv: &impl Kv,
    batch: &Batch,
    device: &DeviceName,
    now: Timestamp,
) -> Result<Option<ListedTask>, StoreError> {
    let Some((at, shard)) = shards::load_for(kv, &batch.product_key, device, now).await? else {
        return Ok(None);
    };
    // The device may have moved to another shard since the batch reached it. Its brief came along; once that is
    // forgotten, the page is the one of a shard that this one was split off from.
    let pages = match shard.brief(batch.id) {
        Some(brief) => vec![brief.page],
        None if matches!(batch.target, TargetSelection::All) => pages_of(hash(device), shard.modulus),
        None => vec![page_of(batch, at)],
    };
    for page in pages {
        let visit = Visit { shard: at, page, whole_page: true };
        let found = look_in(kv, batch, visit, 1, &shard).await?;
        let task = found.tasks().into_iter().find(|task| task.device_name == *device);
        if task.is_some() {
            return Ok(task);
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

/// Returns a device's identity in the batch's product.
pub fn device_ref(batch: &Batch, name: &DeviceName) -> DeviceRef {
    DeviceRef { product_key: batch.product_key.clone(), device_name: name.clone() }
}

fn corrupt(product: &ProductKey, shard: u32) -> impl FnOnce(crate::record::Corrupt) -> StoreError {
    let key = keys::shard(product, shard);
    move |source| StoreError::Corrupt { key, source }
}

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

/// Gives devices their tasks, up to `shards_max` shards at a time, from where the batch's cursor stands. Named devices
/// are few and are all given theirs at once.
///
/// # Errors
/// The store's.
pub async fn expand(
    kv: &impl Kv,
    id: BatchId,
    shards_max: u32,
    now: Timestamp,
) -> Result<Expansion, StoreError> {
    let Some(stored) = get(kv, id).await? else {
        return Ok(Expansion { done: true, ..Expansion::default() });
    };
    let canceled = stored.batch.cancel.is_some_and(|cancel| cancel.queued.is_some());
    if stored.expanded || stored.batch.status.is_terminal() {
        return Ok(Expansion { done: true, ..Expansion::default() });
    }
    let open = work::open_batches(kv).await?;
    let mut expansion = Expansion::default();
    let mut cursor = stored.expand_cursor;
    let walks = matches!(stored.batch.target, TargetSelection::All);
    loop {
        let Some(shape) = shards::shape(kv, &stored.batch.product_key).await? else { break };
        let visits = visits(&stored.batch, shape.shards);
        // Named devices have no lasting cursor: their shards' numbers change when the fleet grows.
        let from = if walks { cursor as usize } else { 0 };
        let to = match walks {
            // Devices that were not reached yet get no task that would only be canceled.
            _ if canceled => from,
            true => visits.len().min(from + (shards_max - expansion.visited) as usize),
            false => visits.len(),
        };
        for visit in visits.get(from..to).unwrap_or_default() {
            expansion.made += expand_shard(kv, &stored.batch, visit.shard, &open, now).await?;
            expansion.visited += 1;
        }
        cursor = cursor.max(to as u32);
        let same = shards::shape(kv, &stored.batch.product_key).await? == Some(shape);
        expansion.done = canceled || (to == visits.len() && same && !shape.splitting);
        if expansion.done || expansion.visited >= shards_max {
            break;
        }
        if shape.splitting {
            // Whoever began the split is at it; the next step looks again.
            break;
        }
    }
    change(kv, id, now, |stored| {
        let changed = stored.expand_cursor < cursor || stored.expanded != (stored.expanded || expansion.done);
        stored.expand_cursor = stored.expand_cursor.max(cursor);
        stored.expanded |= expansion.done;
        (changed, ())
    })
    .await?;
    Ok(expansion)
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
    let ended = stored.batch.status.is_terminal();
    let Some(shape) = shards::shape(kv, &stored.batch.product_key).await? else {
        return Ok((stored.counts, stored.counted_at));
    };
    let visits = visits(&stored.batch, shape.shards);
    if ended || visits.len() > LOOK_SHARDS_MAX {
        return Ok((stored.counts, stored.counted_at));
    }
    let mut counts = TaskCounts::default();
    for visit in visits {
        counts.merge(&look(kv, &stored.batch, visit, shape.shards).await?.counts());
    }
    Ok((counts, now))
}

/// Shards that a query of a batch's counts looks at; of a larger fleet it tells what the last walk counted.
pub const LOOK_SHARDS_MAX: usize = 64;
