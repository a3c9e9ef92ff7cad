//! Any history, through the handlers: devices, operators and the clock in any order, and what must hold after each step.

use std::collections::BTreeMap;

use ota_tests::{
    Batch, Call, Device, Value, World, invariant_counts_are_the_sum_of_the_tasks,
    invariant_pushes_within_rate, json, minutes,
};
use proptest::prelude::*;

const DEVICES: usize = 4;
/// The lowest rate there is, so that a story of few devices can reach it.
const RATE: u32 = 10;

/// Something that happens.
#[derive(Clone, Debug)]
enum Act {
    Connect(usize),
    Disconnect(usize),
    Report(usize, &'static str),
    Progress(usize, i32),
    Ask(usize),
    Create(usize, usize),
    Cancel(usize, usize),
    Confirm(usize, usize),
    Reupgrade(usize, usize),
    Wait(u64),
}

fn any_act() -> impl Strategy<Value = Act> {
    let device = || 0..DEVICES;
    let batch = || 0..4_usize;
    prop_oneof![
        2 => device().prop_map(Act::Connect),
        1 => device().prop_map(Act::Disconnect),
        4 => (device(), prop::sample::select(vec!["1.0.0", "1.1.0", "1.2.0", "0.9.0"]))
            .prop_map(|(device, version)| Act::Report(device, version)),
        4 => (device(), prop::sample::select(vec![0, 50, 100, -1, -3]))
            .prop_map(|(device, step)| Act::Progress(device, step)),
        1 => device().prop_map(Act::Ask),
        3 => (0..2_usize, 0..KINDS).prop_map(|(package, kind)| Act::Create(package, kind)),
        2 => (batch(), 0..CANCELS).prop_map(|(batch, what)| Act::Cancel(batch, what)),
        1 => (batch(), device()).prop_map(|(batch, device)| Act::Confirm(batch, device)),
        1 => (batch(), device()).prop_map(|(batch, device)| Act::Reupgrade(batch, device)),
        3 => prop::sample::select(vec![0, 1, 7, 61]).prop_map(Act::Wait),
    ]
}

const KINDS: usize = 7;

/// What a batch of this kind asks for.
fn kind(world: &World, kind: usize) -> Value {
    let mut more = match kind {
        0 => json!({}),
        1 => json!({"overwrite": true, "timeout_minutes": 5}),
        2 => json!({"retry": {"after_minutes": 0, "count_max": 2}}),
        3 => json!({"needs_confirmation": true}),
        4 => json!({"target": {"selection": "gray", "gray_percent": "50"}}),
        5 => json!({"mode": "dynamic", "source_versions": ["1.0.0", "0.9.0"]}),
        _ => {
            let start = world.now_ms() + minutes(6);
            json!({"schedule": {"start_at": start, "end_at": start + minutes(60), "hard_stop": true}})
        }
    };
    more["push_per_minute_max"] = json!(RATE);
    more
}

const CANCELS: usize = 5;

/// What a cancel asks for; some of it is refused for some batches.
fn cancel(what: usize) -> Value {
    match what {
        0 => json!({"queued": true}),
        1 => json!({"notified": true, "in_progress": true}),
        2 => json!({"scheduled": true}),
        3 => json!({"strategy": true}),
        _ => json!({"queued": true, "notified": true, "in_progress": true}),
    }
}

/// The story so far.
struct History {
    world: World,
    devices: Vec<Device>,
    packages: Vec<ota_tests::Package>,
    batches: Vec<Batch>,
    /// How tasks ended, by their id.
    ended: BTreeMap<String, Value>,
}

impl History {
    fn new() -> Self {
        let world = World::new().product("lamp").devices(DEVICES);
        let packages = ["1.1.0", "1.2.0"].map(|version| world.ready_package(version)).to_vec();
        let devices = world.all_devices();
        Self { world, devices, packages, batches: Vec::new(), ended: BTreeMap::new() }
    }

    fn happen(&mut self, act: &Act) {
        match *act {
            Act::Connect(device) => self.devices[device].connect_silently(),
            Act::Disconnect(device) => self.devices[device].disconnect(),
            Act::Report(device, version) => self.devices[device].report(version),
            Act::Progress(device, step) => self.devices[device].progress(step, ""),
            Act::Ask(device) => {
                self.devices[device].ask();
            }
            Act::Create(package, of_kind) => {
                let made = self.world.try_batch(&self.packages[package], &kind(&self.world, of_kind));
                // A second dynamic batch, or one without a device, is refused.
                assert!(matches!(made.status, 201 | 409 | 422), "{made:?}");
                if made.status == 201 {
                    self.batches.push(self.world.find_batch(&made.text_of("batch_id")));
                }
            }
            Act::Cancel(batch, what) => {
                if let Some(batch) = self.batches.get(batch) {
                    let answer = batch.cancel(&cancel(what));
                    assert!(matches!(answer.status, 202 | 409), "{answer:?}");
                }
            }
            Act::Confirm(batch, device) => {
                self.single("confirm", batch, device);
            }
            Act::Reupgrade(batch, device) => {
                if let Some(task) = self.single("reupgrade", batch, device) {
                    self.ended.remove(&task);
                }
            }
            Act::Wait(count) => self.world.run(minutes(count)),
        }
        self.world.settle();
    }

    /// Asks something for one task, and returns its id if that was done.
    fn single(&self, verb: &str, batch: usize, device: usize) -> Option<String> {
        let id = format!("{}.{}", self.batches.get(batch)?.id, self.devices[device].name());
        let answer = self.world.send(&Call::post(format!("/v1/tasks/{verb}"), &json!({"task_ids": [id]})));
        assert!(matches!(answer.status, 200 | 422), "{answer:?}");
        (answer.status == 200).then_some(id)
    }

    fn check(&mut self) {
        let mut active: BTreeMap<String, u32> = BTreeMap::new();
        for batch in self.batches.clone() {
            invariant_counts_are_the_sum_of_the_tasks(&batch);
            let dynamic = batch.get()["mode"] == "dynamic";
            for task in batch.tasks() {
                let id = task["task_id"].as_str().unwrap_or_default().to_owned();
                let status = task["status"].as_str().unwrap_or_default().to_owned();
                if matches!(status.as_str(), "succeeded" | "failed" | "canceled") {
                    self.invariant_an_end_is_final(&id, &task, dynamic);
                } else {
                    // A device may come back to a dynamic batch; otherwise an ended task has begun anew.
                    assert!(dynamic || !self.ended.contains_key(&id), "{id} was ended and is {status}");
                    self.ended.remove(&id);
                    *active.entry(task["device_name"].to_string()).or_default() += 1;
                }
            }
        }
        assert!(active.values().all(|count| *count == 1), "one active task per device: {active:?}");
    }

    fn invariant_an_end_is_final(&mut self, id: &str, task: &Value, may_come_back: bool) {
        match self.ended.get(id) {
            Some(before) if !may_come_back => assert_eq!(before, task, "an ended task changed"),
            _ => {}
        }
        self.ended.insert(id.to_owned(), task.clone());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn r135_r151_r155_whatever_happens_ends_are_final_counts_add_up_and_a_device_is_in_one_task(
        acts in prop::collection::vec(any_act(), 1..40),
    ) {
        let mut history = History::new();
        for act in &acts {
            history.happen(act);
            history.check();
        }
        history.world.run(minutes(120));
        history.check();
        // Each batch has a rate of its own; devices are few, so that of all together shows none above it.
        invariant_pushes_within_rate(&history.world, RATE as usize * history.batches.len().max(1));
    }
}
