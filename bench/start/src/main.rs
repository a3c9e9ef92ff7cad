//! Measures the start of the host, when it has to compile the functions and when it has done so before, the first requests
//! after it, and what an idle service takes: memory, and the processor for the clock's ticks.
//!
//! Prints one `figure: value` line for each figure.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use http::Method;
use serde_json::{Value, json};

use bench_support::child::{self, Child, Setup};
use bench_support::client::{Connection, device_message};
use bench_support::median;

/// Measures the host's start and an idle service.
#[derive(Parser)]
struct Arguments {
    /// Starts whose times are taken.
    #[arg(long, default_value_t = 5)]
    starts: usize,
    /// Seconds for which the service is watched that has nothing to do.
    #[arg(long, default_value_t = 15)]
    idle_seconds: u64,
    /// Runs the host for another process of this program, with its data here.
    #[arg(long, hide = true)]
    host: Option<PathBuf>,
}

/// Times of one start, in milliseconds.
struct Start {
    ready: f64,
    first_answer: f64,
    first_report: f64,
    second_report: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments = &Arguments::parse();
    if let Some(data) = &arguments.host {
        return child::run(data, &[]);
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(arguments))
}

async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(arguments.starts > 0, "a start is needed to take its time");
    let work = tempfile::tempdir().context("a folder for the host's data")?;
    let data = work.path().join("data");
    let compiling = one(&data).await?;
    println!("compiling_start_ms: {:.0}", compiling.ready);
    let mut starts = Vec::new();
    for _ in 0..arguments.starts {
        starts.push(one(&data).await?);
    }
    let middle = |of: fn(&Start) -> f64| median(starts.iter().map(of).collect());
    println!("start_to_first_answer_ms: {:.0}", middle(|start| start.ready + start.first_answer));
    println!("first_answer_ms: {:.1}", middle(|start| start.first_answer));
    println!("first_report_ms: {:.1}", middle(|start| start.first_report));
    println!("second_report_ms: {:.2}", middle(|start| start.second_report));
    idle(&data, Duration::from_secs(arguments.idle_seconds)).await
}

/// Starts the host and makes the first requests.
async fn one(data: &Path) -> anyhow::Result<Start> {
    let (host, ready) = Child::start_with(data, Setup { log_apart: true, ..Setup::default() })?;
    let mut api = Connection::open(host.http()).await?;
    let began = Instant::now();
    // The store has this in it only if an earlier start has made it, and is asked in either case.
    api.api(Method::GET, "/v1/products", &Value::Null, 200).await?;
    let first_answer = ms(began.elapsed());
    let first_report = report(&mut api).await?;
    let second_report = report(&mut api).await?;
    Ok(Start { ready: ms(ready), first_answer, first_report, second_report })
}

/// Lets a device report that nobody knows: the store is read for it like for any other.
async fn report(api: &mut Connection) -> anyhow::Result<f64> {
    let payload = r#"{"id":"1","params":{"version":"1.0.0"}}"#;
    let began = Instant::now();
    let told = api.exchange(device_message("/ota/device/inform/a1bench/dev-1", payload.to_owned())).await?;
    let took = ms(began.elapsed());
    ensure!(told.0 == 204, "a report is answered with {}", told.0);
    Ok(took)
}

/// Watches a service that has a product and nothing to do, with its clock and its broker.
async fn idle(data: &Path, length: Duration) -> anyhow::Result<()> {
    let (host, _) = Child::start_with(data, Setup { triggers: true, log_apart: true, ..Setup::default() })?;
    let mut api = Connection::open(host.http()).await?;
    api.api(Method::POST, "/v1/products", &json!({ "name": "bench" }), 201).await?;
    let busy = host.busy()?;
    tokio::time::sleep(length).await;
    let took = ms(host.busy()? - busy);
    println!("idle_cpu_ms_per_s: {:.2}", took / length.as_secs_f64());
    println!("idle_resident_mib: {:.1}", host.resident_mib()?);
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
