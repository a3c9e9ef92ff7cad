//! Some dozens of seeds, the promise that a seed is the same run again, and planted faults that must be found.

use ota_sim::{Options, Outcome, Plant, run};

/// Seeds that every test run looks at; the long run looks at others.
const SEEDS: std::ops::Range<u64> = 0..40;
/// Seeds that have once found a real fault, each another one.
const FOUND: [u64; 6] = [49, 64, 133, 241, 262, 336];
/// Seeds within which each planted fault must be found.
const PLANTED_SEEDS_MAX: u64 = 40;

#[track_caller]
fn assert_holds(outcome: &Outcome) {
    if let Some(violation) = &outcome.violation {
        let last = outcome.last.join("\n");
        panic!(
            "{last}\n{violation:?} at step {}; again: cargo xtask sim --seed {}",
            outcome.steps, outcome.seed
        );
    }
}

#[test]
fn r93_r135_r155_whatever_goes_wrong_the_invariants_hold_and_everything_comes_to_rest() {
    let mut crashes = 0;
    let mut splits = 0;
    let mut pushes = 0;
    for seed in SEEDS.chain(FOUND) {
        let outcome = run(seed, Options::default());
        assert_holds(&outcome);
        crashes += outcome.crashes;
        splits += outcome.splits;
        pushes += outcome.pushes;
    }
    // A simulation in which nothing happens proves nothing.
    let told = format!("{crashes} crashes, {splits} splits, {pushes} pushes");
    assert!(crashes > 100 && splits > 0 && pushes > 100, "{told}");
}

#[test]
fn a_seed_is_the_same_run_again() {
    for seed in [1, 2, 3] {
        let (one, other) = (run(seed, Options::default()), run(seed, Options::default()));
        assert_eq!((one.steps, &one.digest), (other.steps, &other.digest), "seed {seed}");
    }
    assert_ne!(run(1, Options::default()).digest, run(2, Options::default()).digest);
}

fn found(plant: Plant) -> Option<Outcome> {
    let options = Options { plant: Some(plant), ..Options::default() };
    (0..PLANTED_SEEDS_MAX).map(|seed| run(seed, options)).find(|outcome| outcome.violation.is_some())
}

#[test]
fn every_planted_fault_is_found() {
    let missed: Vec<_> = Plant::ALL.into_iter().filter(|plant| found(*plant).is_none()).collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
