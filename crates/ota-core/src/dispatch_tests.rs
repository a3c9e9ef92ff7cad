use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::batch::{BatchKind, BatchStatus, Cancel, CancelOptions, TargetSelection, UpgradeMode};
use crate::device::{DeviceSecret, Session};
use crate::ids::{BatchId, ModuleName, PackageId, ProductKey, Version};
use crate::package::PackageKind;
use crate::task::{TaskPolicy, Wait};

const MADE: Timestamp = Timestamp(1_000_000);
const NOW: Timestamp = Timestamp(2_000_000);
const ID: BatchId = BatchId([1; 16]);

fn version(text: &str) -> Version {
    Version::new(text).unwrap()
}

/// A batch that brings every device to 2.0.
fn batch() -> Batch {
    Batch {
        id: ID,
        kind: BatchKind::Upgrade,
        mode: UpgradeMode::Static,
        target: TargetSelection::All,
        package_id: PackageId([1; 16]),
        product_key: ProductKey::new("a1lamp").unwrap(),
        module: ModuleName::default_module(),
        package_kind: PackageKind::Full,
        download: crate::batch::DownloadProtocol::Https,
        source_versions: vec![],
        policy: TaskPolicy { timeout_minutes: Some(10), ..TaskPolicy::new(version("2.0")) },
        push_per_minute_max: limits::PUSH_PER_MINUTE_MAX,
        overwrite: false,
        multi_module: false,
        tags: vec![],
        status: BatchStatus::InProgress,
        cancel: None,
        strategy_canceled_at: None,
        created_at: MADE,
        started_at: Some(MADE),
        ended_at: None,
    }
}

fn task(status: TaskStatus) -> Task {
    Task { status, ..Task::new(ID, Some(version("1.0")), false, MADE) }
}

/// A device on 1.0, online, with `task`.
fn device(name: &str, task: Task) -> Device {
    let name = DeviceName::new(name).unwrap();
    let mut device = Device::new(name, DeviceSecret::from_random([1; 16]), MADE);
    device.report_version(&ModuleName::default_module(), &version("1.0"), MADE);
    device.session = Some(Session { id: "s".to_string(), since: MADE });
    device.tasks = vec![task];
    device
}

fn offline(device: Device) -> Device {
    Device { session: None, ..device }
}

fn due(task: Task) -> bool {
    push_is_due(&device("lamp", task.clone()), &task, &batch().policy, NOW)
}

fn pushed(plan: &ShardPlan) -> Vec<&str> {
    plan.push.iter().map(DeviceName::as_str).collect()
}

fn planned(batch: &Batch, devices: &[Device]) -> ShardPlan {
    plan(batch, devices.iter(), NOW)
}

#[test]
fn r90_an_online_device_is_pushed_to_at_once() {
    let plan = planned(&batch(), &[device("lamp", task(TaskStatus::Queued))]);
    assert_eq!(pushed(&plan), ["lamp"]);
}

#[test]
fn r91_an_offline_device_stays_queued() {
    let lamp = offline(device("lamp", task(TaskStatus::Queued)));
    assert!(planned(&batch(), core::slice::from_ref(&lamp)).is_empty());
    let because = queued_because(&lamp, &task(TaskStatus::Queued), &batch().policy, NOW);
    assert_eq!(because.map(QueuedBecause::as_str), Some("offline"));
}

#[test]
fn r91_a_device_that_has_just_connected_is_pushed_to_once_it_has_settled() {
    let settling = |until| Task { wait: Some(Wait::Settle(until)), ..task(TaskStatus::Queued) };
    assert!(!due(settling(NOW.plus_ms(1))));
    assert!(due(settling(NOW)));
}

#[test]
fn r93_an_online_device_that_waits_is_shown_as_rate_limited() {
    let lamp = device("lamp", task(TaskStatus::Queued));
    let because = queued_because(&lamp, &task(TaskStatus::Queued), &batch().policy, NOW);
    assert_eq!(because.map(QueuedBecause::as_str), Some("rate-limited"));
}

#[test]
fn r93_only_a_queued_task_waits() {
    for status in TaskStatus::ALL.into_iter().filter(|s| *s != TaskStatus::Queued) {
        assert_eq!(queued_because(&device("lamp", task(status)), &task(status), &batch().policy, NOW), None);
    }
}

#[test]
fn r93_who_waits_longest_is_pushed_to_first() {
    let since = |ms| Task { updated_at: Timestamp(ms), ..task(TaskStatus::Queued) };
    let devices = [
        device("late", since(30)),
        device("same-b", since(20)),
        device("same-a", since(20)),
        device("early", since(10)),
    ];
    assert_eq!(pushed(&planned(&batch(), &devices)), ["early", "same-a", "same-b", "late"]);
}

#[test]
fn r93_pushes_go_as_far_as_the_tokens() {
    let devices = ["lamp-1", "lamp-2", "lamp-3"].map(|name| device(name, task(TaskStatus::Queued)));
    let mut plan = planned(&batch(), &devices);
    plan.limit_pushes(2);
    assert_eq!(pushed(&plan), ["lamp-1", "lamp-2"]);
    plan.limit_pushes(0);
    assert!(plan.is_empty());
}

#[test]
fn r93_ends_need_no_tokens() {
    let batch = Batch { cancel: canceled(CancelOptions { queued: true, ..Default::default() }), ..batch() };
    let mut plan = planned(&batch, &[device("lamp", task(TaskStatus::Queued))]);
    plan.limit_pushes(0);
    assert_eq!(plan.end.len(), 1);
}

#[test]
fn r102_a_told_device_that_came_back_is_pushed_to_again() {
    for status in [TaskStatus::Notified, TaskStatus::InProgress] {
        assert!(due(Task { wait: Some(Wait::Settle(NOW)), ..task(status) }));
    }
}

#[test]
fn a_told_device_that_stayed_is_left_alone() {
    for status in [TaskStatus::Notified, TaskStatus::InProgress] {
        assert!(!due(task(status)));
    }
}

#[test]
fn r128_a_retry_is_pushed_when_its_time_has_come() {
    for status in [TaskStatus::Queued, TaskStatus::Notified, TaskStatus::InProgress] {
        let retrying = |at| Task { wait: Some(Wait::Retry(at)), ..task(status) };
        assert!(due(retrying(NOW)));
        assert!(!due(retrying(NOW.plus_ms(1))));
    }
}

#[test]
fn r131_a_due_retry_of_an_offline_device_waits() {
    let retrying = Task { wait: Some(Wait::Retry(NOW)), ..task(TaskStatus::Notified) };
    assert!(planned(&batch(), &[offline(device("lamp", retrying))]).is_empty());
}

#[test]
fn a_push_that_was_decided_and_never_went_out_is_found_again() {
    let unsent = |ago| Task { unsent_since: Some(Timestamp(NOW.0 - ago)), ..task(TaskStatus::Notified) };
    assert!(due(unsent(limits::PUSH_GRANT_MS + 1)));
    assert!(!due(unsent(limits::PUSH_GRANT_MS)), "it may still be on its way");
}

#[test]
fn r96_r155_neither_an_unconfirmed_nor_an_ended_task_is_pushed() {
    for status in [TaskStatus::Unconfirmed, TaskStatus::Succeeded, TaskStatus::Failed, TaskStatus::Canceled] {
        assert!(!due(Task { wait: Some(Wait::Retry(NOW)), unsent_since: Some(MADE), ..task(status) }));
    }
}

#[test]
fn only_the_batchs_own_tasks_are_planned() {
    let foreign = Task { batch_id: BatchId([9; 16]), ..task(TaskStatus::Queued) };
    let idle = Device { tasks: vec![], ..device("idle", task(TaskStatus::Queued)) };
    assert!(planned(&batch(), &[device("lamp", foreign), idle]).is_empty());
}

#[test]
fn a_device_that_left_the_source_versions_is_ended_instead_of_pushed_to() {
    let batch = Batch { source_versions: vec![version("0.9")], ..batch() };
    let plan = planned(&batch, &[device("lamp", task(TaskStatus::Queued))]);
    assert_eq!(plan.end, [(DeviceName::new("lamp").unwrap(), TaskEvent::SourceVersionLost)]);
    assert!(plan.push.is_empty());
}

#[test]
fn a_device_that_left_the_deltas_source_version_is_ended_instead_of_pushed_to() {
    let delta = PackageKind::Delta { source_version: version("0.9") };
    let plan =
        planned(&Batch { package_kind: delta, ..batch() }, &[device("lamp", task(TaskStatus::Queued))]);
    assert_eq!(plan.end.len(), 1);
}

#[test]
fn the_source_version_is_looked_at_only_when_a_push_is_due() {
    let batch = Batch { source_versions: vec![version("0.9")], ..batch() };
    assert!(planned(&batch, &[device("lamp", task(TaskStatus::InProgress))]).is_empty());
}

#[test]
fn r54_a_device_that_never_reported_is_upgraded_from_whatever_it_runs() {
    let silent = Device { versions: vec![], ..device("lamp", task(TaskStatus::Queued)) };
    assert_eq!(pushed(&planned(&batch(), &[silent])), ["lamp"]);
}

fn canceled(options: CancelOptions) -> Option<Cancel> {
    Some(Cancel::default().with(options, NOW))
}

#[test]
fn r151_a_cancel_ends_the_tasks_of_its_own_status_only() {
    let options = [
        (TaskStatus::Queued, CancelOptions { queued: true, ..Default::default() }),
        (TaskStatus::Notified, CancelOptions { notified: true, ..Default::default() }),
        (TaskStatus::InProgress, CancelOptions { in_progress: true, ..Default::default() }),
    ];
    for (chosen, cancel) in options {
        let batch = Batch { cancel: canceled(cancel), ..batch() };
        for (status, _) in options {
            let plan = planned(&batch, &[device("lamp", task(status))]);
            let ends = plan.end.iter().any(|(_, event)| *event == TaskEvent::CanceledByUser);
            assert_eq!(ends, status == chosen, "{status:?} {cancel:?}");
        }
    }
}

#[test]
fn r144_a_cancel_of_everything_ends_every_active_task_and_r155_no_ended_one() {
    let all = Cancel::default()
        .with(CancelOptions { queued: true, notified: true, in_progress: true, ..Default::default() }, NOW);
    for status in TaskStatus::ALL {
        assert_eq!(all.covers(&task(status), &batch().policy), !status.is_terminal(), "{status:?}");
    }
}

#[test]
fn r152_canceling_the_queued_cancels_the_unconfirmed_too() {
    let covered = |options| {
        Cancel::default().with(options, NOW).covers(&task(TaskStatus::Unconfirmed), &batch().policy)
    };
    assert!(covered(CancelOptions { queued: true, ..Default::default() }));
    assert!(!covered(CancelOptions {
        queued: false,
        notified: true,
        in_progress: true,
        ..Default::default()
    }));
}

#[test]
fn r147_a_cancel_that_names_nothing_cancels_nothing() {
    assert!(CancelOptions::default().is_empty());
    assert!(
        TaskStatus::ALL.into_iter().all(|status| !Cancel::default().covers(&task(status), &batch().policy))
    );
}

#[test]
fn a_second_cancel_adds_to_the_first() {
    let queued = CancelOptions { queued: true, ..Default::default() };
    let notified = CancelOptions { notified: true, ..Default::default() };
    let later = NOW.plus_ms(1);
    let both = Cancel::default().with(queued, NOW).with(notified, later);
    assert_eq!(
        both,
        Cancel {
            queued: Some(NOW),
            notified: Some(later),
            in_progress: None,
            unconfirmed: Some(NOW),
            ..Default::default()
        }
    );
}

#[test]
fn r151_what_was_told_or_has_begun_after_the_cancel_goes_on() {
    let all = Cancel::default()
        .with(CancelOptions { queued: false, notified: true, in_progress: true, ..Default::default() }, NOW);
    let begun_only = Cancel::default().with(CancelOptions { in_progress: true, ..Default::default() }, NOW);
    for (at, covered) in [(NOW, true), (NOW.plus_ms(1), false)] {
        let told = Task { notified_at: Some(at), ..task(TaskStatus::Notified) };
        let begun =
            Task { notified_at: Some(NOW), first_progress_at: Some(at), ..task(TaskStatus::InProgress) };
        assert_eq!(
            (all.covers(&told, &batch().policy), begun_only.covers(&begun, &batch().policy)),
            (covered, covered)
        );
        assert!(
            all.covers(&begun, &batch().policy),
            "it was told before, and those who were told are canceled as well"
        );
    }
    // A second push, or an attempt that failed, does not make it another task.
    let again = Task { notified_at: Some(NOW), updated_at: NOW.plus_ms(1), ..task(TaskStatus::Notified) };
    assert!(all.covers(&again, &batch().policy));
}

#[test]
fn r123_an_upgrade_whose_time_is_up_is_ended_whether_the_device_is_there_or_not() {
    let late = |ms| Task {
        first_progress_at: Some(Timestamp(NOW.0 - 10 * 60_000 + ms)),
        ..task(TaskStatus::InProgress)
    };
    let lamp = device("lamp", late(0));
    let expected = [(lamp.name.clone(), TaskEvent::Ticked)];
    assert_eq!(planned(&batch(), core::slice::from_ref(&lamp)).end, expected);
    assert_eq!(planned(&batch(), &[offline(lamp)]).end, expected);
    assert!(planned(&batch(), &[device("lamp", late(1))]).is_empty());
}

#[test]
fn r126_a_retry_that_is_due_after_the_time_is_up_is_not_made() {
    let begun = Task { first_progress_at: Some(Timestamp(0)), ..task(TaskStatus::InProgress) };
    let plan = planned(&batch(), &[device("lamp", Task { wait: Some(Wait::Retry(NOW)), ..begun })]);
    assert_eq!((plan.push.len(), plan.end.len()), (0, 1));
}

#[test]
fn a_cancel_comes_before_a_timeout() {
    let cancel = canceled(CancelOptions { in_progress: true, ..Default::default() });
    let begun = Task { first_progress_at: Some(Timestamp(0)), ..task(TaskStatus::InProgress) };
    let plan = planned(&Batch { cancel, ..batch() }, &[device("lamp", begun)]);
    assert_eq!(plan.end[0].1, TaskEvent::CanceledByUser);
}

#[test]
fn the_plan_tells_the_event_of_each_device() {
    let cancel = canceled(CancelOptions { notified: true, ..Default::default() });
    let devices = [device("wait", task(TaskStatus::Queued)), device("told", task(TaskStatus::Notified))];
    let plan = planned(&Batch { cancel, ..batch() }, &devices);
    let event = |name| plan.event_for(&DeviceName::new(name).unwrap());
    assert_eq!(event("wait"), Some(&TaskEvent::PushDecided));
    assert_eq!(event("told"), Some(&TaskEvent::CanceledByUser));
    assert_eq!(event("else"), None);
}

// Schedules, pulling, consent.

fn windowed(opens_at: Option<u64>, closes_at: Option<u64>, hard_stop: bool) -> Batch {
    let window = crate::task::Window {
        opens_at: opens_at.map(Timestamp),
        closes_at: closes_at.map(Timestamp),
        hard_stop,
    };
    Batch { policy: TaskPolicy { window, ..batch().policy }, ..batch() }
}

fn ends(plan: &ShardPlan) -> Vec<&TaskEvent> {
    plan.end.iter().map(|(_, event)| event).collect()
}

#[test]
fn r92_nothing_is_pushed_before_the_schedule_begins_and_the_wait_tells_when() {
    let lamp = device("lamp", task(TaskStatus::Queued));
    let ahead = windowed(Some(NOW.0 + 1), None, false);
    assert!(planned(&ahead, core::slice::from_ref(&lamp)).is_empty());
    let because = queued_because(&offline(lamp.clone()), &lamp.tasks[0], &ahead.policy, NOW);
    assert_eq!(because, Some(QueuedBecause::Scheduled { at: Timestamp(NOW.0 + 1) }));
    assert_eq!(pushed(&planned(&windowed(Some(NOW.0), None, false), &[lamp])), ["lamp"]);
}

#[test]
fn t18_r94_at_the_end_of_the_schedule_what_has_not_begun_ends() {
    for status in [TaskStatus::Unconfirmed, TaskStatus::Queued, TaskStatus::Notified] {
        let lamp = device("lamp", task(status));
        let over = windowed(None, Some(NOW.0), false);
        let plan = planned(&over, core::slice::from_ref(&lamp));
        assert_eq!((ends(&plan), plan.push.len()), (vec![&TaskEvent::ScheduleFinished], 0), "{status:?}");
        assert!(ends(&planned(&windowed(None, Some(NOW.0 + 1), false), &[lamp])).is_empty());
    }
}

#[test]
fn r94_what_has_begun_may_finish_unless_the_batch_stops_hard() {
    let begun = Task { first_progress_at: Some(NOW), ..task(TaskStatus::InProgress) };
    let lamp = device("lamp", begun.clone());
    assert!(planned(&windowed(None, Some(NOW.0), false), core::slice::from_ref(&lamp)).is_empty());
    let hard = windowed(None, Some(NOW.0), true);
    assert_eq!(ends(&planned(&hard, core::slice::from_ref(&lamp))), [&TaskEvent::ScheduleFinished]);
    let retrying =
        Task { wait: Some(Wait::Retry(NOW)), reason: Some(crate::task::Reason::VersionMismatch), ..begun };
    let stuck = planned(&windowed(None, Some(NOW.0), false), &[device("lamp", retrying)]);
    assert_eq!(ends(&stuck), [&TaskEvent::ScheduleFinished], "the next attempt would never come");
}

#[test]
fn r95_a_batch_that_does_not_push_leaves_the_device_to_ask() {
    let pulling = Batch { policy: TaskPolicy { push: false, ..batch().policy }, ..batch() };
    let lamp = device("lamp", task(TaskStatus::Queued));
    assert!(planned(&pulling, core::slice::from_ref(&lamp)).is_empty());
    let because = queued_because(&lamp, &lamp.tasks[0], &pulling.policy, NOW);
    assert_eq!(because, Some(QueuedBecause::PullOnly));
}
