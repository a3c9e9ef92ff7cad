//! The host as a child process: the program that ships, on free ports and in a folder of its own.
//!
//! A process and not the library: it can be killed as a power cut kills it, its memory is its own, and the tests link in
//! a moment.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::redis::RedisServer;
use crate::spin::SpinProcess;

/// How long the host may take to be ready: the first start of all compiles every component.
const READY_WITHIN: Duration = Duration::from_secs(240);
/// The words that what the host has counted begins with, how long it may take to say them, and how often to look.
const COUNTED: &str = "key-value operations";
const TELLS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How many lines of the log a failing test shows.
const LOG_LINES: usize = 60;
/// The port that takes a free one.
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// The host.
const HOST: &str = "ota-host";
/// What stands in for a host of wasmCloud.
const WASMCLOUD: &str = "wasmcloud-host";

/// Names the engine that the service runs on, as `cargo xtask test --engine` does.
const ENGINE: &str = "OVERAIR_ENGINE";
/// The manifest of the service.
const SERVICE: &str = "spin.toml";

/// Whether the service runs on Spin itself, with the embedded host beside it as broker and clock.
pub fn is_spin() -> bool {
    std::env::var(ENGINE).is_ok_and(|engine| engine == "spin")
}

/// A host that runs until this is dropped. Its data stay for a restart, and go with it at last.
pub struct HostProcess {
    program: &'static str,
    /// Where the service keeps everything, if not in the host.
    _redis: Option<RedisServer>,
    /// What runs the functions, if not the host: it is the broker and the clock then.
    spin: Option<SpinProcess>,
    arguments: Vec<String>,
    data: TempDir,
    child: Child,
    http: SocketAddr,
    mqtt: Option<SocketAddr>,
}

impl HostProcess {
    /// Starts the host on a manifest of this workspace and waits until it is ready.
    ///
    /// # Panics
    /// If the programs are not built, or the host does not come up.
    pub fn start(manifest: &str, arguments: impl IntoIterator<Item = String>) -> Self {
        let is_service = manifest == SERVICE;
        let manifest = workspace().join(manifest);
        let data = tempfile::tempdir().expect("a folder for the host's data");
        share_compiled_components(data.path());
        let mut all = vec!["--from".to_owned(), text(&manifest)];
        all.extend(["--data-dir".to_owned(), text(data.path())]);
        all.extend(components(&manifest));
        all.extend(arguments);
        let (redis, spin_port) = if is_service { engine(&mut all) } else { (None, None) };
        let mut host = Self::start_program(HOST, all, data);
        host._redis = redis;
        host.spin = spin_port.map(|port| SpinProcess::start(SERVICE, port, host.variables()));
        host
    }

    /// Starts what stands in for a host of wasmCloud, on a component that is built for one, and waits until it is ready.
    ///
    /// # Panics
    /// If the programs are not built, or it does not come up.
    pub fn start_wasmcloud(name: &str, arguments: impl IntoIterator<Item = String>) -> Self {
        let data = tempfile::tempdir().expect("a folder for the host's data");
        share_compiled_components(data.path());
        let mut all = vec!["--component".to_owned(), text(&component(name))];
        all.extend(["--data-dir".to_owned(), text(data.path())]);
        all.extend(arguments);
        Self::start_program(WASMCLOUD, all, data)
    }

    fn start_program(program: &'static str, arguments: Vec<String>, data: TempDir) -> Self {
        let (child, http, mqtt) = spawn(program, &arguments, data.path(), ANY_PORT, ANY_PORT);
        Self { program, arguments, data, child, http, mqtt, _redis: None, spin: None }
    }

    /// Returns the variables, as an engine beside the host is given them.
    fn variables(&self) -> impl Iterator<Item = String> {
        let broker = self.mqtt().port().to_string();
        let pairs = self.arguments.windows(2).filter(|pair| pair[0] == "--variable");
        pairs.map(move |pair| pair[1].replace("${mqtt_port}", &broker))
    }

    /// Where HTTP is served.
    pub fn http(&self) -> SocketAddr {
        self.spin.as_ref().map_or(self.http, SpinProcess::http)
    }

    /// Where the broker listens.
    ///
    /// # Panics
    /// If it runs none.
    pub fn mqtt(&self) -> SocketAddr {
        self.mqtt.expect("this host runs a broker")
    }

    /// Ends the host as a power cut does, without a word to it.
    ///
    /// # Panics
    /// If it had ended by itself.
    pub fn kill(&mut self) {
        let ended = self.child.try_wait().expect("the child can be asked");
        assert!(ended.is_none(), "the host had ended by itself: {ended:?}");
        self.end();
    }

    /// Ends the host as an operator does, and waits for it. At its end it logs what it has counted.
    ///
    /// # Panics
    /// If it does not end well.
    pub fn stop(&mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("the host has not ended by itself");
        let status = self.child.wait().expect("the child can be waited for");
        assert!(status.success(), "the host has failed: {status}");
    }

    /// Asks the host for what it has counted, and returns its log with it.
    ///
    /// # Panics
    /// If it does not tell.
    pub fn tell(&self) -> String {
        // What it tells is several lines; once the first of the second time is there, the first time is complete.
        for _ in 0..2 {
            let told = |log: &str| log.matches(COUNTED).count();
            let before = told(&self.log());
            kill_process(Pid::from_child(&self.child), Signal::USR1).expect("the host runs");
            let asked = Instant::now();
            while told(&self.log()) == before {
                assert!(asked.elapsed() < TELLS_WITHIN, "the host does not tell what it has counted");
                thread::sleep(LOOK_EVERY);
            }
        }
        self.log()
    }

    /// Starts a host again that was killed or stopped, on the same data and ports.
    pub fn start_again(&mut self) {
        let mqtt = self.mqtt.unwrap_or(ANY_PORT);
        let (child, http, mqtt) = spawn(self.program, &self.arguments, self.data.path(), self.http, mqtt);
        (self.child, self.http, self.mqtt) = (child, http, mqtt);
    }

    /// Returns what the host has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(log_file(self.data.path())).unwrap_or_default()
    }

    /// Returns the most memory that the host has ever held, in bytes.
    ///
    /// # Panics
    /// Where the system does not tell.
    pub fn peak_memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
        kib * 1024
    }

    /// Returns the most linear memory in bytes that one instance of a component has held, once the host is stopped.
    ///
    /// # Panics
    /// If the component has not run.
    pub fn component_memory(&self, component: &str) -> u64 {
        let words = format!("peak memory of an instance component={component} bytes=");
        let log = self.log();
        let told = log.lines().find_map(|line| line.split_once(&words)?.1.trim().parse().ok());
        told.unwrap_or_else(|| panic!("the log says nothing of the memory of {component}"))
    }

    fn end(&mut self) {
        // A child that has ended already is as good.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Returns the arguments that give a variable its value, told as `name=value`.
pub fn variable(variable: String) -> [String; 2] {
    ["--variable".to_owned(), variable]
}

/// Adds what the chosen engine takes. For Spin that is a port for it too: it and the host share a Redis.
fn engine(arguments: &mut Vec<String>) -> (Option<RedisServer>, Option<u16>) {
    let chosen = std::env::var(ENGINE);
    match chosen.as_deref() {
        Err(_) => (None, None),
        Ok("spin-quirks") => {
            arguments.extend(["--key-value-mode", "spin"].map(str::to_owned));
            (None, None)
        }
        Ok(engine @ ("redis" | "spin")) => {
            let redis = RedisServer::start();
            arguments.extend(redis.variables().into_iter().flat_map(variable));
            let port = (engine == "spin").then(SpinProcess::free_port);
            if let Some(port) = port {
                let port = port.to_string();
                arguments.iter_mut().for_each(|argument| *argument = argument.replace("${http_port}", &port));
            }
            (Some(redis), port)
        }
        Ok(other) => panic!("{ENGINE}: these tests do not run on {other:?}"),
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        self.end();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- the host's log");
            for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
                eprintln!("{line}");
            }
        }
    }
}

/// Returns the folder with the workspace's manifests.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of a workspace")
}

/// Returns a program of this workspace, built for this machine.
///
/// # Panics
/// If it is not built.
pub fn program(name: &str) -> PathBuf {
    let file = build_folder().join(name);
    assert!(
        file.is_file(),
        "{} is not there: run `cargo build -p {name}`, or `cargo xtask test`",
        file.display()
    );
    file
}

/// Returns a component, by the name of its file without the suffix.
///
/// # Panics
/// If it is not built.
pub fn component(name: &str) -> PathBuf {
    let folder = std::env::var_os("OVERAIR_WASM_DIR").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| {
        let target = build_folder().parent().expect("a profile's folder is in the target folder").to_owned();
        target.join("wasm32-wasip2").join("wasm")
    });
    let file = folder.join(format!("{name}.wasm"));
    assert!(
        file.is_file(),
        "{} is not there: run `cargo xtask build`, or `cargo xtask test`",
        file.display()
    );
    file
}

/// The folder that the tests were built to: theirs is `deps` in it.
fn build_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    test.parent().and_then(Path::parent).expect("a test's file is in a folder of its profile").to_owned()
}

/// The components of a manifest as arguments: wherever they were built to, and not where the manifest says.
fn components(manifest: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(manifest).expect("a manifest");
    let names = text.lines().filter_map(|line| line.strip_prefix("[component.")?.strip_suffix(']'));
    let names = names.filter(|name| !name.contains('.'));
    names
        .flat_map(|name| {
            let file = component(&name.replace('-', "_"));
            ["--component".to_owned(), format!("{name}={}", file.display())]
        })
        .collect()
}

/// All tests share what is compiled: it is named by what it was compiled from.
fn share_compiled_components(data: &Path) {
    let shared = build_folder().join("compiled-components");
    std::fs::create_dir_all(&shared).expect("a folder for compiled components");
    std::os::unix::fs::symlink(&shared, data.join("cache")).expect("a link to it");
}

fn spawn(
    name: &str,
    arguments: &[String],
    data: &Path,
    http: SocketAddr,
    mqtt: SocketAddr,
) -> (Child, SocketAddr, Option<SocketAddr>) {
    let log = OpenOptions::new().create(true).append(true).open(log_file(data)).expect("a log file");
    let log_for_panics: File = log.try_clone().expect("a log file twice");
    let mut child = Command::new(program(name))
        .args(arguments)
        .args(["--listen", &http.to_string(), "--mqtt-listen", &mqtt.to_string()])
        .current_dir(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log_for_panics)
        .spawn()
        .expect("the host starts");
    let stdout = child.stdout.take().expect("its output is a pipe");
    let (told, ready) = mpsc::channel();
    // Reads on after the ready line, so that the host can always write.
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(addresses) = parse_ready(&line) {
                let _nobody_waits = told.send(addresses);
            }
        }
    });
    match ready.recv_timeout(READY_WITHIN) {
        Ok((http, mqtt)) => (child, http, mqtt),
        Err(why) => {
            let _ended = child.kill();
            let status = child.wait();
            let log = std::fs::read_to_string(log_file(data)).unwrap_or_default();
            let why = match why {
                RecvTimeoutError::Timeout => "is not ready in time",
                RecvTimeoutError::Disconnected => "has ended before it was ready",
            };
            panic!("the host {why} ({status:?}); its log:\n{log}");
        }
    }
}

/// Reads `ready http=127.0.0.1:3000 mqtt=127.0.0.1:1883`.
fn parse_ready(line: &str) -> Option<(SocketAddr, Option<SocketAddr>)> {
    let mut words = line.strip_prefix("ready ")?.split_whitespace();
    let http = words.next()?.strip_prefix("http=")?.parse().ok()?;
    let mqtt = words.next().and_then(|word| word.strip_prefix("mqtt=")?.parse().ok());
    Some((http, mqtt))
}

fn log_file(data: &Path) -> PathBuf {
    data.join("host.log")
}

fn text(path: &Path) -> String {
    path.to_str().expect("paths of tests are text").to_owned()
}
