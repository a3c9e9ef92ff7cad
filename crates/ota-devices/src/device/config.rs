//! What a device is made with, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::connection::CONNECT_TRIES_MAX;
use crate::credentials::Credential;
use crate::event::Watcher;
use crate::plan::Behavior;

/// How long things take on a device.
#[derive(Clone, Debug)]
pub struct Timing {
    /// From the start of [`Device::run`](super::Device::run) to the first connection.
    pub start_after: Duration,
    /// How fast it downloads; `None` is as fast as it can.
    pub bytes_per_second: Option<u32>,
    /// Writing the image.
    pub flash: Duration,
    /// From the old version's last word to the new version's first.
    pub reboot: Duration,
    /// How long a device that naps stays away.
    pub nap: Duration,
    /// Between two questions of a device that asks.
    pub ask_every: Duration,
    /// How long a lost MQTT connection stays lost.
    pub absence: Duration,
    /// The first pause between two tries to connect; it doubles each time, up to ten seconds.
    pub connect_pause: Duration,
}

impl Default for Timing {
    /// Brisk, for tests: a demo wants to be watched and takes longer.
    fn default() -> Self {
        Self {
            start_after: Duration::ZERO,
            bytes_per_second: None,
            flash: Duration::from_millis(20),
            reboot: Duration::from_millis(50),
            nap: Duration::from_secs(1),
            ask_every: Duration::from_secs(2),
            absence: Duration::from_millis(200),
            connect_pause: Duration::from_millis(500),
        }
    }
}

/// What a device needs to know to begin.
#[derive(Clone)]
pub struct DeviceConfig {
    /// The broker's host and port.
    pub mqtt: (String, u16),
    /// The product.
    pub product_key: String,
    /// Name and secret.
    pub credential: Credential,
    /// The version it runs at first.
    pub version: String,
    /// Its part.
    pub behavior: Behavior,
    /// How long things take.
    pub timing: Timing,
    /// For what little is left to chance: pauses between tries.
    pub seed: u64,
    /// Scheme, host and port to download from in place of those in the push, for devices that reach the service by
    /// another way.
    pub base_url: Option<String>,
    /// The HTTP client; share one among devices, see [`http_client`].
    pub http: reqwest::Client,
    /// How many may download at once; share one among devices.
    pub downloads: Arc<Semaphore>,
    /// Who watches.
    pub watcher: Watcher,
    /// After how many attempts, good or failed, the device stops; `None` is never.
    pub attempts_max: Option<u32>,
}

/// How it ended with a device that was to stop by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The version it runs.
    pub version: String,
    /// Step and words of the last attempt, if that failed.
    pub failure: Option<(i8, String)>,
}

/// Why a device cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The broker keeps refusing the login.
    #[error("the broker keeps refusing the login: {0}")]
    Refused(String),
    /// There is no connection to be had.
    #[error("no connection after {CONNECT_TRIES_MAX} tries: {0}")]
    Unreachable(String),
}

/// Makes an HTTP client that behaves like a device's: no redirects, no proxies, no compression.
///
/// # Errors
/// What the HTTP library says.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .http1_title_case_headers()
        .connect_timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(5))
        .build()
}
