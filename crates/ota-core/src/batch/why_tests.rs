use alloc::vec;

use super::*;
use crate::batch::tests_world::{BEFORE, CREATED, LATER, batch, device, report, version};
use crate::batch::{CancelOptions, GrayPercent};
use crate::device::Region;
use crate::device::message::DeviceFailure;
use crate::ids::DeviceName;
use crate::task::Window;

fn asked(batch: &Batch, device: &Device, task: Option<&Task>) -> (&'static str, &'static str) {
    let why = explain(batch, device, task, true, LATER);
    assert!(!why.because.is_empty());
    assert!(why.upgraded || !why.change.is_empty() || ["at-target"].contains(&why.code), "{why:?}");
    (why.code, why.rule)
}

fn task(batch: &Batch, status: TaskStatus) -> Task {
    Task { status, ..Task::new(batch.id, Some(version("1.0")), false, CREATED) }
}

#[test]
fn a_device_without_a_task_is_told_the_first_condition_it_does_not_meet() {
    let lamp = device(Some("1.0"));
    let named = |name: &str| TargetSelection::Specific {
        devices: vec![DeviceName::new(name).unwrap()],
        listed: false,
    };
    let gray = TargetSelection::Gray { percent: GrayPercent::new("1").unwrap(), cutoff: Some(0) };
    let regions = vec![Region::new("a", None).unwrap()];
    let fresh = Device { activated_at: None, ..device(None) };
    let late = Device { activated_at: Some(LATER), ..device(None) };
    let dynamic = |new_reports_only| Batch {
        mode: UpgradeMode::Dynamic { new_reports_only },
        source_versions: vec![version("1.0")],
        ..batch(1)
    };
    let often = Device { joined: vec![(batch(1).id, 10)], ..device(Some("1.0")) };
    for (batch, device, expected) in [
        (Batch { target: named("spot"), ..batch(1) }, &lamp, ("not-named", "R65")),
        (batch(1), &fresh, ("never-activated", "R75")),
        (batch(1), &late, ("activated-later", "R76")),
        (Batch { target: TargetSelection::Region { regions }, ..batch(1) }, &lamp, ("other-region", "R72")),
        (batch(1), &device(Some("2.0")), ("at-target", "R73")),
        (Batch { source_versions: vec![version("0.9")], ..batch(1) }, &lamp, ("other-version", "R54")),
        (dynamic(false), &often, ("joined-too-often", "R112")),
        (Batch { strategy_canceled_at: Some(LATER), ..dynamic(false) }, &lamp, ("strategy-canceled", "R110")),
        (dynamic(true), &lamp, ("nothing-new", "R108")),
        (Batch { target: gray, ..batch(1) }, &lamp, ("not-in-the-share", "R69")),
    ] {
        assert_eq!(asked(&batch, device, None), expected);
    }
    assert_eq!(explain(&batch(1), &lamp, None, false, LATER).code, "not-reached");
    let options = CancelOptions { queued: true, ..CancelOptions::default() };
    let canceled = Batch { cancel: Some(crate::batch::Cancel::default().with(options, LATER)), ..batch(1) };
    assert_eq!(asked(&canceled, &lamp, None), ("canceled-before", "R144"));
}

#[test]
fn a_device_in_a_task_is_told_what_it_waits_for() {
    let lamp = device(Some("1.0"));
    let offline = Device { session: None, ..lamp.clone() };
    let plain = batch(1);
    let mut scheduled = batch(1);
    scheduled.policy.window = Window { opens_at: Some(LATER.plus_ms(1)), ..Window::default() };
    let mut pulling = batch(1);
    pulling.policy.push = false;
    for (batch, device, status, expected) in [
        (&plain, &lamp, TaskStatus::Unconfirmed, ("unconfirmed", "R96")),
        (&scheduled, &offline, TaskStatus::Queued, ("scheduled", "R92")),
        (&plain, &offline, TaskStatus::Queued, ("offline", "R91")),
        (&pulling, &lamp, TaskStatus::Queued, ("pull-only", "R95")),
        (&plain, &lamp, TaskStatus::Queued, ("rate-limited", "R93")),
        (&plain, &lamp, TaskStatus::Notified, ("notified", "R114")),
        (&plain, &lamp, TaskStatus::InProgress, ("in-progress", "R116")),
    ] {
        assert_eq!(asked(batch, device, Some(&task(batch, status))), expected);
    }
    let reason = Reason::Device { failure: DeviceFailure::Download, desc: String::new() };
    let retrying =
        Task { wait: Some(Wait::Retry(LATER)), reason: Some(reason), ..task(&plain, TaskStatus::InProgress) };
    assert_eq!(asked(&plain, &lamp, Some(&retrying)), ("waits-for-retry", "R128"));
}

#[test]
fn a_device_whose_task_has_ended_is_told_how() {
    let lamp = device(Some("1.0"));
    let plain = batch(1);
    let ended = |status, reason| Task { reason: Some(reason), ..task(&plain, status) };
    let failed = |reason| ended(TaskStatus::Failed, reason);
    let canceled = |reason| ended(TaskStatus::Canceled, reason);
    let begun = Task { first_progress_at: Some(CREATED), ..failed(Reason::VersionMismatch) };
    let device_failure = Reason::Device { failure: DeviceFailure::Flash, desc: String::new() };
    for (task, expected) in [
        (failed(Reason::Timeout), ("timeout", "R123")),
        (failed(Reason::VersionMismatch), ("version-mismatch", "R118")),
        (begun, ("version-mismatch", "R119")),
        (failed(device_failure), ("flash-failed", "R120")),
        (failed(Reason::DeviceBusy), ("device-busy", "R136")),
        (canceled(Reason::Overwritten), ("overwritten", "R137")),
        (canceled(Reason::ScheduleFinished), ("schedule-finished", "R94")),
        (canceled(Reason::CanceledByUser), ("canceled-by-user", "R144")),
    ] {
        assert_eq!(asked(&plain, &lamp, Some(&task)), expected);
    }
    let mut upgraded = device(Some("1.0"));
    report(&mut upgraded, "2.0", LATER);
    let success = explain(&plain, &upgraded, Some(&task(&plain, TaskStatus::Succeeded)), true, LATER);
    assert!(success.upgraded && success.rule == "R115");
    let late = explain(&plain, &upgraded, Some(&canceled(Reason::CanceledByUser)), true, LATER);
    assert_eq!((late.upgraded, late.rule), (false, "R154"));
    assert!(BEFORE < CREATED);
}
