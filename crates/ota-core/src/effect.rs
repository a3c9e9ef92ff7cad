//! What should happen after a decision, as data.
//!
//! An effect is stored with the state it belongs to, in the same value, because one value is all that changes at once:
//! `PushUpgrade` as [`crate::task::Task::unsent_since`], `RecordEnd` as the ended task that stays in the device's
//! record until the batch's page holds it. Performing an effect twice does no harm.

use crate::time::Timestamp;

/// Something to perform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Publish the upgrade to the device.
    PushUpgrade,
    /// Write the ended task into its batch's history, and announce it.
    RecordEnd,
    /// Come back to this task at this time.
    ScheduleRetry {
        /// When the next attempt is due.
        at: Timestamp,
    },
}

impl Effect {
    /// Returns the name shown in docs and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PushUpgrade => "push",
            Self::RecordEnd => "record",
            Self::ScheduleRetry { .. } => "retry later",
        }
    }
}
