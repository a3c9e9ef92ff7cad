//! Two batches want one device (R135-R138).

use super::{Task, TaskStatus};

/// What happens when a new batch meets a device that has an active task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The old task goes on; the new one fails because the device is busy (T2, R136, R138).
    NewFails,
    /// The old task is canceled as overwritten; the new one is queued (T16, R137).
    OldCanceled,
}

/// Decides between a device's active task and a newer batch, which may ask to `overwrite`. An upgrade that has begun is
/// never replaced (T17, R138).
pub fn conflict(active: &Task, overwrite: bool) -> Conflict {
    match active.status {
        TaskStatus::Unconfirmed | TaskStatus::Queued | TaskStatus::Notified if overwrite => {
            Conflict::OldCanceled
        }
        _ => Conflict::NewFails,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BatchId;
    use crate::time::Timestamp;

    fn active(status: TaskStatus) -> Task {
        Task { status, ..Task::new(BatchId([1; 16]), None, false, Timestamp(0)) }
    }

    #[test]
    fn r136_without_overwrite_the_old_task_goes_on() {
        for status in
            [TaskStatus::Unconfirmed, TaskStatus::Queued, TaskStatus::Notified, TaskStatus::InProgress]
        {
            assert_eq!(conflict(&active(status), false), Conflict::NewFails);
        }
    }

    #[test]
    fn r137_overwrite_replaces_a_task_that_has_not_begun() {
        for status in [TaskStatus::Unconfirmed, TaskStatus::Queued, TaskStatus::Notified] {
            assert_eq!(conflict(&active(status), true), Conflict::OldCanceled);
        }
    }

    #[test]
    fn r138_overwrite_never_replaces_an_upgrade_in_progress() {
        assert_eq!(conflict(&active(TaskStatus::InProgress), true), Conflict::NewFails);
    }
}
