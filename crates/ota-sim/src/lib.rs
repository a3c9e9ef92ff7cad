//! The whole service, simulated: its functions over a store in memory, devices, operators, a broker and clocks, all on one
//! thread and all by one seed. What a seed shows it shows again.
//!
//! Requests are futures that stop at every operation of the store and at every effect (`engine.rs`). A scheduler holds
//! all that are under way and chooses by the seed which goes on, and whether well (`world.rs`). What must hold at every
//! moment is looked at with each write, push and answer (`watch.rs`); what must hold in the end once everything has come to
//! rest (`rest.rs`). See `docs/simulation.md`.
//!
//! [`explore`] is the other half: the rules of tasks and pushes alone, for fleets so small that every history can be
//! looked at.

mod call;
mod device;
mod dice;
mod engine;
pub mod explore;
mod operator;
mod plant;
mod rest;
pub mod small_fleet;
mod trace;
mod watch;
mod weather;
mod world;

use std::collections::BTreeMap;

pub use crate::plant::Plant;
pub use crate::watch::Violation;

use crate::world::World;

/// Steps of a run before it comes to rest: some hundred requests.
const STEPS: u64 = 3_000;
/// The stack of a run: futures of handlers lie within each other.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// How a run is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Prints every step as it comes.
    pub print: bool,
    /// A fault that is planted.
    pub plant: Option<Plant>,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What did not hold, if anything.
    pub violation: Option<Violation>,
    /// The step it ended at.
    pub steps: u64,
    /// Requests made.
    pub requests: u64,
    /// Operations of the store.
    pub operations: u64,
    /// Deaths of requests and processes.
    pub crashes: u64,
    /// Operations that were refused, or whose answer was lost.
    pub refused: u64,
    /// Pushes that the broker took.
    pub pushes: u64,
    /// How often a fleet grew.
    pub splits: u64,
    /// How often each invariant was looked at.
    pub checked: BTreeMap<&'static str, u64>,
    /// The last steps, in words.
    pub last: Vec<String>,
    /// The digest of all steps: two runs of a seed have the same.
    pub digest: String,
}

/// Makes the run of a seed.
///
/// # Panics
/// If the simulation itself is broken.
pub fn run(seed: u64, options: Options) -> Outcome {
    // A thread of its own: what an instance of a function remembers lies in its thread, and a seed must not depend on the
    // seeds before it.
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let run = thread.spawn(move || live(seed, options)).expect("a thread can be started");
    match run.join() {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn live(seed: u64, options: Options) -> Outcome {
    let mut world = World::new(seed, options.print, options.plant);
    for _ in 0..STEPS {
        world.step();
        if world.is_broken() {
            break;
        }
    }
    if !world.is_broken() {
        world.come_to_rest();
        world.check_the_end();
    }
    let watch = world.shared.watch.borrow();
    let trace = world.shared.trace.borrow();
    Outcome {
        seed,
        violation: watch.violation.clone(),
        steps: world.shared.step.get(),
        requests: world.tally.requests,
        operations: world.shared.operations.get(),
        crashes: world.tally.crashes,
        refused: world.tally.refused,
        pushes: watch.pushes,
        splits: watch.splits,
        checked: watch.checked.clone(),
        last: trace.last(),
        digest: trace.digest(),
    }
}
