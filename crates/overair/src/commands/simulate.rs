//! `overair simulate`: devices that are real MQTT and HTTP clients, to try the service with.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use ota_devices::{Event, FleetConfig, Timing, parse_credentials, run_fleet};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Context, device};
use crate::failure::Failure;
use crate::output::{Format, Output};
use crate::parse;

/// The port of an MQTT broker.
const MQTT_PORT: u16 = 1883;
/// Writing the image, a restart, and how long a device stays away that naps: long enough to watch.
const FLASH: Duration = Duration::from_millis(500);
const REBOOT: Duration = Duration::from_secs(1);
const NAP: Duration = Duration::from_secs(20);
const ASK_EVERY: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct Arguments {
    /// The product's key.
    #[arg(long)]
    product: String,
    /// How many devices; those that the product does not have yet are registered.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    devices: u16,
    /// The devices' names are this and a number.
    #[arg(long, default_value = "sim-")]
    prefix: String,
    /// The version that they run at first.
    #[arg(long, value_name = "VERSION", default_value = "1.0.0")]
    firmware: String,
    /// How many devices of a hundred fail on purpose.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = clap::value_parser!(u8).range(0..=100))]
    fail_percent: u8,
    /// Which devices fail, and how each behaves, follows from this.
    #[arg(long, default_value = "1")]
    seed: u64,
    /// How fast a device downloads, give or take a half; 0 is as fast as it can.
    #[arg(long, value_name = "BYTES", default_value = "700000")]
    bytes_per_second: u32,
    /// How many download at once.
    #[arg(long, value_name = "N", default_value = "32")]
    downloads_max: usize,
    /// The broker; port 1883 of the service's host otherwise.
    #[arg(long, value_name = "HOST:PORT", env = "OVERAIR_MQTT", value_parser = parse::host_and_port)]
    mqtt: Option<(String, u16)>,
    /// Downloads from here in place of the host in the URLs that devices are told.
    #[arg(long, value_name = "URL")]
    download_from: Option<String>,
    /// Ends after so long; with Ctrl-C otherwise.
    #[arg(long = "for", value_name = "DURATION", value_parser = parse::duration)]
    length: Option<Duration>,
}

/// Runs devices.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let names = (1..=arguments.devices).map(|n| json!({ "name": format!("{}{n:04}", arguments.prefix) }));
    let named: Vec<Value> = names.collect();
    // A device that is known already keeps its secret, and tells it.
    let registered = device::register(&context.client, &arguments.product, &named).await?;
    let credentials = parse_credentials(&registered.text).context("the answer is not as documented")?;
    let mqtt = arguments.mqtt.unwrap_or_else(|| (context.client.host(), MQTT_PORT));
    let (count, (host, port)) = (credentials.len(), &mqtt);
    context
        .output
        .note(&format!("{count} devices of {} at {host}:{port}; Ctrl-C ends them", arguments.product));

    let (watcher, events) = mpsc::unbounded_channel();
    let fleet = run_fleet(FleetConfig {
        mqtt,
        base_url: arguments.download_from,
        product_key: arguments.product,
        credentials,
        only: Default::default(),
        seed: arguments.seed,
        fail_percent: arguments.fail_percent,
        version: arguments.firmware,
        timing: Timing {
            bytes_per_second: (arguments.bytes_per_second > 0).then_some(arguments.bytes_per_second),
            flash: FLASH,
            reboot: REBOOT,
            nap: NAP,
            ask_every: ASK_EVERY,
            ..Timing::default()
        },
        downloads_max: arguments.downloads_max,
        attempts_max: None,
        watcher: Some(watcher),
    });
    tokio::select! {
        // They end by themselves only when all of them gave up; what they said is told first.
        ended = async {
            let fleet = async { fleet.await.map_err(|error| Failure::from(anyhow!("{error:#}"))) };
            tokio::try_join!(print(events, context.output), fleet)
        } => ended.map(|_| ()),
        () = stopped(arguments.length) => Ok(()),
    }
}

async fn stopped(length: Option<Duration>) {
    let over = async {
        match length {
            Some(length) => tokio::time::sleep(length).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

async fn print(mut events: mpsc::UnboundedReceiver<Event>, output: Output) -> Result<(), Failure> {
    while let Some(event) = events.recv().await {
        if output.quiet {
            continue;
        }
        let line = match output.format {
            Format::Json => serde_json::to_string(&event).ok(),
            Format::Table => event.in_words(),
        };
        if let Some(line) = line {
            output.lines([line])?;
        }
    }
    Ok(())
}
