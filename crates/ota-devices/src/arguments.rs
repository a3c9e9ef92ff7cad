//! The command line.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use ota_devices::Timing;
use ota_devices::story::StoryConfig;

use crate::millis;

/// Simulated devices that are real MQTT and HTTP clients, and the story of the demo.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs devices: they report their version, wait for upgrades and perform them, and some fail on purpose.
    Run(RunArguments),
    /// Registers a fleet, upgrades it and checks what came of every device.
    Story(StoryArguments),
}

#[derive(Args)]
pub(crate) struct RunArguments {
    /// The broker.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1883", value_parser = host_and_port)]
    pub(crate) mqtt: (String, u16),
    /// Downloads from here in place of the host in the pushed URLs.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// The product the devices belong to.
    #[arg(long)]
    pub(crate) product_key: String,
    /// Names and secrets: JSON, or CSV lines of `name,secret`; `-` is one line of JSON on standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: PathBuf,
    /// Runs only these of them.
    #[arg(long, value_name = "NAME", value_delimiter = ',', num_args = 1..)]
    pub(crate) devices: Vec<String>,
    /// Which devices fail, and how each behaves, follows from this.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many devices of a hundred fail on purpose.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) fail_percent: u8,
    /// The version the devices run at first.
    #[arg(long, default_value = "1.0.0")]
    pub(crate) firmware: String,
    /// Prints every event as a line of JSON.
    #[arg(long)]
    pub(crate) events: bool,
    /// How fast a device downloads, give or take a half; 0 is as fast as it can.
    #[arg(long, default_value_t = 700_000)]
    pub(crate) bytes_per_second: u32,
    /// How many devices download at once.
    #[arg(long, default_value_t = 32)]
    pub(crate) downloads_max: usize,
    /// How long writing the image takes.
    #[arg(long, default_value_t = 500)]
    pub(crate) flash_ms: u64,
    /// How long a restart takes.
    #[arg(long, default_value_t = 1000)]
    pub(crate) reboot_ms: u64,
    /// How long a device that goes offline stays away.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) nap_ms: u64,
    /// Stops each device after so many attempts to upgrade.
    #[arg(long)]
    pub(crate) attempts_max: Option<u32>,
    /// Ends when standard input does.
    #[arg(long)]
    pub(crate) leash: bool,
}

impl RunArguments {
    pub(crate) fn timing(&self) -> Timing {
        Timing {
            bytes_per_second: (self.bytes_per_second > 0).then_some(self.bytes_per_second),
            flash: millis(self.flash_ms),
            reboot: millis(self.reboot_ms),
            nap: millis(self.nap_ms),
            ask_every: millis(5000),
            ..Timing::default()
        }
    }
}

#[derive(Args)]
pub(crate) struct StoryArguments {
    /// The service.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    base_url: String,
    /// The broker.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1883", value_parser = host_and_port)]
    mqtt: (String, u16),
    /// The operator's token.
    #[arg(long, env = "OVERAIR_API_TOKEN", hide_env_values = true)]
    token: String,
    /// Devices of the fleet.
    #[arg(long, default_value_t = 50)]
    devices: usize,
    /// Which devices fail, and how each behaves, follows from this.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many devices of a hundred fail on purpose.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u8).range(0..=100))]
    fail_percent: u8,
    /// Size of the package.
    #[arg(long, default_value_t = 3072, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    package_kib: u32,
    /// How long the story may take.
    #[arg(long, default_value_t = 300)]
    within_seconds: u64,
    /// Writes how it ended, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Leaves the devices running after the story.
    #[arg(long)]
    pub(crate) stay: bool,
    /// Ends when standard input does.
    #[arg(long)]
    pub(crate) leash: bool,
    /// More arguments for the devices, see `run --help`.
    #[arg(last = true)]
    device_arguments: Vec<String>,
}

impl StoryArguments {
    pub(crate) fn config(&self) -> anyhow::Result<StoryConfig> {
        let (host, port) = &self.mqtt;
        Ok(StoryConfig {
            base_url: self.base_url.clone(),
            mqtt: format!("{host}:{port}"),
            token: self.token.clone(),
            devices: self.devices,
            seed: self.seed,
            fail_percent: self.fail_percent,
            package_bytes: self.package_kib as usize * 1024,
            within: millis(self.within_seconds * 1000),
            program: std::env::current_exe().context("this program's own file")?,
            device_arguments: self.device_arguments.clone(),
        })
    }
}

/// Reads `host:port`, with or without `mqtt://` before it.
fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let bare = text.strip_prefix("mqtt://").unwrap_or(text);
    let (host, port) = bare.rsplit_once(':').ok_or("expected host:port")?;
    let port = port.parse().map_err(|_| format!("`{port}` is no port"))?;
    if host.is_empty() { Err("expected host:port".to_owned()) } else { Ok((host.to_owned(), port)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_broker_is_a_host_and_a_port() {
        assert_eq!(host_and_port("127.0.0.1:1883"), Ok(("127.0.0.1".to_owned(), 1883)));
        assert_eq!(host_and_port("mqtt://broker:1"), Ok(("broker".to_owned(), 1)));
        for bad in ["127.0.0.1", ":1883", "h:x", "h:99999"] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
    }
}
