//! Simulates the whole service by seeds, and prints what that came to.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use ota_sim::{Options, Outcome, Plant, run};

/// Simulates the service: its devices, operators, crashes and clocks, all by one number.
#[derive(Parser)]
#[command(name = "ota-sim")]
struct Arguments {
    /// Runs this seed only.
    #[arg(long, conflicts_with_all = ["seeds", "from", "minutes"])]
    seed: Option<u64>,
    /// How many seeds are run.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Runs seeds for so many minutes, and no more than `--seeds` if that is said.
    #[arg(long)]
    minutes: Option<u64>,
    /// Prints every step. With several seeds, one after another.
    #[arg(long)]
    trace: bool,
    /// Plants a fault in the store or in the link to the broker, to see that it is found.
    #[arg(long, value_parser = Plant::parse)]
    plant: Option<Plant>,
}

/// Seeds of a run that names neither a number nor a time.
const SEEDS: u64 = 100;

/// What all seeds came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    figures: BTreeMap<&'static str, u64>,
    checked: BTreeMap<&'static str, u64>,
    failed: Option<Outcome>,
}

impl Sum {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        let figures = [
            ("steps", outcome.steps),
            ("requests", outcome.requests),
            ("store_operations", outcome.operations),
            ("crashes", outcome.crashes),
            ("operations_failed", outcome.refused),
            ("pushes", outcome.pushes),
            ("fleet_splits", outcome.splits),
        ];
        for (figure, value) in figures {
            *self.figures.entry(figure).or_default() += value;
        }
        for (invariant, times) in &outcome.checked {
            *self.checked.entry(invariant).or_default() += times;
        }
        let is_first = self.failed.as_ref().is_none_or(|failed| outcome.seed < failed.seed);
        if outcome.violation.is_some() && is_first {
            self.failed = Some(outcome);
        }
    }

    fn print(&self) {
        println!("seeds: {}", self.seeds);
        for (figure, value) in &self.figures {
            println!("{figure}: {value}");
        }
        println!("invariants: {}", self.checked.len());
        println!("invariants_checked: {}", self.checked.values().sum::<u64>());
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The functions log problems to standard error, by the thousand here; a fault of the simulation itself is told apart.
    std::panic::set_hook(Box::new(|panic| println!("{panic}")));
    let options = Options { print: arguments.trace, plant: arguments.plant };
    let (from, count) = match arguments.seed {
        Some(seed) => (seed, 1),
        None => {
            let without_count = if arguments.minutes.is_some() { u64::MAX } else { SEEDS };
            (arguments.from, arguments.seeds.unwrap_or(without_count))
        }
    };
    let end = arguments.minutes.map(|minutes| Instant::now() + Duration::from_secs(minutes * 60));
    let sum = run_all(from, count, end, options);
    if let Some(failed) = &sum.failed {
        tell(failed, arguments.plant);
    }
    sum.print();
    if sum.failed.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Runs seeds on all processors until they are done, the time is over, or one fails.
fn run_all(from: u64, count: u64, end: Option<Instant>, options: Options) -> Sum {
    // Traces of several seeds at once would be mixed up.
    let at_once = if options.print { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let is_late = end.is_some_and(|end| Instant::now() >= end);
                    if index >= count || is_late || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let outcome = run(from.saturating_add(index), options);
                    if outcome.violation.is_some() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    sum.lock().expect("nobody panics while it is held").add(outcome);
                }
            });
        }
    });
    sum.into_inner().expect("nobody panicked while it was held")
}

/// Tells what did not hold, what came before, and how to see it again.
fn tell(failed: &Outcome, plant: Option<Plant>) {
    let Some(violation) = &failed.violation else { return };
    println!("the last steps:");
    for line in &failed.last {
        println!("{line}");
    }
    println!();
    println!("seed {}, step {}: {} does not hold", failed.seed, failed.steps, violation.invariant);
    println!("  {}", violation.what);
    let plant = plant.map(|plant| format!(" --plant {}", plant.as_str())).unwrap_or_default();
    println!("  again: cargo xtask sim --seed {}{plant}", failed.seed);
    println!("  every step: cargo xtask sim --seed {}{plant} --trace", failed.seed);
    println!();
}
