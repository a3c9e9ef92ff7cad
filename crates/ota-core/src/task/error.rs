//! Why what an operator asks of single tasks is refused.

use alloc::string::String;
use core::fmt;

use super::TaskStatus;
use crate::error::Coded;
use crate::ids::BatchId;

/// Why a task cannot be confirmed, or upgraded again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskError {
    /// There is no such task.
    Unknown,
    /// The task does not wait for consent (R97).
    NotUnconfirmed {
        /// Where it stands.
        status: TaskStatus,
    },
    /// The schedule of the task's batch has not begun, or is over (R97): nothing could come of it.
    OutsideSchedule,
    /// The task has neither failed nor been canceled (R134).
    NotEnded {
        /// Where it stands.
        status: TaskStatus,
    },
    /// The package is no longer verified, or was deleted (R134).
    PackageNotVerified {
        /// How its trial stands.
        status: String,
    },
    /// The device is in another task (R135).
    DeviceBusy {
        /// That task's batch.
        batch_id: BatchId,
    },
}

impl Coded for TaskError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "task.unknown",
            Self::NotUnconfirmed { .. } => "task.not-unconfirmed",
            Self::OutsideSchedule => "task.outside-schedule",
            Self::NotEnded { .. } => "task.not-ended",
            Self::PackageNotVerified { .. } => "task.package-not-verified",
            Self::DeviceBusy { .. } => "task.device-busy",
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(f, "there is no such task"),
            Self::NotUnconfirmed { status } => {
                write!(f, "the task does not wait for consent; it is {}", status.as_str())
            }
            Self::OutsideSchedule => write!(f, "this is done only within the schedule of the batch"),
            Self::NotEnded { status } => {
                write!(
                    f,
                    "only failed and canceled tasks are upgraded again; this one is {}",
                    status.as_str()
                )
            }
            Self::PackageNotVerified { status } => write!(f, "the verification of the package is {status}"),
            Self::DeviceBusy { batch_id } => write!(f, "the device is in a task of batch {batch_id}"),
        }
    }
}

impl core::error::Error for TaskError {}
