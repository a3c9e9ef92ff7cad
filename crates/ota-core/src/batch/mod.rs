//! A batch: one package for many devices.

mod brief;
mod cancel;
mod download;
mod dry_run;
mod error;
mod gray;
mod history;
mod lane;
mod rate;
mod rules;
mod schedule;
mod target;
mod target_rules;
#[cfg(test)]
pub(crate) mod tests_world;
mod transition;
mod verification;
mod why;

use alloc::string::String;
use alloc::vec::Vec;

pub use self::brief::{Brief, Joining, newest_joining};
pub use self::cancel::{Cancel, CancelOptions};
pub use self::download::{DownloadError, DownloadProtocol};
pub use self::dry_run::{DryRun, Refused};
pub use self::error::BatchError;
pub use self::gray::{GrayPercent, GraySearch, gray_key};
pub use self::history::{History, Point};
pub use self::lane::{Lane, refusal};
pub use self::rate::RateWindow;
pub use self::rules::{BatchFields, NewBatch, Terms, check_batch_tags};
pub use self::schedule::ScheduleFields;
pub use self::target::{Admission, admit};
pub use self::target_rules::{TargetFields, parse_device_list};
pub use self::transition::{BatchEvent, BatchStatus};
pub use self::verification::{VerificationFields, check_verification};
pub use self::why::{Why, explain};
use crate::device::Region;
use crate::ids::{BatchId, DeviceName, ModuleName, PackageId, ProductKey, Version};
use crate::package::{Package, PackageKind};
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

/// When a batch takes its devices (升级方式).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeMode {
    /// Those of the moment it was created (静态, R76).
    Static,
    /// Those that match now or later, until its strategy is canceled (动态, R105-R113).
    Dynamic {
        /// Whether only versions reported after the creation count (仅对新上报版本生效, R108).
        new_reports_only: bool,
    },
}

impl UpgradeMode {
    /// Returns the name used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Dynamic { .. } => "dynamic",
        }
    }

    /// Tells whether devices may join later.
    pub const fn is_dynamic(self) -> bool {
        matches!(self, Self::Dynamic { .. })
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
        /// Whether they came as a file: there may be thousands of them, so they are stored apart from the batch (R66).
        listed: bool,
    },
    /// A share of the eligible devices, chosen at random (灰度, R69).
    Gray {
        /// How many in a hundred.
        percent: GrayPercent,
        /// The chosen are those whose [`gray_key`] is not above this; none while it is being searched for.
        cutoff: Option<u64>,
    },
    /// The eligible devices located in one of these regions (R72).
    Region {
        /// At least one, each once.
        regions: Vec<Region>,
    },
}

impl TargetSelection {
    /// Returns the name used in the API and in storage.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Specific { .. } => "specific",
            Self::Gray { .. } => "gray",
            Self::Region { .. } => "region",
        }
    }

    /// Returns the regions a device must be located in; empty is anywhere.
    pub fn regions(&self) -> &[Region] {
        match self {
            Self::Region { regions } => regions,
            _ => &[],
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
    /// When it takes its devices.
    pub mode: UpgradeMode,
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
    /// Whether its tasks occupy the package's module only, so that a device may be in one for each module (R141).
    pub multi_module: bool,
    /// Pairs for the devices.
    pub tags: Vec<Tag>,
    /// Where it stands.
    pub status: BatchStatus,
    /// Which tasks an operator has canceled; kept until the batch ends, because it is done shard by shard.
    pub cancel: Option<Cancel>,
    /// When the strategy of a dynamic batch was canceled: no device joins any more (R110).
    pub strategy_canceled_at: Option<Timestamp>,
    /// When it was created: the target set is that of this moment (R76).
    pub created_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
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
    /// Makes a batch of a package as it was asked for.
    pub fn new(id: BatchId, kind: BatchKind, package: &Package, new: NewBatch, now: Timestamp) -> Self {
        let planned = new.policy.window.is_ahead(now);
        Self {
            id,
            kind,
            mode: new.mode,
            target: new.target,
            package_id: package.id,
            product_key: package.product_key.clone(),
            module: package.module.clone(),
            package_kind: package.kind.clone(),
            download: new.download,
            source_versions: new.source_versions,
            policy: new.policy,
            push_per_minute_max: new.push_per_minute_max,
            overwrite: new.overwrite,
            multi_module: new.multi_module,
            tags: new.tags,
            status: if planned { BatchStatus::Planned } else { BatchStatus::InProgress },
            cancel: None,
            strategy_canceled_at: None,
            created_at: now,
            started_at: (!planned).then_some(now),
            ended_at: None,
        }
    }

    /// Returns the versions it upgrades from; empty is any.
    pub fn sources(&self) -> &[Version] {
        match &self.package_kind {
            PackageKind::Delta { source_version } => core::slice::from_ref(source_version),
            PackageKind::Full => &self.source_versions,
        }
    }

    /// Tells whether devices that were not reached yet still get their tasks.
    pub fn takes_devices(&self) -> bool {
        match self.mode {
            UpgradeMode::Static => !self.cancel.is_some_and(|cancel| cancel.stops_expansion(&self.policy)),
            UpgradeMode::Dynamic { .. } => self.strategy_canceled_at.is_none(),
        }
    }

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
        self.cancel.is_some_and(|cancel| cancel.covers(task, &self.policy))
    }

    /// Returns the tags as keys and values.
    pub fn tag_pairs(&self) -> Vec<(String, String)> {
        self.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
    }
}
