//! The MQTT broker of the embedded host: device login, server-side subscriptions, presence.
//!
//! The protocol itself is `rmqtt`'s. What is added is what devices were built to rely on:
//!
//! - Every login is decided by a [`Gate`]. The service's own account may do anything; a device may publish and
//!   subscribe only its own topics, see [`topic_belongs_to`].
//! - A device is subscribed to what is sent to it without asking, before it is told that it is connected. Most SDKs
//!   never send SUBSCRIBE for these topics.
//! - A device is its identity, not its client id, which SDKs change with each connection: of several connections
//!   the latest lives.
//! - The broker announces on `/overair/presence/{product key}/{device name}`, QoS 1 and not retained, that a device
//!   came or went: `{"status":"online","session":"<unique>","at":<unix ms>}`. An `offline` carries the session of
//!   the `online` it ends. There is none for a session that a later login replaced: the device never left.
//! - A gateway's connection also carries its sub-devices' topics, from when the service says so on
//!   `/overair/sub-device/{product key}/{device name}` of the gateway until it says otherwise or the connection ends. A
//!   sub-device is announced like any device, with a session of its own whose name begins with the gateway's. Should
//!   it connect by itself meanwhile, that connection takes its place, and the other way round: the later holds.
//!
//! A device that speaks on `/ext/session/...` is subscribed to the replies, as to what is sent to every device.
//!
//! Deliberately missing: sessions that outlive their connection, retained messages, QoS 2 towards clients, TLS.
//!
//! Not covered: a connection that sends nothing at all stays open, because the library waits for the first eight bytes
//! without a limit. It costs a file descriptor and no session; where strangers can reach the port, the number of
//! connections per address is for the firewall to limit.
//!
//! A device's refused PUBLISH is acknowledged and dropped, a refused SUBSCRIBE entry answered with 0x80; the
//! connection stays in both cases. The library logs through `log`, under `rmqtt` and `rmqtt_net`: a subscriber that
//! collects `log` records does well to take only warnings from these two, as each refused login is an info there.

mod broker;
mod config;
mod counters;
mod exchange;
mod farewell;
mod fitter;
mod hooks;
mod login;
mod pace;
mod presence;
mod routes;
mod seats;
mod shared;
mod sub_devices;
mod topics;
mod turns;

pub use broker::{Broker, start};
pub use config::{BrokerConfig, QueueLimit};
pub use counters::Counters;
pub use topics::topic_belongs_to;

/// What a client presented when it connected.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// As sent, with all that follows the `|`. Made up by the broker if it was empty.
    pub client_id: String,
    /// Empty if there was none.
    pub username: String,
    /// Empty if there was none.
    pub password: Vec<u8>,
    /// Address and port of the client.
    pub remote_addr: String,
    /// Zero if the client wants none.
    pub keep_alive_seconds: u16,
}

/// Leaves the password out, so that a login can be logged.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .field("remote_addr", &self.remote_addr)
            .field("keep_alive_seconds", &self.keep_alive_seconds)
            .finish_non_exhaustive()
    }
}

/// Which device a connection is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceIdentity {
    /// The product's key, one topic segment.
    pub product_key: String,
    /// The device's name within its product, one topic segment.
    pub device_name: String,
}

/// What becomes of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginDecision {
    /// The client is this device and may use this device's topics.
    Device(DeviceIdentity),
    /// The client is the service itself and may use any topic.
    Service,
    /// The client is told that its user name or password is wrong.
    Refused {
        /// For the log only.
        reason: String,
    },
    /// The client is told that the server is unavailable, so that it tries again: nothing is known to be wrong with its
    /// login.
    TurnedAway {
        /// For the log only.
        reason: String,
    },
}

/// Decides who may connect.
pub trait Gate: Send + Sync + 'static {
    /// Decides one login. A gate that panics or takes longer than the connect timeout has the client told that the
    /// server is unavailable, so that it tries again.
    fn login(&self, login: Login) -> futures::future::BoxFuture<'_, LoginDecision>;
}
