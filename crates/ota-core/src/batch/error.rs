//! Why a batch is refused, or what an operator asks of one.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::error::Coded;
use crate::ids::BatchId;
use crate::limits;

/// Why a batch is refused although each of its fields is well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// The package has not passed its trial (R42).
    PackageNotVerified {
        /// How its trial stands.
        status: &'static str,
    },
    /// The package belongs to another product than the request says (R88).
    ProductMismatch,
    /// A source version is the package's target version (R58).
    SourceIsTarget,
    /// A delta upgrades from its own source version only (R57).
    SourceNotDeltas {
        /// The delta's source version.
        source_version: String,
    },
    /// A batch for named devices takes them on whatever version they are (R56).
    SourceVersionsNotAllowed,
    /// A dynamic batch of a full package names the versions it upgrades from (R55).
    SourceVersionsRequired,
    /// A dynamic batch is neither gray nor for named devices (R68, R89).
    DynamicTarget,
    /// Another dynamic batch of the package runs (R61).
    DynamicExists {
        /// It.
        batch_id: BatchId,
    },
    /// Another package is being rolled out from the same version, which the product's conflict policy forbids (R63).
    Conflict {
        /// The running batch.
        batch_id: BatchId,
    },
    /// The product has as many such batches as may run at once.
    TooManyLanes,
    /// A dynamic batch has no schedule (R77).
    ScheduleStaticOnly,
    /// The schedule has an end and no start (R80).
    EndWithoutStart,
    /// The schedule begins in the past (R78).
    StartInPast,
    /// The schedule begins less than 5 minutes ahead (R78).
    StartTooSoon,
    /// The schedule begins more than 7 days ahead (R78).
    StartTooLate,
    /// The schedule ends before it begins (R79).
    EndBeforeStart,
    /// The schedule lasts less than an hour (R79).
    EndTooSoon,
    /// The schedule lasts more than 30 days (R79).
    EndTooLate,
    /// Names and a device list at once (R67).
    NamesAndList,
    /// The uploaded device list is not there, or is no device list.
    ListUnknown,
    /// The device list has too many rows (R66).
    ListTooLong {
        /// Rows found.
        rows: usize,
    },
    /// The retry interval is not below the timeout, which the product asks for.
    RetryAfterTimeout,
    /// The product retries only batches that name their source versions.
    RetryNeedsSourceVersions,
    /// A batch that occupies single modules does not overwrite (R141).
    MultiModuleOverwrite,
    /// No device is eligible (R74).
    NoDevice,
    /// Devices that the product does not have.
    UnknownDevices {
        /// Their names.
        names: Vec<String>,
    },
    /// Named devices that do not run the delta's source version.
    OtherVersion {
        /// Their names.
        names: Vec<String>,
    },
    /// Named devices that have never told the version a delta would start from.
    NeverReported {
        /// Their names.
        names: Vec<String>,
    },
    /// The batch has ended, so there is nothing to cancel (R150).
    Ended {
        /// How it ended.
        status: &'static str,
    },
    /// A cancel that names nothing (R147).
    CancelNothing,
    /// Scheduled tasks of a batch without a schedule (R148).
    NoSchedule,
    /// A static batch has no strategy (R149).
    NotDynamic,
    /// The strategy is canceled already (R150).
    StrategyCanceled,
    /// Tags are fixed at creation, unless the product says otherwise (R87).
    TagsFixed,
}

impl Coded for BatchError {
    fn code(&self) -> &'static str {
        match self {
            Self::PackageNotVerified { .. } => "batch.package-not-verified",
            Self::ProductMismatch => "batch.product-mismatch",
            Self::SourceIsTarget => "batch.source-is-target",
            Self::SourceNotDeltas { .. } => "batch.source-not-deltas",
            Self::SourceVersionsNotAllowed => "batch.source-versions-not-allowed",
            Self::SourceVersionsRequired => "batch.source-versions-required",
            Self::DynamicTarget => "batch.dynamic-target",
            Self::DynamicExists { .. } => "batch.dynamic-exists",
            Self::Conflict { .. } => "batch.conflict",
            Self::TooManyLanes => "batch.too-many-lanes",
            Self::ScheduleStaticOnly => "batch.schedule-static-only",
            Self::EndWithoutStart => "batch.end-without-start",
            Self::StartInPast => "batch.start-in-past",
            Self::StartTooSoon => "batch.start-too-soon",
            Self::StartTooLate => "batch.start-too-late",
            Self::EndBeforeStart => "batch.end-before-start",
            Self::EndTooSoon => "batch.end-too-soon",
            Self::EndTooLate => "batch.end-too-late",
            Self::NamesAndList => "batch.names-and-list",
            Self::ListUnknown => "batch.list-unknown",
            Self::ListTooLong { .. } => "batch.list-too-long",
            Self::RetryAfterTimeout => "batch.retry-after-timeout",
            Self::RetryNeedsSourceVersions => "batch.retry-needs-source-versions",
            Self::MultiModuleOverwrite => "batch.multi-module-overwrite",
            Self::NoDevice => "batch.no-device",
            Self::UnknownDevices { .. } => "batch.unknown-devices",
            Self::OtherVersion { .. } => "batch.other-version",
            Self::NeverReported { .. } => "batch.never-reported",
            Self::Ended { .. } => "batch.ended",
            Self::CancelNothing => "batch.cancel-nothing",
            Self::NoSchedule => "batch.no-schedule",
            Self::NotDynamic => "batch.not-dynamic",
            Self::StrategyCanceled => "batch.strategy-canceled",
            Self::TagsFixed => "batch.tags-fixed",
        }
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PackageNotVerified { status } => {
                write!(f, "the package must be verified on test devices first; its verification is {status}")
            }
            Self::ProductMismatch => write!(f, "the package belongs to another product"),
            Self::SourceIsTarget => write!(f, "a source version must differ from the package's version"),
            Self::SourceNotDeltas { source_version } => {
                write!(f, "the package is a delta from {source_version} and upgrades from no other version")
            }
            Self::SourceVersionsNotAllowed => {
                write!(f, "a batch for named devices takes no source versions")
            }
            Self::SourceVersionsRequired => {
                write!(f, "a dynamic batch must name the versions it upgrades from")
            }
            Self::DynamicTarget => {
                write!(
                    f,
                    "a dynamic batch is for all devices or for regions, not gray and not for named ones"
                )
            }
            Self::DynamicExists { batch_id } => {
                write!(f, "the package has the dynamic batch {batch_id}; cancel its strategy first")
            }
            Self::Conflict { batch_id } => {
                write!(
                    f,
                    "batch {batch_id} upgrades from the same version, and the product lets only one do so"
                )
            }
            Self::TooManyLanes => {
                write!(
                    f,
                    "the product has {} batches of this kind, more may not run at once",
                    limits::LANES_MAX
                )
            }
            Self::ScheduleStaticOnly => write!(f, "only a static batch has a schedule"),
            Self::EndWithoutStart => write!(f, "a schedule needs a start"),
            Self::StartInPast => write!(f, "the start is in the past"),
            Self::StartTooSoon => write!(f, "the start must be at least 5 minutes ahead"),
            Self::StartTooLate => write!(f, "the start must be at most 7 days ahead"),
            Self::EndBeforeStart => write!(f, "the end comes before the start"),
            Self::EndTooSoon => write!(f, "the end must be at least 1 hour after the start"),
            Self::EndTooLate => write!(f, "the end must be at most 30 days after the start"),
            Self::NamesAndList => write!(f, "give names or a device list, not both"),
            Self::ListUnknown => {
                write!(f, "there is no such uploaded device list (a file that ends in .csv)")
            }
            Self::ListTooLong { rows } => {
                write!(
                    f,
                    "the device list has {rows} rows, at most {} are taken",
                    limits::DEVICE_LIST_ROWS_MAX
                )
            }
            Self::RetryAfterTimeout => write!(f, "the retry interval must be shorter than the timeout"),
            Self::RetryNeedsSourceVersions => write!(f, "a batch with retries must name its source versions"),
            Self::MultiModuleOverwrite => {
                write!(f, "a batch that lets a device be in a task for each module cannot overwrite")
            }
            Self::NoDevice => write!(f, "no device is eligible for this batch"),
            Self::UnknownDevices { names } => write!(f, "the product has no device {}", names.join(", ")),
            Self::OtherVersion { names } => {
                write!(f, "not on the delta's source version: {}", names.join(", "))
            }
            Self::NeverReported { names } => {
                write!(f, "have never reported a version, which a delta needs: {}", names.join(", "))
            }
            Self::Ended { status } => write!(f, "the batch is {status}"),
            Self::CancelNothing => {
                write!(
                    f,
                    "say what to cancel: scheduled, queued, unconfirmed, notified, in_progress or strategy"
                )
            }
            Self::NoSchedule => write!(f, "the batch has no schedule, so it has no scheduled tasks"),
            Self::NotDynamic => write!(f, "a static batch has no strategy to cancel"),
            Self::StrategyCanceled => write!(f, "the strategy of the batch is canceled already"),
            Self::TagsFixed => write!(f, "the tags of a batch are fixed when it is created"),
        }
    }
}

impl core::error::Error for BatchError {}
