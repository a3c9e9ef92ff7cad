//! Whether what came of every device is what had to come of it.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::{Counts, Device, Task};
use crate::plan::Plan;

/// What the story knows at its end.
pub(super) struct Facts<'a> {
    /// What each device was to do.
    pub(super) plan: &'a Plan,
    /// The devices of the trial.
    pub(super) trial: &'a [String],
    /// The last failure that each device reported: its step and its words.
    pub(super) reported: &'a BTreeMap<String, (i8, String)>,
    /// What devices complained of.
    pub(super) complaints: &'a [String],
    /// The batch's counts.
    pub(super) counts: &'a Counts,
    /// The batch's tasks.
    pub(super) tasks: &'a [Task],
    /// The devices as the service has them.
    pub(super) devices: &'a [Device],
    /// The version of the package.
    pub(super) target: &'a str,
}

/// Returns everything that is not as it has to be; nothing when every device is accounted for.
pub(super) fn faults(facts: &Facts<'_>) -> Vec<String> {
    let mut faults: Vec<String> =
        facts.complaints.iter().map(|text| format!("a device complained: {text}")).collect();
    let trial: BTreeSet<&str> = facts.trial.iter().map(String::as_str).collect();
    let due = facts.plan.iter().count() - trial.len();
    check_counts(facts, due as u64, &mut faults);

    let mut tasks: BTreeMap<&str, &Task> = BTreeMap::new();
    for task in facts.tasks {
        if tasks.insert(&task.device_name, task).is_some() {
            faults.push(format!("{}: two tasks in one batch", task.device_name));
        }
        if trial.contains(task.device_name.as_str()) {
            faults.push(format!("{}: a task, though the trial has upgraded it already", task.device_name));
        }
    }
    let versions: BTreeMap<&str, Option<&str>> =
        facts.devices.iter().map(|device| (device.name.as_str(), device.version())).collect();

    for (name, part) in facts.plan.iter() {
        let version = versions.get(name).copied().flatten();
        if part.failure.is_none() && version != Some(facts.target) {
            faults.push(format!(
                "{name}: reports {} and not {}",
                version.unwrap_or("no version"),
                facts.target
            ));
        }
        if part.failure.is_some() && version == Some(facts.target) {
            faults.push(format!("{name}: reports {} though it was to fail", facts.target));
        }
        if trial.contains(name) {
            continue;
        }
        let Some(task) = tasks.get(name) else {
            faults.push(format!("{name}: no task in the batch"));
            continue;
        };
        match part.failure {
            None if task.status != "succeeded" => faults.push(format!("{name}: {}", told(task))),
            None => {}
            Some(failure) => check_failure(name, failure.step(), task, facts, &mut faults),
        }
    }
    faults
}

fn check_counts(facts: &Facts<'_>, due: u64, faults: &mut Vec<String>) {
    let counts = facts.counts;
    if counts.ended() != counts.total || counts.total != due {
        faults.push(format!(
            "the batch counts {} succeeded + {} failed + {} canceled of {} where {due} are due",
            counts.succeeded, counts.failed, counts.canceled, counts.total
        ));
    }
    let listed = |status| facts.tasks.iter().filter(|task| task.status == status).count() as u64;
    for (status, counted) in
        [("succeeded", counts.succeeded), ("failed", counts.failed), ("canceled", counts.canceled)]
    {
        if listed(status) != counted {
            faults.push(format!("the batch counts {counted} {status}, its list has {}", listed(status)));
        }
    }
}

fn check_failure(name: &str, step: i8, task: &Task, facts: &Facts<'_>, faults: &mut Vec<String>) {
    let Some((reported, desc)) = facts.reported.get(name) else {
        faults.push(format!("{name}: was to fail with {step} and has reported no failure"));
        return;
    };
    if *reported != step {
        faults.push(format!("{name}: was to fail with {step} and has reported {reported}: {desc}"));
    }
    let same_words = task.reason.as_ref().is_some_and(|reason| reason.description.contains(desc.as_str()));
    if task.status != "failed" || !same_words {
        faults.push(format!("{name}: has reported {reported}: {desc}, the service says {}", told(task)));
    }
}

fn told(task: &Task) -> String {
    match &task.reason {
        Some(reason) => format!("{} ({reason})", task.status),
        None => task.status.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::{ModuleVersion, Reason};
    use super::*;

    struct World {
        plan: Plan,
        trial: Vec<String>,
        reported: BTreeMap<String, (i8, String)>,
        complaints: Vec<String>,
        counts: Counts,
        tasks: Vec<Task>,
        devices: Vec<Device>,
    }

    impl World {
        /// Ten devices of which three fail, and all is well.
        fn good() -> Self {
            let names: Vec<String> = (0..10).map(|n| format!("lamp-{n:04}")).collect();
            let plan = Plan::deal(1, names.iter().map(String::as_str), 30);
            let trial = plan.trial_devices(2);
            let mut world = Self {
                trial: trial.clone(),
                reported: BTreeMap::new(),
                complaints: vec![],
                counts: Counts { total: 8, succeeded: 5, failed: 3, ..Counts::default() },
                tasks: vec![],
                devices: vec![],
                plan: plan.clone(),
            };
            for (name, part) in plan.iter() {
                let version = if part.failure.is_some() { "1.0.0" } else { "1.1.0" };
                let versions = vec![ModuleVersion { module: "default".into(), version: version.into() }];
                world.devices.push(Device { name: name.into(), versions });
                if trial.iter().any(|t| t == name) {
                    continue;
                }
                let (status, reason) = match part.failure {
                    None => ("succeeded", None),
                    Some(failure) => {
                        let words = format!("words of {name}");
                        world.reported.insert(name.into(), (failure.step(), words.clone()));
                        let description = format!("device code {}: {words}", failure.step());
                        ("failed", Some(Reason { code: "x".into(), description }))
                    }
                };
                world.tasks.push(Task { device_name: name.into(), status: status.into(), reason });
            }
            world
        }

        fn faults(&self) -> Vec<String> {
            faults(&Facts {
                plan: &self.plan,
                trial: &self.trial,
                reported: &self.reported,
                complaints: &self.complaints,
                counts: &self.counts,
                tasks: &self.tasks,
                devices: &self.devices,
                target: "1.1.0",
            })
        }

        fn failed_task(&mut self) -> &mut Task {
            self.tasks.iter_mut().find(|task| task.status == "failed").unwrap()
        }
    }

    #[test]
    fn a_story_that_went_as_planned_has_no_faults() {
        assert_eq!(World::good().faults(), Vec::<String>::new());
    }

    #[test]
    fn a_device_that_is_not_accounted_for_is_named() {
        let mut world = World::good();
        let lost = world.tasks.pop().unwrap().device_name;
        assert!(world.faults().iter().any(|fault| fault.starts_with(&lost)));
    }

    #[test]
    fn counts_must_add_up_to_the_devices_without_the_trial() {
        let mut world = World::good();
        world.counts.total = 10;
        assert_eq!(world.faults().len(), 1);
        let mut world = World::good();
        world.counts.succeeded -= 1;
        assert_eq!(world.faults().len(), 2);
    }

    #[test]
    fn a_failure_must_carry_the_words_of_the_device() {
        let mut world = World::good();
        world.failed_task().reason = Some(Reason { code: "timeout".into(), description: "timeout".into() });
        let faults = world.faults();
        assert!(faults.len() == 1 && faults[0].contains("timeout"), "{faults:?}");
    }

    #[test]
    fn a_device_that_was_to_fail_must_not_have_succeeded() {
        let mut world = World::good();
        world.failed_task().status = "succeeded".into();
        assert!(!world.faults().is_empty());
    }

    #[test]
    fn a_device_on_the_old_version_is_named() {
        let mut world = World::good();
        let trial = world.trial[0].clone();
        world.devices.iter_mut().find(|d| d.name == trial).unwrap().versions.clear();
        assert_eq!(world.faults(), [format!("{trial}: reports no version and not 1.1.0")]);
    }

    #[test]
    fn a_complaint_spoils_the_story() {
        let mut world = World::good();
        world.complaints.push("lamp-0001: not compact".into());
        assert_eq!(world.faults().len(), 1);
    }
}
