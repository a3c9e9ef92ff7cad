//! `up`: the whole service on this machine, and the demo.

mod fleet;
mod host;
mod next;
mod secrets;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::build;
use crate::guard::Guarded;
use crate::step::Steps;
use crate::workspace::Workspace;
use host::Host;

pub(crate) use self::fleet::{Fleet, with_fleet};

/// How often children are looked after.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Registers a fleet of simulated devices, upgrades it, and tells what came of every device.
    #[arg(long)]
    demo: bool,
    /// Devices of the demo's fleet.
    #[arg(long, default_value_t = 50)]
    devices: usize,
    /// Which devices of the demo fail, and how, follows from this.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Ends after the demo, with its outcome.
    #[arg(long, requires = "demo")]
    exit: bool,
    /// Where HTTP is served; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Where the MQTT broker listens; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:1883")]
    mqtt_listen: SocketAddr,
    /// Where data and secrets are kept [default: .overair in the workspace]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// How devices reach downloads, when it is not the address listened on.
    #[arg(long, value_name = "URL")]
    public_base_url: Option<String>,
}

/// Why waiting ended.
enum Waited {
    /// What was waited for has come.
    Done(ExitCode),
    /// Somebody asked to stop.
    Stopped,
}

/// Runs the service until it is stopped, or until the demo is over.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // A second one ends this process at once; what it holds on a leash ends with it.
        signal_hook::flag::register_conditional_shutdown(signal, 130, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    check_port(arguments.listen, "--listen")?;
    check_port(arguments.mqtt_listen, "--mqtt-listen")?;

    let mut steps = Steps::default();
    steps.take("functions for wasm", || build::functions(workspace))?;
    steps.take("host, devices and command line", || build::programs(workspace, &build::PROGRAMS))?;

    let data = arguments.data_dir.clone().unwrap_or_else(|| workspace.root.join(".overair"));
    std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    // The host runs in the workspace's folder, wherever this command was called.
    let data = data.canonicalize().with_context(|| data.display().to_string())?;
    let variables = data.join("variables.toml");
    let token = secrets::ready(&variables)?;

    eprintln!("==> service");
    let mut host = Host::start(workspace, arguments, &data, &variables, &stop)?;
    eprintln!("    http://{}, broker at {}", host.http, host.mqtt);
    if !arguments.demo {
        next::steps_without_demo(&host, &token, &workspace.program("overair"));
        return wait(&stop, &mut host, None);
    }

    eprintln!("==> demo\n");
    let report = data.join("demo.json");
    let _older = std::fs::remove_file(&report);
    let mut story = start_story(workspace, arguments, &host, &token, &report)?;
    if arguments.exit {
        return wait(&stop, &mut host, Some((&mut story, None)));
    }
    match wait_for(&stop, &mut host, Some((&mut story, Some(&report))))? {
        Waited::Done(_) if report.is_file() => {
            next::steps_after_demo(&host, &token, &report, &workspace.program("overair"))?;
            wait(&stop, &mut host, None)
        }
        Waited::Done(_) => bail!("the demo did not come to its end"),
        Waited::Stopped => Ok(ExitCode::from(130)),
    }
}

fn check_port(address: SocketAddr, option: &str) -> anyhow::Result<()> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "{address} is in use, perhaps by a service that is already up: stop it or choose another with {option}"
        ),
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address} ({option})")),
    }
}

fn start_story(
    workspace: &Workspace,
    arguments: &Arguments,
    host: &Host,
    token: &str,
    report: &Path,
) -> anyhow::Result<Guarded> {
    let mut story = Command::new(workspace.program("ota-devices"));
    story
        .args(["story", "--base-url", &format!("http://{}", host.http), "--mqtt", &host.mqtt.to_string()])
        .args(["--devices", &arguments.devices.to_string(), "--seed", &arguments.seed.to_string()])
        .arg("--report")
        .arg(report)
        // Not on the command line, which everybody on this machine can read.
        .env("OVERAIR_API_TOKEN", token);
    if !arguments.exit {
        story.arg("--stay");
    }
    Guarded::start(&story, Stdio::inherit(), Stdio::inherit())
}

/// Waits until somebody asks to stop, or for the story.
fn wait(
    stop: &AtomicBool,
    host: &mut Host,
    story: Option<(&mut Guarded, Option<&Path>)>,
) -> anyhow::Result<ExitCode> {
    let alone = story.is_none();
    match wait_for(stop, host, story)? {
        Waited::Done(code) => Ok(code),
        // To be stopped is how a service ends; a demo that is stopped has not come to its end.
        Waited::Stopped if alone => Ok(ExitCode::SUCCESS),
        Waited::Stopped => Ok(ExitCode::from(130)),
    }
}

/// Waits for a signal, the end of the host, the end of the story or its report, whichever comes first.
fn wait_for(
    stop: &AtomicBool,
    host: &mut Host,
    mut story: Option<(&mut Guarded, Option<&Path>)>,
) -> anyhow::Result<Waited> {
    loop {
        if stop.load(Ordering::SeqCst) {
            eprintln!("\nstopping");
            return Ok(Waited::Stopped);
        }
        host.check()?;
        if let Some((story, report)) = &mut story {
            if report.is_some_and(Path::is_file) {
                return Ok(Waited::Done(ExitCode::SUCCESS));
            }
            if let Some(status) = story.ended()? {
                return Ok(Waited::Done(if status.success() {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                }));
            }
        }
        thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_said_to_be() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = check_port(taken.local_addr().unwrap(), "--listen").unwrap_err().to_string();
        assert!(error.contains("in use") && error.contains("--listen"), "{error}");
        drop(taken);
        check_port("127.0.0.1:0".parse().unwrap(), "--listen").unwrap();
    }
}
