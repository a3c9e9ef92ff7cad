//! One device: what it does from power-on to the end of its upgrade.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::credentials::Credential;
use crate::dialect::Message;
use crate::download::{Advance, Digests, Download, Hardships};
use crate::event::{Event, Watcher, What};
use crate::link::{Incoming, Link, LinkError};
use crate::plan::{Behavior, Failure, Quirk};
use crate::push::{self, Digest, Source, Upgrade};
use crate::random::Random;

/// How many times in a row a device tries to connect: with the pauses between, some ten minutes.
const CONNECT_TRIES_MAX: u32 = 60;
/// How many refused logins in a row tell a device that its secret is wrong.
const REFUSALS_MAX: u32 = 5;
/// The longest pause between two tries to connect.
const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(10);
/// How often a quiet device looks up from its waiting.
const IDLE: Duration = Duration::from_secs(3600);
/// Where a download fails, or is cut, on purpose: shares of the file in percent.
const CUTS_UNTIL_GIVING_UP: [u64; 4] = [40, 45, 50, 55];

/// How long things take on a device.
#[derive(Clone, Debug)]
pub struct Timing {
    /// From the start of [`Device::run`] to the first connection.
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

/// What ended an attempt to upgrade: a step below zero, and the device's words.
type Fault = (i8, String);

/// A simulated device.
pub struct Device {
    config: DeviceConfig,
    version: String,
    link: Option<Link>,
    connections: u32,
    message_id: u32,
    asked_id: Option<u32>,
    attempts: u32,
    last_failure: Option<Fault>,
    random: Random,
}

impl Device {
    /// Makes a device that is still switched off.
    pub fn new(config: DeviceConfig) -> Self {
        let random = Random::named(config.seed, &config.credential.name);
        Self {
            version: config.version.clone(),
            config,
            link: None,
            connections: 0,
            message_id: 0,
            asked_id: None,
            attempts: 0,
            last_failure: None,
            random,
        }
    }

    /// Switches the device on and lets it live until it has made its last attempt. Dropping the future switches it
    /// off without a word.
    ///
    /// # Errors
    /// When it cannot connect and gives up.
    pub async fn run(mut self) -> Result<Outcome, DeviceError> {
        let lived = self.live().await;
        if let Err(error) = &lived {
            self.tell(What::GaveUp { why: error.to_string() });
        }
        lived.map(|()| Outcome { version: self.version, failure: self.last_failure })
    }

    async fn live(&mut self) -> Result<(), DeviceError> {
        sleep(self.config.timing.start_after).await;
        self.boot().await?;
        if self.config.behavior.quirk == Quirk::Naps {
            self.switch_off("naps").await;
            sleep(self.config.timing.nap).await;
            self.boot().await?;
        }
        while self.config.attempts_max.is_none_or(|max| self.attempts < max) {
            let upgrade = self.await_upgrade().await?;
            self.attempts += 1;
            match self.attempt(&upgrade).await? {
                Ok(()) => {
                    self.last_failure = None;
                    self.switch_off("reboots").await;
                    sleep(self.config.timing.reboot).await;
                    self.version.clone_from(&upgrade.version);
                    self.boot().await?;
                    self.tell(What::Upgraded { version: upgrade.version });
                }
                Err((step, desc)) => {
                    if let Some(link) = &mut self.link {
                        link.forget_inbox();
                    }
                    self.report(step, &desc).await?;
                    self.tell(What::Failed { step, desc: desc.clone() });
                    self.last_failure = Some((step, desc));
                }
            }
        }
        self.switch_off("done").await;
        Ok(())
    }

    /// Connects and says twice which version it runs, as devices do: once by the SDK, once by the application.
    async fn boot(&mut self) -> Result<(), DeviceError> {
        self.message_id = 0;
        self.connect().await?;
        self.inform().await?;
        self.inform().await?;
        self.tell(What::Informed { version: self.version.clone() });
        Ok(())
    }

    async fn inform(&mut self) -> Result<(), DeviceError> {
        let id = self.next_id();
        let (pk, name) = (&self.config.product_key, &self.config.credential.name);
        let message = self.config.behavior.dialect.inform(pk, name, id, &self.version);
        self.send(&message).await
    }

    /// Waits until there is an upgrade to begin with.
    async fn await_upgrade(&mut self) -> Result<Upgrade, DeviceError> {
        let asks = self.config.behavior.quirk == Quirk::Asks;
        let patience = if asks { self.config.timing.ask_every } else { IDLE };
        loop {
            let link = self.connected().await?;
            match timeout(patience, link.receive()).await {
                Ok(Ok(incoming)) => {
                    if let Some(upgrade) = self.consider(&incoming).await? {
                        self.tell(What::Told { version: upgrade.version.clone(), size: upgrade.size });
                        return Ok(upgrade);
                    }
                }
                Ok(Err(error)) => self.lost(&error),
                Err(_) if asks => self.ask().await?,
                Err(_) => {}
            }
        }
    }

    async fn ask(&mut self) -> Result<(), DeviceError> {
        let id = self.next_id();
        self.asked_id = Some(id);
        let (pk, name) = (&self.config.product_key, &self.config.credential.name);
        let message = self.config.behavior.dialect.ask(pk, name, id);
        self.send(&message).await
    }

    /// Decides whether a message is an upgrade to begin with.
    async fn consider(&mut self, incoming: &Incoming) -> Result<Option<Upgrade>, DeviceError> {
        let dialect = self.config.behavior.dialect;
        let source = if incoming.topic.starts_with("/ota/device/upgrade/") {
            Source::Push
        } else if incoming.topic.ends_with("/thing/ota/firmware/get_reply") {
            Source::Reply
        } else {
            return Ok(None);
        };
        let received = match push::read(source, &incoming.payload) {
            Ok(received) => received,
            Err(complaint) => {
                self.tell(What::Complaint { text: complaint.to_string() });
                return Ok(None);
            }
        };
        if source == Source::Reply {
            let Some(asked) = self.asked_id else { return Ok(None) };
            if received.id != dialect.asked_id(asked) {
                self.tell(What::Complaint { text: format!("the reply's id is {}", received.id) });
                return Ok(None);
            }
        }
        let waits_for_reply = self.config.behavior.quirk == Quirk::Asks && !dialect.asks_on_old_topic();
        if waits_for_reply && source == Source::Push {
            return Ok(None);
        }
        let Some(upgrade) = received.upgrade else { return Ok(None) };
        if upgrade.version == self.version {
            // The service has not heard yet.
            self.inform().await?;
            return Ok(None);
        }
        Ok(Some(upgrade))
    }

    /// Downloads, checks and writes an upgrade.
    async fn attempt(&mut self, upgrade: &Upgrade) -> Result<Result<(), Fault>, DeviceError> {
        let behavior = &self.config.behavior;
        let failure = behavior.failure.filter(|_| self.attempts <= behavior.failing_attempts);
        let digests = {
            let downloads = self.config.downloads.clone();
            let Ok(_permit) = downloads.acquire().await else {
                return Ok(Err((-1, "the device is shutting down".to_owned())));
            };
            match self.download(upgrade, failure).await? {
                Ok(digests) => digests,
                Err(desc) => return Ok(Err((Failure::Download.step(), desc))),
            }
        };
        if let Err(desc) = verify(upgrade, &digests) {
            return Ok(Err((Failure::Verification.step(), desc)));
        }
        sleep(self.config.timing.flash).await;
        if failure == Some(Failure::Flashing) {
            let block = self.random.below(upgrade.size / 4096 + 1);
            return Ok(Err((Failure::Flashing.step(), format!("flash write error at block {block}"))));
        }
        Ok(Ok(()))
    }

    async fn download(
        &mut self,
        upgrade: &Upgrade,
        failure: Option<Failure>,
    ) -> Result<Result<Digests, String>, DeviceError> {
        let quirk = self.config.behavior.quirk;
        let share = |percent: u64| upgrade.size * percent / 100;
        let hardships = Hardships {
            cuts_at: match (failure, quirk) {
                (Some(Failure::Download), _) => CUTS_UNTIL_GIVING_UP.map(share).to_vec(),
                (_, Quirk::Resumes) => vec![share(60)],
                _ => vec![],
            },
            cuts_max: if failure == Some(Failure::Download) { 3 } else { 8 },
            corrupt_at: (failure == Some(Failure::Verification)).then(|| self.random.below(upgrade.size)),
            bytes_per_second: self.config.timing.bytes_per_second,
        };
        let url = match &self.config.base_url {
            Some(base) => moved(&upgrade.url, base),
            None => upgrade.url.clone(),
        };
        let mut download = Download::new(self.config.http.clone(), url, upgrade.size, hardships);
        let mut drops_at = (quirk == Quirk::Drops).then_some(50);
        loop {
            match download.advance().await {
                Ok(Some(Advance::Percent(percent))) => {
                    self.report(i8::try_from(percent).unwrap_or(100), "").await?;
                    self.tell(What::Progress { percent });
                    if drops_at.is_some_and(|at| percent >= at) {
                        drops_at = None;
                        self.link = None;
                        self.tell(What::Offline { why: "lost its connection on purpose".to_owned() });
                        sleep(self.config.timing.absence).await;
                        self.connect().await?;
                    }
                }
                Ok(Some(Advance::Cut(at))) => self.tell(What::Cut { at }),
                Ok(None) => return Ok(Ok(download.finish())),
                Err(desc) => return Ok(Err(desc)),
            }
        }
    }

    async fn report(&mut self, step: i8, desc: &str) -> Result<(), DeviceError> {
        let id = self.next_id();
        let (pk, name) = (&self.config.product_key, &self.config.credential.name);
        for message in self.config.behavior.dialect.progress(pk, name, id, step, desc) {
            self.send(&message).await?;
        }
        Ok(())
    }

    fn next_id(&mut self) -> u32 {
        self.message_id += 1;
        self.message_id
    }

    /// Sends a message, over a new connection if the old one is gone.
    async fn send(&mut self, message: &Message) -> Result<(), DeviceError> {
        loop {
            match self.connected().await?.send(message).await {
                Ok(()) => return Ok(()),
                Err(error) => self.lost(&error),
            }
        }
    }

    fn lost(&mut self, error: &LinkError) {
        self.link = None;
        self.tell(What::Offline { why: error.to_string() });
    }

    async fn connected(&mut self) -> Result<&mut Link, DeviceError> {
        if self.link.is_none() {
            self.connect().await?;
        }
        Ok(self.link.as_mut().expect("connect leaves a link"))
    }

    async fn connect(&mut self) -> Result<(), DeviceError> {
        let mut refusals = 0;
        let mut last = String::new();
        for attempt in 0..CONNECT_TRIES_MAX {
            if attempt > 0 {
                let pause =
                    (self.config.timing.connect_pause * (1 << (attempt - 1).min(6))).min(CONNECT_PAUSE_MAX);
                // A fleet that lost its broker does not come back all at once.
                sleep(pause + pause.mul_f64(self.random.below(1000) as f64 / 2000.0)).await;
            }
            self.connections += 1;
            let Credential { name, secret } = &self.config.credential;
            let dialect = self.config.behavior.dialect;
            let login = dialect.login(&self.config.product_key, name, secret, self.connections);
            let (host, port) = &self.config.mqtt;
            let keep_alive = Duration::from_secs(dialect.keep_alive_seconds());
            match Link::connect(host, *port, login, keep_alive, dialect.clean_session()).await {
                Ok(link) => {
                    self.link = Some(link);
                    self.tell(What::Online);
                    return Ok(());
                }
                Err(error) => {
                    self.tell(What::Offline { why: error.to_string() });
                    match error {
                        LinkError::Refused(why) => {
                            refusals += 1;
                            if refusals == REFUSALS_MAX {
                                return Err(DeviceError::Refused(why));
                            }
                        }
                        LinkError::Lost(why) => last = why,
                    }
                }
            }
        }
        Err(DeviceError::Unreachable(last))
    }

    async fn switch_off(&mut self, why: &str) {
        if let Some(link) = self.link.take() {
            let why = match link.close().await {
                Ok(()) => why.to_owned(),
                Err(error) => error.to_string(),
            };
            self.tell(What::Offline { why });
        }
    }

    fn tell(&self, what: What) {
        if let Some(watcher) = &self.config.watcher {
            // A watcher that went away is no concern of the device's.
            let _unwatched = watcher.send(Event::now(&self.config.credential.name, what));
        }
    }
}

/// Compares what arrived with what was announced, by `sign` and, as one widely shipped SDK does, by `md5`.
fn verify(upgrade: &Upgrade, digests: &Digests) -> Result<(), String> {
    let sign = match upgrade.digest {
        Digest::Md5 => &digests.md5,
        Digest::Sha256 => &digests.sha256,
    };
    let head = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
    if *sign != upgrade.sign {
        return Err(format!("digest mismatch: {}.. where {}.. is due", head(sign), head(&upgrade.sign)));
    }
    if digests.md5 != upgrade.md5 {
        return Err(format!("md5 mismatch: {}.. where {}.. is due", head(&digests.md5), head(&upgrade.md5)));
    }
    Ok(())
}

/// Puts another scheme, host and port before a URL's path.
fn moved(url: &str, base: &str) -> String {
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    format!("{}/{path}", base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_moves_with_its_path_and_query() {
        let wanted = "http://10.0.0.2:8080/d/x?e=1&s=2";
        assert_eq!(moved("http://127.0.0.1:3000/d/x?e=1&s=2", "http://10.0.0.2:8080/"), wanted);
    }

    #[test]
    fn both_digests_count() {
        let digests = Digests { md5: "m".repeat(32), sha256: "s".repeat(64) };
        let mut upgrade = Upgrade {
            version: "2".into(),
            url: String::new(),
            size: 1,
            digest: Digest::Sha256,
            sign: digests.sha256.clone(),
            md5: digests.md5.clone(),
        };
        assert_eq!(verify(&upgrade, &digests), Ok(()));
        upgrade.md5 = "0".repeat(32);
        assert!(verify(&upgrade, &digests).unwrap_err().starts_with("md5 mismatch"));
        upgrade.sign = "0".repeat(64);
        assert!(verify(&upgrade, &digests).unwrap_err().starts_with("digest mismatch"));
    }
}
