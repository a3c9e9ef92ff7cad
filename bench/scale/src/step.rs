//! Steps, and what each of them cost.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use bench_support::child::Child;
use bench_support::client::Connection;

/// The host's store in its data folder, and the log of writes beside it.
const STORE_FILES: [&str; 2] = ["sqlite_key_value.db", "sqlite_key_value.db-wal"];
/// Redis keeps its files in this folder.
const REDIS_FOLDER: &str = "appendonlydir";
const BYTES_PER_MIB: f64 = 1024.0 * 1024.0;

/// A host that is taken through steps.
pub(crate) struct Steps {
    host: Child,
    data: PathBuf,
    label: String,
    taken: Vec<(&'static str, f64)>,
}

/// What the host had used up when a step began.
pub(crate) struct Begun {
    at: Instant,
    busy: Duration,
    operations: u64,
}

/// What each step of one fleet cost for a device.
pub(crate) struct Course {
    label: String,
    costs: Vec<(&'static str, f64)>,
}

impl Steps {
    pub(crate) fn new(host: Child, data: &Path, devices: usize) -> Self {
        let label = label(devices);
        Self { host, data: data.to_owned(), label, taken: Vec::new() }
    }

    pub(crate) fn server(&self) -> SocketAddr {
        self.host.http()
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(self.server()).await
    }

    /// Prints one figure of this fleet.
    pub(crate) fn print(&self, figure: &str, value: impl std::fmt::Display) {
        println!("{}_{figure}: {value}", self.label);
    }

    pub(crate) fn begin(&mut self) -> anyhow::Result<Begun> {
        Ok(Begun { at: Instant::now(), busy: self.host.busy()?, operations: self.host.operations()? })
    }

    /// Prints what a step cost that has just been done to `units` devices, and notes it for the comparison.
    pub(crate) fn end(&mut self, step: &'static str, begun: &Begun, units: usize) -> anyhow::Result<()> {
        let seconds = begun.at.elapsed().as_secs_f64();
        let busy = (self.host.busy()? - begun.busy).as_secs_f64();
        let operations = (self.host.operations()? - begun.operations) as f64;
        let each = |total: f64| total / units as f64;
        self.print(&format!("{step}_s"), format_args!("{seconds:.2}"));
        self.print(&format!("{step}_per_s"), format_args!("{:.0}", units as f64 / seconds));
        self.print(&format!("{step}_us"), format_args!("{:.1}", each(seconds * 1e6)));
        self.print(&format!("{step}_cpu_us"), format_args!("{:.1}", each(busy * 1e6)));
        self.print(&format!("{step}_kv_ops"), format_args!("{:.3}", each(operations)));
        self.print(&format!("{step}_resident_mib"), format_args!("{:.1}", self.host.resident_mib()?));
        self.taken.push((step, each(busy)));
        Ok(())
    }

    /// Prints what is left at the end.
    pub(crate) fn finish(self) -> anyhow::Result<Course> {
        let mut bytes = 0;
        for file in STORE_FILES {
            bytes += std::fs::metadata(self.data.join(file)).map_or(0, |file| file.len());
        }
        if let Some(redis) = self.host.redis() {
            self.print("redis_resident_mib", format_args!("{:.1}", redis.resident_mib()?));
            bytes = 0;
            for file in std::fs::read_dir(self.data.join(REDIS_FOLDER)).context("Redis has no files")? {
                bytes += file?.metadata()?.len();
            }
        }
        self.print("store_mib", format_args!("{:.1}", bytes as f64 / BYTES_PER_MIB));
        Ok(Course { label: self.label, costs: self.taken })
    }
}

impl Course {
    /// Prints how many times what it cost for a device of `other` each step cost for one of this fleet.
    pub(crate) fn compare_with(&self, other: &Self) {
        for ((step, cost), (_, of_other)) in self.costs.iter().zip(&other.costs) {
            println!("cost_{}_vs_{}_{step}: {:.2}", self.label, other.label, cost / of_other);
        }
    }
}

/// Returns how a size is called in figures: `10k`, `1m`.
fn label(devices: usize) -> String {
    match devices {
        _ if devices.is_multiple_of(1_000_000) => format!("{}m", devices / 1_000_000),
        _ if devices.is_multiple_of(1_000) => format!("{}k", devices / 1_000),
        _ => devices.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_short_names() {
        assert_eq!([label(10_000), label(1_000_000), label(2_500)], ["10k", "1m", "2500"]);
    }
}
