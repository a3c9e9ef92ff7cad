//! Measures the requests that devices make all day, beside a do-nothing function on the same host in the same run.
//!
//! Rates of a machine that does other things as well go up and down by the minute, so the kinds of requests take turns
//! in short rounds, and what counts is the median of the rounds' ratios. The load runs in this process and the host in
//! a child, both on the same cores.
//!
//! Prints one `figure: value` line for each figure.

mod connection;
mod fleet;
mod load;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

use bench_support::child::{self, Child};
use bench_support::median;
use fleet::{Fleet, Kind, NOOP};
use load::Load;

/// Starts whose time is taken; the first of all fills the cache and does not count.
const STARTS: usize = 5;
/// Requests whose operations are counted, each for itself. A few cost one more, of instances that are new.
const COUNTED: usize = 65;

/// Measures the requests that devices make all day, beside a do-nothing function.
#[derive(Parser)]
struct Arguments {
    /// Connections that are kept open and each have one request under way.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Devices with a task in progress, and as many without a task.
    #[arg(long, default_value_t = 4_000)]
    devices: usize,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 8)]
    rounds: usize,
    /// How long a round takes.
    #[arg(long, default_value_t = 1000)]
    round_ms: u64,
    /// Makes requests of one kind only, for a profile of the host; no figures are told.
    #[arg(long, value_enum)]
    only: Option<Kind>,
    /// Runs the host for another process of this program, with its data here.
    #[arg(long, hide = true)]
    host: Option<std::path::PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = &Arguments::parse();
    if let Some(data) = &arguments.host {
        return child::run(data, &[(NOOP, "noop")]);
    }
    // One thread is more than enough to keep the host busy.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(arguments))
}

async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let data = tempfile::tempdir().context("a folder for the host's data")?;
    let (mut host, startup) = start_host(data.path())?;
    println!("startup_ms: {:.0}", startup.as_secs_f64() * 1000.0);
    println!("resident_mib: {:.1}", host.resident_mib()?);

    let fleet = Fleet::create(host.http(), arguments.devices).await?;
    let mut load = Load::connect(host.http(), &fleet, arguments.connections).await?;
    for (figure, kind) in
        [("kv_ops_progress", Kind::Progress), ("kv_ops_version_report", Kind::VersionReport)]
    {
        let mut each = Vec::new();
        for _ in 0..COUNTED {
            let before = host.operations()?;
            load.one(kind).await?;
            each.push((host.operations()? - before) as f64);
        }
        println!("{figure}: {}", median(each));
    }

    let round = Duration::from_millis(arguments.round_ms);
    if let Some(kind) = arguments.only {
        for _ in 0..arguments.rounds {
            load.round(kind, round).await?;
        }
        return Ok(());
    }
    let mut figures: [Figures; 3] = Default::default();
    // The first turn warms up.
    for turn in 0..=arguments.rounds {
        for (kind, figures) in Kind::ALL.into_iter().zip(&mut figures) {
            let (operations, busy) = (host.operations()?, host.busy()?);
            let (requests, took) = load.round(kind, round).await?;
            if turn > 0 {
                figures.rates.push(requests as f64 / took.as_secs_f64());
                figures.requests += requests;
                figures.operations += host.operations()? - operations;
                figures.busy += host.busy()? - busy;
            }
        }
    }
    let [noop, progress, version] = &figures;
    println!("noop_rps: {:.0}", median(noop.rates.clone()));
    println!("progress_rps: {:.0}", median(progress.rates.clone()));
    println!("version_report_rps: {:.0}", median(version.rates.clone()));
    println!("progress_vs_noop: {:.2}", progress.ratio_to(noop));
    println!("version_report_vs_noop: {:.2}", version.ratio_to(noop));
    println!("noop_cpu_us: {:.0}", noop.busy_us());
    println!("progress_cpu_us: {:.0}", progress.busy_us());
    println!("version_report_cpu_us: {:.0}", version.busy_us());
    println!("kv_ops_progress_under_load: {:.2}", progress.operations as f64 / progress.requests as f64);
    println!("resident_after_mib: {:.1}", host.resident_mib()?);
    Ok(())
}

/// What is known of one kind of request.
#[derive(Default)]
struct Figures {
    /// Requests per second, of each round.
    rates: Vec<f64>,
    requests: u64,
    operations: u64,
    busy: Duration,
}

impl Figures {
    /// Compares rounds that were run one right after the other.
    fn ratio_to(&self, other: &Self) -> f64 {
        median(self.rates.iter().zip(&other.rates).map(|(this, other)| this / other).collect())
    }

    /// Processor time of the host for one request.
    fn busy_us(&self) -> f64 {
        self.busy.as_secs_f64() * 1e6 / self.requests as f64
    }
}

/// Starts the host several times and returns the last one running, and the median of the times to be ready.
fn start_host(data: &Path) -> anyhow::Result<(Child, Duration)> {
    drop(Child::start(data)?);
    let mut times = Vec::new();
    for _ in 1..STARTS {
        let (_, took) = Child::start(data)?;
        times.push(took.as_secs_f64());
    }
    let (host, took) = Child::start(data)?;
    times.push(took.as_secs_f64());
    Ok((host, Duration::from_secs_f64(median(times))))
}
