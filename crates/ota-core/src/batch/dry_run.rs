//! What a batch would do, found out by doing it to copies of the devices.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Admission, Batch, Brief, TargetSelection, admit, explain, gray_key};
use crate::device::Device;
use crate::ids::DeviceName;
use crate::limits;
use crate::task::Reason;
use crate::time::Timestamp;

/// The devices that would not be upgraded for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// How many.
    pub count: u64,
    /// The first of them, by shard and name.
    pub devices: Vec<DeviceName>,
}

/// What a batch would do to the devices it was shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DryRun {
    /// How many would get a task that waits for its push.
    pub devices: u64,
    /// The others by the code that [`explain`] has for them, or by that of the task that fails at once.
    pub refused: BTreeMap<&'static str, Refused>,
}

impl DryRun {
    /// Shows it one device, with the briefs that lie beside it. A device that a batch for named ones does not name is none
    /// of its business.
    pub fn reach(&mut self, batch: &Batch, device: &Device, others: &[Brief], now: Timestamp) {
        if !batch.names(device) {
            return;
        }
        let code = match admit(batch, &mut device.clone(), others, now) {
            Admission::Queued => {
                self.devices += 1;
                return;
            }
            Admission::Busy => Reason::DeviceBusy.code(),
            Admission::NotMeant | Admission::Already => explain(batch, device, None, false, now).code,
        };
        let refused = self.refused.entry(code).or_default();
        refused.count += 1;
        if refused.devices.len() < limits::DRY_RUN_NAMES_MAX {
            refused.devices.push(device.name.clone());
        }
    }
}

impl Batch {
    /// Chooses the devices of a gray rollout among some that are shown to a dry run, of which `eligible` may be chosen,
    /// after `before` others were. Over all of them it takes as many as the batch would, which chooses others.
    #[must_use]
    pub fn with_share(mut self, eligible: &[&DeviceName], before: u64) -> Self {
        let id = self.id;
        if let TargetSelection::Gray { percent, cutoff } = &mut self.target {
            let taken = |of: u64| if of == 0 { 0 } else { percent.of(of) };
            let wanted = taken(before.saturating_add(eligible.len() as u64)) - taken(before);
            let mut keys: Vec<u64> = eligible.iter().map(|name| gray_key(id, name)).collect();
            keys.sort_unstable();
            let last = usize::try_from(wanted).ok().and_then(|wanted| wanted.checked_sub(1));
            // No device has the key 0, as far as a cryptographic hash can promise.
            *cutoff = Some(last.and_then(|last| keys.get(last)).copied().unwrap_or(0));
        }
        self
    }

    /// Returns how many minutes the pushes to so many devices take at the batch's rate, if all are there to hear them; none
    /// for a batch that pushes nothing.
    pub fn minutes_at_rate(&self, devices: u64) -> Option<u64> {
        self.policy.push.then(|| devices.div_ceil(u64::from(self.push_per_minute_max.max(1))))
    }
}

#[cfg(test)]
#[path = "dry_run_tests.rs"]
mod tests;
