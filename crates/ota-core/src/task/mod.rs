//! One device in one batch.
//!
//! A task is a plain value. [`Task::after`] takes what happened and when, and returns the task to store and the effects
//! to perform. It reads no clock and touches no store, so that each rule is one row of a test table.
//!
//! Invariants:
//! - A terminal task never changes again, but for an operator's re-upgrade (T20).
//! - `first_progress_at` is set only by a progress report of 0 to 100: a device that is offline for a week has not
//!   started to run out of time (R124). It is never reset (R125).

mod conflict;
mod error;
mod reason;
mod transition;

use alloc::string::String;

pub use self::conflict::{Conflict, conflict};
pub use self::error::TaskError;
pub use self::reason::Reason;
pub use self::transition::{Step, TaskEvent};
use crate::ids::{BatchId, ModuleName, Version};
use crate::time::Timestamp;

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskStatus {
    /// Waits for an app's consent (待确认).
    Unconfirmed,
    /// Not yet told (待推送).
    Queued,
    /// Told, no progress reported yet (已推送).
    Notified,
    /// Progress reported (升级中).
    InProgress,
    /// The device reported the target version (升级成功).
    Succeeded,
    /// Ended otherwise, with a reason (升级失败).
    Failed,
    /// Ended by an operator, a newer batch or a schedule (已取消).
    Canceled,
}

impl TaskStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Unconfirmed,
        Self::Queued,
        Self::Notified,
        Self::InProgress,
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
    ];

    /// Returns the name used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unconfirmed => "unconfirmed",
            Self::Queued => "queued",
            Self::Notified => "notified",
            Self::InProgress => "in-progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Tells whether the task has ended.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}

/// Why a task that could be pushed is not being pushed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// An attempt failed; the next one is due at this time (R128).
    Retry(Timestamp),
    /// The device has just connected and may be about to report its version; push at this time if it stays silent.
    Settle(Timestamp),
}

impl Wait {
    /// Returns when the wait is over.
    pub const fn until(self) -> Timestamp {
        match self {
            Self::Retry(at) | Self::Settle(at) => at,
        }
    }
}

/// One device in one batch (升级任务; Task in the vendor's API).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The batch.
    pub batch_id: BatchId,
    /// The only module it occupies, in a batch that upgrades several modules of a device at once (R141); none is the
    /// whole device.
    pub only_module: Option<ModuleName>,
    /// Where it stands.
    pub status: TaskStatus,
    /// The device's version when the task was made; none if it had reported none.
    pub source_version: Option<Version>,
    /// The last reported percentage.
    pub percent: u8,
    /// The device's last words about this task.
    pub desc: String,
    /// Why it ended, if it ended otherwise than by success; why the last attempt failed, until the next one shows progress.
    pub reason: Option<Reason>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it began to wait for its push, for the last time: a cancel means those that waited before it.
    pub queued_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When the device was first told: a cancel means those who were told before it.
    pub notified_at: Option<Timestamp>,
    /// When the device first reported a percentage: the timeout counts from here (R123).
    pub first_progress_at: Option<Timestamp>,
    /// Attempts made beyond the first.
    pub retries_used: u8,
    /// Why a push waits although the device is online.
    pub wait: Option<Wait>,
    /// A push that was decided at this time and is not known to have gone out. It is cleared once it has; if the
    /// process dies between, the next tick finds it and pushes again.
    pub unsent_since: Option<Timestamp>,
}

/// What a task's batch decided for all its tasks: the target, and what to do when things go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPolicy {
    /// The version that means success.
    pub target_version: Version,
    /// Minutes from the first progress to failure; none is never (R123).
    pub timeout_minutes: Option<u16>,
    /// When and how often to try again; none is never (R130).
    pub retry: Option<Retry>,
    /// Whether a report of the source version while in progress is forgiven (the later documents' reading of R119).
    pub forgive_source_version: bool,
    /// Whether only upgrades that have begun are tried again (the later documents' reading of R118).
    pub retry_begun_only: bool,
    /// Whether the upgrade is pushed; otherwise devices get it when they ask (R95).
    pub push: bool,
    /// Whether an app must consent to each task first (R96).
    pub needs_confirmation: bool,
    /// When the upgrade may be told to devices.
    pub window: Window,
}

/// When a batch's upgrade may be told to devices (R92, R94).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Not before this moment; none is at once.
    pub opens_at: Option<Timestamp>,
    /// Not from this moment on; none is never too late.
    pub closes_at: Option<Timestamp>,
    /// Whether the end also cancels upgrades that have begun.
    pub hard_stop: bool,
}

impl Window {
    /// Tells whether the window has not opened yet.
    pub fn is_ahead(self, now: Timestamp) -> bool {
        self.opens_at.is_some_and(|at| now < at)
    }

    /// Tells whether the window has closed.
    pub fn is_over(self, now: Timestamp) -> bool {
        self.closes_at.is_some_and(|at| now >= at)
    }

    /// Tells whether devices may be told now.
    pub fn is_open(self, now: Timestamp) -> bool {
        !self.is_ahead(now) && !self.is_over(now)
    }
}

impl TaskPolicy {
    /// Returns the policy of a batch that asks for nothing special: pushed at once, no timeout, no retry.
    pub const fn new(target_version: Version) -> Self {
        Self {
            target_version,
            timeout_minutes: None,
            retry: None,
            forgive_source_version: false,
            retry_begun_only: false,
            push: true,
            needs_confirmation: false,
            window: Window { opens_at: None, closes_at: None, hard_stop: false },
        }
    }
}

/// When and how often a failed attempt is made again (R128).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Minutes between a failure and the next attempt (重试间隔).
    pub after_minutes: u16,
    /// Attempts beyond the first (重试上限).
    pub count_max: u8,
}

impl Task {
    /// Makes a task that waits for its push, or for consent if the batch needs it (T1).
    pub fn new(
        batch_id: BatchId,
        source_version: Option<Version>,
        needs_confirmation: bool,
        now: Timestamp,
    ) -> Self {
        Self {
            batch_id,
            only_module: None,
            status: if needs_confirmation { TaskStatus::Unconfirmed } else { TaskStatus::Queued },
            source_version,
            percent: 0,
            desc: String::new(),
            reason: None,
            created_at: now,
            queued_at: now,
            updated_at: now,
            notified_at: None,
            first_progress_at: None,
            retries_used: 0,
            wait: None,
            unsent_since: None,
        }
    }

    /// Makes a task that has failed because the device is busy with another one (T2).
    pub fn busy(batch_id: BatchId, source_version: Option<Version>, now: Timestamp) -> Self {
        Self {
            status: TaskStatus::Failed,
            reason: Some(Reason::DeviceBusy),
            ..Self::new(batch_id, source_version, false, now)
        }
    }

    /// Tells whether two tasks cannot be active on one device at once (R135): unless each occupies a module of its own,
    /// they cannot (R141).
    pub fn excludes(&self, other: Option<&ModuleName>) -> bool {
        match (&self.only_module, other) {
            (Some(mine), Some(other)) => mine == other,
            _ => true,
        }
    }

    /// Returns when the task times out, if it can (R123, R124).
    pub fn deadline(&self, policy: &TaskPolicy) -> Option<Timestamp> {
        match (self.status, self.first_progress_at, policy.timeout_minutes) {
            (TaskStatus::InProgress, Some(start), Some(minutes)) => Some(start.plus_minutes(minutes)),
            _ => None,
        }
    }
}
