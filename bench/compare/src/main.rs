//! Measures requests that a file describes, against one server or against two that take turns, so that a machine that does
//! other things as well is as slow for either. The servers may speak what they like, as long as it is HTTP: each may have a
//! file of its own, and requests of the same name are compared.
//!
//! Prints one `figure: value` line for each figure.

mod description;
mod load;
mod target;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Parser;

use bench_support::child::{self, API_TOKEN, Child, INTERNAL_TOKEN, Setup};
use bench_support::median;
use description::Description;
use load::{Latencies, Load, Until};
use target::Target;

/// Measures requests that a file describes, against one server or two.
#[derive(Parser)]
struct Arguments {
    /// The server's URL, such as http://127.0.0.1:3000; without one this service is started and measured.
    #[arg(long)]
    a: Option<String>,
    /// The URL of a server to compare with.
    #[arg(long)]
    b: Option<String>,
    /// What is asked of the first server; what this service is asked otherwise.
    #[arg(long)]
    requests: Option<PathBuf>,
    /// What is asked of the second server; the same as of the first otherwise.
    #[arg(long)]
    b_requests: Option<PathBuf>,
    /// A value for a name in the files, such as `token=secret`, for the first server.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    sets: Vec<(String, String)>,
    /// A value for a name in the files, for the second server; the others are those of the first.
    #[arg(long = "b-set", value_name = "NAME=VALUE", value_parser = pair)]
    b_sets: Vec<(String, String)>,
    /// Devices that the requests are made for in turn.
    #[arg(long, default_value_t = 1_000)]
    devices: usize,
    /// Connections that are kept open and each have one request under way.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Rounds of each request on each server, after one that warms up.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a round takes.
    #[arg(long, default_value_t = 1000)]
    round_ms: u64,
    /// How many requests a round has, in place of a time.
    #[arg(long)]
    count: Option<usize>,
    /// Runs the host for another process of this program, with its data here.
    #[arg(long, hide = true)]
    host: Option<PathBuf>,
}

/// What is known of one request on one server.
#[derive(Default)]
struct Figures {
    /// Requests per second, of each round.
    rates: Vec<f64>,
    latencies: Latencies,
}

fn main() -> anyhow::Result<()> {
    let arguments = &Arguments::parse();
    if let Some(data) = &arguments.host {
        return child::run(data, &[]);
    }
    ensure!(
        arguments.devices > 0 && arguments.connections > 0 && arguments.rounds > 0,
        "none are not measured"
    );
    // One thread is more than enough to keep a server busy.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(arguments))
}

async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let work = tempfile::tempdir().context("a folder for the host's data")?;
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut host = None;
    let url = match &arguments.a {
        Some(url) => url.clone(),
        None => {
            let (running, _) = Child::start_with(
                &bench_support::data_with_compiled(work.path())?,
                Setup { log_apart: true, ..Setup::default() },
            )?;
            names.insert("token".into(), API_TOKEN.into());
            names.insert("internal_token".into(), INTERNAL_TOKEN.into());
            let url = format!("http://{}", running.http());
            host = Some(running);
            url
        }
    };
    names.extend(arguments.sets.iter().cloned());
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("overair.toml");
    let file = arguments.requests.as_deref().unwrap_or(&ours);
    let description = Description::read(file)?;
    let mut targets = Vec::new();
    let first = Target::new(&url, description.clone(), names.clone(), arguments.devices).await?;
    targets.push(("a", first));
    if let Some(url) = &arguments.b {
        let description = match &arguments.b_requests {
            Some(file) => Description::read(file)?,
            None => description.clone(),
        };
        names.extend(arguments.b_sets.iter().cloned());
        targets.push(("b", Target::new(url, description, names, arguments.devices).await?));
    }
    let until = match arguments.count {
        Some(count) => Until::Count(count),
        None => Until::Time(Duration::from_millis(arguments.round_ms)),
    };
    let both = targets.len() > 1;
    for name in description.names() {
        let mut figures: Vec<Figures> = Vec::new();
        let mut loads = Vec::new();
        for (_, target) in &targets {
            let Some(request) = target.request(name) else { bail!("the second server is asked no `{name}`") };
            loads.push(Load::connect(target, request, arguments.connections).await?);
            figures.push(Figures::default());
        }
        // The first turn warms up.
        for turn in 0..=arguments.rounds {
            for (load, figures) in loads.iter_mut().zip(&mut figures) {
                let (rate, latencies) = load.round(until).await.with_context(|| name.to_owned())?;
                if turn > 0 {
                    figures.rates.push(rate);
                    figures.latencies.add(latencies);
                }
            }
        }
        for ((which, _), figures) in targets.iter().zip(&mut figures) {
            let prefix = if both { format!("{which}_{name}") } else { name.to_owned() };
            println!("{prefix}_rps: {:.0}", median(figures.rates.clone()));
            println!("{prefix}_p50_us: {}", figures.latencies.percentile(50.0));
            println!("{prefix}_p99_us: {}", figures.latencies.percentile(99.0));
        }
        if let [a, b] = figures.as_slice() {
            let ratios = a.rates.iter().zip(&b.rates).map(|(a, b)| a / b);
            println!("a_vs_b_{name}: {:.2}", median(ratios.collect()));
        }
    }
    drop(host);
    Ok(())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
