//! Why a device was upgraded by a batch, or was not: the rule that decides, and what would change it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::brief::is_located;
use super::gray::gray_key;
use super::{Batch, TargetSelection, UpgradeMode};
use crate::device::Device;
use crate::dispatch::{QueuedBecause, queued_because};
use crate::limits;
use crate::task::{Reason, Task, TaskStatus, Wait};
use crate::time::Timestamp;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// Whether the device runs the target version by this batch's doing.
    pub upgraded: bool,
    /// What decides, in a stable word such as `offline`.
    pub code: &'static str,
    /// The rule's number in `docs/rules.md`.
    pub rule: &'static str,
    /// What is the case.
    pub because: String,
    /// What would change it; empty where nothing would, or need.
    pub change: String,
}

impl Why {
    fn not(
        code: &'static str,
        rule: &'static str,
        because: impl Into<String>,
        change: impl Into<String>,
    ) -> Self {
        Self { upgraded: false, code, rule, because: because.into(), change: change.into() }
    }
}

/// Explains how a batch and a device stand. `task` is the device's task of the batch, active or ended, if it has one;
/// `expanded` tells whether the batch has reached every device.
pub fn explain(batch: &Batch, device: &Device, task: Option<&Task>, expanded: bool, now: Timestamp) -> Why {
    match task {
        Some(task) if task.status.is_terminal() => ended(batch, device, task),
        Some(task) => active(batch, device, task, now),
        None => never(batch, device, expanded),
    }
}

/// Why a device has no task of the batch: the first of the conditions that it does not meet.
fn never(batch: &Batch, device: &Device, expanded: bool) -> Why {
    let created = batch.created_at;
    let target = &batch.policy.target_version;
    if !batch.names(device) {
        let change = "make a batch that names it";
        return Why::not(
            "not-named",
            "R65",
            "the batch is for named devices, and this is none of them",
            change,
        );
    }
    let Some(activated) = device.activated_at else {
        let change = "the device has to connect; a static batch made after that takes it";
        return Why::not("never-activated", "R75", "the device has never connected", change);
    };
    if batch.mode == UpgradeMode::Static && activated > created {
        let because =
            "the batch is for the devices of the moment it was created, and this one first connected later";
        return Why::not("activated-later", "R76", because, "make another batch, or a dynamic one");
    }
    if !is_located(device, batch.target.regions()) {
        let place = device.region.as_ref().map_or("not known".to_string(), |region| format!("{region}"));
        let because = format!("the batch is for certain regions, and the device's is {place}");
        return Why::not("other-region", "R72", because, "set the device's region, and make another batch");
    }
    let then = match batch.mode {
        UpgradeMode::Static => device.version_at(&batch.module, created),
        UpgradeMode::Dynamic { .. } => device.version_of(&batch.module),
    };
    if device.version_of(&batch.module) == Some(target) || then == Some(target) {
        let because = format!("the device runs {target} without the batch's doing");
        return Why::not("at-target", "R73", because, "");
    }
    if !batch.upgrades_from(then) {
        let sources: Vec<&str> = batch.sources().iter().map(|version| version.as_str()).collect();
        let ran = then.map_or("had reported no version".to_string(), |version| format!("ran {version}"));
        let because = format!("the batch upgrades from {} only, and the device {ran}", sources.join(", "));
        let rule = if batch.package_kind.source_version().is_some() { "R57" } else { "R54" };
        return Why::not("other-version", rule, because, "make a batch whose source versions include it");
    }
    if device.times_joined(batch.id) >= limits::DYNAMIC_JOINS_MAX {
        let because = format!("it has joined the batch {} times already", limits::DYNAMIC_JOINS_MAX);
        return Why::not("joined-too-often", "R112", because, "find out why the device keeps coming back");
    }
    if let Some(at) = batch.strategy_canceled_at {
        let because = format!("the strategy was canceled at {}, and no device joins since", at.0);
        return Why::not("strategy-canceled", "R110", because, "make another dynamic batch");
    }
    if batch.mode == (UpgradeMode::Dynamic { new_reports_only: true }) {
        let because = "the batch takes devices only when they report another version after its creation";
        let change = "the device has to report another version, or the batch has to count present ones";
        return Why::not("nothing-new", "R108", because, change);
    }
    if let TargetSelection::Gray { percent, cutoff: Some(cutoff) } = &batch.target
        && gray_key(batch.id, &device.name) > *cutoff
    {
        let because =
            format!("the batch takes {percent} % of the eligible devices, and this is none of them");
        return Why::not("not-in-the-share", "R69", because, "make another batch with a larger share");
    }
    if !batch.takes_devices() {
        let because = "the batch was canceled before it reached the device";
        return Why::not("canceled-before", "R144", because, "make another batch");
    }
    if expanded {
        let because = if batch.mode.is_dynamic() {
            "the device did not match when the batch was created and has reported no other version since"
        } else {
            "the device was not meant when the batch was made"
        };
        return Why::not("not-meant", "R76", because, "make another batch");
    }
    Why::not("not-reached", "R64", "the batch has not reached the device yet", "wait for the next ticks")
}

/// How an active task stands.
fn active(batch: &Batch, device: &Device, task: &Task, now: Timestamp) -> Why {
    let target = &batch.policy.target_version;
    if let (Some(Wait::Retry(at)), Some(reason)) = (task.wait, &task.reason) {
        let because = format!("the last attempt failed ({reason}), and the next one is due at {}", at.0);
        return Why::not("waits-for-retry", "R128", because, "wait for it, or for the device to connect");
    }
    match task.status {
        TaskStatus::Unconfirmed => {
            let because = "the batch needs an app's consent to each task, and there is none yet";
            Why::not("unconfirmed", "R96", because, "confirm the task within the batch's schedule")
        }
        TaskStatus::Queued => match queued_because(device, task, &batch.policy, now) {
            Some(QueuedBecause::Scheduled { at }) => {
                let because = format!("the batch begins at {}", at.0);
                Why::not("scheduled", "R92", because, "wait for the start")
            }
            Some(QueuedBecause::Offline) => {
                let because = "the device is offline, and is told when it connects";
                Why::not("offline", "R91", because, "the device has to connect")
            }
            Some(QueuedBecause::PullOnly) => {
                let because = "the batch pushes nothing";
                Why::not("pull-only", "R95", because, "the device has to ask for its upgrade")
            }
            Some(QueuedBecause::RateLimited) | None => {
                let because = format!("the batch pushes to {} devices a minute", batch.push_per_minute_max);
                Why::not("rate-limited", "R93", because, "wait for its turn")
            }
        },
        TaskStatus::Notified => {
            let because = "the device was told, and has reported neither progress nor the new version";
            Why::not("notified", "R114", because, "the device has to act; it is told again when it connects")
        }
        _ => {
            let because = format!("the device is at {} %, and has not reported {target}", task.percent);
            Why::not("in-progress", "R116", because, "the device has to report the new version")
        }
    }
}

/// Why a task ended.
fn ended(batch: &Batch, device: &Device, task: &Task) -> Why {
    let target = &batch.policy.target_version;
    let again = "upgrade the task again, or make another batch";
    let Some(reason) = &task.reason else {
        let because = format!("the device reported {target}");
        return Why { upgraded: true, ..Why::not("succeeded", "R115", because, "") };
    };
    let because = format!("{reason}");
    let rule = match reason {
        Reason::Timeout => "R123",
        Reason::VersionMismatch if task.first_progress_at.is_some() => "R119",
        Reason::VersionMismatch => "R118",
        Reason::Device { .. } => "R120",
        Reason::DeviceBusy => "R136",
        Reason::SourceVersionMismatch => "R57",
        Reason::Overwritten => "R137",
        Reason::ScheduleFinished => "R94",
        Reason::CanceledByUser => "R144",
        Reason::DeviceDeleted => "T21",
    };
    if device.version_of(&batch.module) == Some(target) {
        let because = format!("{because}; since then the device has come to {target} all the same");
        return Why::not(reason.code(), "R154", because, "");
    }
    Why::not(reason.code(), rule, because, again)
}

#[cfg(test)]
#[path = "why_tests.rs"]
mod tests;
