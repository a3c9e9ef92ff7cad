//! How a device comes to a connection and loses it.

use std::time::Duration;

use tokio::time::sleep;

use super::{Device, DeviceError};
use crate::credentials::Credential;
use crate::dialect::Message;
use crate::event::What;
use crate::link::{Link, LinkError};

/// How many times in a row a device tries to connect: with the pauses between, some ten minutes.
pub(super) const CONNECT_TRIES_MAX: u32 = 60;
/// How many refused logins in a row tell a device that its secret is wrong.
const REFUSALS_MAX: u32 = 5;
/// The longest pause between two tries to connect.
const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(10);

impl Device {
    /// Sends a message, over a new connection if the old one is gone.
    pub(super) async fn send(&mut self, message: &Message) -> Result<(), DeviceError> {
        loop {
            match self.connected().await?.send(message).await {
                Ok(()) => return Ok(()),
                Err(error) => self.lost(&error),
            }
        }
    }

    pub(super) fn lost(&mut self, error: &LinkError) {
        self.link = None;
        self.tell(What::Offline { why: error.to_string() });
    }

    pub(super) async fn connected(&mut self) -> Result<&mut Link, DeviceError> {
        if self.link.is_none() {
            self.connect().await?;
        }
        Ok(self.link.as_mut().expect("connect leaves a link"))
    }

    pub(super) async fn connect(&mut self) -> Result<(), DeviceError> {
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

    pub(super) async fn switch_off(&mut self, why: &str) {
        if let Some(link) = self.link.take() {
            let why = match link.close().await {
                Ok(()) => why.to_owned(),
                Err(error) => error.to_string(),
            };
            self.tell(What::Offline { why });
        }
    }
}
