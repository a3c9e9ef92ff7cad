//! What the clock asks for in one shard of a batch: whom to push to, whom to end.
//!
//! [`plan`] looks and decides; it changes nothing. What [`ShardPlan::event_for`] tells of a device is then applied to it,
//! without any choice left.

use alloc::vec::Vec;

use crate::batch::Batch;
use crate::device::Device;
use crate::ids::DeviceName;
use crate::limits;
use crate::task::{Task, TaskEvent, TaskPolicy, TaskStatus};
use crate::time::Timestamp;

/// What to do with the tasks of one batch in one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardPlan {
    /// Devices to push to, as far as tokens go, longest-waiting first.
    pub push: Vec<DeviceName>,
    /// Tasks whose end is due.
    pub end: Vec<(DeviceName, TaskEvent)>,
}

/// Why a queued task has not been pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuedBecause {
    /// The batch's schedule has not begun (R92).
    Scheduled {
        /// When it begins.
        at: Timestamp,
    },
    /// The device is offline (R91).
    Offline,
    /// The batch pushes nothing: the device has to ask (R95).
    PullOnly,
    /// The rate of the batch, or the moment until the next tick (R93).
    RateLimited,
}

impl QueuedBecause {
    /// Returns the name used in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled { .. } => "scheduled",
            Self::Offline => "offline",
            Self::PullOnly => "pull-only",
            Self::RateLimited => "rate-limited",
        }
    }
}

/// Tells why a task still waits, if it does.
pub fn queued_because(
    device: &Device,
    task: &Task,
    policy: &TaskPolicy,
    now: Timestamp,
) -> Option<QueuedBecause> {
    if task.status != TaskStatus::Queued {
        return None;
    }
    Some(match policy.window.opens_at {
        Some(at) if now < at => QueuedBecause::Scheduled { at },
        _ if !policy.push => QueuedBecause::PullOnly,
        _ if device.session.is_none() => QueuedBecause::Offline,
        _ => QueuedBecause::RateLimited,
    })
}

/// Tells whether a push to this device is due: it is online, and its task was never pushed, or an attempt waited its
/// time (R128), or a decided push never went out because the process died. Outside the batch's schedule nothing is
/// pushed (R92, R94), and by some batches never (R95).
pub fn push_is_due(device: &Device, task: &Task, policy: &TaskPolicy, now: Timestamp) -> bool {
    if device.session.is_none() || !policy.push || !policy.window.is_open(now) {
        return false;
    }
    let waited = task.wait.map(|wait| wait.until() <= now);
    let lost = task.unsent_since.is_some_and(|at| now.ms_since(at) > limits::PUSH_GRANT_MS);
    match task.status {
        TaskStatus::Queued => waited.unwrap_or(true),
        TaskStatus::Notified | TaskStatus::InProgress => waited.unwrap_or(lost),
        TaskStatus::Unconfirmed | TaskStatus::Succeeded | TaskStatus::Failed | TaskStatus::Canceled => false,
    }
}

/// Decides for the devices of one shard.
pub fn plan<'a>(batch: &Batch, devices: impl Iterator<Item = &'a Device>, now: Timestamp) -> ShardPlan {
    let mut plan = ShardPlan::default();
    let mut due: Vec<(Timestamp, &DeviceName)> = Vec::new();
    for device in devices {
        let Some(task) = device.task_of(batch.id) else { continue };
        if batch.cancels(task) {
            plan.end.push((device.name.clone(), TaskEvent::CanceledByUser));
        } else if task.deadline(&batch.policy).is_some_and(|deadline| now >= deadline) {
            plan.end.push((device.name.clone(), TaskEvent::Ticked));
        } else if batch.policy.window.is_over(now)
            && task.after(&TaskEvent::ScheduleFinished, &batch.policy, now).task != *task
        {
            plan.end.push((device.name.clone(), TaskEvent::ScheduleFinished));
        } else if push_is_due(device, task, &batch.policy, now) {
            if source_version_lost(batch, device) {
                plan.end.push((device.name.clone(), TaskEvent::SourceVersionLost));
            } else {
                due.push((task.updated_at, &device.name));
            }
        }
    }
    due.sort();
    plan.push = due.into_iter().map(|(_, name)| name.clone()).collect();
    plan
}

impl ShardPlan {
    /// Tells whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.push.is_empty() && self.end.is_empty()
    }

    /// Keeps the first `tokens` pushes.
    pub fn limit_pushes(&mut self, tokens: u32) {
        self.push.truncate(usize::try_from(tokens).unwrap_or(usize::MAX));
    }

    /// Returns the event for `device`, if the plan has one.
    pub fn event_for(&self, device: &DeviceName) -> Option<&TaskEvent> {
        if let Some((_, event)) = self.end.iter().find(|(name, _)| name == device) {
            return Some(event);
        }
        self.push.contains(device).then_some(&TaskEvent::PushDecided)
    }
}

/// Before an upgrade that starts from certain versions is sent, the device must still run one of them.
fn source_version_lost(batch: &Batch, device: &Device) -> bool {
    let version = device.version_of(&batch.module);
    // A device that never reported is not known to have left; the batch took it knowing that.
    version.is_some() && !batch.upgrades_from(version)
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
