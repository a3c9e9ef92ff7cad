//! Measures devices that are connected to the host's own broker, on real sockets: how fast they come, what memory each takes,
//! what their keep-alives cost, and how fast they are told of an upgrade. Every device logs in with its own password, tells
//! its version once, and stays.
//!
//! The host runs in a process of its own, the devices in others, from several loopback addresses: one address has some
//! 28,000 ports, and a process may have only so many sockets.
//!
//! Prints one `figure: value` line for each figure.

mod client;
mod clients;
mod device;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use http::Method;
use serde_json::{Value, json};

use bench_support::child::{self, Child, Setup};
use bench_support::client::Connection;
use clients::Clients;

/// Devices registered with one request.
const REGISTER_MAX: usize = 1_000;
/// The highest rate that a batch may have when the service allows fast pushes.
const PUSH_PER_MINUTE_MAX: usize = 10_000;
/// How often it is asked how far things are.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How often the connection to the host is used at the least.
const KEEP_OPEN_EVERY: Duration = Duration::from_secs(5);
/// How long the last messages may take to be worked on, and the pushes to arrive.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures devices that are connected to the host's broker.
#[derive(Parser)]
struct Arguments {
    /// Devices. More than the machine allows are as many as it allows, and what was in the way is told.
    #[arg(long, default_value_t = 2_000)]
    devices: usize,
    /// Devices that log in at the same time.
    #[arg(long, default_value_t = 64)]
    at_once: usize,
    /// Seconds between two keep-alives of a device.
    #[arg(long, default_value_t = 60)]
    keep_alive: u16,
    /// Seconds for which the connected devices are watched while they do nothing else.
    #[arg(long, default_value_t = 20)]
    idle_seconds: u64,
    /// Runs the host for another process of this program, with its data here.
    #[arg(long, hide = true)]
    host: Option<PathBuf>,
    /// Runs some of the devices for another process of this program.
    #[command(flatten)]
    client: client::Arguments,
}

fn main() -> anyhow::Result<()> {
    let arguments = &Arguments::parse();
    let files = bench_support::raise_open_files()?;
    if let Some(data) = &arguments.host {
        return child::run(data, &[]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match &arguments.client.credentials {
        Some(credentials) => {
            let (at_once, keep_alive) = (arguments.at_once, arguments.keep_alive);
            runtime.block_on(client::run(&arguments.client, credentials, at_once, keep_alive))
        }
        None => runtime.block_on(measure(arguments, files)),
    }
}

async fn measure(arguments: &Arguments, files: u64) -> anyhow::Result<()> {
    ensure!(arguments.devices > 0, "a fleet has devices");
    let work = tempfile::tempdir().context("a folder for the host's data")?;
    let data = bench_support::data_with_compiled(work.path())?;
    let (host, _) = Child::start_with(&data, Setup { triggers: true, log_apart: true, ..Setup::default() })?;
    let mut api = Connection::open(host.http()).await?;
    let product = api.api(Method::POST, "/v1/products", &json!({ "name": "bench" }), 201).await?;
    let product_key = product["product_key"].as_str().context("no product key")?.to_owned();
    let credentials = register(&mut api, &product_key, arguments.devices).await?;
    println!("open_files_max: {files}");

    let before = host.resident_mib()?;
    let busy = host.busy()?;
    let began = Instant::now();
    let mut clients = Clients::start(arguments, &host, &product_key, &credentials, work.path(), files)?;
    let mut asked = Instant::now();
    let status = loop {
        let status = clients.status()?;
        if status.done {
            break status;
        }
        // A host that has run out of files takes no new connection, and an idle one it closes.
        if asked.elapsed() > KEEP_OPEN_EVERY {
            api.api(Method::GET, "/v1/settings", &Value::Null, 200).await?;
            asked = Instant::now();
        }
        tokio::time::sleep(ASK_EVERY).await;
    };
    ensure!(status.connected > 0, "no device is connected: {}", status.first_failure);
    let connected = status.connected as f64;
    println!("connected: {}", status.connected);
    if status.failed > 0 {
        println!("not_connected: {}", status.failed);
        println!("stopped_by: {}", status.first_failure);
    }
    println!("connect_per_s: {:.0}", connected * 1e3 / status.connected_ms as f64);
    println!("client_processes: {}", clients.len());

    // The broker has acknowledged the reports, and the functions are still at them.
    let versions = format!("/v1/products/{product_key}/versions");
    loop {
        if told(&mut api, &versions).await? >= status.connected as u64 {
            break;
        }
        ensure!(began.elapsed() < PATIENCE.mul_f64(1.0 + connected / 1_000.0), "not all reports are noted");
        tokio::time::sleep(ASK_EVERY).await;
    }
    println!("reported_per_s: {:.0}", connected / began.elapsed().as_secs_f64());
    println!("login_and_report_cpu_us: {:.0}", (host.busy()? - busy).as_secs_f64() * 1e6 / connected);
    let resident = host.resident_mib()?;
    println!("resident_mib: {resident:.1}");
    println!("resident_kib_per_connection: {:.1}", (resident - before) * 1024.0 / connected);

    let busy = host.busy()?;
    let idle = Duration::from_secs(arguments.idle_seconds);
    // Whatever the devices do, the connection to the host must not be idle for so long that it is closed.
    let watched = Instant::now();
    while watched.elapsed() < idle {
        tokio::time::sleep(KEEP_OPEN_EVERY.min(idle.saturating_sub(watched.elapsed()))).await;
        api.api(Method::GET, "/v1/settings", &Value::Null, 200).await?;
    }
    let idle_busy = (host.busy()? - busy).as_secs_f64();
    // Milliseconds of a processor in each second.
    let per_thousand = idle_busy * 1e3 / idle.as_secs_f64() / (connected / 1e3);
    println!("idle_cpu_ms_per_s_per_1000: {per_thousand:.2}");

    // A host that has no file left has none for the dispatcher's connection to the broker either.
    if status.failed == 0 {
        push(&mut api, &product_key, &mut clients, status.connected).await?;
    }
    println!("resident_after_mib: {:.1}", host.resident_mib()?);
    let lost = clients.status()?.lost;
    println!("lost: {lost}");
    Ok(())
}

/// Pushes to all devices, or as many as a batch may push to within a minute, and waits until they have it.
async fn push(
    api: &mut Connection,
    product_key: &str,
    clients: &mut Clients,
    connected: usize,
) -> anyhow::Result<()> {
    let fast = json!({ "settings": { "fast_push": true } });
    api.api(Method::PATCH, "/v1/settings", &fast, 200).await?;
    let upload = api.api(Method::POST, "/v1/uploads?file_name=bench.bin", &json!("bytes"), 201).await?;
    let package = json!({
        "product_key": product_key, "name": "bench", "target_version": "2.0.0",
        "upload_id": upload["upload_id"], "needs_verification": false,
    });
    let package = api.api(Method::POST, "/v1/packages", &package, 201).await?;
    let batch = json!({
        "package_id": package["package_id"], "target": { "selection": "all" },
        "push_per_minute_max": PUSH_PER_MINUTE_MAX,
    });
    let wanted = connected.min(PUSH_PER_MINUTE_MAX);
    let began = Instant::now();
    api.api(Method::POST, "/v1/batches", &batch, 201).await?;
    while clients.status()?.pushed < wanted {
        ensure!(began.elapsed() < PATIENCE, "not all pushes have arrived");
        tokio::time::sleep(ASK_EVERY).await;
    }
    let took = began.elapsed().as_secs_f64();
    println!("pushed: {wanted}");
    println!("push_s: {took:.2}");
    println!("push_per_s: {:.0}", wanted as f64 / took);
    Ok(())
}

/// Registers devices, and returns their names and secrets as lines of a file.
async fn register(api: &mut Connection, product_key: &str, devices: usize) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::with_capacity(devices);
    let path = format!("/v1/products/{product_key}/devices");
    while lines.len() < devices {
        let some = lines.len()..devices.min(lines.len() + REGISTER_MAX);
        let some: Vec<Value> = some.map(|number| json!({ "name": format!("dev-{number:07}") })).collect();
        let told = api.api(Method::POST, &path, &json!({ "devices": some }), 201).await?;
        for device in told["devices"].as_array().context("no devices are told")? {
            let field = |name: &str| device[name].as_str().map(str::to_owned);
            let (name, secret) = field("name").zip(field("secret")).context("a device has no secret")?;
            lines.push(format!("{name},{secret}"));
        }
    }
    Ok(lines)
}

/// Returns how many devices the service knows a version of.
async fn told(api: &mut Connection, versions: &str) -> anyhow::Result<u64> {
    let (mut counted, mut cursor) = (0, None::<String>);
    loop {
        let from = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        let part = api.api(Method::GET, &format!("{versions}{from}"), &Value::Null, 200).await?;
        let versions = part["versions"].as_array().context("statistics have versions")?;
        counted += versions.iter().filter_map(|version| version["devices"].as_u64()).sum::<u64>();
        match part["next_cursor"].as_str() {
            None => return Ok(counted),
            Some(next) => cursor = Some(next.to_owned()),
        }
    }
}
