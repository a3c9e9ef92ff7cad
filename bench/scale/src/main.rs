//! Measures a batch over fleets of several sizes, on the service as it ships: registering devices, their first reports, the
//! batch, giving out its tasks, progress, walks, lists, canceling. What counts is what a step costs for one device of a large
//! fleet next to one of a small fleet: about 1 means that the cost is linear.
//!
//! Costs are processor time of the host, which other work on the machine changes little, and operations on the store, which
//! it does not change at all; seconds are told as well.
//!
//! Prints one `figure: value` line for each figure.

mod fleet;
mod push;
mod step;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Parser;

use bench_support::child::{self, Child, Setup, Store};
use bench_support::redis::Fsync;
use fleet::Fleet;
use step::{Course, Steps};

/// Measures a batch over fleets of several sizes.
#[derive(Parser)]
struct Arguments {
    /// Sizes of fleets, the one that is compared with first.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000])]
    devices: Vec<usize>,
    /// Connections over which devices report.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Connections over which devices are registered, a thousand with each request.
    #[arg(long, default_value_t = 32)]
    register_connections: usize,
    /// Devices that report progress, of each fleet.
    #[arg(long, default_value_t = 10_000)]
    progress: usize,
    /// Devices of a product of their own that are online and pushed to in one go.
    #[arg(long, default_value_t = 4_000)]
    pushes: usize,
    /// Where the service keeps everything.
    #[arg(long, value_enum, default_value_t)]
    store: Store,
    /// When Redis has to have a write on disk.
    #[arg(long, value_enum, default_value_t)]
    fsync: Fsync,
    /// Where the fleets' data lie meanwhile, some hundred MB for a hundred thousand devices; a temporary folder otherwise.
    #[arg(long)]
    work: Option<PathBuf>,
    /// Runs the host for another process of this program, with its data here.
    #[arg(long, hide = true)]
    host: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = &Arguments::parse();
    if let Some(data) = &arguments.host {
        return child::run(data, &[]);
    }
    ensure!(arguments.devices.iter().all(|devices| *devices > 0), "a fleet has devices");
    // One thread is more than enough to keep the host busy.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(arguments))
}

async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let mut courses = Vec::new();
    for devices in &arguments.devices {
        let work = match &arguments.work {
            Some(folder) => tempfile::tempdir_in(folder),
            None => tempfile::tempdir(),
        };
        let work = work.context("a folder for the host's data")?;
        courses.push(of_fleet(arguments, *devices, work.path()).await?);
    }
    for (index, course) in courses.iter().enumerate().skip(1) {
        course.compare_with(&courses[0]);
        if index > 1 {
            course.compare_with(&courses[index - 1]);
        }
    }
    Ok(())
}

/// Takes a fleet of one size through all steps, on a host of its own.
async fn of_fleet(arguments: &Arguments, devices: usize, work: &Path) -> anyhow::Result<Course> {
    let data = bench_support::data_with_compiled(work)?;
    let setup = Setup { store: arguments.store, fsync: arguments.fsync, triggers: false, log_apart: true };
    let (host, _) = Child::start_with(&data, setup)?;
    let mut steps = Steps::new(host, &data, devices);
    let fleet = Fleet::new(&mut steps, devices).await?;
    fleet.register(&mut steps, arguments.register_connections).await?;
    fleet.report(&mut steps, arguments.connections).await?;
    let batch = fleet.create_batch(&mut steps).await?;
    fleet.expand(&mut steps, &batch).await?;
    let progressed = fleet.progress(&mut steps, arguments.connections, arguments.progress).await?;
    fleet.walk(&mut steps, &batch, progressed).await?;
    fleet.list(&mut steps, &batch).await?;
    fleet.versions(&mut steps).await?;
    fleet.cancel(&mut steps, &batch).await?;
    push::measure(&mut steps, arguments.connections, arguments.pushes).await?;
    steps.finish()
}
