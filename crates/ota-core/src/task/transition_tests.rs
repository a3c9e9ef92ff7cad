//! One test per transition and per rule about a single task. The tests are named after the number in `docs/rules.md`.

use alloc::string::ToString;

use super::*;
use crate::ids::BatchId;
use crate::task::Retry;

const MADE: Timestamp = Timestamp(1_000_000);
const BEGAN: Timestamp = Timestamp(1_500_000);
const NOW: Timestamp = Timestamp(2_000_000);
const MINUTE: u64 = 60_000;

const ACTIVE: [TaskStatus; 4] =
    [TaskStatus::Unconfirmed, TaskStatus::Queued, TaskStatus::Notified, TaskStatus::InProgress];
const TOLD: [TaskStatus; 2] = [TaskStatus::Notified, TaskStatus::InProgress];

fn version(text: &str) -> Version {
    Version::new(text).unwrap()
}

/// No retry, no timeout.
fn policy() -> TaskPolicy {
    TaskPolicy::new(version("2.0"))
}

fn timeout(minutes: u16) -> TaskPolicy {
    TaskPolicy { timeout_minutes: Some(minutes), ..policy() }
}

fn retry(after_minutes: u16, count_max: u8) -> TaskPolicy {
    TaskPolicy { retry: Some(Retry { after_minutes, count_max }), ..policy() }
}

/// A task from 1.0 to 2.0 that came to `status` in the ordinary way.
fn task(status: TaskStatus) -> Task {
    let task = Task { status, ..Task::new(BatchId([1; 16]), Some(version("1.0")), false, MADE) };
    match status {
        TaskStatus::InProgress => Task { percent: 40, first_progress_at: Some(BEGAN), ..task },
        TaskStatus::Failed => Task { reason: Some(Reason::Timeout), ..task },
        TaskStatus::Canceled => Task { reason: Some(Reason::CanceledByUser), ..task },
        _ => task,
    }
}

fn progress(percent: u8) -> TaskEvent {
    TaskEvent::ProgressReported { percent, desc: String::new() }
}

fn failure() -> TaskEvent {
    TaskEvent::FailureReported { failure: DeviceFailure::Download, desc: "no route".to_string() }
}

fn runs(text: &str) -> TaskEvent {
    TaskEvent::VersionReported { version: version(text) }
}

/// What `event` does to a task in `status` when the batch has no retry and no timeout.
fn after(status: TaskStatus, event: &TaskEvent) -> Step {
    task(status).after(event, &policy(), NOW)
}

fn assert_ended(step: &Step, status: TaskStatus, reason: Option<&Reason>) {
    assert_eq!((step.task.status, step.task.reason.as_ref()), (status, reason));
    assert_eq!(step.effects, [Effect::RecordEnd]);
    assert_eq!((step.task.wait, step.task.unsent_since), (None, None));
    assert_eq!(step.task.updated_at, NOW);
}

fn assert_unchanged(status: TaskStatus, event: &TaskEvent) {
    assert_eq!(after(status, event), Step { task: task(status), effects: vec![] }, "{status:?} {event:?}");
}

// The whole table at a glance. The letters are Unconfirmed, Queued, Notified, in Progress, Succeeded, Failed, Canceled.

fn letter(status: TaskStatus) -> char {
    match status {
        TaskStatus::Unconfirmed => 'U',
        TaskStatus::Queued => 'Q',
        TaskStatus::Notified => 'N',
        TaskStatus::InProgress => 'P',
        TaskStatus::Succeeded => 'S',
        TaskStatus::Failed => 'F',
        TaskStatus::Canceled => 'C',
    }
}

fn row(event: &TaskEvent, policy: &TaskPolicy) -> String {
    TaskStatus::ALL.map(|status| letter(task(status).after(event, policy, NOW).task.status)).iter().collect()
}

#[test]
fn every_status_answers_every_event() {
    let table = [
        ("UQNPSFC", TaskEvent::PushSent),
        ("QQNPSFC", TaskEvent::Confirmed),
        ("UNNPSFC", TaskEvent::PushDecided),
        ("UNNPSFC", TaskEvent::Requested),
        ("UQPPSFC", progress(50)),
        ("UQFFSFC", failure()),
        ("SSSSSFC", runs("2.0")),
        ("UQNFSFC", runs("1.0")),
        ("UFFFSFC", runs("1.5")),
        ("UQNPSFC", TaskEvent::Reconnected),
        ("UQNPSFC", TaskEvent::Ticked),
        ("CCCCSFC", TaskEvent::CanceledByUser),
        ("CCCPSFC", TaskEvent::Overwritten),
        ("CCCPSFC", TaskEvent::ScheduleFinished),
        ("UFFFSFC", TaskEvent::SourceVersionLost),
        ("UQNPSQQ", TaskEvent::Reupgraded),
        ("CCCCSFC", TaskEvent::DeviceDeleted),
    ];
    for (expected, event) in table {
        assert_eq!(row(&event, &policy()), expected, "{event:?}");
    }
}

#[test]
fn with_a_retry_left_a_failed_attempt_leaves_every_status_as_it_is() {
    for event in [failure(), runs("1.5")] {
        assert_eq!(row(&event, &retry(10, 1)), "UQNPSFC", "{event:?}");
    }
}

#[test]
fn an_ended_task_answers_nothing_but_a_re_upgrade() {
    for status in [TaskStatus::Succeeded, TaskStatus::Failed, TaskStatus::Canceled] {
        for event in [progress(50), failure(), runs("2.0"), runs("1.5"), TaskEvent::CanceledByUser] {
            assert_unchanged(status, &event);
        }
    }
}

// T1 to T21.

#[test]
fn t1_a_new_task_waits_for_its_push() {
    let new = Task::new(BatchId([1; 16]), None, false, NOW);
    assert_eq!((new.status, new.wait), (TaskStatus::Queued, None));
}

#[test]
fn t1_a_new_task_waits_for_consent_where_the_batch_needs_it() {
    assert_eq!(Task::new(BatchId([1; 16]), None, true, NOW).status, TaskStatus::Unconfirmed);
}

#[test]
fn t2_a_task_for_a_busy_device_is_made_failed() {
    let busy = Task::busy(BatchId([1; 16]), None, NOW);
    assert_eq!((busy.status, busy.reason), (TaskStatus::Failed, Some(Reason::DeviceBusy)));
}

#[test]
fn t4_consent_queues_the_task() {
    assert_eq!(after(TaskStatus::Unconfirmed, &TaskEvent::Confirmed).task.status, TaskStatus::Queued);
}

#[test]
fn t4_a_second_consent_changes_nothing() {
    assert_unchanged(TaskStatus::Notified, &TaskEvent::Confirmed);
}

#[test]
fn t5_a_push_notifies() {
    let step = after(TaskStatus::Queued, &TaskEvent::PushDecided);
    assert_eq!((step.task.status, step.task.unsent_since), (TaskStatus::Notified, Some(NOW)));
    assert_eq!(step.effects, [Effect::PushUpgrade]);
}

#[test]
fn t5_a_push_that_went_out_is_no_longer_unsent() {
    let pushed = after(TaskStatus::Queued, &TaskEvent::PushDecided).task;
    let sent = pushed.after(&TaskEvent::PushSent, &policy(), NOW);
    assert_eq!((sent.task.unsent_since, sent.effects), (None, vec![]));
}

#[test]
fn t6_a_device_that_asks_is_notified_without_a_push() {
    let step = after(TaskStatus::Queued, &TaskEvent::Requested);
    assert_eq!((step.task.status, step.effects), (TaskStatus::Notified, vec![]));
}

#[test]
fn t6_asking_again_changes_nothing() {
    for status in TOLD {
        assert_unchanged(status, &TaskEvent::Requested);
    }
}

#[test]
fn t6_asking_is_as_good_as_the_push_that_was_waiting() {
    let waiting = Task { wait: Some(Wait::Retry(NOW.plus_ms(1))), ..task(TaskStatus::Notified) };
    assert_eq!(waiting.after(&TaskEvent::Requested, &policy(), NOW).task.wait, None);
}

#[test]
fn t7_the_first_progress_starts_the_upgrade_and_its_clock() {
    let step = after(TaskStatus::Notified, &progress(1));
    assert_eq!((step.task.status, step.task.percent), (TaskStatus::InProgress, 1));
    assert_eq!((step.task.first_progress_at, step.effects), (Some(NOW), vec![]));
}

#[test]
fn t8_further_progress_is_noted_and_the_clock_runs_on() {
    let task = after(TaskStatus::InProgress, &progress(60)).task;
    assert_eq!((task.status, task.percent), (TaskStatus::InProgress, 60));
    assert_eq!((task.first_progress_at, task.updated_at), (Some(BEGAN), NOW));
}

#[test]
fn t8_progress_that_goes_back_is_kept_as_reported() {
    assert_eq!(after(TaskStatus::InProgress, &progress(5)).task.percent, 5);
}

#[test]
fn t8_repeated_progress_changes_nothing() {
    assert_unchanged(TaskStatus::InProgress, &progress(40));
}

#[test]
fn t8_the_same_percentage_with_other_words_is_news() {
    let event = TaskEvent::ProgressReported { percent: 40, desc: "flashing".to_string() };
    assert_eq!(after(TaskStatus::InProgress, &event).task.desc, "flashing");
}

#[test]
fn t9_the_target_version_means_success() {
    for status in ACTIVE {
        let step = after(status, &runs("2.0"));
        assert_ended(&step, TaskStatus::Succeeded, None);
        assert_eq!(step.task.percent, 100);
    }
}

#[test]
fn t9_success_clears_the_reason_of_an_earlier_attempt() {
    let failed_once = task(TaskStatus::Notified).after(&failure(), &retry(10, 1), NOW).task;
    assert!(failed_once.reason.is_some());
    assert_eq!(failed_once.after(&runs("2.0"), &retry(10, 1), NOW).task.reason, None);
}

#[test]
fn t10_another_version_fails_the_attempt_before_it_began() {
    for status in [TaskStatus::Queued, TaskStatus::Notified] {
        assert_ended(&after(status, &runs("1.5")), TaskStatus::Failed, Some(&Reason::VersionMismatch));
    }
}

#[test]
fn t11_the_source_version_changes_nothing_before_the_upgrade_began() {
    assert_unchanged(TaskStatus::Queued, &runs("1.0"));
    assert_unchanged(TaskStatus::Notified, &runs("1.0"));
}

#[test]
fn t12_an_upgrade_that_began_fails_on_any_version_but_the_target() {
    for text in ["1.0", "1.5"] {
        let step = after(TaskStatus::InProgress, &runs(text));
        assert_ended(&step, TaskStatus::Failed, Some(&Reason::VersionMismatch));
    }
}

#[test]
fn t12_the_source_version_can_be_forgiven_but_no_other() {
    let lenient = TaskPolicy { forgive_source_version: true, ..policy() };
    let begun = task(TaskStatus::InProgress);
    assert_eq!(begun.after(&runs("1.0"), &lenient, NOW).task, begun);
    assert_eq!(begun.after(&runs("1.5"), &lenient, NOW).task.status, TaskStatus::Failed);
}

#[test]
fn t13_the_devices_own_failure_fails_the_attempt() {
    let reason = Reason::Device { failure: DeviceFailure::Download, desc: "no route".to_string() };
    for status in TOLD {
        assert_ended(&after(status, &failure()), TaskStatus::Failed, Some(&reason));
    }
}

#[test]
fn t14_a_begun_upgrade_ends_when_its_time_is_up() {
    let deadline = BEGAN.plus_minutes(30);
    let step = task(TaskStatus::InProgress).after(&TaskEvent::Ticked, &timeout(30), deadline);
    assert_eq!((step.task.status, step.task.reason), (TaskStatus::Failed, Some(Reason::Timeout)));
    assert_eq!(step.effects, [Effect::RecordEnd]);
}

#[test]
fn t14_a_millisecond_earlier_it_has_not_ended() {
    let almost = Timestamp(BEGAN.plus_minutes(30).0 - 1);
    let begun = task(TaskStatus::InProgress);
    assert_eq!(begun.after(&TaskEvent::Ticked, &timeout(30), almost).task, begun);
}

#[test]
fn t15_an_operators_cancel_ends_every_active_task() {
    for status in ACTIVE {
        let step = after(status, &TaskEvent::CanceledByUser);
        assert_ended(&step, TaskStatus::Canceled, Some(&Reason::CanceledByUser));
    }
}

#[test]
fn t16_a_newer_batch_may_replace_a_task_that_has_not_begun() {
    for status in [TaskStatus::Unconfirmed, TaskStatus::Queued, TaskStatus::Notified] {
        let step = after(status, &TaskEvent::Overwritten);
        assert_ended(&step, TaskStatus::Canceled, Some(&Reason::Overwritten));
    }
}

#[test]
fn t17_a_begun_upgrade_is_never_replaced() {
    assert_unchanged(TaskStatus::InProgress, &TaskEvent::Overwritten);
}

#[test]
fn t18_the_end_of_the_schedule_ends_what_has_not_begun() {
    for status in [TaskStatus::Unconfirmed, TaskStatus::Queued, TaskStatus::Notified] {
        let step = after(status, &TaskEvent::ScheduleFinished);
        assert_ended(&step, TaskStatus::Canceled, Some(&Reason::ScheduleFinished));
    }
    assert_unchanged(TaskStatus::InProgress, &TaskEvent::ScheduleFinished);
}

#[test]
fn t19_after_a_reconnect_the_device_is_pushed_to_again_in_the_same_status() {
    for status in TOLD {
        let back = after(status, &TaskEvent::Reconnected).task;
        assert_eq!((back.status, back.wait), (status, Some(Wait::Settle(NOW.plus_ms(limits::SETTLE_MS)))));
        let pushed = back.after(&TaskEvent::PushDecided, &policy(), NOW);
        assert_eq!((pushed.task.status, pushed.effects), (status, vec![Effect::PushUpgrade]));
    }
}

#[test]
fn t20_a_re_upgrade_starts_afresh() {
    for status in [TaskStatus::Failed, TaskStatus::Canceled] {
        let used = Task { retries_used: 2, percent: 40, first_progress_at: Some(BEGAN), ..task(status) };
        let step = used.after(&TaskEvent::Reupgraded, &policy(), NOW);
        assert_eq!(step.task, Task { queued_at: NOW, updated_at: NOW, ..task(TaskStatus::Queued) });
    }
}

#[test]
fn t20_only_a_failed_or_canceled_task_is_upgraded_again() {
    for status in [ACTIVE.as_slice(), &[TaskStatus::Succeeded]].concat() {
        assert_unchanged(status, &TaskEvent::Reupgraded);
    }
}

#[test]
fn t21_the_task_of_a_deleted_device_is_canceled() {
    for status in ACTIVE {
        let step = after(status, &TaskEvent::DeviceDeleted);
        assert_ended(&step, TaskStatus::Canceled, Some(&Reason::DeviceDeleted));
    }
}

// Success and failure: R114 to R122, R133.

#[test]
fn r114_queued_until_told_then_notified_then_in_progress() {
    let told = after(TaskStatus::Queued, &TaskEvent::PushDecided).task;
    let begun = told.after(&progress(0), &policy(), NOW).task;
    assert_eq!((told.status, begun.status), (TaskStatus::Notified, TaskStatus::InProgress));
}

#[test]
fn r115_the_version_alone_decides_success() {
    // The device may have upgraded without a single progress report, or without having been told.
    for status in [TaskStatus::Queued, TaskStatus::Notified, TaskStatus::InProgress] {
        assert_eq!(after(status, &runs("2.0")).task.status, TaskStatus::Succeeded);
    }
}

#[test]
fn r116_a_hundred_percent_is_not_success() {
    let step = after(TaskStatus::InProgress, &progress(100));
    assert_eq!((step.task.status, step.effects), (TaskStatus::InProgress, vec![]));
}

#[test]
fn r117_the_source_version_keeps_a_waiting_task_waiting() {
    assert_unchanged(TaskStatus::Queued, &runs("1.0"));
}

#[test]
fn r118_a_foreign_version_is_tried_again_before_the_upgrade_began() {
    for status in [TaskStatus::Queued, TaskStatus::Notified] {
        let step = task(status).after(&runs("1.5"), &retry(10, 1), NOW);
        assert_eq!((step.task.status, step.task.retries_used), (status, 1));
    }
}

#[test]
fn r119_any_version_but_the_target_is_tried_again_once_the_upgrade_began() {
    for text in ["1.0", "1.5"] {
        let step = task(TaskStatus::InProgress).after(&runs(text), &retry(10, 1), NOW);
        assert_eq!((step.task.status, step.task.retries_used), (TaskStatus::InProgress, 1));
    }
}

#[test]
fn r120_a_failure_keeps_the_devices_words_as_far_as_they_fit() {
    let desc = "长".repeat(limits::TASK_DESC_LEN_MAX + 1);
    let event = TaskEvent::FailureReported { failure: DeviceFailure::Download, desc };
    let kept = after(TaskStatus::Notified, &event).task.reason.unwrap();
    assert_eq!(kept.desc().chars().count(), limits::TASK_DESC_LEN_MAX);
}

#[test]
fn r122_zero_percent_is_progress() {
    let step = after(TaskStatus::Notified, &progress(0));
    assert_eq!((step.task.status, step.task.first_progress_at), (TaskStatus::InProgress, Some(NOW)));
}

#[test]
fn r133_the_first_version_a_device_ever_reports_is_its_source_version() {
    for status in [TaskStatus::Queued, TaskStatus::Notified] {
        let unknown = Task { source_version: None, ..task(status) };
        let step = unknown.after(&runs("0.9"), &policy(), NOW);
        assert_eq!((step.task.status, step.task.source_version), (status, Some(version("0.9"))));
    }
}

#[test]
fn r133_the_second_one_is_held_against_the_first() {
    let unknown = Task { source_version: None, ..task(TaskStatus::Queued) };
    let known = unknown.after(&runs("0.9"), &policy(), NOW).task;
    assert_eq!(known.after(&runs("0.8"), &policy(), NOW).task.reason, Some(Reason::VersionMismatch));
}

#[test]
fn progress_from_a_device_that_was_told_nothing_is_ignored() {
    for status in [TaskStatus::Unconfirmed, TaskStatus::Queued] {
        assert_unchanged(status, &progress(50));
        assert_unchanged(status, &failure());
    }
}

// The timeout: R123 to R126.

#[test]
fn r123_the_timeout_counts_from_the_first_progress() {
    assert_eq!(task(TaskStatus::InProgress).deadline(&timeout(30)), Some(BEGAN.plus_minutes(30)));
}

#[test]
fn r124_without_progress_there_is_no_timeout() {
    for status in [TaskStatus::Unconfirmed, TaskStatus::Queued, TaskStatus::Notified] {
        let years_later = Timestamp(u64::MAX);
        assert_eq!(task(status).after(&TaskEvent::Ticked, &timeout(1), years_later).task, task(status));
    }
}

#[test]
fn r124_a_batch_without_a_timeout_waits_forever() {
    assert_eq!(task(TaskStatus::InProgress).deadline(&policy()), None);
}

#[test]
fn r124_a_failure_as_first_report_does_not_start_the_clock() {
    let step = task(TaskStatus::Notified).after(&failure(), &retry(10, 1), NOW);
    assert_eq!((step.task.status, step.task.first_progress_at), (TaskStatus::Notified, None));
}

#[test]
fn r125_neither_a_retry_nor_a_push_restarts_the_clock() {
    let policy = retry(10, 5);
    let failed = task(TaskStatus::InProgress).after(&failure(), &policy, NOW).task;
    let pushed = failed.after(&TaskEvent::PushDecided, &policy, NOW).task;
    let again = pushed.after(&progress(1), &policy, NOW).task;
    assert_eq!(again.first_progress_at, Some(BEGAN));
}

#[test]
fn r126_a_timeout_is_final_even_with_retries_left() {
    let policy = TaskPolicy { timeout_minutes: Some(1), ..retry(0, 5) };
    let step = task(TaskStatus::InProgress).after(&TaskEvent::Ticked, &policy, NOW);
    assert_ended(&step, TaskStatus::Failed, Some(&Reason::Timeout));
}

#[test]
fn r126_a_task_that_waits_for_its_retry_still_times_out() {
    let policy = TaskPolicy { timeout_minutes: Some(1), ..retry(1_440, 5) };
    let waiting = task(TaskStatus::InProgress).after(&failure(), &policy, NOW).task;
    let step = waiting.after(&TaskEvent::Ticked, &policy, NOW);
    assert_ended(&step, TaskStatus::Failed, Some(&Reason::Timeout));
}

// Retries: R127 to R131.

#[test]
fn r127_a_cancel_is_final_even_with_retries_left() {
    for status in ACTIVE {
        let step = task(status).after(&TaskEvent::CanceledByUser, &retry(0, 5), NOW);
        assert_ended(&step, TaskStatus::Canceled, Some(&Reason::CanceledByUser));
    }
}

#[test]
fn r127_a_task_that_waits_for_its_retry_can_be_canceled() {
    let waiting = task(TaskStatus::Notified).after(&failure(), &retry(10, 5), NOW).task;
    let step = waiting.after(&TaskEvent::CanceledByUser, &retry(10, 5), NOW);
    assert_ended(&step, TaskStatus::Canceled, Some(&Reason::CanceledByUser));
}

#[test]
fn r128_the_next_attempt_is_due_after_the_interval() {
    for minutes in limits::RETRY_AFTER_MINUTES {
        let step = task(TaskStatus::Notified).after(&failure(), &retry(minutes, 1), NOW);
        let at = Timestamp(NOW.0 + u64::from(minutes) * MINUTE);
        assert_eq!(step.task.wait, Some(Wait::Retry(at)));
        assert_eq!(step.effects, [Effect::ScheduleRetry { at }]);
    }
}

#[test]
fn r128_it_is_tried_again_so_often_and_then_fails() {
    for count in limits::RETRY_COUNTS {
        let policy = retry(0, count);
        let mut task = task(TaskStatus::Queued);
        for attempt in 0..=count {
            assert_eq!((task.status.is_terminal(), task.retries_used), (false, attempt));
            task = task.after(&TaskEvent::PushDecided, &policy, NOW).task;
            task = task.after(&failure(), &policy, NOW).task;
        }
        assert_eq!((task.status, task.retries_used), (TaskStatus::Failed, count));
    }
}

#[test]
fn r128_a_failure_told_twice_is_one_failure() {
    for event in [failure(), runs("1.5")] {
        let once = task(TaskStatus::InProgress).after(&event, &retry(10, 5), NOW).task;
        assert_eq!(once.after(&event, &retry(10, 5), NOW), Step { task: once, effects: vec![] });
    }
}

#[test]
fn r128_another_failure_during_the_wait_is_another_failure() {
    let once = task(TaskStatus::InProgress).after(&failure(), &retry(10, 5), NOW).task;
    assert_eq!(once.after(&runs("1.0"), &retry(10, 5), NOW).task.retries_used, 2);
}

#[test]
fn r129_the_status_stays_while_the_retry_waits() {
    for status in TOLD {
        assert_eq!(task(status).after(&failure(), &retry(10, 1), NOW).task.status, status);
    }
}

#[test]
fn r129_while_it_waits_the_task_tells_why_the_attempt_failed() {
    let waiting = task(TaskStatus::Notified).after(&failure(), &retry(10, 1), NOW).task;
    assert_eq!(waiting.reason.as_ref().map(Reason::desc), Some("no route"));
}

#[test]
fn r130_without_retries_the_first_failure_is_final() {
    assert_eq!(after(TaskStatus::Notified, &failure()).task.status, TaskStatus::Failed);
}

#[test]
fn r131_a_retry_that_is_due_later_stays_due_later_when_the_device_reconnects() {
    let waiting = task(TaskStatus::Notified).after(&failure(), &retry(10, 1), NOW).task;
    let back = waiting.after(&TaskEvent::Reconnected, &retry(10, 1), NOW.plus_minutes(1)).task;
    assert_eq!(back.wait, Some(Wait::Retry(NOW.plus_minutes(10))));
}

#[test]
fn r131_a_retry_that_comes_due_just_after_a_reconnect_lets_the_device_settle() {
    // It may have rebooted into the new image, and be about to say so.
    let waiting = task(TaskStatus::Notified).after(&failure(), &retry(10, 1), NOW).task;
    let just_before = Timestamp(NOW.plus_minutes(10).0 - 1);
    let back = waiting.after(&TaskEvent::Reconnected, &retry(10, 1), just_before).task;
    assert_eq!(back.wait, Some(Wait::Retry(just_before.plus_ms(limits::SETTLE_MS))));
}

#[test]
fn r131_a_retry_that_came_due_while_the_device_was_away_follows_its_reconnect() {
    let waiting = task(TaskStatus::Notified).after(&failure(), &retry(10, 1), NOW).task;
    let hours_later = NOW.plus_minutes(300);
    let back = waiting.after(&TaskEvent::Reconnected, &retry(10, 1), hours_later).task;
    assert_eq!(back.wait, Some(Wait::Settle(hours_later.plus_ms(limits::SETTLE_MS))));
}

#[test]
fn progress_calls_off_the_push_that_was_waiting() {
    for wait in [Wait::Retry(NOW.plus_minutes(10)), Wait::Settle(NOW)] {
        let waiting = Task { wait: Some(wait), ..task(TaskStatus::InProgress) };
        assert_eq!(waiting.after(&progress(40), &policy(), NOW).task.wait, None);
    }
}

#[test]
fn progress_proves_that_a_push_went_out() {
    let pushed = after(TaskStatus::Queued, &TaskEvent::PushDecided).task;
    assert_eq!(pushed.after(&progress(0), &policy(), NOW).task.unsent_since, None);
}

#[test]
fn a_failed_attempt_does_not_leave_its_push_unsent() {
    let pushed = after(TaskStatus::Queued, &TaskEvent::PushDecided).task;
    assert_eq!(pushed.after(&failure(), &retry(10, 1), NOW).task.unsent_since, None);
}

// A device that has just connected.

#[test]
fn r91_a_queued_device_that_connects_is_given_time_to_tell_its_version() {
    let step = after(TaskStatus::Queued, &TaskEvent::Reconnected);
    assert_eq!(step.task.status, TaskStatus::Queued);
    assert_eq!(step.task.wait, Some(Wait::Settle(NOW.plus_ms(limits::SETTLE_MS))));
}

#[test]
fn r91_a_device_that_has_told_its_version_is_waited_for_no_longer() {
    let back = after(TaskStatus::Queued, &TaskEvent::Reconnected).task;
    let settled = back.after(&runs("1.0"), &policy(), NOW.plus_ms(100)).task;
    assert_eq!(settled.wait, Some(Wait::Settle(NOW.plus_ms(100))));
}

#[test]
fn the_source_version_does_not_bring_a_retry_forward() {
    let waiting = task(TaskStatus::Notified).after(&failure(), &retry(10, 1), NOW).task;
    assert_eq!(waiting.after(&runs("1.0"), &retry(10, 1), NOW).task, waiting);
}

#[test]
fn r103_a_device_that_comes_back_on_the_target_version_is_not_pushed_to() {
    let back = after(TaskStatus::Notified, &TaskEvent::Reconnected).task;
    assert_ended(&back.after(&runs("2.0"), &policy(), NOW), TaskStatus::Succeeded, None);
}

#[test]
fn r154_late_words_of_a_canceled_task_are_ignored() {
    assert_unchanged(TaskStatus::Canceled, &progress(90));
    assert_unchanged(TaskStatus::Canceled, &runs("2.0"));
}

#[test]
fn a_device_that_left_the_source_versions_is_not_upgraded() {
    for status in [TaskStatus::Queued, TaskStatus::Notified, TaskStatus::InProgress] {
        let step = task(status).after(&TaskEvent::SourceVersionLost, &retry(0, 5), NOW);
        assert_ended(&step, TaskStatus::Failed, Some(&Reason::SourceVersionMismatch));
    }
}

#[test]
fn without_consent_nothing_is_sent() {
    for event in [TaskEvent::PushDecided, TaskEvent::PushSent, TaskEvent::Requested, TaskEvent::Reconnected] {
        assert_unchanged(TaskStatus::Unconfirmed, &event);
    }
}

#[test]
fn reasons_read_back() {
    let words = || "words".to_string();
    let own = DeviceFailure::ALL.map(|failure| Reason::Device { failure, desc: words() });
    let others = [
        Reason::Timeout,
        Reason::VersionMismatch,
        Reason::DeviceBusy,
        Reason::SourceVersionMismatch,
        Reason::Overwritten,
        Reason::ScheduleFinished,
        Reason::CanceledByUser,
        Reason::DeviceDeleted,
    ];
    for reason in own.into_iter().chain(others) {
        assert_eq!(Reason::parse(reason.code(), words()), Some(reason));
    }
}

#[test]
fn the_vendors_texts_are_kept_to_the_letter() {
    assert_eq!(Reason::Timeout.to_string(), "timeout");
    assert_eq!(Reason::VersionMismatch.to_string(), "report version is not conform");
}

// Schedules, consent, later readings.

fn windowed(opens_at: u64, closes_at: u64, hard_stop: bool) -> TaskPolicy {
    let window = crate::task::Window {
        opens_at: Some(Timestamp(opens_at)),
        closes_at: Some(Timestamp(closes_at)),
        hard_stop,
    };
    TaskPolicy { window, ..policy() }
}

#[test]
fn r92_r94_a_device_that_asks_outside_the_schedule_is_told_nothing() {
    let ahead = windowed(NOW.0 + 1, NOW.0 + MINUTE, false);
    let over = windowed(MADE.0, NOW.0, false);
    let open = windowed(NOW.0, NOW.0 + 1, false);
    let asked =
        |policy: &TaskPolicy| task(TaskStatus::Queued).after(&TaskEvent::Requested, policy, NOW).task.status;
    assert_eq!(
        [asked(&ahead), asked(&over), asked(&open)],
        [TaskStatus::Queued, TaskStatus::Queued, TaskStatus::Notified]
    );
}

#[test]
fn r97_consent_counts_within_the_schedule_only() {
    let confirmed =
        |policy: &TaskPolicy| task(TaskStatus::Unconfirmed).after(&TaskEvent::Confirmed, policy, NOW).task;
    for policy in [windowed(NOW.0 + 1, NOW.0 + MINUTE, false), windowed(MADE.0, NOW.0, false)] {
        assert_eq!(confirmed(&policy), task(TaskStatus::Unconfirmed));
    }
    let open = confirmed(&windowed(NOW.0, NOW.0 + 1, false));
    assert_eq!((open.status, open.queued_at), (TaskStatus::Queued, NOW));
}

#[test]
fn r94_a_hard_stop_cancels_what_has_begun() {
    let step =
        task(TaskStatus::InProgress).after(&TaskEvent::ScheduleFinished, &windowed(MADE.0, NOW.0, true), NOW);
    assert_ended(&step, TaskStatus::Canceled, Some(&Reason::ScheduleFinished));
}

#[test]
fn r94_an_attempt_that_goes_on_after_an_earlier_one_failed_may_finish_after_the_end() {
    let over = TaskPolicy { window: windowed(MADE.0, NOW.0, false).window, ..policy() };
    let failed_once = task(TaskStatus::InProgress).after(&failure(), &retry(10, 1), BEGAN).task;
    let ended = failed_once.after(&TaskEvent::ScheduleFinished, &over, NOW);
    assert_eq!(ended.task.status, TaskStatus::Failed, "the next attempt will not be made");
    let goes_on = failed_once.after(&progress(50), &retry(10, 1), BEGAN).task;
    let restarts = goes_on.after(&TaskEvent::Reconnected, &over, NOW).task;
    assert_eq!(restarts.after(&TaskEvent::ScheduleFinished, &over, NOW).task, restarts);
}

#[test]
fn an_attempt_that_would_come_after_the_schedule_is_not_waited_for() {
    let late = TaskPolicy { window: windowed(MADE.0, NOW.0 + 10 * MINUTE, false).window, ..retry(10, 5) };
    let reason = Reason::Device { failure: DeviceFailure::Download, desc: "no route".to_string() };
    assert_ended(
        &task(TaskStatus::Notified).after(&failure(), &late, NOW),
        TaskStatus::Failed,
        Some(&reason),
    );
    let in_time =
        TaskPolicy { window: windowed(MADE.0, NOW.0 + 10 * MINUTE + 1, false).window, ..retry(10, 5) };
    assert_eq!(task(TaskStatus::Notified).after(&failure(), &in_time, NOW).task.retries_used, 1);
}

#[test]
fn the_later_documents_retry_only_what_has_begun() {
    let narrow = TaskPolicy { retry_begun_only: true, ..retry(10, 5) };
    let after = |status| task(status).after(&runs("1.5"), &narrow, NOW).task.status;
    assert_eq!(after(TaskStatus::Notified), TaskStatus::Failed);
    assert_eq!(after(TaskStatus::InProgress), TaskStatus::InProgress);
}

#[test]
fn r134_a_task_upgraded_again_starts_afresh_and_asks_for_consent_again_if_the_batch_does() {
    let asking = TaskPolicy { needs_confirmation: true, ..policy() };
    for status in [TaskStatus::Failed, TaskStatus::Canceled] {
        let used = Task { retries_used: 2, first_progress_at: Some(BEGAN), percent: 40, ..task(status) };
        let again = used.after(&TaskEvent::Reupgraded, &policy(), NOW).task;
        let fresh = Task { queued_at: NOW, updated_at: NOW, ..task(TaskStatus::Queued) };
        assert_eq!(again, fresh);
        let asked = used.after(&TaskEvent::Reupgraded, &asking, NOW).task;
        assert_eq!(asked.status, TaskStatus::Unconfirmed);
    }
    assert_unchanged(TaskStatus::Succeeded, &TaskEvent::Reupgraded);
    assert_unchanged(TaskStatus::Queued, &TaskEvent::Reupgraded);
}
