//! A broker on a free port, and clients that wait for events instead of sleeping.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ota_broker::{Broker, BrokerConfig, Counters, DeviceIdentity, Gate, Login, LoginDecision};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, LastWill, MqttOptions, Packet, Publish, QoS,
    SubscribeFilter, SubscribeReasonCode,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Long enough for any machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The product of all devices here.
pub(crate) const PK: &str = "pk";

/// Lets in `service`, and any device whose password is `good`.
pub(crate) struct TestGate;

impl Gate for TestGate {
    fn login(&self, login: Login) -> BoxFuture<'_, LoginDecision> {
        Box::pin(async move {
            let refused = |reason: &str| LoginDecision::Refused { reason: reason.to_owned() };
            match (login.username.as_str(), login.password.as_slice()) {
                (_, b"panic") => panic!("a gate that fails"),
                (_, b"later") => LoginDecision::TurnedAway { reason: "not now".to_owned() },
                (_, b"never") => std::future::pending().await,
                ("service", b"good") => LoginDecision::Service,
                (username, b"good") => match username.split_once('&') {
                    Some((device_name, product_key)) => LoginDecision::Device(DeviceIdentity {
                        product_key: product_key.to_owned(),
                        device_name: device_name.to_owned(),
                    }),
                    None => refused("no identity"),
                },
                _ => refused("wrong password"),
            }
        })
    }
}

pub(crate) fn config() -> BrokerConfig {
    BrokerConfig { listen: ([127, 0, 0, 1], 0).into(), ..BrokerConfig::default() }
}

pub(crate) async fn broker() -> Broker {
    broker_with(config()).await
}

pub(crate) async fn broker_with(config: BrokerConfig) -> Broker {
    ota_broker::start(config, Arc::new(TestGate)).await.unwrap()
}

/// Waits until the counters say what `until` asks for.
pub(crate) async fn counters(broker: &Broker, until: impl Fn(&Counters) -> bool) -> Counters {
    let poll = async {
        loop {
            let counters = broker.counters();
            if until(&counters) {
                return counters;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, poll).await {
        Ok(counters) => counters,
        Err(_) => panic!("the counters stay at {:?}", broker.counters()),
    }
}

/// How a client connects.
pub(crate) struct Connect {
    options: MqttOptions,
}

impl Connect {
    /// The service's account.
    pub(crate) fn service(broker: &Broker, client_id: &str) -> Self {
        Self::new(broker, client_id, "service")
    }

    /// A device of the product `pk`.
    pub(crate) fn device(broker: &Broker, device_name: &str) -> Self {
        let client_id = format!("{PK}.{device_name}|timestamp=2524608000000,_ss=1,_conn=tcp_1|");
        Self::new(broker, &client_id, &format!("{device_name}&{PK}"))
    }

    fn new(broker: &Broker, client_id: &str, username: &str) -> Self {
        let address = broker.local_addr();
        let mut options = MqttOptions::new(client_id, address.ip().to_string(), address.port());
        options.set_credentials(username, "good");
        options.set_keep_alive(Duration::from_secs(60));
        options.set_max_packet_size(1024 * 1024, 1024 * 1024);
        Self { options }
    }

    pub(crate) fn password(mut self, password: &str) -> Self {
        let (username, _) = self.options.credentials().map(|login| (login.username, login.password)).unwrap();
        self.options.set_credentials(username, password);
        self
    }

    pub(crate) fn client_id(mut self, client_id: &str) -> Self {
        self.options.set_client_id(client_id.to_owned());
        self
    }

    pub(crate) fn keep_alive(mut self, seconds: u64) -> Self {
        self.options.set_keep_alive(Duration::from_secs(seconds));
        self
    }

    pub(crate) fn persistent(mut self) -> Self {
        self.options.set_clean_session(false);
        self
    }

    pub(crate) fn will(mut self, topic: &str) -> Self {
        self.options.set_last_will(LastWill::new(topic, "gone", QoS::AtLeastOnce, false));
        self
    }

    /// Connects, or returns the code that says why not.
    pub(crate) async fn try_open(self) -> Result<Client, ConnectReturnCode> {
        let (client, mut events) = AsyncClient::new(self.options, 100);
        let (tx, rx) = mpsc::unbounded_channel();
        let first = tokio::time::timeout(PATIENCE, events.poll()).await.unwrap();
        let session_present = match first {
            Ok(Event::Incoming(Packet::ConnAck(ack))) => ack.session_present,
            Err(ConnectionError::ConnectionRefused(code)) => return Err(code),
            other => panic!("instead of a CONNACK: {other:?}"),
        };
        let task = tokio::spawn(async move {
            // The first error ends it: a client that reconnects by itself would hide what is tested here.
            while let Ok(event) = events.poll().await {
                if let Event::Incoming(packet) = event
                    && tx.send(packet).is_err()
                {
                    break;
                }
            }
        });
        Ok(Client { client, rx, early: VecDeque::new(), task, session_present })
    }

    pub(crate) async fn open(self) -> Client {
        self.try_open().await.unwrap()
    }
}

/// A connected client.
pub(crate) struct Client {
    pub(crate) client: AsyncClient,
    rx: mpsc::UnboundedReceiver<Packet>,
    /// Messages that came while something else was waited for.
    early: VecDeque<Publish>,
    task: JoinHandle<()>,
    pub(crate) session_present: bool,
}

/// Breaks the connection without a goodbye.
impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    async fn next(&mut self) -> Option<Packet> {
        tokio::time::timeout(PATIENCE, self.rx.recv()).await.expect("nothing comes from the broker")
    }

    /// The next packet for which `wanted` has an answer. Messages are kept for later.
    async fn answer<T>(&mut self, wanted: impl Fn(&Packet) -> Option<T>) -> T {
        loop {
            let packet = self.next().await.expect("the connection is gone");
            if let Some(answer) = wanted(&packet) {
                return answer;
            }
            if let Packet::Publish(publish) = packet {
                self.early.push_back(publish);
            }
        }
    }

    /// The next message that arrives, or `None` if the connection ends first.
    pub(crate) async fn message_or_end(&mut self) -> Option<Publish> {
        if let Some(publish) = self.early.pop_front() {
            return Some(publish);
        }
        loop {
            if let Packet::Publish(publish) = self.next().await? {
                return Some(publish);
            }
        }
    }

    /// The next message that arrives.
    pub(crate) async fn message(&mut self) -> Publish {
        self.message_or_end().await.expect("the connection is gone")
    }

    /// The next message as topic and text.
    pub(crate) async fn text(&mut self) -> (String, String) {
        let publish = self.message().await;
        (publish.topic, String::from_utf8(publish.payload.to_vec()).unwrap())
    }

    /// Publishes and waits for the acknowledgement.
    pub(crate) async fn publish(&mut self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
        self.answer(|packet| matches!(packet, Packet::PubAck(_)).then_some(())).await;
    }

    /// Subscribes to several filters in one packet and returns the answers.
    pub(crate) async fn subscribe(&mut self, filters: &[&str]) -> Vec<SubscribeReasonCode> {
        let filters =
            filters.iter().map(|filter| SubscribeFilter::new((*filter).to_owned(), QoS::AtLeastOnce));
        self.client.subscribe_many(filters).await.unwrap();
        self.answer(|packet| match packet {
            Packet::SubAck(ack) => Some(ack.return_codes.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until the broker has closed the connection, and returns the messages that came before.
    pub(crate) async fn closed(&mut self) -> Vec<Publish> {
        let mut messages = Vec::from(std::mem::take(&mut self.early));
        while let Some(packet) = self.next().await {
            if let Packet::Publish(publish) = packet {
                messages.push(publish);
            }
        }
        messages
    }

    /// Says goodbye.
    pub(crate) async fn disconnect(mut self) {
        self.client.disconnect().await.unwrap();
        self.closed().await;
    }

    /// Returns the next announcement as status, session and device name.
    pub(crate) async fn presence(&mut self) -> (String, String, String) {
        let (topic, text) = self.text().await;
        let device = topic.strip_prefix("/overair/presence/pk/").expect("a presence topic").to_owned();
        let rest = text.strip_prefix(r#"{"status":""#).unwrap();
        let (status, rest) = rest.split_once(r#"","session":""#).unwrap();
        let (session, rest) = rest.split_once(r#"","at":"#).unwrap();
        rest.strip_suffix('}').unwrap().parse::<u64>().unwrap();
        (status.to_owned(), session.to_owned(), device)
    }
}

/// A subscriber to all announcements.
pub(crate) async fn watcher(broker: &Broker) -> Client {
    let mut watcher = Connect::service(broker, "watcher").open().await;
    watcher.subscribe(&["/overair/presence/+/+"]).await;
    watcher
}

pub(crate) fn upgrade(device_name: &str) -> String {
    format!("/ota/device/upgrade/{PK}/{device_name}")
}

pub(crate) fn inform(device_name: &str) -> String {
    format!("/ota/device/inform/{PK}/{device_name}")
}
