//! What holds for one task, whatever happens to it.

use ota_core::effect::Effect;
use ota_core::task::{Reason, Step, Task, TaskEvent, TaskPolicy, TaskStatus};
use ota_core::time::Timestamp;
use proptest::prelude::*;

use crate::world::{START, any_device_event, any_event, any_pause_ms, any_policy, new_task, version};

/// One thing that happened, and what came of it.
struct Moment<'a> {
    before: &'a Task,
    event: &'a TaskEvent,
    policy: &'a TaskPolicy,
    now: Timestamp,
    step: Step,
}

const INVARIANTS: [fn(&Moment<'_>); 9] = [
    invariant_terminal_is_final,
    invariant_only_the_documented_ways,
    invariant_success_needs_the_target_version,
    invariant_an_end_is_recorded_once,
    invariant_an_end_has_its_reason,
    invariant_the_clock_is_never_reset,
    invariant_retries_are_counted,
    invariant_a_timeout_is_the_end,
    invariant_no_change_has_no_effects,
];

fn invariant_terminal_is_final(m: &Moment<'_>) {
    if m.before.status.is_terminal() && *m.event != TaskEvent::Reupgraded {
        assert_eq!((&m.step.task, m.step.effects.len()), (m.before, 0));
    }
}

fn invariant_only_the_documented_ways(m: &Moment<'_>) {
    use TaskStatus as S;
    let (from, to) = (m.before.status, m.step.task.status);
    let documented = match (from, to) {
        (S::Unconfirmed, S::Queued) | (S::Queued, S::Notified) | (S::Notified, S::InProgress) => true,
        (S::Failed | S::Canceled, S::Queued) => *m.event == TaskEvent::Reupgraded,
        (_, S::Succeeded | S::Canceled) => !from.is_terminal(),
        (S::Queued | S::Notified | S::InProgress, S::Failed) => true,
        _ => false,
    };
    assert!(from == to || documented, "{from:?} to {to:?}");
}

fn invariant_success_needs_the_target_version(m: &Moment<'_>) {
    if m.before.status != TaskStatus::Succeeded && m.step.task.status == TaskStatus::Succeeded {
        let version = m.policy.target_version.clone();
        assert_eq!(*m.event, TaskEvent::VersionReported { version });
    }
}

fn invariant_an_end_is_recorded_once(m: &Moment<'_>) {
    let ended = !m.before.status.is_terminal() && m.step.task.status.is_terminal();
    assert_eq!(m.step.effects.contains(&Effect::RecordEnd), ended);
}

fn invariant_an_end_has_its_reason(m: &Moment<'_>) {
    let task = &m.step.task;
    match task.status {
        TaskStatus::Failed | TaskStatus::Canceled => assert!(task.reason.is_some()),
        TaskStatus::Succeeded => assert!(task.reason.is_none()),
        _ => return,
    }
    assert_eq!((task.wait, task.unsent_since), (None, None));
}

fn invariant_the_clock_is_never_reset(m: &Moment<'_>) {
    match (m.before.first_progress_at, m.event) {
        (_, TaskEvent::Reupgraded) | (None, TaskEvent::ProgressReported { .. }) => {}
        (clock, _) => assert_eq!(m.step.task.first_progress_at, clock),
    }
}

fn invariant_retries_are_counted(m: &Moment<'_>) {
    let most = m.policy.retry.map_or(0, |retry| retry.count_max);
    let (before, after) = (m.before.retries_used, m.step.task.retries_used);
    let scheduled = m.step.effects.iter().any(|effect| matches!(effect, Effect::ScheduleRetry { .. }));
    assert!(after <= most);
    if *m.event != TaskEvent::Reupgraded {
        assert_eq!(after, before + u8::from(scheduled));
    }
}

fn invariant_a_timeout_is_the_end(m: &Moment<'_>) {
    let late = m.before.deadline(m.policy).is_some_and(|deadline| m.now >= deadline);
    if late && *m.event == TaskEvent::Ticked {
        assert_eq!(m.step.task.reason, Some(Reason::Timeout));
    }
    if m.before.first_progress_at.is_none() {
        assert_eq!(m.before.deadline(m.policy), None);
    }
}

fn invariant_no_change_has_no_effects(m: &Moment<'_>) {
    // A push decided twice in one millisecond is two pushes.
    if m.step.task == *m.before && *m.event != TaskEvent::PushDecided {
        assert_eq!(m.step.effects, []);
    }
}

/// Runs a history, checking every step, and returns where it leads and when.
fn live(task: Task, policy: &TaskPolicy, history: &[(TaskEvent, u64)]) -> (Task, Timestamp) {
    history.iter().fold((task, START), |(task, now), (event, pause)| {
        let now = now.plus_ms(*pause);
        let step = task.after(event, policy, now);
        let moment = Moment { before: &task, event, policy, now, step };
        for invariant in INVARIANTS {
            invariant(&moment);
        }
        (moment.step.task, now)
    })
}

fn any_history() -> impl Strategy<Value = Vec<(TaskEvent, u64)>> {
    prop::collection::vec((any_event(), any_pause_ms()), 0..30)
}

fn any_new_task() -> impl Strategy<Value = Task> {
    (prop::option::of(Just("1.0")), prop::bool::weighted(0.1))
        .prop_map(|(source, needs_confirmation)| new_task(source, needs_confirmation))
}

proptest! {
    #[test]
    fn the_invariants_hold_in_any_history(
        task in any_new_task(),
        policy in any_policy(),
        first in any_history(),
        second in any_history(),
    ) {
        let again = [(TaskEvent::Reupgraded, 0)];
        live(task, &policy, &[first.as_slice(), &again, &second].concat());
    }

    #[test]
    fn a_canceled_task_never_succeeds(
        task in any_new_task(),
        policy in any_policy(),
        before in any_history(),
        after in any_history(),
    ) {
        let canceled = live(task, &policy, &[before, vec![(TaskEvent::CanceledByUser, 0)]].concat()).0;
        prop_assert!(canceled.status.is_terminal());
        prop_assert_eq!(live(canceled.clone(), &policy, &after).0, canceled);
    }

    #[test]
    fn a_device_message_that_comes_twice_counts_once(
        task in any_new_task(),
        policy in any_policy(),
        history in any_history(),
        message in any_device_event(),
    ) {
        let (task, now) = live(task, &policy, &history);
        let once = task.after(&message, &policy, now).task;
        let twice = once.after(&message, &policy, now);
        prop_assert_eq!((&twice.task, twice.effects.len()), (&once, 0));
    }

    #[test]
    fn a_version_report_decides_every_active_task(
        task in any_new_task(),
        policy in any_policy(),
        history in any_history(),
    ) {
        let (task, now) = live(task, &policy, &history);
        let active = !task.status.is_terminal();
        let report = TaskEvent::VersionReported { version: version(crate::world::TARGET) };
        let after = task.after(&report, &policy, now).task;
        prop_assert_eq!(after.status == TaskStatus::Succeeded, active || task.status == TaskStatus::Succeeded);
    }

    #[test]
    fn the_ends_of_time_break_nothing(
        task in any_new_task(),
        policy in any_policy(),
        events in prop::collection::vec((any_event(), prop::sample::select(vec![0, 1, u64::MAX - 1, u64::MAX])), 0..20),
    ) {
        events.into_iter().fold(task, |task, (event, now)| task.after(&event, &policy, Timestamp(now)).task);
    }
}
