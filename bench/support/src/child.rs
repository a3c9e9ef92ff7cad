//! The host in a process of its own: its memory is then its own, and it can be asked what it has counted.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ota_host::Host;
use ota_host::manifest::Manifest;
use serde::{Deserialize, Serialize};

use crate::redis::{Fsync, Redis};

/// Secrets of a host that lives for some seconds.
pub const API_TOKEN: &str = "operator";
/// The functions' own.
pub const INTERNAL_TOKEN: &str = "inside";

/// What the host is asked, one a line, and answers with one line.
const OPERATIONS: &str = "operations";
const MEMORY: &str = "memory";

/// What the host's functions log, in its data folder.
const LOG_FILE: &str = "host.log";

/// Where the child finds how it is to run.
const SETUP: &str = "OVERAIR_BENCH_SETUP";

/// The unit of the system's accounts of processor time: a hundredth of a second on every Linux.
const MILLIS_PER_TICK: u64 = 10;

/// Where the service keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Store {
    /// In the engine's key-value store, which is a file.
    #[default]
    KeyValue,
    /// In Redis, which is started too.
    Redis,
}

/// How the host is to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    /// Where the service keeps everything.
    pub store: Store,
    /// When Redis has to have a write on disk.
    pub fsync: Fsync,
    /// Whether the clock and the broker's messages call functions. Most benchmarks do without: the clock would do its work in
    /// some rounds and not in others.
    pub triggers: bool,
    /// Whether what the functions log goes to a file in the data folder, rather than where this program's errors go: a line for
    /// each of a million reports is no reading.
    pub log_apart: bool,
}

/// What the child is told.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Told {
    variables: Vec<(String, String)>,
    triggers: bool,
}

/// A running host. It ends when this is dropped.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    http: SocketAddr,
    mqtt: SocketAddr,
    /// Ends after the host.
    redis: Option<Redis>,
}

impl Child {
    /// Starts the host on its data, and returns how long it took to be ready. It is this program, which calls [`run`] when
    /// it is started with `--host`.
    ///
    /// # Errors
    /// The host does not come up.
    pub fn start(data: &Path) -> anyhow::Result<(Self, Duration)> {
        Self::start_with(data, Setup::default())
    }

    /// Starts the host in another way than most benchmarks do.
    ///
    /// # Errors
    /// The host does not come up, or Redis does not.
    pub fn start_with(data: &Path, setup: Setup) -> anyhow::Result<(Self, Duration)> {
        std::fs::create_dir_all(data)?;
        let redis = match setup.store {
            Store::KeyValue => None,
            Store::Redis => Some(Redis::start(data, setup.fsync)?),
        };
        let variables = redis.iter().flat_map(|redis| {
            [("store".to_owned(), "redis".to_owned()), ("redis_address".to_owned(), redis.address())]
        });
        let told = Told { variables: variables.collect(), triggers: setup.triggers };
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--host").arg(data).env(SETUP, serde_json::to_string(&told)?);
        if setup.log_apart {
            command.stderr(File::create(data.join(LOG_FILE))?);
        }
        let began = Instant::now();
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start the host")?;
        let questions = process.stdin.take().context("the host has no input")?;
        let mut answers = BufReader::new(process.stdout.take().context("the host has no output")?);
        let ready = line(&mut answers).with_context(|| {
            let log = std::fs::read_to_string(data.join(LOG_FILE)).unwrap_or_default();
            format!("the host does not come up. {log}")
        })?;
        let took = began.elapsed();
        let (http, mqtt) = ready.split_once(' ').context("the host does not say where it listens")?;
        let (http, mqtt) = (http.parse()?, mqtt.parse()?);
        Ok((Self { process, questions, answers, http, mqtt, redis }, took))
    }

    /// Where HTTP is served.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where the broker listens.
    pub fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    /// The host's process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The Redis that the service keeps everything in, if it does.
    pub fn redis(&self) -> Option<&Redis> {
        self.redis.as_ref()
    }

    /// Operations on the store since the host's start; of Redis its commands.
    ///
    /// # Errors
    /// The host has ended, or Redis does not tell.
    pub fn operations(&mut self) -> anyhow::Result<u64> {
        match &self.redis {
            Some(redis) => redis.commands(),
            None => Ok(self.ask(OPERATIONS)?.parse()?),
        }
    }

    /// The most linear memory that one instance of a component has held since the host's start.
    ///
    /// # Errors
    /// The host has ended, or the component has not run.
    pub fn component_memory_mib(&mut self, component: &str) -> anyhow::Result<f64> {
        let told = self.ask(MEMORY)?;
        let bytes = told.split(' ').find_map(|pair| pair.strip_prefix(component)?.strip_prefix('='));
        let bytes: f64 = bytes.with_context(|| format!("{component} has not run"))?.parse()?;
        Ok(bytes / (1024.0 * 1024.0))
    }

    fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        writeln!(self.questions, "{question}")?;
        line(&mut self.answers)
    }

    /// Resident memory.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// The time that the host, and Redis if it runs, have kept processors busy.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn busy(&self) -> anyhow::Result<Duration> {
        let redis = self.redis.as_ref().map(|redis| busy(redis.id())).transpose()?;
        Ok(busy(self.process.id())? + redis.unwrap_or_default())
    }
}

/// The time that a process has kept processors busy.
fn busy(process: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before it may hold anything, a parenthesis too.
    let fields = stat.rsplit_once(')').context("no stat")?.1.split_whitespace();
    let ticks = fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * MILLIS_PER_TICK))
}

impl Drop for Child {
    fn drop(&mut self) {
        // Nothing is left to be said to it; what it has acknowledged is on disk.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn line(answers: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    if answers.read_line(&mut line)? == 0 {
        bail!("the host has ended");
    }
    Ok(line.trim_end().to_owned())
}

/// Is the host, with components of the benchmark at routes of their own: says where it listens, HTTP first and then MQTT, and
/// answers a line for each that comes in.
///
/// # Errors
/// The host does not start.
pub fn run(data: &Path, mounts: &[(&str, &str)]) -> anyhow::Result<()> {
    let told = match std::env::var(SETUP) {
        Ok(told) => serde_json::from_str(&told)?,
        Err(_) => Told::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let running = runtime.block_on(async {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spin.toml");
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut host = Host::builder(&manifest)
            .data_dir(data)
            .mqtt_listen(any_port)
            .variable("api_token", API_TOKEN)
            .variable("internal_token", INTERNAL_TOKEN)
            .variable("url_signing_key", "not secret here")
            .variable("secrets_key", "long enough, and not secret here")
            .variable("mqtt_password", "nor this")
            .variable("internal_base_url", "http://127.0.0.1:${http_port}")
            .variable("public_base_url", "http://127.0.0.1:${http_port}")
            .variable("mqtt_address", "mqtt://127.0.0.1:${mqtt_port}")
            .variables(told.variables);
        if !told.triggers {
            host = host.without_triggers();
        }
        for (route, name) in mounts {
            host = host.mount(*route, component(name)?);
        }
        for name in Manifest::read(&manifest)?.components.keys() {
            host = host.component_override(name, component(&name.replace('-', "_"))?);
        }
        host.start().await
    })?;
    let mqtt = running.mqtt_addr().context("the host has no broker")?;
    println!("{} {mqtt}", running.http_addr());
    let metrics = running.metrics();
    for question in std::io::stdin().lines() {
        if question? == MEMORY {
            let peaks = metrics.peak_memory();
            println!(
                "{}",
                peaks.iter().map(|(name, bytes)| format!("{name}={bytes}")).collect::<Vec<_>>().join(" ")
            );
        } else {
            println!("{}", metrics.key_value().total());
        }
    }
    runtime.block_on(running.shutdown());
    Ok(())
}

/// Finds a component where it was built to.
fn component(name: &str) -> anyhow::Result<PathBuf> {
    let folder = match std::env::var_os("OVERAIR_WASM_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let program = std::env::current_exe()?;
            let target =
                program.parent().and_then(Path::parent).context("this program is in no target folder")?;
            target.join("wasm32-wasip2").join("wasm")
        }
    };
    let file = folder.join(format!("{name}.wasm"));
    if !file.is_file() {
        bail!("{} is not there: run `cargo xtask build`, or `cargo xtask bench`", file.display());
    }
    Ok(file)
}
