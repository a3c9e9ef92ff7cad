//! The store fails at every place in turn; afterwards nothing is lost, doubled or stuck.
//!
//! A failure stands for a crash as well: the function ends right there, and whoever called it is told nothing of use.
//! People and devices in these stories do not give up: a request is made again after a while, a device repeats what it
//! said last.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ota_store::memory::{Fault, MemoryKv};
use ota_tests::{
    Batch, Device, World, hours, invariant_bytes_belong_to_packages,
    invariant_counts_are_the_sum_of_the_tasks, invariant_every_task_has_ended,
    invariant_nothing_is_left_to_do, invariant_one_task_per_device, invariant_pushes_within_rate, json,
    minutes, seconds,
};

use crate::{dynamic_races, made_deltas};

/// Rounds in which everything must have come to its end.
const ROUNDS_MAX: u32 = 60;
/// How many ways of failing again and again are tried.
const SEEDS: u64 = 60;

/// Lets time pass, with these devices doing as they are told, until the story has come where it should.
#[track_caller]
pub(crate) fn live(world: &World, obedient: &[&str], done: impl Fn() -> bool) {
    for round in 1..=ROUNDS_MAX {
        world.run(seconds(5));
        let mut busy = false;
        for name in obedient {
            busy |= world.device(name).obey();
        }
        if done() {
            return;
        }
        if !busy {
            // Whatever was lost is made good after a while: claims are given out anew, devices say it again.
            world.advance(minutes(1));
            world.all_devices().iter().for_each(|device| device.repeat());
        }
        if round % 8 == 0 {
            // No connection lasts: one that the service has not heard of is followed by another.
            let devices = obedient.iter().map(|name| world.device(name));
            devices.for_each(|device| device.restart(&device.version()));
        }
    }
    let batches = world.list("/v1/batches", 50).into_iter();
    let outcomes: Vec<_> =
        batches.map(|batch| world.find_batch(batch["batch_id"].as_str().unwrap()).outcome()).collect();
    panic!("it never ends: {outcomes:?}; log: {:?}", world.engine().log_lines().last());
}

/// Lets devices say it again until the service knows them all: one that it has never heard of is in no batch.
pub(crate) fn gather(world: &World) {
    let known =
        |device: &Device| device.get()["versions"].as_array().is_some_and(|versions| !versions.is_empty());
    live(world, &[], || world.all_devices().iter().all(known));
}

/// Ends the failures, and waits for what is collected late: an upload may take a day.
pub(crate) fn come_to_rest(world: &World) {
    world.kv().clear_faults();
    world.run(minutes(1));
    world.advance(hours(25));
    world.run(seconds(10));
}

fn invariants_of(batch: &Batch, devices: &[&str]) {
    invariant_every_task_has_ended(batch);
    invariant_one_task_per_device(batch, devices);
    invariant_counts_are_the_sum_of_the_tasks(batch);
}

fn invariants(world: &World) {
    invariant_nothing_is_left_to_do(world);
    invariant_bytes_belong_to_packages(world);
    invariant_pushes_within_rate(world, 10);
}

/// Upload, trial, batch, and every device on the new version.
fn main_job(world: World) {
    world.be_patient();
    let world = world.product("lamp").devices(3);
    gather(&world);
    let all = ["lamp-1", "lamp-2", "lamp-3"];
    let package = world.package("1.1.0");
    world.verify(&package, &["lamp-1"]);
    live(&world, &all, || package.verification() == "verified");
    let batch = world.batch(&package, json!({"push_per_minute_max": 10}));
    live(&world, &all, || batch.status() == "completed");

    come_to_rest(&world);
    assert_eq!(package.verification(), "verified");
    let trial = package.get()["verification"]["batch_id"].as_str().map(|id| world.find_batch(id));
    let trial = trial.expect("a verified package has had a trial");
    invariants_of(&trial, &["lamp-1"]);
    invariants_of(&batch, &["lamp-2", "lamp-3"]);
    assert_eq!(trial.outcome(), ["lamp-1 succeeded"]);
    assert_eq!(batch.outcome(), ["lamp-2 succeeded", "lamp-3 succeeded"]);
    assert_eq!(world.list("/v1/batches", 50).len(), 2, "no batch is doubled");
    assert_eq!(world.list("/v1/packages", 50).len(), 1, "no package is doubled");
    assert_eq!(world.list("/v1/products", 50).len(), 1, "no product is doubled");
    invariants(&world);
}

/// A timeout, a newer batch that overwrites, a device that is deleted, a cancel, a package that is deleted.
fn hard_times(world: World) {
    world.be_patient();
    let world = world.product("lamp").devices(4);
    gather(&world);
    let (old, new) = (world.ready_package("1.1.0"), world.ready_package("1.2.0"));
    world.device("lamp-3").disconnect();
    let one = world.batch(&old, json!({"push_per_minute_max": 10, "timeout_minutes": 2}));
    live(&world, &[], || one.get()["expanded"] == true);
    let status = |batch: &Batch, device: &str| batch.task(device)["status"].as_str().map(str::to_owned);
    live(&world, &["lamp-1"], || status(&one, "lamp-1").as_deref() == Some("succeeded"));
    live(&world, &[], || {
        world.device("lamp-2").progress(10, "and no further");
        status(&one, "lamp-2").as_deref() == Some("failed")
    });

    let named = json!({"selection": "specific", "devices": ["lamp-3", "lamp-4"]});
    let two = world.batch(&new, json!({"push_per_minute_max": 10, "overwrite": true, "target": named}));
    // A device that is deleted before the batch has reached it has no task.
    live(&world, &[], || two.get()["expanded"] == true);
    world.device("lamp-3").delete();
    // It forgets what the older batch has told it.
    world.device("lamp-4").restart("1.0.0");
    live(&world, &["lamp-4"], || one.status() == "completed" && two.status() == "completed");

    let three = world.batch_for(&new, &["lamp-1", "lamp-2"]);
    live(&world, &[], || three.get()["expanded"] == true);
    let _canceled = three.cancel(&json!({"queued": true, "notified": true, "in_progress": true}));
    live(&world, &[], || three.status() == "canceled");
    old.delete();

    come_to_rest(&world);
    invariants_of(&one, &["lamp-1", "lamp-2", "lamp-3", "lamp-4"]);
    invariants_of(&two, &["lamp-3", "lamp-4"]);
    invariants_of(&three, &["lamp-1", "lamp-2"]);
    let overwritten = ["lamp-3 canceled overwritten", "lamp-4 canceled overwritten"];
    assert_eq!(one.outcome()[..2], ["lamp-1 succeeded", "lamp-2 failed timeout"]);
    assert_eq!(one.outcome()[2..], overwritten);
    assert_eq!(two.outcome(), ["lamp-3 canceled device-deleted", "lamp-4 succeeded"]);
    let canceled = ["lamp-1 canceled canceled-by-user", "lamp-2 canceled canceled-by-user"];
    assert_eq!(three.outcome(), canceled);
    assert_eq!(world.list("/v1/batches", 50).len(), 3, "no batch is doubled");
    assert_eq!(world.list("/v1/packages", 50).len(), 1, "the other is gone, and its name is free");
    invariants(&world);
}

/// The operations that failed, told when a story does not survive them.
#[derive(Clone, Default)]
struct Fired(Rc<RefCell<Vec<String>>>);

impl Drop for Fired {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let fired = self.0.take();
            eprintln!("{} operations failed, at last {:?}", fired.len(), fired.last());
        }
    }
}

/// Tells a story with a fault at the operations that `picked` picks by their number; returns how many there were.
fn with_faults(
    story: fn(World),
    kv: MemoryKv,
    fault: Fault,
    picked: impl Fn(u64) -> bool + 'static,
) -> usize {
    let fired = Fired::default();
    let (notes, seen, store) = (Rc::clone(&fired.0), Cell::new(0_u64), kv.clone());
    kv.set_faults(move |key, operation| {
        seen.set(seen.get() + 1);
        // Nobody is faster at making what only the winner of a claim may make.
        let rivals = || operation == "swap" && store.dump().iter().any(|(known, _)| known == key);
        let picked = picked(seen.get()) && (fault != Fault::Stale || rivals());
        picked.then(|| {
            notes.borrow_mut().push(format!("{fault:?} at {}: {operation} {key}", seen.get()));
            fault
        })
    });
    story(World::on(kv.clone()));
    // The store holds the faults, and they hold the store.
    kv.clear_faults();
    fired.0.take().len()
}

/// Fails each operation of a story once.
pub(crate) fn each_in_turn(story: fn(World), kv: fn() -> MemoryKv, fault: Fault) {
    let mut at = 1;
    while with_faults(story, kv(), fault, move |n| n == at) > 0 {
        at += 1;
    }
    assert!(at > 100, "the story has only {at} operations");
}

#[test]
fn the_main_job_survives_a_refusal_of_any_one_operation() {
    each_in_turn(main_job, MemoryKv::new, Fault::Refused);
}

#[test]
fn the_main_job_survives_the_loss_of_any_one_answer() {
    each_in_turn(main_job, MemoryKv::new, Fault::AnswerLost);
}

#[test]
fn the_main_job_survives_the_loss_of_any_one_answer_of_a_store_that_upserts() {
    each_in_turn(main_job, MemoryKv::with_spin_quirks, Fault::AnswerLost);
}

#[test]
fn hard_times_survive_a_refusal_of_any_one_operation() {
    each_in_turn(hard_times, MemoryKv::new, Fault::Refused);
}

#[test]
fn hard_times_survive_the_loss_of_any_one_answer() {
    each_in_turn(hard_times, MemoryKv::new, Fault::AnswerLost);
}

#[test]
fn making_a_delta_survives_a_refusal_of_any_one_operation() {
    each_in_turn(made_deltas::story, MemoryKv::new, Fault::Refused);
}

#[test]
fn making_a_delta_survives_the_loss_of_any_one_answer() {
    each_in_turn(made_deltas::story, MemoryKv::with_spin_quirks, Fault::AnswerLost);
}

#[test]
fn r106_r107_joining_a_dynamic_batch_survives_a_refusal_of_any_one_operation() {
    each_in_turn(dynamic_races::story, MemoryKv::new, Fault::Refused);
}

#[test]
fn r106_r107_joining_a_dynamic_batch_survives_the_loss_of_any_one_answer() {
    each_in_turn(dynamic_races::story, MemoryKv::new, Fault::AnswerLost);
}

/// Picks one number in `every`, without a rhythm that a loop could fall into.
fn now_and_then(every: u64, seed: u64) -> impl Fn(u64) -> bool + 'static {
    move |n| {
        // The generator known as splitmix64.
        let mut z = (seed << 32 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).is_multiple_of(every)
    }
}

fn fails_again_and_again(story: fn(World), fault: Fault) {
    let mut faults = 0;
    for seed in 0..SEEDS {
        // Told by the test's output when it fails.
        println!("seed {seed}");
        faults += with_faults(story, MemoryKv::new(), fault, now_and_then(60, seed));
    }
    assert!(faults > 5 * SEEDS as usize, "only {faults} faults");
}

#[test]
fn the_main_job_survives_a_store_that_refuses_again_and_again() {
    fails_again_and_again(main_job, Fault::Refused);
}

#[test]
fn the_main_job_survives_a_store_that_loses_answers_again_and_again() {
    fails_again_and_again(main_job, Fault::AnswerLost);
}

#[test]
fn hard_times_survive_a_store_that_refuses_again_and_again() {
    fails_again_and_again(hard_times, Fault::Refused);
}

#[test]
fn hard_times_survive_a_store_that_loses_answers_again_and_again() {
    fails_again_and_again(hard_times, Fault::AnswerLost);
}

#[test]
fn swaps_that_somebody_else_was_faster_at_are_made_again() {
    for story in [main_job, hard_times] {
        for seed in 0..10 {
            with_faults(story, MemoryKv::new(), Fault::Stale, now_and_then(3, seed));
        }
    }
}
