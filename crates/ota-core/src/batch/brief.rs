//! What a batch asks of the devices of one shard, in so few words that they lie beside the devices.

use alloc::vec::Vec;

use super::target::Admission;
use super::{Batch, UpgradeMode};
use crate::device::{Device, Region};
use crate::ids::{BatchId, ModuleName, PackageId, Version};
use crate::limits;
use crate::task::{Conflict, Task, TaskEvent, TaskPolicy, conflict};
use crate::time::Timestamp;

/// As much of a batch as a device's report needs, so that a report reads one value. It also marks a shard as visited by
/// the batch, so that no device gets a second task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// The batch.
    pub batch_id: BatchId,
    /// Its package.
    pub package_id: PackageId,
    /// The page of the batch's history that holds this shard's devices.
    pub page: u32,
    /// The module that is upgraded.
    pub module: ModuleName,
    /// What its tasks do when things go wrong.
    pub policy: TaskPolicy,
    /// When the batch was created.
    pub created_at: Timestamp,
    /// Whether it replaces tasks of older batches that have not begun.
    pub overwrite: bool,
    /// Whether its tasks occupy the module only (R141).
    pub multi_module: bool,
    /// Which devices may join it later; none for a static batch, and once the strategy is canceled.
    pub joining: Option<Joining>,
}

/// Which devices may join a dynamic batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joining {
    /// The versions it upgrades from; at least one (R55).
    pub sources: Vec<Version>,
    /// Where they must be; empty is anywhere.
    pub regions: Vec<Region>,
    /// Whether only versions reported after the batch was created count (R108).
    pub new_reports_only: bool,
}

impl Brief {
    /// Sums a batch up for the shard whose ended tasks go to `page`.
    pub fn of(batch: &Batch, page: u32) -> Self {
        let joining = match batch.mode {
            UpgradeMode::Dynamic { new_reports_only } if batch.strategy_canceled_at.is_none() => {
                Some(Joining {
                    sources: batch.sources().to_vec(),
                    regions: batch.target.regions().to_vec(),
                    new_reports_only,
                })
            }
            _ => None,
        };
        Self {
            batch_id: batch.id,
            package_id: batch.package_id,
            page,
            module: batch.module.clone(),
            policy: batch.policy.clone(),
            created_at: batch.created_at,
            overwrite: batch.overwrite,
            multi_module: batch.multi_module,
            joining,
        }
    }

    /// Tells whether a device that has just reported another version of the batch's module joins the batch (R106-R108,
    /// R112).
    pub fn takes(&self, device: &Device) -> bool {
        let Some(joining) = &self.joining else { return false };
        let matches = device.version_of(&self.module).is_some_and(|version| {
            joining.sources.contains(version) && *version != self.policy.target_version
        });
        let located = is_located(device, &joining.regions);
        let again = device.times_joined(self.batch_id) < limits::DYNAMIC_JOINS_MAX;
        matches && located && again && device.task_of(self.batch_id).is_none()
    }

    /// Gives a device its task of this batch, if no other task stands in its way (R135-R138). The batch must mean the
    /// device. An unrecorded end of the same batch's task does not: in a dynamic batch a device may come back. `others`
    /// tell how old the batches of its other tasks are: a batch that reaches a device late does not overwrite a newer one.
    pub fn admit(&self, device: &mut Device, others: &[Self], now: Timestamp) -> Admission {
        if device.task_of(self.batch_id).is_some() {
            return Admission::Already;
        }
        if self.joining.is_some() {
            self.note_joining(device);
        }
        let only_module = self.multi_module.then(|| self.module.clone());
        let source = device.version_of(&self.module).cloned();
        let rivals: Vec<Task> =
            device.tasks.iter().filter(|task| task.excludes(only_module.as_ref())).cloned().collect();
        let is_newer = |rival: &Task| {
            others.iter().any(|other| other.batch_id == rival.batch_id && other.created_at > self.created_at)
        };
        if rivals.iter().any(|rival| is_newer(rival) || conflict(rival, self.overwrite) == Conflict::NewFails)
        {
            device.ended.push(Task { only_module, ..Task::busy(self.batch_id, source, now) });
            return Admission::Busy;
        }
        for rival in rivals {
            // The old task's own policy does not matter: an overwritten task ends whatever it is.
            device.apply(rival.batch_id, &TaskEvent::Overwritten, &self.policy, now);
        }
        let needs_confirmation = self.policy.needs_confirmation;
        device.tasks.push(Task { only_module, ..Task::new(self.batch_id, source, needs_confirmation, now) });
        Admission::Queued
    }

    fn note_joining(&self, device: &mut Device) {
        match device.joined.iter_mut().find(|(id, _)| *id == self.batch_id) {
            Some((_, times)) => *times = times.saturating_add(1),
            None => device.joined.push((self.batch_id, 1)),
        }
    }
}

/// Returns the newest of the briefs whose batch a device joins that has just reported another version (R111).
pub fn newest_joining<'a>(briefs: impl Iterator<Item = &'a Brief>, device: &Device) -> Option<&'a Brief> {
    briefs.filter(|brief| brief.takes(device)).max_by_key(|brief| (brief.created_at, brief.batch_id))
}

/// Tells whether a device is in one of the regions; any device is when there are none (R72).
pub(super) fn is_located(device: &Device, regions: &[Region]) -> bool {
    regions.is_empty()
        || device.region.as_ref().is_some_and(|place| regions.iter().any(|region| region.holds(place)))
}

#[cfg(test)]
#[path = "brief_tests.rs"]
mod tests;
