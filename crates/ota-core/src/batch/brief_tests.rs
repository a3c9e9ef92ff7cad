use alloc::vec;

use super::*;
use crate::batch::tests_world::{BEFORE, CREATED, LATER, batch, device, report, version};
use crate::batch::{BatchKind, TargetSelection, newest_joining};
use crate::ids::ModuleName;
use crate::task::{Reason, TaskStatus};

/// A dynamic batch from 1.0 to 2.0.
fn dynamic(id: u8) -> Batch {
    Batch {
        mode: UpgradeMode::Dynamic { new_reports_only: false },
        source_versions: vec![version("1.0")],
        ..batch(id)
    }
}

fn module(name: &str) -> ModuleName {
    ModuleName::new(name).unwrap()
}

#[test]
fn r107_a_device_that_reports_a_matching_version_joins() {
    let brief = Brief::of(&dynamic(1), 0);
    let mut lamp = device(Some("0.9"));
    assert!(!brief.takes(&lamp));
    report(&mut lamp, "1.0", LATER);
    assert!(brief.takes(&lamp));
    assert_eq!(brief.admit(&mut lamp, &[], LATER), Admission::Queued);
    assert!(!brief.takes(&lamp), "it has its task");
}

#[test]
fn r105_r108_present_devices_join_unless_only_new_reports_count() {
    let now_and_later = dynamic(1);
    let later_only = Batch { mode: UpgradeMode::Dynamic { new_reports_only: true }, ..dynamic(1) };
    let mut lamp = device(Some("1.0"));
    assert!(now_and_later.means(&lamp));
    assert!(!later_only.means(&lamp));
    report(&mut lamp, "1.1", LATER);
    report(&mut lamp, "1.0", LATER);
    assert!(later_only.means(&lamp), "a version reported before the batch reached the shard counts");
    assert!(!dynamic(1).means(&device(None)), "a device that reported nothing matches no version");
}

#[test]
fn r110_no_device_joins_once_the_strategy_is_canceled() {
    let canceled = Batch { strategy_canceled_at: Some(LATER), ..dynamic(1) };
    assert!(!Brief::of(&canceled, 0).takes(&device(Some("1.0"))));
    assert!(!canceled.takes_devices());
    assert!(dynamic(1).takes_devices());
}

#[test]
fn r111_the_newest_of_two_dynamic_batches_takes_the_device() {
    let older = Brief::of(&dynamic(9), 0);
    let newer = Brief::of(&Batch { created_at: LATER, ..dynamic(1) }, 0);
    let lamp = device(Some("1.0"));
    for briefs in [[&older, &newer], [&newer, &older]] {
        assert_eq!(newest_joining(briefs.into_iter(), &lamp).map(|b| b.batch_id), Some(newer.batch_id));
    }
    assert_eq!(newest_joining([].into_iter(), &lamp), None);
}

#[test]
fn r112_a_device_joins_one_batch_at_most_ten_times() {
    let brief = Brief::of(&dynamic(1), 0);
    let mut lamp = device(Some("1.0"));
    for times in 1..=10 {
        assert!(brief.takes(&lamp), "{times}");
        assert_eq!(brief.admit(&mut lamp, &[], LATER), Admission::Queued);
        lamp.apply(brief.batch_id, &TaskEvent::CanceledByUser, &brief.policy, LATER);
    }
    assert!(!brief.takes(&lamp));
    assert!(!dynamic(1).means(&lamp));
    assert!(Brief::of(&dynamic(2), 0).takes(&lamp), "another batch has a count of its own");
}

#[test]
fn r72_only_located_devices_join_a_regional_dynamic_batch() {
    let regions = vec![Region::new("330000", None).unwrap()];
    let regional = Batch { target: TargetSelection::Region { regions }, ..dynamic(1) };
    let brief = Brief::of(&regional, 0);
    let mut lamp = device(Some("1.0"));
    assert!(!brief.takes(&lamp) && !regional.means(&lamp), "a place that is not known matches nothing");
    lamp.region = Some(Region::new("330000", Some("330100")).unwrap());
    assert!(brief.takes(&lamp) && regional.means(&lamp));
}

#[test]
fn r141_tasks_of_different_modules_stand_side_by_side() {
    let of = |id, name: &str| Batch { multi_module: true, module: module(name), ..batch(id) };
    let mut lamp = device(Some("1.0"));
    for name in ["mcu", "wifi"] {
        lamp.report_version(&module(name), &version("1.0"), BEFORE);
    }
    assert_eq!(Brief::of(&of(1, "mcu"), 0).admit(&mut lamp, &[], LATER), Admission::Queued);
    assert_eq!(Brief::of(&of(2, "wifi"), 0).admit(&mut lamp, &[], LATER), Admission::Queued);
    assert_eq!(Brief::of(&of(3, "mcu"), 0).admit(&mut lamp, &[], LATER), Admission::Busy, "the same module");
    assert_eq!(Brief::of(&batch(4), 0).admit(&mut lamp, &[], LATER), Admission::Busy, "the whole device");
    assert_eq!(lamp.tasks.len(), 2);
    lamp.apply(BatchId([1; 16]), &TaskEvent::CanceledByUser, &batch(1).policy, LATER);
    assert_eq!(Brief::of(&of(5, "mcu"), 0).admit(&mut lamp, &[], LATER), Admission::Queued);
}

#[test]
fn an_overwriting_batch_takes_the_place_of_every_task_that_has_not_begun() {
    let of = |id, name: &str| Batch { multi_module: true, module: module(name), ..batch(id) };
    let mut lamp = device(Some("1.0"));
    for (id, name) in [(1, "mcu"), (2, "wifi")] {
        Brief::of(&of(id, name), 0).admit(&mut lamp, &[], LATER);
    }
    let newer = Brief::of(&Batch { overwrite: true, ..batch(3) }, 0);
    assert_eq!(newer.admit(&mut lamp, &[], LATER), Admission::Queued);
    assert_eq!(lamp.tasks.len(), 1);
    let ended: Vec<_> = lamp.ended.iter().map(|task| (task.status, task.reason.clone())).collect();
    assert_eq!(ended, vec![(TaskStatus::Canceled, Some(Reason::Overwritten)); 2]);
}

#[test]
fn r96_a_batch_that_needs_consent_makes_unconfirmed_tasks() {
    let mut asking = batch(1);
    asking.policy.needs_confirmation = true;
    let mut lamp = device(Some("1.0"));
    Brief::of(&asking, 0).admit(&mut lamp, &[], LATER);
    assert_eq!(lamp.tasks[0].status, TaskStatus::Unconfirmed);
}

#[test]
fn r69_a_gray_rollout_takes_nobody_before_its_share_is_known_and_then_the_smallest_keys() {
    let gray = |cutoff| Batch {
        target: TargetSelection::Gray { percent: crate::batch::GrayPercent::new("50").unwrap(), cutoff },
        ..batch(1)
    };
    let lamp = device(Some("1.0"));
    let key = crate::batch::gray_key(BatchId([1; 16]), &lamp.name);
    assert!(gray(None).is_eligible(&lamp) && !gray(None).means(&lamp));
    assert!(gray(Some(key)).means(&lamp));
    assert!(!gray(Some(key - 1)).means(&lamp));
}

#[test]
fn a_trial_obeys_the_same_rule_of_one_task() {
    let trial = Batch { kind: BatchKind::Verify, ..batch(1) };
    let mut lamp = device(Some("1.0"));
    Brief::of(&batch(2), 0).admit(&mut lamp, &[], CREATED);
    assert_eq!(Brief::of(&trial, 0).admit(&mut lamp, &[], LATER), Admission::Busy);
}

#[test]
fn r137_an_overwriting_batch_that_comes_late_leaves_the_task_of_a_newer_one() {
    let newer = Brief::of(&Batch { created_at: LATER, ..batch(2) }, 0);
    let mut lamp = device(Some("1.0"));
    newer.admit(&mut lamp, &[], LATER);
    let late = Brief::of(&Batch { overwrite: true, ..batch(1) }, 0);
    assert_eq!(late.admit(&mut lamp, &[newer], LATER), Admission::Busy);
    assert_eq!(lamp.tasks[0].batch_id, BatchId([2; 16]));
}
