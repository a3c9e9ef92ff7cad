//! Simulated devices, and the story of the demo.

mod arguments;
mod leash;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use ota_devices::{Event, FleetConfig, parse_credentials, run_fleet, story};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use arguments::{Arguments, Command, RunArguments, StoryArguments};

fn main() -> ExitCode {
    match start(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.command {
            Command::Run(arguments) => run(arguments).await,
            Command::Story(arguments) => tell(arguments).await,
        }
    })
}

async fn run(arguments: RunArguments) -> anyhow::Result<ExitCode> {
    let from_pipe = arguments.credentials.as_os_str() == "-";
    let text = if from_pipe {
        leash::first_line().context("standard input")?
    } else {
        let path = &arguments.credentials;
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
    };
    let credentials = parse_credentials(&text).context("credentials")?;
    let (watcher, events) = mpsc::unbounded_channel();
    let config = FleetConfig {
        mqtt: arguments.mqtt.clone(),
        base_url: arguments.base_url.clone(),
        product_key: arguments.product_key.clone(),
        credentials,
        only: arguments.devices.iter().cloned().collect(),
        seed: arguments.seed,
        fail_percent: arguments.fail_percent,
        version: arguments.firmware.clone(),
        timing: arguments.timing(),
        downloads_max: arguments.downloads_max,
        attempts_max: arguments.attempts_max,
        watcher: Some(watcher),
    };
    let printer = tokio::spawn(print(events, arguments.events));
    tokio::select! {
        ended = run_fleet(config) => {
            // The devices are gone and with them the channel's other end: what is left is printed.
            let _printed = printer.await;
            ended.map(|()| ExitCode::SUCCESS)
        }
        () = stopped(arguments.leash) => Ok(ExitCode::SUCCESS),
    }
}

async fn tell(arguments: StoryArguments) -> anyhow::Result<ExitCode> {
    let config = arguments.config()?;
    let told = async {
        let (report, devices) = story::tell(&config).await?;
        if let Some(path) = &arguments.report {
            write_report(path, &report)?;
        }
        if arguments.stay {
            devices.ended().await;
            bail!("the devices' process ended");
        }
        devices.stop().await;
        Ok(report.ok)
    };
    tokio::select! {
        told = told => Ok(if told? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        () = stopped(arguments.leash) => Ok(ExitCode::FAILURE),
    }
}

/// Waits for a signal to end, or for the end of whoever holds the leash.
async fn stopped(leashed: bool) {
    let leash = async {
        if leashed {
            leash::released().await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = leash => {}
        () = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Writes the report whole or not at all: somebody waits for the file to appear.
fn write_report(path: &Path, report: &story::Report) -> anyhow::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = std::fs::File::create(&unfinished).with_context(|| unfinished.display().to_string())?;
    serde_json::to_writer_pretty(&mut file, report)?;
    file.write_all(b"\n")?;
    std::fs::rename(&unfinished, path).with_context(|| path.display().to_string())
}

/// Prints what devices do: every event as JSON, or what matters as text.
async fn print(mut events: mpsc::UnboundedReceiver<Event>, as_json: bool) {
    while let Some(event) = events.recv().await {
        let line = if as_json { serde_json::to_string(&event).ok() } else { event.in_words() };
        let Some(line) = line else { continue };
        let mut out = std::io::stdout().lock();
        // A reader that went away is no reason for devices to stop.
        let _gone = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// Milliseconds of the command line.
fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
