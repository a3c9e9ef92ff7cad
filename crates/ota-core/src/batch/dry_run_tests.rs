use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::batch::GrayPercent;
use crate::batch::tests_world::{BEFORE, CREATED, LATER, batch, device, version};
use crate::ids::BatchId;
use crate::task::{Task, TaskStatus};

fn named(text: &str, running: Option<&str>) -> Device {
    Device { name: DeviceName::new(text).unwrap(), ..device(running) }
}

fn busy(text: &str, status: TaskStatus) -> Device {
    let task = Task { status, ..Task::new(BatchId([9; 16]), Some(version("1.0")), false, BEFORE) };
    Device { tasks: vec![task], ..named(text, Some("1.0")) }
}

fn run(batch: &Batch, devices: &[Device]) -> (u64, Vec<(&'static str, u64)>) {
    let mut run = DryRun::default();
    devices.iter().for_each(|device| run.reach(batch, device, &[], LATER));
    (run.devices, run.refused.into_iter().map(|(code, refused)| (code, refused.count)).collect())
}

#[test]
fn every_device_is_counted_once_with_the_reason_it_would_be_told() {
    let later = Device { activated_at: Some(LATER), ..named("later", Some("1.0")) };
    let never = Device { activated_at: None, ..named("never", None) };
    let devices = [
        named("fine", Some("1.0")),
        named("silent", None),
        named("there", Some("2.0")),
        busy("busy", TaskStatus::Notified),
        never,
        later,
    ];
    let refused = vec![("activated-later", 1), ("at-target", 1), ("device-busy", 1), ("never-activated", 1)];
    assert_eq!(run(&batch(1), &devices), (2, refused));
    let (taken, refused) = run(&Batch { overwrite: true, ..batch(1) }, &devices);
    assert_eq!((taken, refused.len()), (3, 3), "a task that has not begun is overwritten");
    let from = Batch { source_versions: vec![version("1.5")], ..batch(1) };
    assert!(run(&from, &devices).1.contains(&("other-version", 3)));
}

#[test]
fn the_devices_themselves_stay_as_they_are() {
    let device = busy("busy", TaskStatus::Queued);
    let before = device.clone();
    DryRun::default().reach(&Batch { overwrite: true, ..batch(1) }, &device, &[], LATER);
    assert_eq!(device, before);
}

#[test]
fn a_batch_for_named_devices_is_silent_about_the_others_and_names_are_few() {
    let names: Vec<DeviceName> = (10..20).map(|n| DeviceName::new(&format!("d-{n}")).unwrap()).collect();
    let target = TargetSelection::Specific { devices: names.clone(), listed: false };
    let mut dry = DryRun::default();
    for n in 5..20 {
        let device = named(&format!("d-{n:02}"), Some("2.0"));
        dry.reach(&Batch { target: target.clone(), ..batch(1) }, &device, &[], CREATED);
    }
    let refused = Refused { count: 10, devices: names[..limits::DRY_RUN_NAMES_MAX].to_vec() };
    assert_eq!(dry, DryRun { devices: 0, refused: [("at-target", refused)].into() });
}

#[test]
fn a_share_that_is_taken_in_parts_comes_to_the_share_of_the_whole() {
    let names: Vec<DeviceName> = (0..1_000).map(|n| DeviceName::new(&format!("lamp-{n}")).unwrap()).collect();
    let names: Vec<&DeviceName> = names.iter().collect();
    for text in ["0.001", "0.5", "33.333", "50", "100"] {
        let percent = GrayPercent::new(text).unwrap();
        let gray = || Batch { target: TargetSelection::Gray { percent, cutoff: None }, ..batch(1) };
        for part in [1, 7, 300, 1_000] {
            let (mut taken, mut before) = (0, 0);
            for names in names.chunks(part) {
                let chosen = gray().with_share(names, before);
                before += names.len() as u64;
                let devices = names.iter().map(|name| named(name.as_str(), Some("1.0")));
                let (devices, refused) = run(&chosen, &devices.collect::<Vec<_>>());
                assert!(refused.iter().all(|(code, _)| *code == "not-in-the-share"), "{refused:?}");
                taken += devices;
            }
            assert_eq!(taken, percent.of(1_000), "{text} % in parts of {part}");
        }
        assert_eq!(run(&gray().with_share(&[], 0), &[]), (0, vec![]));
    }
}

#[test]
fn the_minutes_are_those_of_the_rate() {
    let slow = Batch { push_per_minute_max: 10, ..batch(1) };
    assert_eq!([0, 1, 10, 11].map(|devices| slow.minutes_at_rate(devices)), [0, 1, 1, 2].map(Some));
    let mut silent = slow;
    silent.policy.push = false;
    assert_eq!(silent.minutes_at_rate(11), None);
}
