//! Who is let in.

use std::sync::Arc;

use rmqtt::types::{ConnectInfo, LastWill};
use tokio::runtime::Handle;

use crate::config::BrokerConfig;
use crate::topics::{has_wildcard, is_valid_identity, topic_belongs_to};
use crate::{DeviceIdentity, Gate, Login, LoginDecision};

/// The outcome of one login.
pub(crate) enum Admission {
    Device(DeviceIdentity),
    Service,
    /// Wrong credentials: CONNACK code 4.
    Refused(String),
    /// Good credentials, but what the client wants is not for it: CONNACK code 5.
    Forbidden(&'static str),
    /// Nothing wrong with the credentials: CONNACK code 3, try again later.
    TurnedAway(String),
}

/// Asks the gate and applies the broker's own conditions.
pub(crate) struct Doorman {
    pub(crate) gate: Arc<dyn Gate>,
    /// Where the gate runs: the runtime it was made in, which may own what it works with.
    pub(crate) home: Handle,
    pub(crate) config: Arc<BrokerConfig>,
}

impl Doorman {
    /// Decides one login.
    pub(crate) async fn admit(&self, login: Login, connect: &ConnectInfo) -> Admission {
        let keep_alive = login.keep_alive_seconds;
        let gate = self.gate.clone();
        let decision = self.home.spawn(async move { gate.login(login).await });
        let abort = decision.abort_handle();
        match tokio::time::timeout(self.config.connect_timeout, decision).await {
            Ok(Ok(LoginDecision::Device(device))) => self.admit_device(device, keep_alive, connect),
            Ok(Ok(LoginDecision::Service)) => Admission::Service,
            Ok(Ok(LoginDecision::Refused { reason })) => Admission::Refused(reason),
            Ok(Ok(LoginDecision::TurnedAway { reason })) => Admission::TurnedAway(reason),
            Ok(Err(_)) => Admission::TurnedAway("the gate failed".to_owned()),
            Err(_) => {
                abort.abort();
                Admission::TurnedAway("the gate gave no answer in time".to_owned())
            }
        }
    }

    fn admit_device(&self, device: DeviceIdentity, keep_alive: u16, connect: &ConnectInfo) -> Admission {
        if !is_valid_identity(&device) {
            return Admission::Refused("the identity cannot be part of a topic".to_owned());
        }
        let allowed = self.config.keep_alive_seconds_min..=self.config.keep_alive_seconds_max;
        if !allowed.contains(&keep_alive) {
            return Admission::TurnedAway("the keep-alive is out of bounds".to_owned());
        }
        // The library publishes a will without asking whether it may be published.
        let topic = connect.last_will().map(|will| match will {
            LastWill::V3(will) => will.topic.clone(),
            LastWill::V5(will) => will.topic.clone(),
        });
        if let Some(topic) = topic
            && (has_wildcard(&topic)
                || topic.len() > self.config.topic_bytes_max
                || !topic_belongs_to(&device, &topic))
        {
            return Admission::Forbidden("the will is for a topic that is not the device's own");
        }
        Admission::Device(device)
    }
}
