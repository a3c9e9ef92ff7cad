//! Which devices a batch takes, and what becomes of a device it takes.

use super::{Batch, TargetSelection};
use crate::device::Device;
use crate::task::{Conflict, Task, TaskEvent, conflict};
use crate::time::Timestamp;

/// What becomes of one device when a static batch reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The device is not meant: other name, never activated (R75), activated after the creation (R76), already on the
    /// target (R73), or on a version the batch does not upgrade from.
    NotEligible,
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
    /// Tells whether a static batch means this device. What counts is the device at the moment the batch was created,
    /// however much later the dispatcher reaches it (R76).
    pub fn means(&self, device: &Device) -> bool {
        let named = match &self.target {
            TargetSelection::All => true,
            TargetSelection::Specific { devices } => devices.binary_search(&device.name).is_ok(),
        };
        let activated = device.activated_at.is_some_and(|at| at <= self.created_at);
        let then = device.version_at(&self.module, self.created_at);
        let at_target = [then, device.version_of(&self.module)].contains(&Some(&self.policy.target_version));
        named && activated && !at_target && self.upgrades_from(then)
    }
}

/// Gives a device its task of a static batch if the batch means it.
///
/// Calling it again for the same device and batch changes nothing as long as the task or its end is still in the
/// device's record; whether the whole shard has been visited is the caller's to remember.
pub fn admit(batch: &Batch, device: &mut Device, now: Timestamp) -> Admission {
    if !batch.means(device) {
        return Admission::NotEligible;
    }
    let of_batch = |task: &Task| task.batch_id == batch.id;
    if device.task.as_ref().is_some_and(of_batch) || device.ended.iter().any(of_batch) {
        return Admission::Already;
    }
    let source = device.version_of(&batch.module).cloned();
    if let Some(active) = &device.task {
        match conflict(active, batch.overwrite) {
            Conflict::NewFails => {
                device.ended.push(Task::busy(batch.id, source, now));
                return Admission::Busy;
            }
            Conflict::OldCanceled => {
                let old = active.batch_id;
                // The old task's own policy does not matter: an overwritten task ends whatever it is.
                device.apply(old, &TaskEvent::Overwritten, &batch.policy, now);
            }
        }
    }
    device.task = Some(Task::new(batch.id, source, false, now));
    Admission::Queued
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
