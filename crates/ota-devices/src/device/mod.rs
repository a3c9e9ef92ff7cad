//! One device: what it does from power-on to the end of its upgrade.

mod config;
mod connection;
mod upgrade;

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::event::{Event, What};
use crate::link::{Incoming, Link};
use crate::plan::Quirk;
use crate::push::{self, Source, Upgrade};
use crate::random::Random;
pub use config::{DeviceConfig, DeviceError, Outcome, Timing, http_client};

/// How often a quiet device looks up from its waiting.
const IDLE: Duration = Duration::from_secs(3600);
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

    fn tell(&self, what: What) {
        if let Some(watcher) = &self.config.watcher {
            // A watcher that went away is no concern of the device's.
            let _unwatched = watcher.send(Event::now(&self.config.credential.name, what));
        }
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
