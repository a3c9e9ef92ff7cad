//! Many devices in one process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::credentials::Credential;
use crate::device::{Device, DeviceConfig, Timing, http_client};
use crate::event::Watcher;
use crate::plan::Plan;
use crate::random::Random;

/// Within how many milliseconds of each other devices are switched on, for each device: logins come spread out, but
/// a hundred devices are not waited for longer than two seconds.
const START_SPREAD_MS: u64 = 20;

/// What a process full of devices needs to know.
#[derive(Clone)]
pub struct FleetConfig {
    /// The broker's host and port.
    pub mqtt: (String, u16),
    /// See [`DeviceConfig::base_url`].
    pub base_url: Option<String>,
    /// The product.
    pub product_key: String,
    /// All devices of the fleet: the plan is dealt to them.
    pub credentials: Vec<Credential>,
    /// The names to run; empty means all.
    pub only: BTreeSet<String>,
    /// The plan's seed.
    pub seed: u64,
    /// How many devices fail on purpose.
    pub fail_percent: u8,
    /// The version they run at first.
    pub version: String,
    /// How long things take. `bytes_per_second` is varied by up to a half for each device.
    pub timing: Timing,
    /// How many may download at once.
    pub downloads_max: usize,
    /// After how many attempts each device stops.
    pub attempts_max: Option<u32>,
    /// Who watches.
    pub watcher: Watcher,
}

/// Runs devices until all have stopped. Dropping the future switches all of them off.
///
/// # Errors
/// When a name is not among the credentials, or a device gave up.
pub async fn run_fleet(config: FleetConfig) -> anyhow::Result<()> {
    let names = config.credentials.iter().map(|credential| credential.name.as_str());
    let plan = Plan::deal(config.seed, names.clone(), config.fail_percent);
    let known: BTreeSet<&str> = names.collect();
    if let Some(unknown) = config.only.iter().find(|name| !known.contains(name.as_str())) {
        bail!("no credentials for {unknown}");
    }
    let http = http_client().context("no HTTP client")?;
    let downloads = Arc::new(Semaphore::new(config.downloads_max.max(1)));
    let running = |credential: &&Credential| config.only.is_empty() || config.only.contains(&credential.name);
    let spread = START_SPREAD_MS * config.credentials.iter().filter(running).count() as u64;

    let mut devices = JoinSet::new();
    for credential in config.credentials.iter().filter(running) {
        let mut random = Random::named(config.seed ^ 0x7469_6d69_6e67, &credential.name);
        let vary = |rate: u32| rate / 2 + u32::try_from(random.below(u64::from(rate))).unwrap_or_default();
        let timing = Timing {
            bytes_per_second: config.timing.bytes_per_second.map(vary),
            start_after: config.timing.start_after + Duration::from_millis(random.below(spread)),
            ..config.timing.clone()
        };
        let device = Device::new(DeviceConfig {
            mqtt: config.mqtt.clone(),
            product_key: config.product_key.clone(),
            credential: credential.clone(),
            version: config.version.clone(),
            behavior: plan.of(&credential.name),
            timing,
            seed: config.seed,
            base_url: config.base_url.clone(),
            http: http.clone(),
            downloads: downloads.clone(),
            watcher: config.watcher.clone(),
            attempts_max: config.attempts_max,
        });
        let name = credential.name.clone();
        devices.spawn(async move { device.run().await.with_context(|| name) });
    }
    let mut gave_up = Vec::new();
    while let Some(ended) = devices.join_next().await {
        match ended {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => gave_up.push(format!("{error:#}")),
            Err(error) => gave_up.push(error.to_string()),
        }
    }
    if gave_up.is_empty() {
        Ok(())
    } else {
        bail!("{} devices gave up: {}", gave_up.len(), gave_up.join("; "))
    }
}
