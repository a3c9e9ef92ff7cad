//! The host as a child.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::{Arguments, LOOK_EVERY};
use crate::guard::Guarded;
use crate::workspace::Workspace;

/// How long the host may take to be ready: at the first start it compiles every component.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// How many lines of the log are shown when the host has ended.
const LOG_LINES: usize = 30;

/// A running host.
pub(super) struct Host {
    guarded: Guarded,
    /// Where HTTP is reached from here.
    pub(super) http: SocketAddr,
    /// Where the broker is reached from here.
    pub(super) mqtt: SocketAddr,
    log: Option<PathBuf>,
}

impl Host {
    /// Starts the host and waits until it is ready.
    pub(super) fn start(
        workspace: &Workspace,
        arguments: &Arguments,
        data: &Path,
        variables: &Path,
        stop: &AtomicBool,
    ) -> anyhow::Result<Self> {
        let command = command(workspace, arguments, data, variables)?;
        // The demo redraws a line of the terminal: the log goes elsewhere.
        let log = arguments.demo.then(|| data.join("host.log"));
        let stderr = match &log {
            Some(log) => Stdio::from(File::create(log).with_context(|| log.display().to_string())?),
            None => Stdio::inherit(),
        };
        let mut guarded = Guarded::start(&command, Stdio::piped(), stderr)?;
        let stdout = guarded.stdout().context("the host has no output")?;
        match await_ready(&mut guarded, stdout, stop) {
            Ok((http, mqtt)) => Ok(Self { guarded, http: reachable(http), mqtt: reachable(mqtt), log }),
            Err(error) => {
                show(log.as_deref());
                Err(error)
            }
        }
    }

    /// Fails if the host has ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.guarded.ended()? {
            show(self.log.as_deref());
            bail!("the host has ended: {status}");
        }
        Ok(())
    }

    /// Where the host's log is, if not on the terminal.
    pub(super) fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }
}

fn command(
    workspace: &Workspace,
    arguments: &Arguments,
    data: &Path,
    variables: &Path,
) -> anyhow::Result<Command> {
    let mut host = Command::new(workspace.program("ota-host"));
    host.current_dir(&workspace.root)
        .args(["--from", "spin.toml", "--data-dir"])
        .arg(data)
        .args(["--listen", &arguments.listen.to_string()])
        .args(["--mqtt-listen", &arguments.mqtt_listen.to_string()])
        .args(["--variable", &format!("@{}", variables.display())]);
    // The host knows the ports once it has them, and puts them in.
    let inside = format!("http://{}:${{http_port}}", reachable_host(arguments.listen));
    let broker = format!("mqtt://{}:${{mqtt_port}}", reachable_host(arguments.mqtt_listen));
    let public = arguments.public_base_url.clone().unwrap_or_else(|| inside.clone());
    for (name, value) in
        [("internal_base_url", inside), ("public_base_url", public), ("mqtt_address", broker)]
    {
        host.args(["--variable", &format!("{name}={value}")]);
    }
    // The manifest names the usual folder; built elsewhere, the components are there.
    if workspace.target != workspace.root.join("target") {
        let manifest = std::fs::read_to_string(workspace.root.join("spin.toml")).context("spin.toml")?;
        let is_in_it = |name: &str| manifest.contains(&format!("[component.{name}]"));
        for package in workspace.components().filter(|package| is_in_it(&package.name)) {
            let file =
                workspace.wasm().join(format!("{}.wasm", package.component.as_deref().unwrap_or_default()));
            host.args(["--component", &format!("{}={}", package.name, file.display())]);
        }
    }
    Ok(host)
}

/// Waits for the ready line; what comes after it is printed as it comes.
fn await_ready(
    guarded: &mut Guarded,
    stdout: ChildStdout,
    stop: &AtomicBool,
) -> anyhow::Result<(SocketAddr, SocketAddr)> {
    let (told, ready) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            match parse_ready(&line) {
                Some(addresses) => {
                    let _nobody_waits = told.send(addresses);
                }
                None => println!("{line}"),
            }
        }
    });
    let until = Instant::now() + READY_WITHIN;
    while Instant::now() < until {
        match ready.recv_timeout(LOOK_EVERY) {
            Ok(addresses) => return Ok(addresses),
            Err(RecvTimeoutError::Disconnected) => bail!("the host has ended before it was ready"),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if stop.load(Ordering::SeqCst) {
            bail!("stopped");
        }
        if let Some(status) = guarded.ended()? {
            bail!("the host has ended before it was ready: {status}");
        }
    }
    bail!("the host was not ready within {} s", READY_WITHIN.as_secs())
}

/// Reads `ready http=127.0.0.1:3000 mqtt=127.0.0.1:1883`.
fn parse_ready(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = line.split_whitespace();
    if words.next() != Some("ready") {
        return None;
    }
    let (mut http, mut mqtt) = (None, None);
    for word in words {
        match word.split_once('=') {
            Some(("http", address)) => http = address.parse().ok(),
            Some(("mqtt", address)) => mqtt = address.parse().ok(),
            _ => {}
        }
    }
    Some((http?, mqtt?))
}

/// Turns "every address" into one that can be connected to.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn reachable_host(address: SocketAddr) -> String {
    match reachable(address) {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

/// Shows the end of the log.
fn show(log: Option<&Path>) {
    let Some(text) = log.and_then(|log| std::fs::read_to_string(log).ok()) else { return };
    let lines: Vec<&str> = text.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(LOG_LINES)) {
        eprintln!("    {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_tells_both_addresses() {
        let addresses = parse_ready("ready http=127.0.0.1:3000 mqtt=127.0.0.1:1883").unwrap();
        assert_eq!((addresses.0.port(), addresses.1.port()), (3000, 1883));
        for other in ["", "readiness http=1", "ready http=127.0.0.1:3000", "listening on http=127.0.0.1:3000"]
        {
            assert_eq!(parse_ready(other), None, "{other}");
        }
    }

    #[test]
    fn every_address_is_reached_by_the_local_one() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()), "127.0.0.1:80".parse().unwrap());
        assert_eq!(reachable_host("[::]:80".parse().unwrap()), "[::1]");
        assert_eq!(reachable_host("10.0.0.1:80".parse().unwrap()), "10.0.0.1");
    }
}
