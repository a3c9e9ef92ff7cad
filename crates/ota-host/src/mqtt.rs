//! MQTT messages that components publish: `spin:mqtt@3`.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Outgoing, Packet, QoS, valid_topic,
};
use tokio::sync::oneshot;
use wasmtime::component::{Accessor, Resource};

use crate::bindings::imports::spin::mqtt::mqtt as spin;
use crate::state::{Guest, GuestState};

/// The largest payload: as large as the largest record.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 256 * 1024;

/// The largest packet: such a payload under the longest topic.
pub(crate) const PACKET_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 70 * 1024;

/// How long a broker may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a broker may take to acknowledge a message.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Messages handed to the connection but not yet written.
const QUEUE_MAX: usize = 64;

/// Connections that one instance may hold at once.
const CONNECTIONS_PER_INSTANCE: usize = 16;

/// `mqtt://host:port?client_id=..`, the last part optional.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) client_id: Option<String>,
}

/// An address that is none, or asks for what is not supported.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadAddress(&'static str);

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad MQTT address: {}", self.0)
    }
}

impl std::error::Error for BadAddress {}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, BadAddress> {
        let uri: http::Uri = text.parse().map_err(|_| BadAddress("not of the form mqtt://host:port"))?;
        if uri.scheme_str() != Some("mqtt") {
            return Err(BadAddress("only mqtt:// is supported"));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(BadAddress("no host"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(BadAddress("user and password are given apart from it"));
        }
        let mut client_id = None;
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("client_id", id)) if !id.is_empty() && !id.starts_with(['+', '%']) => {
                    let id = percent_encoding::percent_decode_str(id).decode_utf8();
                    client_id = Some(id.map_err(|_| BadAddress("the client id is no text"))?.into_owned());
                }
                Some(("client_id", _)) => return Err(BadAddress("unusable client id")),
                _ => return Err(BadAddress("only client_id is supported after the `?`")),
            }
        }
        let host = host.trim_matches(['[', ']']).to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(1883), client_id })
    }

    /// What all connections of the host have in common.
    pub(crate) fn options(
        &self,
        client_id: &str,
        username: &str,
        password: &str,
        keep_alive: Duration,
    ) -> MqttOptions {
        let mut options = MqttOptions::new(client_id, &self.host, self.port);
        if !username.is_empty() {
            options.set_credentials(username, password);
        }
        options.set_keep_alive(keep_alive);
        options.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
        options
    }
}

/// TCP settings of all connections.
pub(crate) fn network_options() -> NetworkOptions {
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
    network
}

/// A client id that no other connection has.
pub(crate) fn random_client_id() -> String {
    let mut random = [0; 8];
    // Without randomness the process could not have started: the engine needs it too.
    getrandom::fill(&mut random).expect("the system has randomness");
    format!("overair-{:016x}", u64::from_ne_bytes(random))
}

type Waiter = oneshot::Sender<Result<(), String>>;

/// Messages whose publishers wait.
#[derive(Debug, Default)]
struct Pending {
    /// In the order they were handed over; packet identifiers are given in that order too.
    unsent: VecDeque<Waiter>,
    unacknowledged: HashMap<u16, Waiter>,
    /// Why the connection ended.
    failed: Option<String>,
}

impl Pending {
    fn fail(&mut self, reason: &str) {
        self.failed = Some(reason.to_owned());
        let waiting = self.unsent.drain(..).chain(self.unacknowledged.drain().map(|(_, waiter)| waiter));
        waiting.for_each(|waiter| drop(waiter.send(Err(reason.to_owned()))));
    }

    fn sent(&mut self, packet: u16) {
        match (self.unsent.pop_front(), packet) {
            // Without an acknowledgement to come, being sent is all there is to wait for.
            (Some(waiter), 0) => drop(waiter.send(Ok(()))),
            (Some(waiter), packet) => drop(self.unacknowledged.insert(packet, waiter)),
            (None, _) => {}
        }
    }

    fn acknowledged(&mut self, packet: u16) {
        if let Some(waiter) = self.unacknowledged.remove(&packet) {
            drop(waiter.send(Ok(())));
        }
    }
}

/// A connection that a component has opened. It closes when the component drops it.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Connection(Arc<Open>);

#[derive(Debug)]
struct Open {
    client: AsyncClient,
    pending: Arc<Mutex<Pending>>,
    /// Held while a message is handed over, so that waiters queue in the order of messages.
    order: tokio::sync::Mutex<()>,
    driver: tokio::task::AbortHandle,
}

impl Drop for Open {
    fn drop(&mut self) {
        // The driver ends once it has said goodbye.
        if self.client.try_disconnect().is_err() {
            self.driver.abort();
        }
    }
}

fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Open {
    /// Connects and waits until the broker has said yes.
    async fn connect(options: MqttOptions) -> Result<Self, String> {
        let (client, mut events) = AsyncClient::new(options, QUEUE_MAX);
        events.set_network_options(network_options());
        let pending = Arc::<Mutex<Pending>>::default();
        let (opened, outcome) = oneshot::channel();
        let driver = tokio::spawn(drive(events, pending.clone(), opened)).abort_handle();
        let open = Self { client, pending, order: tokio::sync::Mutex::default(), driver };
        match tokio::time::timeout(CONNECT_TIMEOUT, outcome).await {
            Ok(Ok(Ok(()))) => Ok(open),
            Ok(Ok(Err(reason))) => Err(reason),
            Ok(Err(_)) => Err("the connection ended".to_owned()),
            Err(_) => Err("the broker did not answer in time".to_owned()),
        }
    }

    /// Publishes and waits for what the quality of service promises.
    async fn publish(&self, topic: String, payload: Vec<u8>, qos: QoS) -> Result<(), String> {
        if topic.is_empty() || !valid_topic(&topic) {
            return Err(format!("`{topic}` is no topic to publish to"));
        }
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(format!("a payload of {} bytes is larger than {PAYLOAD_BYTES_MAX}", payload.len()));
        }
        let (waiter, outcome) = oneshot::channel();
        {
            let _order = self.order.lock().await;
            {
                let mut pending = lock(&self.pending);
                if let Some(reason) = &pending.failed {
                    return Err(reason.clone());
                }
                pending.unsent.push_back(waiter);
            }
            if let Err(error) = self.client.publish(topic, qos, false, payload).await {
                lock(&self.pending).unsent.pop_back();
                return Err(error.to_string());
            }
        }
        match tokio::time::timeout(ACKNOWLEDGE_TIMEOUT, outcome).await {
            Ok(outcome) => outcome.unwrap_or_else(|_| Err("the connection ended".to_owned())),
            Err(_) => Err("the broker did not acknowledge in time".to_owned()),
        }
    }
}

/// Moves packets until the connection ends. It is not made again: its component must learn that messages are lost.
async fn drive(mut events: EventLoop, pending: Arc<Mutex<Pending>>, opened: Waiter) {
    let mut opened = Some(opened);
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                if let Some(opened) = opened.take() {
                    drop(opened.send(Ok(())));
                }
            }
            Ok(Event::Outgoing(Outgoing::Publish(packet))) => lock(&pending).sent(packet),
            Ok(Event::Incoming(Packet::PubAck(ack))) => lock(&pending).acknowledged(ack.pkid),
            Ok(Event::Incoming(Packet::PubComp(complete))) => lock(&pending).acknowledged(complete.pkid),
            Ok(Event::Outgoing(Outgoing::Disconnect)) => {
                return lock(&pending).fail("the connection is closed");
            }
            Ok(_) => {}
            Err(error) => {
                let reason = error.to_string();
                if let Some(opened) = opened.take() {
                    drop(opened.send(Err(reason.clone())));
                }
                return lock(&pending).fail(&reason);
            }
        }
    }
}

impl spin::Host for GuestState {}

impl spin::HostConnection for GuestState {
    fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        self.mqtt_connections -= 1;
        Ok(())
    }
}

impl<T: Send> spin::HostConnectionWithStore<T> for Guest {
    async fn open(
        accessor: &Accessor<T, Self>,
        address: String,
        username: String,
        password: String,
        keep_alive_seconds: u64,
    ) -> wasmtime::Result<Result<Resource<Connection>, spin::Error>> {
        let Ok(address) = Address::parse(&address) else { return Ok(Err(spin::Error::InvalidAddress)) };
        let checked = accessor.with(|mut access| {
            let state = access.get();
            if !state.component.outbound.allows("mqtt", &address.host, Some(address.port)) {
                let refused =
                    format!("{}:{} is not among `allowed_outbound_hosts`", address.host, address.port);
                return Err(spin::Error::ConnectionFailed(refused));
            }
            if state.mqtt_connections >= CONNECTIONS_PER_INSTANCE {
                return Err(spin::Error::TooManyConnections);
            }
            // Counted before it is open, so that many at once cannot pass the check together.
            state.mqtt_connections += 1;
            Ok(())
        });
        if let Err(error) = checked {
            return Ok(Err(error));
        }
        let client_id = address.client_id.clone().unwrap_or_else(random_client_id);
        // The protocol has 16 bits for it.
        let keep_alive = Duration::from_secs(keep_alive_seconds.min(u64::from(u16::MAX)));
        let opened = Open::connect(address.options(&client_id, &username, &password, keep_alive)).await;
        accessor.with(|mut access| {
            let state = access.get();
            match opened {
                Ok(open) => Ok(Ok(state.table.push(Connection(Arc::new(open)))?)),
                Err(reason) => {
                    state.mqtt_connections -= 1;
                    Ok(Err(spin::Error::ConnectionFailed(reason)))
                }
            }
        })
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        topic: String,
        payload: Vec<u8>,
        qos: spin::Qos,
    ) -> wasmtime::Result<Result<(), spin::Error>> {
        let open = accessor
            .with(|mut access| wasmtime::error::Ok(access.get().table.get(&connection)?.0.clone()))?;
        let qos = match qos {
            spin::Qos::AtMostOnce => QoS::AtMostOnce,
            spin::Qos::AtLeastOnce => QoS::AtLeastOnce,
            spin::Qos::ExactlyOnce => QoS::ExactlyOnce,
        };
        Ok(open.publish(topic, payload, qos).await.map_err(spin::Error::Other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_maybe_a_port_and_client_id() {
        let parse = |text| Address::parse(text).unwrap();
        let plain = Address { host: "broker".to_owned(), port: 1883, client_id: None };
        assert_eq!(parse("mqtt://broker"), plain);
        assert_eq!(parse("mqtt://broker:1883?client_id=a%2Fb").client_id.as_deref(), Some("a/b"));
        assert_eq!(parse("mqtt://[::1]:9").host, "::1");
    }

    #[test]
    fn unusable_addresses_are_refused() {
        for bad in
            ["", "broker", "http://h", "mqtts://h", "mqtt://u:p@h", "mqtt://h?x=1", "mqtt://h?client_id="]
        {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
