use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::batch::tests_world::{BEFORE, CREATED, LATER, batch, report, version};
use crate::device::DeviceSecret;
use crate::ids::{BatchId, DeviceName, ModuleName};
use crate::package::PackageKind;
use crate::task::Reason;
use crate::task::{Task, TaskEvent, TaskStatus};

fn name(text: &str) -> DeviceName {
    DeviceName::new(text).unwrap()
}

fn from(sources: &[&str]) -> Batch {
    Batch { source_versions: sources.iter().map(|v| version(v)).collect(), ..batch(1) }
}

fn delta_from(source: &str) -> Batch {
    Batch { package_kind: PackageKind::Delta { source_version: version(source) }, ..batch(1) }
}

/// A device that was activated before the batch, and has reported nothing.
fn silent() -> Device {
    let mut device = Device::new(name("lamp"), DeviceSecret::from_random([1; 16]), BEFORE);
    device.activated_at = Some(BEFORE);
    device
}

fn runs(text: &str) -> Device {
    let mut device = silent();
    report(&mut device, text, BEFORE);
    device
}

/// A device on 1.0 that is in a task of batch 9.
fn in_task(status: TaskStatus) -> Device {
    let task = Task { status, ..Task::new(BatchId([9; 16]), Some(version("1.0")), false, BEFORE) };
    Device { tasks: vec![task], ..runs("1.0") }
}

fn statuses(tasks: &[Task]) -> Vec<TaskStatus> {
    tasks.iter().map(|task| task.status).collect()
}

// Whom a batch means.

#[test]
fn r64_a_batch_for_all_means_every_device() {
    assert!(batch(1).means(&runs("1.0")));
}

#[test]
fn r65_a_batch_for_named_devices_means_these_only() {
    let named = |names: &[&str]| {
        let devices = names.iter().map(|n| name(n)).collect();
        Batch { target: TargetSelection::Specific { devices, listed: false }, ..batch(1) }
    };
    assert!(named(&["bulb", "lamp", "spot"]).means(&runs("1.0")));
    assert!(!named(&["bulb", "lamp-1", "spot"]).means(&runs("1.0")));
}

#[test]
fn r54_without_source_versions_any_version_is_meant_even_an_unknown_one() {
    assert!(batch(1).means(&runs("0.1")));
    assert!(batch(1).means(&silent()));
}

#[test]
fn r54_with_source_versions_only_these_are_meant() {
    assert!(from(&["0.9", "1.0"]).means(&runs("1.0")));
    assert!(!from(&["0.9", "1.0"]).means(&runs("1.1")));
    assert!(!from(&["0.9", "1.0"]).means(&silent()));
}

#[test]
fn r57_a_delta_means_devices_on_its_own_source_version_only() {
    assert!(delta_from("1.0").means(&runs("1.0")));
    assert!(!delta_from("1.0").means(&runs("1.1")));
    assert!(!delta_from("1.0").means(&silent()));
}

#[test]
fn r73_t3_a_device_on_the_target_version_gets_no_task() {
    let mut device = runs("2.0");
    assert_eq!(admit(&batch(1), &mut device, &[], LATER), Admission::NotMeant);
    assert_eq!((device.tasks, device.ended), (vec![], vec![]));
}

#[test]
fn r73_a_device_that_reached_the_target_by_itself_since_gets_no_task() {
    let mut device = runs("1.0");
    report(&mut device, "2.0", LATER);
    assert!(!batch(1).means(&device));
}

#[test]
fn r75_a_device_that_never_connected_is_not_meant() {
    assert!(!batch(1).means(&Device { activated_at: None, ..silent() }));
}

#[test]
fn r76_a_device_activated_after_the_creation_is_not_meant() {
    let activated = |at| Device { activated_at: Some(at), ..silent() };
    assert!(batch(1).means(&activated(CREATED)));
    assert!(!batch(1).means(&activated(CREATED.plus_ms(1))));
}

#[test]
fn r76_the_version_at_the_creation_counts() {
    let mut left = runs("1.0");
    report(&mut left, "1.1", LATER);
    assert!(from(&["1.0"]).means(&left));
    assert!(!from(&["1.1"]).means(&left));
}

#[test]
fn r76_a_version_first_told_after_the_creation_does_not_count() {
    let mut device = silent();
    report(&mut device, "1.0", LATER);
    assert!(!from(&["1.0"]).means(&device));
}

#[test]
fn r132_only_the_batchs_module_counts() {
    let mut device = runs("1.0");
    device.report_version(&ModuleName::new("mcu").unwrap(), &version("2.0"), BEFORE);
    assert!(batch(1).means(&device));
    assert!(!Batch { module: ModuleName::new("mcu").unwrap(), ..batch(1) }.means(&device));
}

// What becomes of a device it means.

#[test]
fn t1_a_free_device_gets_a_queued_task() {
    let mut device = runs("1.0");
    assert_eq!(admit(&batch(1), &mut device, &[], LATER), Admission::Queued);
    assert_eq!(device.tasks, [Task::new(BatchId([1; 16]), Some(version("1.0")), false, LATER)]);
}

#[test]
fn t1_the_source_version_of_a_device_that_told_none_stays_open() {
    let mut device = silent();
    admit(&batch(1), &mut device, &[], LATER);
    assert_eq!(device.tasks[0].source_version, None);
}

#[test]
fn admitting_twice_gives_one_task() {
    let mut device = runs("1.0");
    admit(&batch(1), &mut device, &[], LATER);
    let once = device.clone();
    assert_eq!(admit(&batch(1), &mut device, &[], LATER.plus_ms(1)), Admission::Already);
    assert_eq!(device, once);
}

#[test]
fn a_device_whose_task_has_ended_is_not_admitted_again() {
    let mut device = runs("1.0");
    admit(&batch(1), &mut device, &[], LATER);
    let policy = batch(1).policy;
    device.apply(BatchId([1; 16]), &TaskEvent::CanceledByUser, &policy, LATER);
    assert_eq!(admit(&batch(1), &mut device, &[], LATER), Admission::Already);
    assert_eq!(statuses(&device.ended), [TaskStatus::Canceled]);
}

#[test]
fn t2_r136_without_overwrite_the_old_task_goes_on_and_the_new_one_fails() {
    for status in [TaskStatus::Queued, TaskStatus::Notified, TaskStatus::InProgress] {
        let mut device = in_task(status);
        assert_eq!(admit(&batch(1), &mut device, &[], LATER), Admission::Busy);
        assert_eq!(device.tasks, in_task(status).tasks);
        assert_eq!(device.ended[0].reason, Some(Reason::DeviceBusy));
        assert_eq!(
            (statuses(&device.ended), device.ended[0].batch_id),
            (vec![TaskStatus::Failed], batch(1).id)
        );
    }
}

#[test]
fn a_device_that_was_busy_stays_so_for_this_batch() {
    let mut device = in_task(TaskStatus::Queued);
    admit(&batch(1), &mut device, &[], LATER);
    assert_eq!(admit(&batch(1), &mut device, &[], LATER), Admission::Already);
    assert_eq!(device.ended.len(), 1);
}

#[test]
fn t16_r137_overwrite_replaces_a_task_that_has_not_begun() {
    for status in [TaskStatus::Unconfirmed, TaskStatus::Queued, TaskStatus::Notified] {
        let mut device = in_task(status);
        let newer = Batch { overwrite: true, ..batch(1) };
        assert_eq!(admit(&newer, &mut device, &[], LATER), Admission::Queued);
        assert_eq!(device.ended[0].reason, Some(Reason::Overwritten));
        assert_eq!(
            (statuses(&device.ended), device.tasks[0].batch_id),
            (vec![TaskStatus::Canceled], newer.id)
        );
    }
}

#[test]
fn t17_r138_overwrite_never_replaces_a_begun_upgrade() {
    let mut device = in_task(TaskStatus::InProgress);
    assert_eq!(admit(&Batch { overwrite: true, ..batch(1) }, &mut device, &[], LATER), Admission::Busy);
    assert_eq!(device.tasks, in_task(TaskStatus::InProgress).tasks);
}

#[test]
fn r140_once_the_old_task_has_ended_the_device_is_free() {
    let mut device = in_task(TaskStatus::Notified);
    device.apply(BatchId([9; 16]), &TaskEvent::CanceledByUser, &batch(1).policy, LATER);
    assert_eq!(admit(&batch(1), &mut device, &[], LATER), Admission::Queued);
}

#[test]
fn a_device_has_a_task_of_the_batch_when_it_was_queued_or_busy() {
    let made = [Admission::Queued, Admission::Busy, Admission::Already, Admission::NotMeant];
    assert_eq!(made.map(Admission::made_task), [true, true, false, false]);
}
