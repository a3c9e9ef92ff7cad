//! Measures the requests that devices make all day, beside a do-nothing function on the same host in the same run.
//!
//! Rates of a machine that does other things as well go up and down by the minute, so the kinds of requests take turns
//! in short rounds, and what counts is the median of the rounds' ratios. The load runs in this process and the host in
//! a child, both on the same cores.
//!
//! Prints one `figure: value` line for each figure.

mod child;
mod connection;
mod fleet;
mod load;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

use child::Child;
use fleet::{Fleet, Kind};
use load::Load;

/// Starts whose time is taken; the first of all fills the cache and does not count.
const STARTS: usize = 5;
/// Requests over which operations are counted.
const COUNTED: u64 = 64;

/// Measures the requests that devices make all day, beside a do-nothing function.
#[derive(Parser)]
struct Arguments {
    /// Connections that are kept open and each have one request under way.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Devices with a task in progress, and as many without a task.
    #[arg(long, default_value_t = 400)]
    devices: usize,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 8)]
    rounds: usize,
    /// How long a round takes.
    #[arg(long, default_value_t = 1000)]
    round_ms: u64,
    /// Runs the host for another process of this program, with its data here.
    #[arg(long, hide = true)]
    host: Option<std::path::PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(data) = &arguments.host {
        return child::run(data);
    }
    // One thread is more than enough to keep the host busy.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(&arguments))
}

async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let data = tempfile::tempdir().context("a folder for the host's data")?;
    let (mut host, startup) = start(data.path())?;
    println!("startup_ms: {:.0}", startup.as_secs_f64() * 1000.0);
    println!("resident_mib: {:.1}", host.resident_mib()?);

    let fleet = Fleet::create(host.http(), arguments.devices).await?;
    let mut load = Load::connect(host.http(), &fleet, arguments.connections).await?;
    for (figure, kind) in [("kv_ops_progress", Kind::Progress), ("kv_ops_version_report", Kind::VersionReport)] {
        // The first request of an instance has to learn the fleet's shape, and is not what is looked at.
        load.one_by_one(kind, COUNTED).await?;
        let before = host.operations()?;
        load.one_by_one(kind, COUNTED).await?;
        let each = (host.operations()? - before) as f64 / COUNTED as f64;
        println!("{figure}: {each:.2}");
    }

    let round = Duration::from_millis(arguments.round_ms);
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    let (mut reports, mut operations) = (0, 0);
    // The first turn warms up.
    for turn in 0..=arguments.rounds {
        for (kind, rates) in Kind::ALL.into_iter().zip(&mut rates) {
            let before = host.operations()?;
            let (requests, took) = load.round(kind, round).await?;
            if turn > 0 {
                rates.push(requests as f64 / took.as_secs_f64());
                if kind == Kind::Progress {
                    reports += requests;
                    operations += host.operations()? - before;
                }
            }
        }
    }
    let [noop, progress, version] = &rates;
    let ratios = |of: &[f64]| median(of.iter().zip(noop).map(|(rate, noop)| rate / noop).collect());
    println!("noop_rps: {:.0}", median(noop.clone()));
    println!("progress_rps: {:.0}", median(progress.clone()));
    println!("version_report_rps: {:.0}", median(version.clone()));
    println!("progress_vs_noop: {:.2}", ratios(progress));
    println!("version_report_vs_noop: {:.2}", ratios(version));
    println!("kv_ops_progress_under_load: {:.2}", operations as f64 / reports as f64);
    println!("resident_after_mib: {:.1}", host.resident_mib()?);
    Ok(())
}

/// Starts the host several times and returns the last one running, and the median of the times to be ready.
fn start(data: &Path) -> anyhow::Result<(Child, Duration)> {
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ if values.is_empty() => f64::NAN,
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(vec![]).is_nan());
    }
}
