//! What each event does to a task in each status: the transitions T1 to T21.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{Reason, Retry, Task, TaskPolicy, TaskStatus, Wait};
use crate::device::message::DeviceFailure;
use crate::effect::Effect;
use crate::ids::Version;
use crate::limits;
use crate::time::Timestamp;

/// What may happen to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEvent {
    /// An app gave its consent (T4).
    Confirmed,
    /// The dispatcher decided to push and holds a rate token for it (T5, T19).
    PushDecided,
    /// The push went out.
    PushSent,
    /// The device asked for its upgrade and is being answered (T6).
    Requested,
    /// The device reported 0 to 100 percent (T7, T8).
    ProgressReported {
        /// 0 to 100.
        percent: u8,
        /// The device's words.
        desc: String,
    },
    /// The device reported that it failed (T13).
    FailureReported {
        /// Which step.
        failure: DeviceFailure,
        /// The device's words.
        desc: String,
    },
    /// The device reported the version of the task's module (T9 to T12).
    VersionReported {
        /// The reported version.
        version: Version,
    },
    /// The device connected (T19).
    Reconnected,
    /// Time has passed (T14).
    Ticked,
    /// An operator canceled tasks of this status (T15).
    CanceledByUser,
    /// A newer batch with overwrite wants the device (T16, T17).
    Overwritten,
    /// The batch's schedule ended (T18).
    ScheduleFinished,
    /// A push was due, and the device no longer runs a source version of the batch.
    SourceVersionLost,
    /// An operator wants the task tried once more (T20).
    Reupgraded,
    /// The device or its product was deleted (T21).
    DeviceDeleted,
}

/// The task to store, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The task after the event.
    pub task: Task,
    /// What to perform; empty when nothing of note happened.
    pub effects: Vec<Effect>,
}

impl Task {
    /// Applies one event.
    ///
    /// Every status answers every event. A duplicate or late device message is ordinary on MQTT, so an event that
    /// means nothing in a status returns the same task and no effects rather than an error.
    pub fn after(&self, event: &TaskEvent, policy: &TaskPolicy, now: Timestamp) -> Step {
        let mut step = self.decide(event, policy, now);
        // The history keeps the latest of what a task came to, so its time goes on also when a clock was set back.
        step.task.updated_at = step.task.updated_at.max(self.updated_at);
        step
    }

    fn decide(&self, event: &TaskEvent, policy: &TaskPolicy, now: Timestamp) -> Step {
        use TaskEvent as E;
        use TaskStatus as S;
        match (self.status, event) {
            // An ended task answers nothing but an operator who wants it tried again.
            (S::Failed | S::Canceled, E::Reupgraded) => self.requeued(policy, now),
            (S::Succeeded | S::Failed | S::Canceled, _) => self.unchanged(),

            (S::Unconfirmed, E::Confirmed) if policy.window.is_open(now) => {
                let mut step = self.entered(S::Queued, now);
                step.task.queued_at = now;
                step
            }
            // Consent counts only within the schedule (R97).
            (S::Unconfirmed, E::Confirmed) => self.unchanged(),
            (S::Queued | S::Notified | S::InProgress, E::Confirmed) => self.unchanged(),

            // Without consent nothing is sent and nothing is asked for.
            (S::Unconfirmed, E::PushDecided | E::PushSent | E::Requested) => self.unchanged(),
            (S::Queued, E::PushDecided) => self.pushing(S::Notified, now),
            (S::Notified | S::InProgress, E::PushDecided) => self.pushing(self.status, now),
            (S::Queued | S::Notified | S::InProgress, E::PushSent) => {
                self.changed_quietly(|task| task.unsent_since = None)
            }
            // Before the schedule begins and after it has ended there is nothing for the device.
            (S::Queued, E::Requested) if !policy.window.is_open(now) => self.unchanged(),
            (S::Queued, E::Requested) => {
                let mut step = self.entered(S::Notified, now);
                step.task.notified_at = Some(now);
                step.task.wait = None;
                step
            }
            // A device that asks again is given the same task again.
            (S::Notified | S::InProgress, E::Requested) => self.changed_quietly(|task| task.wait = None),

            (S::Notified | S::InProgress, E::ProgressReported { percent, desc }) => {
                self.progressed(*percent, desc, now)
            }
            // A device that was told nothing cannot be making progress with this task.
            (S::Unconfirmed | S::Queued, E::ProgressReported { .. } | E::FailureReported { .. }) => {
                self.unchanged()
            }
            (S::Notified | S::InProgress, E::FailureReported { failure, desc }) => {
                let reason = Reason::Device { failure: *failure, desc: shortened(desc) };
                self.attempt_failed(reason, policy, now)
            }

            (_, E::VersionReported { version }) if *version == policy.target_version => {
                let mut step = self.ended(S::Succeeded, None, now);
                step.task.percent = 100;
                step
            }
            (S::Unconfirmed, E::VersionReported { .. }) => self.unchanged(),
            (S::Queued | S::Notified, E::VersionReported { version }) => match &self.source_version {
                Some(source) if source == version => self.settled(now),
                // The first version the device ever told is what it is upgraded from, not a failure (R133).
                None => {
                    let mut step = self.settled(now);
                    step.task.source_version = Some(version.clone());
                    step
                }
                Some(_) => self.attempt_failed(Reason::VersionMismatch, policy, now),
            },
            (S::InProgress, E::VersionReported { version }) => {
                let back_on_source = self.source_version.as_ref() == Some(version);
                if back_on_source && policy.forgive_source_version {
                    self.settled(now)
                } else {
                    self.attempt_failed(Reason::VersionMismatch, policy, now)
                }
            }

            (S::Unconfirmed, E::Reconnected) => self.unchanged(),
            (S::Queued | S::Notified | S::InProgress, E::Reconnected) => self.reconnected(now),

            (S::InProgress, E::Ticked) => match self.deadline(policy) {
                Some(deadline) if now >= deadline => self.ended(S::Failed, Some(Reason::Timeout), now),
                _ => self.unchanged(),
            },
            (S::Unconfirmed | S::Queued | S::Notified, E::Ticked) => self.unchanged(),

            (_, E::CanceledByUser) => self.ended(S::Canceled, Some(Reason::CanceledByUser), now),
            (S::Unconfirmed | S::Queued | S::Notified, E::Overwritten) => {
                self.ended(S::Canceled, Some(Reason::Overwritten), now)
            }
            (S::Unconfirmed | S::Queued | S::Notified, E::ScheduleFinished) => {
                self.ended(S::Canceled, Some(Reason::ScheduleFinished), now)
            }
            (S::InProgress, E::ScheduleFinished) => self.schedule_finished(policy, now),
            // What has begun may finish.
            (S::InProgress, E::Overwritten) => self.unchanged(),

            (S::Queued | S::Notified | S::InProgress, E::SourceVersionLost) => {
                self.ended(S::Failed, Some(Reason::SourceVersionMismatch), now)
            }
            (S::Unconfirmed, E::SourceVersionLost) => self.unchanged(),

            (S::Unconfirmed | S::Queued | S::Notified | S::InProgress, E::Reupgraded) => self.unchanged(),
            (_, E::DeviceDeleted) => self.ended(S::Canceled, Some(Reason::DeviceDeleted), now),
        }
    }

    fn unchanged(&self) -> Step {
        Step { task: self.clone(), effects: vec![] }
    }

    /// A change that nobody watches: no new `updated_at`, no effects.
    fn changed_quietly(&self, change: impl FnOnce(&mut Self)) -> Step {
        let mut task = self.clone();
        change(&mut task);
        Step { task, effects: vec![] }
    }

    fn entered(&self, status: TaskStatus, now: Timestamp) -> Step {
        Step { task: Self { status, updated_at: now, ..self.clone() }, effects: vec![] }
    }

    fn pushing(&self, status: TaskStatus, now: Timestamp) -> Step {
        let notified_at = self.notified_at.or(Some(now));
        let unsent_since = Some(now);
        let task = Self { status, updated_at: now, notified_at, wait: None, unsent_since, ..self.clone() };
        Step { task, effects: vec![Effect::PushUpgrade] }
    }

    fn progressed(&self, percent: u8, desc: &str, now: Timestamp) -> Step {
        let desc = shortened(desc);
        let repeated = self.status == TaskStatus::InProgress && self.percent == percent && self.desc == desc;
        // A device that reports progress needs no other push, whatever one was waiting for.
        if repeated && self.wait.is_none() && self.unsent_since.is_none() && self.reason.is_none() {
            return self.unchanged();
        }
        let task = Self {
            status: TaskStatus::InProgress,
            percent,
            desc,
            updated_at: now,
            first_progress_at: self.first_progress_at.or(Some(now)),
            wait: None,
            unsent_since: None,
            // The attempt that failed is over, and this one may go on past the end of the schedule (R94).
            reason: None,
            ..self.clone()
        };
        Step { task, effects: vec![] }
    }

    /// The device has said which version it runs and still needs the upgrade: there is nothing to wait for.
    fn settled(&self, now: Timestamp) -> Step {
        self.changed_quietly(|task| {
            if let Some(Wait::Settle(_)) = task.wait {
                task.wait = Some(Wait::Settle(now));
            }
        })
    }

    /// A task that has been told is told again once the device has settled (T19); a queued one is told then. A retry
    /// that is due later stays due later, and it too lets the device settle.
    fn reconnected(&self, now: Timestamp) -> Step {
        let settled_at = now.plus_ms(limits::SETTLE_MS);
        self.changed_quietly(|task| {
            task.wait = Some(match task.wait {
                Some(Wait::Retry(at)) if at > now => Wait::Retry(at.max(settled_at)),
                _ => Wait::Settle(settled_at),
            });
        })
    }

    /// An attempt failed: try again later if the batch allows it, else fail (R128, R130). The status shown does not
    /// change while the next attempt waits (R129).
    fn attempt_failed(&self, reason: Reason, policy: &TaskPolicy, now: Timestamp) -> Step {
        // The same words again, before another attempt was made, are a message that came twice: at-least-once
        // delivery must not use up the retries.
        if matches!(self.wait, Some(Wait::Retry(_))) && self.reason.as_ref() == Some(&reason) {
            return self.unchanged();
        }
        match policy.retry {
            Some(retry) if self.may_retry(retry, policy, now) => {
                let at = now.plus_minutes(retry.after_minutes);
                let task = Self {
                    retries_used: self.retries_used + 1,
                    wait: Some(Wait::Retry(at)),
                    unsent_since: None,
                    reason: Some(reason),
                    updated_at: now,
                    ..self.clone()
                };
                Step { task, effects: vec![Effect::ScheduleRetry { at }] }
            }
            _ => self.ended(TaskStatus::Failed, Some(reason), now),
        }
    }

    /// Tells whether a failed attempt is made again: while the count allows it (R128), and not if the next one would come
    /// after the end of the schedule, where nothing is pushed any more (R94).
    fn may_retry(&self, retry: Retry, policy: &TaskPolicy, now: Timestamp) -> bool {
        let begun = self.status == TaskStatus::InProgress || !policy.retry_begun_only;
        let in_time = !policy.window.is_over(now.plus_minutes(retry.after_minutes));
        self.retries_used < retry.count_max && begun && in_time
    }

    /// The schedule ends for an upgrade that has begun: it may finish, unless the batch says otherwise, or it waits for
    /// an attempt that will not be made.
    fn schedule_finished(&self, policy: &TaskPolicy, now: Timestamp) -> Step {
        match self.wait {
            _ if policy.window.hard_stop => {
                self.ended(TaskStatus::Canceled, Some(Reason::ScheduleFinished), now)
            }
            Some(_) if self.reason.is_some() => self.ended(TaskStatus::Failed, self.reason.clone(), now),
            _ => self.unchanged(),
        }
    }

    fn ended(&self, status: TaskStatus, reason: Option<Reason>, now: Timestamp) -> Step {
        let task = Self { status, reason, updated_at: now, wait: None, unsent_since: None, ..self.clone() };
        Step { task, effects: vec![Effect::RecordEnd] }
    }

    /// A fresh start for an ended task (T20), which needs consent again if the batch does.
    fn requeued(&self, policy: &TaskPolicy, now: Timestamp) -> Step {
        let source = self.source_version.clone();
        let fresh = Self::new(self.batch_id, source, policy.needs_confirmation, self.created_at);
        let only_module = self.only_module.clone();
        // Whatever ends it next ends it later than the last time, even within one millisecond.
        let now = now.max(self.updated_at.plus_ms(1));
        Step { task: Self { only_module, queued_at: now, updated_at: now, ..fresh }, effects: vec![] }
    }
}

fn shortened(desc: &str) -> String {
    desc.chars().take(limits::TASK_DESC_LEN_MAX).collect()
}

#[cfg(test)]
#[path = "transition_tests.rs"]
mod tests;
