//! A batch: one package for many devices.

mod download;
mod rate;
mod rules;
mod target;
mod transition;

use alloc::string::String;
use alloc::vec::Vec;

pub use self::download::{DownloadError, DownloadProtocol};
pub use self::rate::RateWindow;
pub use self::rules::{BatchError, BatchFields, NewBatch, TargetFields, check_verification};
pub use self::target::{Admission, admit};
pub use self::transition::{BatchEvent, BatchStatus};
use crate::ids::{BatchId, DeviceName, ModuleName, PackageId, ProductKey, Version};
use crate::package::PackageKind;
use crate::task::{Task, TaskPolicy, TaskStatus};
use crate::time::Timestamp;

/// What a batch is for (JobType).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchKind {
    /// The trial of a package (验证).
    Verify,
    /// The upgrade itself (批量升级).
    Upgrade,
}

impl BatchKind {
    /// Returns the name used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Upgrade => "upgrade",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Verify, Self::Upgrade].into_iter().find(|k| k.as_str() == text)
    }
}

/// Which devices a batch is for (升级范围).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetSelection {
    /// Every eligible device of the product (R64).
    All,
    /// Named devices only (R65).
    Specific {
        /// The names, sorted, each once.
        devices: Vec<DeviceName>,
    },
}

impl TargetSelection {
    /// Returns the name used in the API and in storage.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Specific { .. } => "specific",
        }
    }
}

/// A pair that goes along to the devices as `extData` (批次标签), fixed at creation (R87).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// 1 to 30 of letters, digits, `.`.
    pub key: String,
    /// 1 to 1,024 characters.
    pub value: String,
}

/// A batch (批次; Job in the vendor's API): what was asked for, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Issued by the service.
    pub id: BatchId,
    /// Trial or upgrade.
    pub kind: BatchKind,
    /// Which devices.
    pub target: TargetSelection,
    /// The package.
    pub package_id: PackageId,
    /// The package's product.
    pub product_key: ProductKey,
    /// The package's module.
    pub module: ModuleName,
    /// Whole or difference.
    pub package_kind: PackageKind,
    /// How its devices download.
    pub download: DownloadProtocol,
    /// The versions that are upgraded; empty is any (R54).
    pub source_versions: Vec<Version>,
    /// What its tasks do when things go wrong.
    pub policy: TaskPolicy,
    /// Pushes per minute, at most (R93).
    pub push_per_minute_max: u32,
    /// Whether it replaces tasks of older batches that have not begun (R85).
    pub overwrite: bool,
    /// Pairs for the devices.
    pub tags: Vec<Tag>,
    /// Where it stands.
    pub status: BatchStatus,
    /// Which tasks an operator has canceled; kept until the batch ends, because it is done shard by shard.
    pub cancel: Option<Cancel>,
    /// When it was created: the target set is that of this moment (R76).
    pub created_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Which tasks a cancel ends: each flag acts only on its own status (R151).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CancelOptions {
    /// Tasks that wait for their push.
    pub queued: bool,
    /// Tasks that were told.
    pub notified: bool,
    /// Tasks that have begun.
    pub in_progress: bool,
}

impl CancelOptions {
    /// Tells whether nothing is canceled.
    pub const fn is_empty(self) -> bool {
        !self.queued && !self.notified && !self.in_progress
    }
}

/// What an operator has canceled so far, and each choice when it was last made: the dispatcher may reach a task much
/// later, and what was only told or has only begun since then is not meant (R151).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cancel {
    /// Tasks that wait for their push. None of them can have come to wait later.
    pub queued: Option<Timestamp>,
    /// Tasks that were told by then.
    pub notified: Option<Timestamp>,
    /// Tasks that had begun by then.
    pub in_progress: Option<Timestamp>,
}

impl Cancel {
    /// Returns this with what is canceled at `now`.
    #[must_use]
    pub fn with(self, options: CancelOptions, now: Timestamp) -> Self {
        let chosen = |chosen: bool, before| if chosen { Some(now) } else { before };
        Self {
            queued: chosen(options.queued, self.queued),
            notified: chosen(options.notified, self.notified),
            in_progress: chosen(options.in_progress, self.in_progress),
        }
    }

    /// Tells whether a task is canceled: its status is one of those chosen, and it had that status, or another one
    /// that was chosen, when the operator chose it. Ended tasks never are (R155).
    pub fn covers(self, task: &Task) -> bool {
        let by = |at: Option<Timestamp>, since: Option<Timestamp>| {
            at.is_some_and(|at| since.is_none_or(|since| since <= at))
        };
        let queued = self.queued.is_some();
        let notified = by(self.notified, task.notified_at);
        let begun = by(self.in_progress, task.first_progress_at);
        match task.status {
            TaskStatus::Unconfirmed | TaskStatus::Queued => queued,
            TaskStatus::Notified => self.notified.is_some() && (queued || notified),
            TaskStatus::InProgress => self.in_progress.is_some() && (queued || notified || begun),
            TaskStatus::Succeeded | TaskStatus::Failed | TaskStatus::Canceled => false,
        }
    }
}

/// How many tasks of a batch stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Wait for consent.
    pub unconfirmed: u32,
    /// Wait for their push.
    pub queued: u32,
    /// Were told.
    pub notified: u32,
    /// Have begun.
    pub in_progress: u32,
    /// Ended well.
    pub succeeded: u32,
    /// Ended badly.
    pub failed: u32,
    /// Were ended.
    pub canceled: u32,
}

impl TaskCounts {
    /// Counts one more task.
    pub fn add(&mut self, status: TaskStatus) {
        let place = match status {
            TaskStatus::Unconfirmed => &mut self.unconfirmed,
            TaskStatus::Queued => &mut self.queued,
            TaskStatus::Notified => &mut self.notified,
            TaskStatus::InProgress => &mut self.in_progress,
            TaskStatus::Succeeded => &mut self.succeeded,
            TaskStatus::Failed => &mut self.failed,
            TaskStatus::Canceled => &mut self.canceled,
        };
        *place += 1;
    }

    /// Adds the counts of another part of the batch.
    pub fn merge(&mut self, other: &Self) {
        self.unconfirmed += other.unconfirmed;
        self.queued += other.queued;
        self.notified += other.notified;
        self.in_progress += other.in_progress;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.canceled += other.canceled;
    }

    /// Returns how many have not ended.
    pub const fn active(&self) -> u32 {
        self.unconfirmed + self.queued + self.notified + self.in_progress
    }

    /// Returns how many there are.
    pub const fn total(&self) -> u32 {
        self.active() + self.succeeded + self.failed + self.canceled
    }
}

impl Batch {
    /// Tells whether a device on `version` is one this batch upgrades from (R54, R57).
    pub fn upgrades_from(&self, version: Option<&Version>) -> bool {
        match (self.package_kind.source_version(), version) {
            (Some(source), version) => version == Some(source),
            (None, _) if self.source_versions.is_empty() => true,
            (None, Some(version)) => self.source_versions.contains(version),
            (None, None) => false,
        }
    }

    /// Tells whether a task would be canceled by what an operator asked for.
    pub fn cancels(&self, task: &Task) -> bool {
        self.cancel.is_some_and(|cancel| cancel.covers(task))
    }

    /// Returns the tags as keys and values.
    pub fn tag_pairs(&self) -> Vec<(String, String)> {
        self.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
    }
}
