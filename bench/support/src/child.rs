//! The host in a process of its own: its memory is then its own, and it can be asked what it has counted.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ota_host::Host;
use ota_host::manifest::Manifest;

/// Secrets of a host that lives for some seconds.
pub const API_TOKEN: &str = "operator";
/// The functions' own.
pub const INTERNAL_TOKEN: &str = "inside";

/// What the host is asked, one a line, and answers with one line.
const OPERATIONS: &str = "operations";
const MEMORY: &str = "memory";

/// The unit of the system's accounts of processor time: a hundredth of a second on every Linux.
const MILLIS_PER_TICK: u64 = 10;

/// A running host. It ends when this is dropped.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    http: SocketAddr,
}

impl Child {
    /// Starts the host on its data, and returns how long it took to be ready. It is this program, which calls [`run`] when
    /// it is started with `--host`.
    ///
    /// # Errors
    /// The host does not come up.
    pub fn start(data: &Path) -> anyhow::Result<(Self, Duration)> {
        let began = Instant::now();
        let mut process = Command::new(std::env::current_exe()?)
            .arg("--host")
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the host")?;
        let questions = process.stdin.take().context("the host has no input")?;
        let mut answers = BufReader::new(process.stdout.take().context("the host has no output")?);
        let ready = line(&mut answers).context("the host does not come up")?;
        let took = began.elapsed();
        Ok((Self { process, questions, answers, http: ready.parse()? }, took))
    }

    /// Where HTTP is served.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Key-value operations since the host's start.
    ///
    /// # Errors
    /// The host has ended.
    pub fn operations(&mut self) -> anyhow::Result<u64> {
        Ok(self.ask(OPERATIONS)?.parse()?)
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

    /// The time that the host has kept processors busy.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn busy(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The name before it may hold anything, a parenthesis too.
        let fields = stat.rsplit_once(')').context("no stat")?.1.split_whitespace();
        let ticks = fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * MILLIS_PER_TICK))
    }
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

/// Is the host, with components of the benchmark at routes of their own: says where it listens, and answers a line for each
/// that comes in.
///
/// # Errors
/// The host does not start.
pub fn run(data: &Path, mounts: &[(&str, &str)]) -> anyhow::Result<()> {
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
            // The clock would do its work in some rounds and not in others.
            .without_triggers();
        for (route, name) in mounts {
            host = host.mount(*route, component(name)?);
        }
        for name in Manifest::read(&manifest)?.components.keys() {
            host = host.component_override(name, component(&name.replace('-', "_"))?);
        }
        host.start().await
    })?;
    println!("{}", running.http_addr());
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
