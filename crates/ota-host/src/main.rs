//! Runs a Spin application manifest in one process.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use ota_host::Host;
use ota_host::keyvalue::KeyValueMode;
use ota_host::metrics::{KeyValueCounts, Metrics};
use ota_host::variables::parse_argument;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// Runs a Spin application manifest in one process: HTTP, cron and MQTT triggers, key-value on SQLite, and an MQTT
/// broker.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The manifest.
    #[arg(long, short, default_value = "spin.toml")]
    from: PathBuf,
    /// Where the key-value store and compiled components are kept.
    #[arg(long, default_value = ".overair")]
    data_dir: PathBuf,
    /// Where HTTP is served; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Where the MQTT broker listens; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:1883")]
    mqtt_listen: SocketAddr,
    /// Runs no broker: the one the manifest names is somewhere else.
    #[arg(long)]
    no_broker: bool,
    /// A variable's value: `name=value`, `name=@file`, `@file.toml` or `@file.json`. `${http_port}` and `${mqtt_port}`
    /// in a value stand for the ports that were bound.
    #[arg(long, value_name = "NAME=VALUE")]
    variable: Vec<String>,
    /// What a compare-and-swap from an absent key does: insert only if still absent, or overwrite as Spin does.
    #[arg(long, value_enum, default_value_t = Mode::Correct)]
    key_value_mode: Mode,
    /// Serves a component that the manifest does not have.
    #[arg(long, value_name = "ROUTE=FILE")]
    mount: Vec<String>,
    /// Runs another file in place of a component's source.
    #[arg(long, value_name = "COMPONENT=FILE")]
    component: Vec<String>,
    /// Counts the instructions that components take, at some cost of speed, and logs them at the end.
    #[arg(long)]
    count_instructions: bool,
    /// Leaves out the cron and MQTT triggers.
    #[arg(long)]
    no_triggers: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Correct,
    Spin,
}

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes, and no backtrace: what is wrong is outside of this program.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .or_else(|_| tracing_subscriber::EnvFilter::try_new("info,rmqtt=warn,rmqtt_net=warn"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(Arguments::parse()))
}

/// Lets the process open as many files as it may: each connected device is one, and most systems give a thousand unless asked.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut host = Host::builder(&arguments.from)
        .data_dir(&arguments.data_dir)
        .http_listen(arguments.listen)
        .key_value_mode(match arguments.key_value_mode {
            Mode::Correct => KeyValueMode::Correct,
            Mode::Spin => KeyValueMode::SpinQuirks,
        });
    if !arguments.no_broker {
        host = host.mqtt_listen(arguments.mqtt_listen);
    }
    for argument in &arguments.variable {
        host = host.variables(parse_argument(argument)?);
    }
    for argument in &arguments.mount {
        let (route, file) = argument.split_once('=').context("a mount is given as `/route=file.wasm`")?;
        host = host.mount(route, file);
    }
    for argument in &arguments.component {
        let (name, file) = argument.split_once('=').context("a component is given as `name=file.wasm`")?;
        host = host.component_override(name, file);
    }
    if arguments.count_instructions {
        host = host.count_instructions();
    }
    if arguments.no_triggers {
        host = host.without_triggers();
    }
    let running = host.start().await?;
    match running.mqtt_addr() {
        Some(mqtt) => println!("ready http={} mqtt={mqtt}", running.http_addr()),
        None => println!("ready http={}", running.http_addr()),
    }
    let metrics = running.metrics();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut asked = signal(SignalKind::user_defined1())?;
    loop {
        tokio::select! {
            result = tokio::signal::ctrl_c() => break result?,
            _ = terminate.recv() => break,
            _ = asked.recv() => tell(&metrics),
        }
    }
    running.shutdown().await;
    tell(&metrics);
    Ok(())
}

/// Logs what was counted: at the end, and whenever `SIGUSR1` asks for it.
fn tell(metrics: &Metrics) {
    let KeyValueCounts { reads, writes, swaps, increments } = metrics.key_value();
    let redis_commands = metrics.redis_commands();
    tracing::info!(reads, writes, swaps, increments, redis_commands, "key-value operations");
    for (component, bytes) in metrics.peak_memory() {
        tracing::info!(%component, bytes, "peak memory of an instance");
    }
    for (component, (requests, instructions)) in metrics.instructions() {
        tracing::info!(%component, requests, instructions, "instructions of instances that have ended");
    }
}
