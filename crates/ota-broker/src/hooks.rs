//! What the broker does at each event that the library tells of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use rmqtt::codec::v5::SubscribeAckReason;
use rmqtt::hook::{Handler, HookResult, Parameter, Register, ReturnType, Type};
use rmqtt::session::Session;
use rmqtt::shared::Shared;
use rmqtt::types::{
    AuthResult, ConnectInfo, Publish, PublishAclResult, QoS, Subscribe, SubscribeAclResult, TopicFilter,
};

use crate::config::BrokerConfig;
use crate::counters::Tally;
use crate::login::{Admission, Doorman};
use crate::presence::{Status, announcement, unix_ms};
use crate::seats::{Seat, Seatholder};
use crate::shared::Sessions;
use crate::topics::{downlink_topics, has_wildcard, is_for_gateways};
use crate::{DeviceIdentity, Login};

/// How much of a refused topic is logged. Whole, it may have 64 KiB.
const LOGGED_TOPIC_CHARS: usize = 128;

/// The events that are listened to.
const EVENTS: [Type; 8] = [
    Type::ClientAuthenticate,
    Type::ClientConnected,
    Type::ClientDisconnected,
    Type::ClientSubscribeCheckAcl,
    Type::MessagePublish,
    Type::MessagePublishCheckAcl,
    Type::MessageDelivered,
    Type::MessageDropped,
];

/// The broker's own behaviour on top of the library's.
#[derive(Clone)]
pub(crate) struct Hooks {
    pub(crate) config: Arc<BrokerConfig>,
    pub(crate) doorman: Arc<Doorman>,
    pub(crate) sessions: Sessions,
    /// Set once the broker is being shut down: nobody is let in any more.
    pub(crate) is_closing: Arc<AtomicBool>,
}

impl Hooks {
    /// Registers all events.
    pub(crate) async fn register(self, register: &dyn Register) {
        for event in EVENTS {
            register.add(event, Box::new(self.clone())).await;
        }
        register.start().await;
    }

    fn tally(&self) -> &Tally {
        &self.sessions.exchange.tally
    }

    async fn authenticate(&self, connect: &ConnectInfo) -> AuthResult {
        let id = connect.id();
        let login = Login {
            client_id: id.client_id.to_string(),
            username: connect.username().map(ToString::to_string).unwrap_or_default(),
            password: connect.password().map(|password| password.to_vec()).unwrap_or_default(),
            remote_addr: id.remote_addr.map(|addr| addr.to_string()).unwrap_or_default(),
            keep_alive_seconds: connect.keep_alive(),
        };
        let username = login.username.clone();
        let admission = if self.is_closing.load(Ordering::Relaxed) {
            Admission::TurnedAway("the broker is closing".to_owned())
        } else {
            self.doorman.admit(login, connect).await
        };
        let (device, turned_away) = match admission {
            Admission::Device(device) => (Some(device), None),
            Admission::Service => (None, None),
            Admission::TurnedAway(reason) => {
                Tally::count(&self.tally().logins_refused);
                tracing::info!(%username, remote_addr = ?id.remote_addr, reason, "a login is turned away");
                (None, Some(reason))
            }
            Admission::Refused(reason) => {
                Tally::count(&self.tally().logins_refused);
                tracing::info!(%username, remote_addr = ?id.remote_addr, reason, "a login is refused");
                return AuthResult::BadUsernameOrPassword;
            }
            Admission::Forbidden(reason) => {
                Tally::count(&self.tally().logins_refused);
                tracing::info!(%username, remote_addr = ?id.remote_addr, reason, "a login is refused");
                return AuthResult::NotAuthorized;
            }
        };
        // The library asks the service's connections for no permission at all, which is what they have.
        let is_service = device.is_none() && turned_away.is_none();
        self.sessions.seats.take(id.clone(), &self.config, device, turned_away);
        AuthResult::Allow(is_service, None)
    }

    /// Subscribes a device to what is sent to it, then announces it.
    ///
    /// This runs before the client is told that it is connected. What is pushed to it from here on waits in its
    /// queue, so nothing that the announcement sets off can be lost, and no message of the device can be handled
    /// before its subscriptions are in place.
    async fn connected(&self, session: &Session) {
        let Some(seat) = self.sessions.seats.get(&session.id) else { return };
        let Some(device) = &seat.device else { return };
        let entry = self.sessions.entry(session.id.clone());
        for topic_filter in downlink_topics(device) {
            let opts = (QoS::AtLeastOnce, None, None).into();
            let subscribe = Subscribe { topic_filter: TopicFilter::from(topic_filter), opts };
            if let Err(error) = entry.subscribe(&subscribe).await {
                tracing::warn!(?device, %error, "a device is not subscribed to what is sent to it");
                return;
            }
        }
        // The library holds this client's turn during the whole login.
        self.announce(device, &seat.session, Status::Online);
    }

    /// Takes a session out and announces that its device is gone, unless a later login has replaced it.
    async fn disconnected(&self, session: &Session) {
        let Some(seat) = self.sessions.seats.get(&session.id) else { return };
        self.close(&seat, &session.id).await;
    }

    async fn close(&self, seat: &Seat, id: &rmqtt::types::Id) {
        let turn = self.sessions.turns.wait(&seat.holder).await;
        if self.sessions.exchange.remove_session(&seat.holder, id).is_some()
            && let Some(device) = &seat.device
        {
            self.announce(device, &seat.session, Status::Offline);
        }
        drop(turn);
        // Also of a session that a later one has replaced: what it carried went with it.
        self.detach_all(id).await;
        self.sessions.seats.leave(id);
    }

    pub(crate) fn announce(&self, device: &DeviceIdentity, session: &str, status: Status) {
        tracing::debug!(?device, %session, status = status.as_str(), "presence");
        let (from, publish) = announcement(device, session, status, unix_ms());
        self.sessions.exchange.publish(&from, &publish);
    }

    /// Clears away sessions that ended without a word, and the seats of logins that came to nothing.
    pub(crate) async fn sweep(&self) {
        for slot in self.sessions.exchange.abandoned() {
            self.close(&slot.seat, &slot.session.id).await;
        }
        for id in self.sessions.exchange.forsaken() {
            self.detach_all(&id).await;
        }
        let exchange = self.sessions.exchange.clone();
        let is_live = move |holder: &Seatholder, id: &rmqtt::types::Id| exchange.is_live(holder, id);
        self.sessions.seats.sweep(self.config.connect_timeout * 2, is_live);
    }

    /// Tells whether a topic or filter is of a sensible length and this connection's to use.
    fn is_own(&self, seat: &Seat, session: &Session, filter: &str) -> bool {
        filter.len() <= self.config.topic_bytes_max
            && self.sessions.exchange.is_own(&seat.holder, &session.id, filter)
    }

    async fn may_subscribe(&self, session: &Session, subscribe: &Subscribe) -> bool {
        let Some(seat) = self.sessions.seats.get(&session.id) else { return false };
        let Some(device) = &seat.device else { return true };
        let filter = &subscribe.topic_filter;
        // A share of its own topics would be no use to a device, of which there is one.
        let is_own = !subscribe.opts.has_shared_group() && self.is_own(&seat, session, filter);
        let max = self.config.subscriptions_of(self.sessions.exchange.carried_count(&session.id));
        let known = match session.subscriptions().await {
            Ok(subscriptions) => subscriptions.len().await,
            Err(_) => return false,
        };
        if is_own && known >= max {
            Tally::count(&self.tally().subscriptions_refused);
            report_refusal(&seat, device, filter, "one subscription too many is refused");
            return false;
        }
        if !is_own {
            Tally::count(&self.tally().subscriptions_refused);
            report_refusal(
                &seat,
                device,
                filter,
                "a subscription to a topic that is not the device's own is refused",
            );
        }
        is_own
    }

    async fn may_publish(&self, session: &Session, publish: &Publish) -> bool {
        let Some(seat) = self.sessions.seats.get(&session.id) else { return false };
        let Some(device) = &seat.device else { return true };
        let wait = seat.pace();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let is_small = publish.payload.len() <= self.config.payload_bytes_max as usize;
        let is_own = !has_wildcard(&publish.topic) && self.is_own(&seat, session, &publish.topic);
        if !(is_small && is_own) {
            Tally::count(&self.tally().publishes_refused);
            let what = if is_own {
                "a message that is too large is dropped"
            } else {
                "a message to a topic that is not the device's own is dropped"
            };
            report_refusal(&seat, device, &publish.topic, what);
        } else if is_for_gateways(&publish.topic) {
            self.hear_replies(&seat, &session.id);
        }
        is_small && is_own
    }

    /// Makes room for the next message in a session's backlog. A message that is sent once more was let out when
    /// it was sent first.
    fn release(&self, id: &rmqtt::types::Id, publish: &Publish) {
        if !publish.dup
            && let Some(seat) = self.sessions.seats.get(id)
        {
            seat.backlog.release(publish.payload.len());
        }
    }
}

#[async_trait]
impl Handler for Hooks {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let result = match parameter {
            Parameter::ClientAuthenticate(connect) => {
                HookResult::AuthResult(self.authenticate(connect).await)
            }
            Parameter::ClientConnected(session) => {
                self.connected(session).await;
                return (true, acc);
            }
            Parameter::ClientDisconnected(session, reason) => {
                tracing::debug!(client_id = %session.id.client_id, %reason, "disconnected");
                self.disconnected(session).await;
                return (true, acc);
            }
            Parameter::ClientSubscribeCheckAcl(session, subscribe) => {
                let answer = if self.may_subscribe(session, subscribe).await {
                    SubscribeAclResult::new_success(subscribe.opts.qos(), None)
                } else {
                    SubscribeAclResult::new_failure(SubscribeAckReason::NotAuthorized)
                };
                HookResult::SubscribeAclResult(answer)
            }
            Parameter::MessagePublishCheckAcl(session, publish) => {
                // The connection stays: SDKs take a lost connection for a network fault and come back at once with
                // the same message, while an acknowledged one is over for them.
                let answer = if self.may_publish(session, publish).await {
                    PublishAclResult::allow()
                } else {
                    PublishAclResult::rejected(false, None)
                };
                HookResult::PublishAclResult(answer)
            }
            Parameter::MessagePublish(session, _, publish) => {
                Tally::count(&self.tally().messages_in);
                self.obey(*session, publish).await;
                return (true, acc);
            }
            Parameter::MessageDelivered(session, _, publish) => {
                Tally::count(&self.tally().messages_out);
                self.release(&session.id, publish);
                return (true, acc);
            }
            Parameter::MessageDropped(Some(to), _, publish, reason) => {
                tracing::debug!(client_id = %to.client_id, topic = %publish.topic, %reason, "a message is dropped");
                Tally::count(&self.tally().messages_dropped);
                self.release(to, publish);
                return (true, acc);
            }
            _ => return (true, acc),
        };
        (false, Some(result))
    }
}

/// Logs what a device was refused, loudly only once per connection.
fn report_refusal(seat: &Seat, device: &DeviceIdentity, topic: &str, what: &str) {
    let DeviceIdentity { product_key, device_name } = device;
    let topic: String = topic.chars().take(LOGGED_TOPIC_CHARS).collect();
    if seat.is_first_refusal() {
        tracing::warn!(%product_key, %device_name, ?topic, "{what}");
    } else {
        tracing::debug!(%product_key, %device_name, ?topic, "{what}");
    }
}
