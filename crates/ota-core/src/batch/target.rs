//! Which devices a batch takes, and what becomes of a device it takes.

use super::brief::is_located;
use super::gray::gray_key;
use super::{Batch, Brief, TargetSelection, UpgradeMode};
use crate::device::Device;
use crate::limits;
use crate::time::Timestamp;

/// What becomes of one device when a batch reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The device is not meant: see [`Batch::means`].
    NotMeant,
    /// The device has its task of this batch already.
    Already,
    /// A task waits for its push (T1), perhaps in place of an older one (T16).
    Queued,
    /// The device is busy, so the task has failed (T2).
    Busy,
}

impl Admission {
    /// Tells whether the device now has a task of the batch.
    pub const fn made_task(self) -> bool {
        matches!(self, Self::Queued | Self::Busy)
    }
}

impl Batch {
    /// Tells whether a batch that reaches this device gives it a task.
    ///
    /// For a static batch, what counts is the device at the moment the batch was created, however much later the
    /// dispatcher reaches it (R76); a device that has come to the target meanwhile needs no task any more.
    pub fn means(&self, device: &Device) -> bool {
        let chosen = match &self.target {
            // Until the cutoff is found nobody is chosen.
            TargetSelection::Gray { cutoff, .. } => {
                cutoff.is_some_and(|cutoff| gray_key(self.id, &device.name) <= cutoff)
            }
            _ => true,
        };
        chosen && self.is_eligible(device)
    }

    /// Tells whether a device is one of those that a gray rollout takes its share of; in every other batch, whether it
    /// gets a task.
    pub fn is_eligible(&self, device: &Device) -> bool {
        if !self.names(device) || !is_located(device, self.target.regions()) {
            return false;
        }
        let target = Some(&self.policy.target_version);
        let present = device.version_of(&self.module);
        match self.mode {
            UpgradeMode::Static => {
                let activated = device.activated_at.is_some_and(|at| at <= self.created_at);
                let then = device.version_at(&self.module, self.created_at);
                activated && ![then, present].contains(&target) && self.upgrades_from(then)
            }
            UpgradeMode::Dynamic { new_reports_only } => {
                let reported = device.versions.iter().find(|known| known.module == self.module);
                let is_new = reported.is_some_and(|known| known.reported_at > self.created_at);
                present.is_some()
                    && present != target
                    && self.upgrades_from(present)
                    && (is_new || !new_reports_only)
                    && device.times_joined(self.id) < limits::DYNAMIC_JOINS_MAX
            }
        }
    }

    /// Tells whether the batch is not for named devices, or names this one (R65).
    pub(super) fn names(&self, device: &Device) -> bool {
        match &self.target {
            TargetSelection::Specific { devices, .. } => devices.binary_search(&device.name).is_ok(),
            _ => true,
        }
    }
}

/// Gives a device its task of a batch that reaches it, if the batch means it.
///
/// Calling it again for the same device and batch changes nothing as long as the task or its end is still in the
/// device's record; whether the whole shard has been visited is the caller's to remember. `others` are the briefs that
/// lie beside the device.
pub fn admit(batch: &Batch, device: &mut Device, others: &[Brief], now: Timestamp) -> Admission {
    if !batch.means(device) {
        return Admission::NotMeant;
    }
    if device.ended.iter().any(|task| task.batch_id == batch.id) {
        return Admission::Already;
    }
    Brief::of(batch, 0).admit(device, others, now)
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
