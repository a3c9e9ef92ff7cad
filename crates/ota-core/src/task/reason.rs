//! Why a task ended, or why its last attempt failed.

use alloc::string::String;
use core::fmt;

use crate::device::message::DeviceFailure;

/// Why a task failed or was canceled. The text of [`Reason::desc`] is the vendor's `TaskDesc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The device began and did not finish in time (T14). Never retried (R126).
    Timeout,
    /// The device reported a version that is neither the one it had nor the target (T10, T12).
    VersionMismatch,
    /// The device itself said that it failed (T13).
    Device {
        /// Which step failed.
        failure: DeviceFailure,
        /// The device's words.
        desc: String,
    },
    /// The device was busy with another task when this one was made (T2).
    DeviceBusy,
    /// The device no longer runs a version that the batch upgrades from.
    SourceVersionMismatch,
    /// A newer batch replaced this task (T16).
    Overwritten,
    /// The batch's schedule ended before the device began (T18).
    ScheduleFinished,
    /// An operator canceled it (T15).
    CanceledByUser,
    /// The device was deleted (T21).
    DeviceDeleted,
}

impl Reason {
    /// Returns the stable code used in the API and in storage.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::VersionMismatch => "version-mismatch",
            Self::Device { failure, .. } => failure.as_str(),
            Self::DeviceBusy => "device-busy",
            Self::SourceVersionMismatch => "source-version-mismatch",
            Self::Overwritten => "overwritten",
            Self::ScheduleFinished => "schedule-finished",
            Self::CanceledByUser => "canceled-by-user",
            Self::DeviceDeleted => "device-deleted",
        }
    }

    /// Reads a code back, with the device's words where the code has some.
    pub fn parse(code: &str, desc: String) -> Option<Self> {
        Some(match code {
            "timeout" => Self::Timeout,
            "version-mismatch" => Self::VersionMismatch,
            "device-busy" => Self::DeviceBusy,
            "source-version-mismatch" => Self::SourceVersionMismatch,
            "overwritten" => Self::Overwritten,
            "schedule-finished" => Self::ScheduleFinished,
            "canceled-by-user" => Self::CanceledByUser,
            "device-deleted" => Self::DeviceDeleted,
            other => Self::Device { failure: DeviceFailure::parse(other)?, desc },
        })
    }

    /// Returns the device's words, if the reason has some.
    pub fn desc(&self) -> &str {
        match self {
            Self::Device { desc, .. } => desc,
            _ => "",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The vendor's exact words, which scripts look for.
            Self::Timeout => f.write_str("timeout"),
            Self::VersionMismatch => f.write_str("report version is not conform"),
            Self::Device { failure, desc } if desc.is_empty() => write!(f, "device code {}", failure.code()),
            Self::Device { failure, desc } => write!(f, "device code {}: {desc}", failure.code()),
            Self::DeviceBusy => f.write_str("the previous upgrade of the device is not finished"),
            Self::SourceVersionMismatch => {
                f.write_str("the device no longer runs a source version of the batch")
            }
            Self::Overwritten => f.write_str("replaced by a newer batch"),
            Self::ScheduleFinished => f.write_str("the schedule of the batch ended"),
            Self::CanceledByUser => f.write_str("canceled by the operator"),
            Self::DeviceDeleted => f.write_str("the device was deleted"),
        }
    }
}
