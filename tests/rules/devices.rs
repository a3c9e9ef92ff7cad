//! What holds for one device that several batches want.

use ota_core::batch::{Admission, Batch, admit};
use ota_core::device::Device;
use ota_core::ids::{ModuleName, Version};
use ota_core::task::{Task, TaskEvent};
use ota_core::time::Timestamp;
use proptest::prelude::*;

use crate::world::{START, any_event, any_pause_ms, any_policy, any_version, batch, device};

/// What may happen to a device.
#[derive(Clone, Debug)]
enum Happening {
    /// The dispatcher reaches it with this batch, perhaps not for the first time.
    Admitted(usize),
    /// Its task, if it is of this batch, meets an event.
    Event(usize, TaskEvent),
    /// It reports the version it runs.
    Reported(Version),
}

fn any_happening(batches: usize) -> impl Strategy<Value = Happening> {
    prop_oneof![
        2 => (0..batches).prop_map(Happening::Admitted),
        4 => (0..batches, any_event()).prop_map(|(batch, event)| Happening::Event(batch, event)),
        1 => any_version().prop_map(Happening::Reported),
    ]
}

/// Three batches of different mind about retries, sources and overwriting.
fn any_batches() -> impl Strategy<Value = Vec<Batch>> {
    let module = prop::sample::select(vec!["default", "mcu"]);
    let one =
        (any_policy(), any::<bool>(), prop::collection::vec(any_version(), 0..2), any::<bool>(), module);
    prop::collection::vec(one, 3).prop_map(|settings| {
        let numbered = settings.into_iter().zip(1..);
        numbered
            .map(|((policy, overwrite, source_versions, multi_module, module), id)| Batch {
                policy,
                overwrite,
                source_versions,
                multi_module,
                module: ModuleName::new(module).expect("a module name"),
                ..batch(id)
            })
            .collect()
    })
}

fn happen(device: &mut Device, batches: &[Batch], what: &Happening, now: Timestamp) -> Option<Admission> {
    match what {
        Happening::Admitted(index) => return Some(admit(&batches[*index], device, &[], now)),
        Happening::Event(index, event) => {
            device.apply(batches[*index].id, event, &batches[*index].policy, now);
        }
        Happening::Reported(version) => {
            device.report_version(&ModuleName::default_module(), version, now);
            let of_task = |b: &&Batch| device.task_of(b.id).is_some();
            if let Some(batch) = batches.iter().find(of_task) {
                let event = TaskEvent::VersionReported { version: version.clone() };
                device.apply(batch.id, &event, &batch.policy, now);
            }
        }
    }
    None
}

fn all_tasks(device: &Device) -> impl Iterator<Item = &Task> {
    device.ended.iter().chain(&device.tasks)
}

fn invariant_one_active_task_per_device(device: &Device) {
    assert!(device.ended.iter().all(|task| task.status.is_terminal()));
    assert!(device.tasks.iter().all(|task| !task.status.is_terminal()));
    for (at, task) in device.tasks.iter().enumerate() {
        for other in &device.tasks[at + 1..] {
            assert!(!task.excludes(other.only_module.as_ref()), "{task:?} beside {other:?}");
        }
    }
}

fn invariant_one_task_per_batch(device: &Device, batches: &[Batch]) {
    for batch in batches {
        assert!(all_tasks(device).filter(|task| task.batch_id == batch.id).count() <= 1);
    }
}

fn invariant_what_has_ended_stays(before: &Device, after: &Device) {
    assert!(after.ended.starts_with(&before.ended));
}

fn invariant_an_admission_does_what_it_says(before: &Device, after: &Device, admission: Admission) {
    let made = all_tasks(after).count() - all_tasks(before).count();
    assert_eq!(made, usize::from(admission.made_task()));
    if !admission.made_task() {
        assert_eq!(before, after);
    }
}

proptest! {
    #[test]
    fn a_device_is_in_one_active_task_and_in_one_task_per_batch(
        batches in any_batches(),
        happenings in prop::collection::vec((any_happening(3), any_pause_ms()), 0..40),
    ) {
        let mut device = device(1);
        let mut now = START;
        for (what, pause) in &happenings {
            now = now.plus_ms(*pause);
            let before = device.clone();
            let admission = happen(&mut device, &batches, what, now);
            invariant_one_active_task_per_device(&device);
            invariant_one_task_per_batch(&device, &batches);
            invariant_what_has_ended_stays(&before, &device);
            if let Some(admission) = admission {
                invariant_an_admission_does_what_it_says(&before, &device, admission);
            }
        }
    }

    #[test]
    fn admitting_twice_is_admitting_once(
        batches in any_batches(),
        happenings in prop::collection::vec(any_happening(3), 0..20),
        index in 0..3_usize,
    ) {
        let mut device = device(1);
        for what in &happenings {
            happen(&mut device, &batches, what, START);
        }
        admit(&batches[index], &mut device, &[], START);
        let once = device.clone();
        prop_assert!(!admit(&batches[index], &mut device, &[], START).made_task());
        prop_assert_eq!(device, once);
    }

    #[test]
    fn a_begun_upgrade_survives_every_newer_batch(batches in any_batches()) {
        let mut device = device(1);
        let first = Batch { source_versions: Vec::new(), ..batches[0].clone() };
        admit(&first, &mut device, &[], START);
        let progress = TaskEvent::ProgressReported { percent: 0, desc: String::new() };
        for event in [TaskEvent::PushDecided, progress] {
            device.apply(first.id, &event, &first.policy, START);
        }
        let begun = device.tasks.clone();
        for batch in &batches[1..] {
            admit(batch, &mut device, &[], START);
        }
        prop_assert!(begun.iter().all(|task| device.tasks.contains(task)));
    }
}
