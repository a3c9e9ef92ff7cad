//! The store fails at every place in turn; afterwards nothing is lost, doubled or stuck.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ota_store::memory::{Fault, MemoryKv};
use ota_tests::{
    Batch, Package, World, hours, invariant_bytes_belong_to_packages,
    invariant_counts_are_the_sum_of_the_tasks, invariant_every_task_has_ended, invariant_nothing_is_left_to_do,
    invariant_one_task_per_device, invariant_pushes_within_rate, json, minutes, seconds,
};

/// Rounds in which everything must have come to its end.
const ROUNDS_MAX: u32 = 60;

/// Upload, trial, batch, and every device on the new version, by people and devices who do not give up.
fn main_job(world: World) -> (World, Package, Batch) {
    world.be_patient();
    let world = world.product("lamp").devices(3);
    let package = world.package("1.1.0");
    world.verify(&package, &["lamp-1"]);
    live(&world, || package.verification() == "verified");
    let batch = world.batch(&package, json!({"push_per_minute_max": 10}));
    live(&world, || batch.status() == "completed");
    (world, package, batch)
}

/// Lets time pass with devices that do as they are told and now and then repeat what they said last.
fn live(world: &World, done: impl Fn() -> bool) {
    for _ in 0..ROUNDS_MAX {
        world.run(seconds(5));
        let mut busy = false;
        for device in world.all_devices() {
            busy |= device.obey();
        }
        if done() {
            return;
        }
        if !busy {
            // Whatever was lost is made good after a while: claims are given out anew, devices say it again.
            world.advance(minutes(1));
            world.all_devices().iter().for_each(|device| device.repeat());
        }
    }
    let published = world.published().len();
    panic!("it never ends; {published} published, log: {:?} {:?}", world.engine().log_lines(), world.list("/v1/batches",50));
}

#[track_caller]
fn all_is_well(world: &World, package: &Package, batch: &Batch) {
    world.kv().clear_faults();
    // Longer than an upload may take that was cut off and is waited for.
    world.run(minutes(1));
    world.advance(hours(25));
    world.run(seconds(10));
    assert_eq!(package.verification(), "verified");
    let trial = package.get()["verification"]["batch_id"].as_str().map(|id| world.find_batch(id));
    let trial = trial.expect("a verified package has had a trial");
    for (batch, devices) in [(&trial, &["lamp-1"][..]), (batch, &["lamp-2", "lamp-3"][..])] {
        invariant_every_task_has_ended(batch);
        invariant_one_task_per_device(batch, devices);
        invariant_counts_are_the_sum_of_the_tasks(batch);
        assert_eq!(batch.get()["counts"]["succeeded"], devices.len(), "{:?}", batch.outcome());
    }
    assert_eq!(world.list("/v1/batches", 50).len(), 2, "no batch is doubled");
    assert_eq!(world.list("/v1/packages", 50).len(), 1, "no package is doubled");
    assert_eq!(world.list("/v1/products", 50).len(), 1, "no product is doubled");
    invariant_nothing_is_left_to_do(world);
    invariant_bytes_belong_to_packages(world);
    invariant_pushes_within_rate(world, 10);
}

/// The operations that failed, told when a story does not survive them.
#[derive(Clone, Default)]
struct Fired(Rc<RefCell<Vec<String>>>);

impl Drop for Fired {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what failed: {:?}", self.0.take());
        }
    }
}

/// Runs the story with a fault at the operations that `picked` picks by their number; returns whether there was one.
fn with_faults(kv: MemoryKv, fault: Fault, picked: impl Fn(u64) -> bool + 'static) -> bool {
    let fired = Fired::default();
    let (notes, seen) = (Rc::clone(&fired.0), Cell::new(0_u64));
    kv.set_faults(move |key, operation| {
        seen.set(seen.get() + 1);
        picked(seen.get()).then(|| {
            notes.borrow_mut().push(format!("{} {operation} {key}", seen.get()));
            fault
        })
    });
    let (world, package, batch) = main_job(World::on(kv));
    all_is_well(&world, &package, &batch);
    !fired.0.take().is_empty()
}

fn each_in_turn(kv: impl Fn() -> MemoryKv, fault: Fault) {
    let mut at = 1;
    while with_faults(kv(), fault, move |n| n == at) {
        at += 1;
    }
    assert!(at > 100, "the story has only {at} operations");
}

#[test]
fn the_main_job_survives_a_refusal_of_any_one_operation() {
    each_in_turn(MemoryKv::new, Fault::Refused);
}

#[test]
fn the_main_job_survives_the_loss_of_any_one_answer() {
    each_in_turn(MemoryKv::new, Fault::AnswerLost);
}
