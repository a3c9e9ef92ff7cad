//! What an operator cancels (R143-R155).

use crate::task::{Task, TaskPolicy, TaskStatus};
use crate::time::Timestamp;

/// Which tasks a cancel ends: each flag acts only on its own status (R151).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CancelOptions {
    /// Tasks that wait for the start of the schedule.
    pub scheduled: bool,
    /// Tasks that wait for their push.
    pub queued: bool,
    /// Tasks that were told.
    pub notified: bool,
    /// Tasks that have begun.
    pub in_progress: bool,
    /// Tasks that wait for consent; not said, they go with the queued ones (R152).
    pub unconfirmed: Option<bool>,
}

impl CancelOptions {
    /// What a cancel of a static batch means when nothing is said: its scheduled tasks (R143).
    pub const SCHEDULED: Self =
        Self { scheduled: true, queued: false, notified: false, in_progress: false, unconfirmed: None };

    /// Every task that has not ended.
    pub const ALL: Self =
        Self { scheduled: true, queued: true, notified: true, in_progress: true, unconfirmed: Some(true) };

    /// Tells whether nothing is canceled.
    pub fn is_empty(self) -> bool {
        !(self.scheduled
            || self.queued
            || self.notified
            || self.in_progress
            || self.unconfirmed == Some(true))
    }
}

/// What an operator has canceled so far, and each choice when it was last made: the dispatcher may reach a task much
/// later, and what was only told or has only begun since then is not meant (R151).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cancel {
    /// Tasks that waited for the start of the schedule then.
    pub scheduled: Option<Timestamp>,
    /// Tasks that waited for their push then.
    pub queued: Option<Timestamp>,
    /// Tasks that were told by then.
    pub notified: Option<Timestamp>,
    /// Tasks that had begun by then.
    pub in_progress: Option<Timestamp>,
    /// Tasks that waited for consent then.
    pub unconfirmed: Option<Timestamp>,
}

impl Cancel {
    /// Returns this with what is canceled at `now`.
    #[must_use]
    pub fn with(self, options: CancelOptions, now: Timestamp) -> Self {
        let chosen = |chosen: bool, before| if chosen { Some(now) } else { before };
        Self {
            scheduled: chosen(options.scheduled, self.scheduled),
            queued: chosen(options.queued, self.queued),
            notified: chosen(options.notified, self.notified),
            in_progress: chosen(options.in_progress, self.in_progress),
            unconfirmed: chosen(options.unconfirmed.unwrap_or(options.queued), self.unconfirmed),
        }
    }

    /// Tells whether a task is canceled: its status is one of those chosen, and it had that status, or another one
    /// that was chosen, when the operator chose it. Ended tasks never are (R155).
    pub fn covers(self, task: &Task, policy: &TaskPolicy) -> bool {
        // Whether the task had a status at a moment: it had entered it, and not left it.
        let had = |at: Option<Timestamp>, since: Option<Timestamp>, until: Option<Timestamp>| {
            at.is_some_and(|at| since.is_none_or(|since| since <= at) && until.is_none_or(|until| at < until))
        };
        // Whatever waited at a moment before the schedule began was scheduled then.
        let scheduled_at = self.scheduled.filter(|at| policy.window.is_ahead(*at));
        let scheduled = had(scheduled_at, Some(task.queued_at), None);
        let queued = had(self.queued, Some(task.queued_at), task.notified_at) || scheduled;
        let notified = had(self.notified, task.notified_at, task.first_progress_at);
        let begun = had(self.in_progress, task.first_progress_at, None);
        match task.status {
            TaskStatus::Unconfirmed => had(self.unconfirmed, Some(task.queued_at), None) || scheduled,
            TaskStatus::Queued => queued,
            TaskStatus::Notified => self.notified.is_some() && (queued || notified),
            TaskStatus::InProgress => self.in_progress.is_some() && (queued || notified || begun),
            TaskStatus::Succeeded | TaskStatus::Failed | TaskStatus::Canceled => false,
        }
    }

    /// Tells whether the tasks of devices that a static batch has not reached yet would only be made to be canceled.
    pub(super) fn stops_expansion(self, policy: &TaskPolicy) -> bool {
        let scheduled = self.scheduled.is_some_and(|at| policy.window.is_ahead(at));
        let waiting = if policy.needs_confirmation { self.unconfirmed } else { self.queued };
        scheduled || waiting.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BatchId, Version};
    use crate::task::Window;

    const BEFORE: Timestamp = Timestamp(1_000);
    const OPENS: Timestamp = Timestamp(2_000);
    const AFTER: Timestamp = Timestamp(3_000);

    fn policy() -> TaskPolicy {
        TaskPolicy::new(Version::new("2.0").unwrap())
    }

    fn scheduled_policy() -> TaskPolicy {
        TaskPolicy { window: Window { opens_at: Some(OPENS), ..Window::default() }, ..policy() }
    }

    fn task(status: TaskStatus) -> Task {
        Task { status, ..Task::new(BatchId([1; 16]), None, false, Timestamp(0)) }
    }

    fn covered(options: CancelOptions, policy: &TaskPolicy, at: Timestamp) -> Vec<TaskStatus> {
        let cancel = Cancel::default().with(options, at);
        TaskStatus::ALL.into_iter().filter(|status| cancel.covers(&task(*status), policy)).collect()
    }

    use TaskStatus as S;
    use alloc::vec::Vec;

    #[test]
    fn r143_canceling_the_scheduled_tasks_means_those_that_wait_for_the_start() {
        let waiting = [S::Unconfirmed, S::Queued];
        assert_eq!(covered(CancelOptions::SCHEDULED, &scheduled_policy(), BEFORE), waiting);
        assert_eq!(covered(CancelOptions::SCHEDULED, &scheduled_policy(), AFTER), []);
        assert_eq!(covered(CancelOptions::SCHEDULED, &policy(), BEFORE), []);
    }

    #[test]
    fn r152_unconfirmed_tasks_go_with_the_queued_ones_unless_left_out() {
        let queued = |unconfirmed| CancelOptions { queued: true, unconfirmed, ..CancelOptions::default() };
        assert_eq!(covered(queued(None), &policy(), AFTER), [S::Unconfirmed, S::Queued]);
        assert_eq!(covered(queued(Some(true)), &policy(), AFTER), [S::Unconfirmed, S::Queued]);
        assert_eq!(covered(queued(Some(false)), &policy(), AFTER), [S::Queued]);
        let only = CancelOptions { unconfirmed: Some(true), ..CancelOptions::default() };
        assert_eq!(covered(only, &policy(), AFTER), [S::Unconfirmed]);
    }

    #[test]
    fn r151_r155_each_choice_acts_on_its_own_status_and_none_on_an_ended_task() {
        let none = CancelOptions::default();
        assert_eq!(covered(CancelOptions { notified: true, ..none }, &policy(), AFTER), [S::Notified]);
        assert_eq!(covered(CancelOptions { in_progress: true, ..none }, &policy(), AFTER), [S::InProgress]);
        assert_eq!(covered(none, &policy(), AFTER), []);
    }

    #[test]
    fn a_task_that_began_to_wait_after_the_cancel_is_not_meant() {
        let options = CancelOptions { queued: true, ..CancelOptions::default() };
        let cancel = Cancel::default().with(options, BEFORE);
        let later = Task { queued_at: AFTER, ..task(S::Queued) };
        assert!(!cancel.covers(&later, &policy()));
    }

    #[test]
    fn r151_a_later_choice_of_one_status_does_not_renew_an_earlier_one_of_another() {
        let none = CancelOptions::default();
        let begun = CancelOptions { in_progress: true, ..none };
        let told = CancelOptions { notified: true, ..none };
        let cancel = Cancel::default().with(begun, BEFORE).with(told, AFTER);
        let of = |first_progress_at| Task {
            notified_at: Some(OPENS),
            first_progress_at: Some(Timestamp(first_progress_at)),
            ..task(S::InProgress)
        };
        assert!(!cancel.covers(&of(AFTER.0 - 1), &policy()), "it had begun, between the two");
        assert!(
            cancel.covers(&of(AFTER.0 + 1), &policy()),
            "it was notified, and began before it was reached"
        );
    }
}
