//! What must hold at every moment: looked at whenever a value is written, a message published or an answer told. Nothing of
//! it takes part in the run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use http::StatusCode;
use ota_core::batch::BatchStatus;
use ota_core::device::Device;
use ota_core::ids::{BatchId, DeviceName, ProductKey};
use ota_core::limits;
use ota_core::task::{Task, TaskStatus};
use ota_platform::Message;
use ota_store::batches::{Page, StoredBatch};
use ota_store::keys;
use ota_store::memory::MemoryKv;
use ota_store::record::Record;
use ota_store::shard::{Shard, hash};
use serde_json::Value;

use crate::engine::Gate;

/// The largest value the key schema promises.
const VALUE_BYTES_MAX: usize = 256 * 1024;

/// Something that must hold and did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's name.
    pub invariant: &'static str,
    /// What was found.
    pub what: String,
}

/// What was asked for and acknowledged, as those outside of the service know it.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Devices that somebody has asked to delete.
    pub(crate) deleting: BTreeSet<String>,
    /// Which versions each device has ever told, truly or not.
    pub(crate) said: BTreeMap<String, BTreeSet<String>>,
    /// Tasks that somebody has asked to try again.
    pub(crate) again: BTreeSet<(BatchId, String)>,
    /// Batches all of whose tasks were canceled, and when that was acknowledged.
    pub(crate) canceled: BTreeMap<BatchId, u64>,
    /// Whether the clock was ever set back.
    pub(crate) set_back: bool,
}

/// A batch as its record last was.
struct Seen {
    stored: StoredBatch,
    drained_since: Option<u64>,
}

/// The invariants, and what they need to know.
pub(crate) struct Watch {
    pub(crate) ledger: Ledger,
    pub(crate) violation: Option<Violation>,
    /// How often each invariant was looked at.
    pub(crate) checked: BTreeMap<&'static str, u64>,
    /// When the present step is, in true time.
    pub(crate) moment: u64,
    /// Ids of events that a receiver of webhooks has taken.
    pub(crate) received: BTreeSet<String>,
    /// How often a fleet has grown.
    pub(crate) splits: u64,
    pub(crate) pushes: u64,
    store: MemoryKv,
    batches: BTreeMap<BatchId, Seen>,
    by_tag: BTreeMap<String, BatchId>,
    /// Pushes of each batch in the last minute.
    lately: BTreeMap<BatchId, VecDeque<u64>>,
    /// How tasks ended.
    ends: BTreeMap<(BatchId, DeviceName), Task>,
}

enum Place {
    Shard(ProductKey, u32),
    Batch(BatchId),
    Page(BatchId),
    Other,
}

fn place(key: &str) -> Place {
    let parts: Vec<&str> = key.split('/').collect();
    match parts.as_slice() {
        ["fleet", product, shard] => match (ProductKey::new(product), shard.parse()) {
            (Ok(product), Ok(shard)) => Place::Shard(product, shard),
            _ => Place::Other,
        },
        ["batch", id] => id.parse().map_or(Place::Other, Place::Batch),
        ["batch", id, "page", _] => id.parse().map_or(Place::Other, Place::Page),
        _ => Place::Other,
    }
}

fn revision(bytes: &[u8]) -> u64 {
    bytes.get(1..9).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes)
}

impl Watch {
    pub(crate) fn new(store: MemoryKv) -> Self {
        Self {
            ledger: Ledger::default(),
            violation: None,
            checked: BTreeMap::new(),
            moment: 0,
            received: BTreeSet::new(),
            splits: 0,
            pushes: 0,
            store,
            batches: BTreeMap::new(),
            by_tag: BTreeMap::new(),
            lately: BTreeMap::new(),
            ends: BTreeMap::new(),
        }
    }

    /// Looks at one invariant. The first that does not hold is kept.
    pub(crate) fn check(&mut self, invariant: &'static str, holds: bool, what: impl FnOnce() -> String) {
        *self.checked.entry(invariant).or_default() += 1;
        if !holds && self.violation.is_none() {
            self.violation = Some(Violation { invariant, what: what() });
        }
    }

    pub(crate) fn received(&mut self, id: &str) {
        self.received.insert(id.to_owned());
    }

    /// A value was written.
    pub(crate) fn wrote(&mut self, key: &str, before: Option<&[u8]>, after: Option<&[u8]>) {
        let len = after.map_or(0, <[u8]>::len);
        self.check("invariant_values_are_small", len < VALUE_BYTES_MAX, || format!("{key}: {len} bytes"));
        let place = place(key);
        if let (Some(before), Some(after)) = (before, after)
            && !matches!(place, Place::Other)
        {
            let (old, new) = (revision(before), revision(after));
            // Whoever makes a product anew, because its maker died, sets its empty shards once more.
            let grows = new > old || before == after;
            self.check("invariant_revisions_grow", grows, || format!("{key}: {new} after {old}"));
        }
        match place {
            Place::Shard(product, shard) => self.shard(&product, shard, key, before, after),
            Place::Batch(id) => self.batch(id, key, before, after),
            Place::Page(id) => self.page(id, key, before, after),
            Place::Other => {}
        }
    }

    fn read<R: Record>(&mut self, key: &str, bytes: Option<&[u8]>) -> Option<R> {
        let read = R::read(bytes?.to_vec());
        let wrong = read.as_ref().err().map(ToString::to_string);
        self.check("invariant_values_can_be_read", wrong.is_none(), || {
            format!("{key}: {}", wrong.unwrap_or_default())
        });
        read.ok()
    }

    fn shard(
        &mut self,
        product: &ProductKey,
        at: u32,
        key: &str,
        before: Option<&[u8]>,
        after: Option<&[u8]>,
    ) {
        let Some(new) = self.read::<Shard>(key, after) else { return };
        let old = self.read::<Shard>(key, before);
        if old.as_ref().is_some_and(|old| old.modulus != new.modulus) {
            self.splits += 1;
        }
        let devices = |shard: &Shard| -> BTreeMap<DeviceName, Device> {
            let devices = shard.devices().unwrap_or_default().into_iter();
            devices.map(|device| (device.name.clone(), device)).collect()
        };
        let now = devices(&new);
        let was = old.as_ref().map(devices).unwrap_or_default();
        for (name, device) in &now {
            if was.get(name) == Some(device) {
                continue;
            }
            self.check("invariant_one_active_task_per_device", device.tasks.len() <= 1, || {
                format!("{name} is in {:?}", device.tasks)
            });
            let there = (hash(name) % u64::from(new.modulus.max(1))) as u32;
            self.check("invariant_a_device_is_in_its_shard", there == at, || {
                format!("{name} is in shard {at} of {product} and belongs to {there}")
            });
            for task in &device.tasks {
                self.active(name, task, &new);
            }
            for task in &device.ended {
                self.ended(name, task);
            }
        }
        for (name, device) in &was {
            if (hash(name) % u64::from(new.modulus.max(1))) as u32 != at {
                continue;
            }
            let old = old.as_ref().expect("there was a shard, for it had devices");
            self.left(name, device, now.get(name), old);
        }
    }

    /// Looks at a task that has not ended.
    fn active(&mut self, name: &DeviceName, task: &Task, shard: &Shard) {
        let brief = shard.brief(task.batch_id);
        self.check("invariant_a_task_has_its_brief", brief.is_some(), || {
            format!("{name}: the shard knows nothing of the batch of {task:?}")
        });
        let most = brief.and_then(|brief| brief.policy.retry).map_or(0, |retry| retry.count_max);
        self.check("invariant_retries_are_bounded", task.retries_used <= most, || {
            format!("{name}: {} retries of {most}", task.retries_used)
        });
        let key = (task.batch_id, name.clone());
        if let Some(end) = self.ends.get(&key).cloned() {
            let may = self.may_come_back(task.batch_id, name);
            self.check("invariant_an_end_is_final", may, || format!("{name}: {task:?} after {end:?}"));
            self.ends.remove(&key);
        }
    }

    /// Whether an ended task of a device may begin anew: somebody wants it (R134), or the batch is dynamic (R107).
    fn may_come_back(&self, batch: BatchId, name: &DeviceName) -> bool {
        let dynamic = self.batches.get(&batch).is_some_and(|seen| seen.stored.batch.mode.is_dynamic());
        dynamic || self.ledger.again.contains(&(batch, name.as_str().to_owned()))
    }

    /// Looks at a task that has ended.
    fn ended(&mut self, name: &DeviceName, task: &Task) {
        self.check("invariant_an_end_is_an_end", task.status.is_terminal(), || format!("{name}: {task:?}"));
        let key = (task.batch_id, name.clone());
        match self.ends.get(&key) {
            Some(known) if known == task => return,
            Some(known) => {
                let dynamic =
                    self.batches.get(&task.batch_id).is_some_and(|seen| seen.stored.batch.mode.is_dynamic());
                let later = dynamic || known.updated_at < task.updated_at;
                let known = known.clone();
                self.check("invariant_an_end_is_final", later, || format!("{name}: {task:?}, was {known:?}"));
            }
            None => {}
        }
        if task.status == TaskStatus::Succeeded {
            let target =
                self.batches.get(&task.batch_id).map(|seen| &seen.stored.batch.policy.target_version);
            let told = target.is_none_or(|target| {
                let said = self.ledger.said.get(name.as_str());
                said.is_some_and(|said| said.contains(target.as_str()))
            });
            self.check("invariant_success_was_reported", told, || {
                format!("{name} has succeeded and never told the target version: {task:?}")
            });
        }
        self.ends.insert(key, task.clone());
    }

    /// Looks at what became of a device that was in a shard.
    fn left(&mut self, name: &DeviceName, was: &Device, now: Option<&Device>, old: &Shard) {
        let Some(now) = now else {
            let asked = self.ledger.deleting.contains(name.as_str());
            self.check("invariant_a_device_stays", asked, || format!("{name} is gone, and nobody asked"));
            let free = was.tasks.is_empty() && was.ended.is_empty();
            self.check("invariant_no_task_is_lost", free, || {
                format!("{name} is gone with {:?} and {:?}", was.tasks, was.ended)
            });
            return;
        };
        if was == now {
            return;
        }
        for task in &was.tasks {
            let goes_on = now.task_of(task.batch_id).is_some();
            let has_ended = now.ended.iter().any(|ended| ended.batch_id == task.batch_id);
            self.check("invariant_no_task_is_lost", goes_on || has_ended, || format!("{name}: {task:?}"));
        }
        for task in was.ended.iter().filter(|task| !now.ended.contains(task)) {
            let page = old.brief(task.batch_id).map(|brief| keys::page(task.batch_id, brief.page));
            let bytes = page.as_ref().and_then(|key| self.store.peek(key));
            let slot = bytes.and_then(|bytes| Page::read(bytes).ok());
            let slot = slot.and_then(|page| page.get(name).cloned());
            let recorded = slot.as_ref().is_some_and(|slot| slot.updated_at >= task.updated_at);
            self.check("invariant_an_end_is_recorded_before_it_is_forgotten", recorded, || {
                format!("{name}: {task:?}; its page has {slot:?}")
            });
        }
    }

    fn batch(&mut self, id: BatchId, key: &str, before: Option<&[u8]>, after: Option<&[u8]>) {
        let Some(stored) = self.read::<StoredBatch>(key, after) else {
            self.check("invariant_a_batch_stays", false, || format!("{key} is gone"));
            return;
        };
        let old = self.read::<StoredBatch>(key, before);
        if let Some(old) = &old {
            let is_final = !old.batch.status.is_terminal() || old.batch.status == stored.batch.status;
            self.check("invariant_a_batch_ends_once", is_final, || {
                format!("{id}: {:?} after {:?}", stored.batch.status, old.batch.status)
            });
        }
        let drains = stored.drained && old.as_ref().is_some_and(|old| !old.drained);
        if drains {
            let again = self.ledger.again.iter().any(|(batch, _)| *batch == id);
            let busy = if again { None } else { self.active_device(&stored) };
            self.check("invariant_an_ended_batch_has_no_active_task", busy.is_none(), || {
                format!("{id} is done with, and {busy:?} is in it")
            });
            let counts = stored.counts;
            self.check("invariant_an_ended_batch_counts_ends_only", counts.active() == 0, || {
                format!("{id}: {counts:?}")
            });
        }
        let before = self.batches.get(&id).and_then(|seen| seen.drained_since);
        let drained_since = stored.drained.then(|| before.unwrap_or(self.moment));
        if let Some((_, tag)) = stored.batch.tag_pairs().first() {
            self.by_tag.insert(tag.clone(), id);
        }
        self.batches.insert(id, Seen { stored, drained_since });
    }

    /// Returns a device that has an active task of a batch.
    fn active_device(&self, stored: &StoredBatch) -> Option<DeviceName> {
        let product = &stored.batch.product_key;
        let shards = (0..).map_while(|at| self.store.peek(&keys::shard(product, at)));
        let devices = shards.filter_map(|bytes| Shard::read(bytes).ok()?.devices().ok()).flatten();
        devices.into_iter().find(|device| device.task_of(stored.batch.id).is_some()).map(|device| device.name)
    }

    fn page(&mut self, id: BatchId, key: &str, before: Option<&[u8]>, after: Option<&[u8]>) {
        let Some(new) = self.read::<Page>(key, after) else { return };
        let old = self.read::<Page>(key, before).unwrap_or_default();
        for (name, was) in &old.slots {
            let now = new.get(name);
            let later = now.is_some_and(|now| now == was || now.updated_at > was.updated_at);
            self.check("invariant_the_history_only_grows", later, || {
                format!("batch {id}, {name}: {now:?} after {was:?}")
            });
        }
        for (name, task) in &new.slots {
            self.check("invariant_an_end_is_an_end", task.status.is_terminal(), || {
                format!("{name}: {task:?}")
            });
        }
    }

    /// The broker has taken a message.
    pub(crate) fn published(&mut self, gate: &Gate, message: &Message, moment: u64, clock: u64) {
        // Answers to devices that ask are as many as the questions (R158); the rate is about pushes.
        if !gate.is_dispatch || !message.topic.starts_with("/ota/device/upgrade/") {
            return;
        }
        self.pushes += 1;
        let told: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
        let data = &told["data"];
        let id = data["extData"]["batch"].as_str().and_then(|tag| self.by_tag.get(tag)).copied();
        self.check("invariant_a_push_names_its_batch", id.is_some(), || format!("{told}"));
        let Some(id) = id else { return };
        let seen = &self.batches[&id];
        let batch = &seen.stored.batch;
        let (rate, window) = (batch.push_per_minute_max as usize, batch.policy.window);
        let (target, status) = (batch.policy.target_version.clone(), batch.status);
        let (drained_since, dynamic) = (seen.drained_since, batch.mode.is_dynamic());
        let needs_consent = batch.policy.needs_confirmation;

        let lately = self.lately.entry(id).or_default();
        lately.push_back(moment);
        while lately.front().is_some_and(|at| at + limits::RATE_WINDOW_MS <= moment) {
            lately.pop_front();
        }
        let count = lately.len();
        self.check("invariant_pushes_within_rate", count <= rate, || {
            format!("batch {id}: {count} pushes in the minute to {moment}, and its rate is {rate}")
        });
        self.check("invariant_a_push_tells_the_batchs_version", data["version"] == target.as_str(), || {
            format!("batch {id} leads to {target}: {told}")
        });
        // A push is decided within the schedule, and published up to so much later.
        let open = !window.is_ahead(ota_core::time::Timestamp(clock))
            && window.closes_at.is_none_or(|end| clock < end.0 + limits::PUSH_GRANT_MS);
        let open = open || self.ledger.set_back;
        self.check("invariant_pushes_within_the_schedule", open, || {
            format!("batch {id}: a push at {clock}, and its schedule is {window:?}")
        });
        let over = drained_since.is_some_and(|since| since < gate.began);
        self.check("invariant_no_push_of_an_ended_batch", !over, || {
            format!("batch {id} is {status:?} since {drained_since:?}; request {} began later", gate.request)
        });
        let canceled = self.ledger.canceled.get(&id).is_some_and(|at| *at < gate.began);
        let again = self.ledger.again.iter().any(|(batch, _)| *batch == id);
        // Consent and a second try may come after the cancel, and a clock that was set back makes a task look younger.
        let exempt = dynamic || needs_consent || again || self.ledger.set_back;
        let late = canceled && !exempt && status != BatchStatus::Planned;
        self.check("invariant_no_push_after_a_cancel", !late, || {
            format!("batch {id}: canceled, and request {} began later", gate.request)
        });
    }

    /// Somebody was told an answer.
    pub(crate) fn answered(&mut self, gate: &Gate, call: &str, status: u16, body: &str) {
        let ours = status == StatusCode::INTERNAL_SERVER_ERROR.as_u16() && !gate.is_hurt.get();
        self.check("invariant_no_answer_is_our_fault", !ours, || format!("{call}: {status} {body}"));
    }
}
