//! What takes EMQX's place: a broker that asks the service over HTTP, as `deploy/emqx` has EMQX do.
//!
//! Logins are posted to `device-auth`; messages on the topics that are handed on are posted to `progress-webhook`, those of
//! one topic in order and each again until it is taken; and the REST API's `publish` becomes a message.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;
use ota_broker::{BrokerConfig, DeviceIdentity, Gate, Login, LoginDecision};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, Publish, QoS};
use serde::Deserialize;
use tokio::sync::mpsc;

/// Messages in work at once.
const WORKERS: usize = 8;
/// Messages that wait for a worker.
const WAITING_MAX: usize = 4096;
/// How long until a message is posted again that was not taken.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// The largest message of the service: a block of a file, and what stands around it.
const MESSAGE_BYTES_MAX: usize = 512 * 1024;

/// Where the service is, and what opens it.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) base_url: String,
    pub(crate) token: String,
}

/// The running broker.
pub(crate) struct Broker {
    broker: ota_broker::Broker,
    publisher: AsyncClient,
}

/// A message as the REST API takes it.
#[derive(Deserialize)]
struct PublishJson {
    topic: String,
    payload: String,
    payload_encoding: String,
    qos: u8,
}

/// What `device-auth` says of a login.
#[derive(Deserialize)]
struct Allowed {
    result: String,
    client_attrs: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    product_key: String,
    device_name: String,
}

struct Door {
    http: reqwest::Client,
    site: Site,
    own: String,
}

impl Gate for Door {
    fn login(&self, login: Login) -> BoxFuture<'_, LoginDecision> {
        async move {
            if login.password == self.own.as_bytes() {
                return LoginDecision::Service;
            }
            let asked = self.ask(&login).await;
            asked.map_or_else(|reason| LoginDecision::Refused { reason }, LoginDecision::Device)
        }
        .boxed()
    }
}

impl Door {
    async fn ask(&self, login: &Login) -> Result<DeviceIdentity, String> {
        let body = serde_json::json!({
            "client_id": login.client_id,
            "username": login.username,
            "password": String::from_utf8_lossy(&login.password),
        });
        let url = format!("{}/internal/device-auth/login", self.site.base_url);
        let request = self.http.post(url).bearer_auth(&self.site.token).json(&body);
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        let allowed: Allowed =
            answer.map_err(|error| error.to_string())?.json().await.map_err(|error| error.to_string())?;
        if allowed.result != "allow" {
            return Err(format!("the result is {}", allowed.result));
        }
        let Attributes { product_key, device_name } = allowed.client_attrs;
        Ok(DeviceIdentity { product_key, device_name })
    }
}

/// Starts the broker and waits until it hands on what it is to hand on.
pub(crate) async fn start(listen: SocketAddr, site: Site, topics: &[String]) -> anyhow::Result<Broker> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).context("no randomness")?;
    let own = hex::encode(secret);
    let http = reqwest::Client::builder().no_proxy().build()?;
    let door = Door { http: http.clone(), site: site.clone(), own: own.clone() };
    let config = BrokerConfig { listen, ..BrokerConfig::default() };
    let broker = ota_broker::start(config, Arc::new(door)).await?;

    let mut options =
        MqttOptions::new("emqx", broker.local_addr().ip().to_string(), broker.local_addr().port());
    options.set_credentials("emqx", own).set_max_packet_size(MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX);
    let (publisher, mut events) = AsyncClient::new(options, WAITING_MAX);
    for topic in topics {
        publisher.subscribe(topic, QoS::AtLeastOnce).await?;
    }
    let queues: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (queue, messages) = mpsc::channel(WAITING_MAX);
            tokio::spawn(hand_on(messages, http.clone(), site.clone()));
            queue
        })
        .collect();
    let mut open = topics.len();
    let (subscribed, ready) = tokio::sync::oneshot::channel();
    let mut subscribed = Some(subscribed);
    tokio::spawn(async move {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::SubAck(_))) => {
                    open -= 1;
                    if open == 0
                        && let Some(subscribed) = subscribed.take()
                    {
                        // Nobody may be waiting any more.
                        let _ = subscribed.send(());
                    }
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    let mut hasher = DefaultHasher::new();
                    message.topic.hash(&mut hasher);
                    let at = usize::try_from(hasher.finish() % WORKERS as u64).unwrap_or_default();
                    if queues[at].send(message).await.is_err() {
                        return;
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "the connection to the broker is lost");
                    return;
                }
            }
        }
    });
    if !topics.is_empty() {
        ready.await.context("the broker refuses a topic")?;
    }
    Ok(Broker { broker, publisher })
}

/// Posts messages, each until it is taken.
async fn hand_on(mut messages: mpsc::Receiver<Publish>, http: reqwest::Client, site: Site) {
    let url = format!("{}/internal/device-messages", site.base_url);
    while let Some(message) = messages.recv().await {
        loop {
            let request = http.post(&url).query(&[("topic", &message.topic)]).bearer_auth(&site.token);
            match request.body(message.payload.clone()).send().await {
                Ok(answer) if answer.status().is_success() => break,
                Ok(answer) if answer.status().is_client_error() => {
                    tracing::error!(topic = message.topic, status = %answer.status(), "a message is refused");
                    break;
                }
                Ok(answer) => tracing::warn!(topic = message.topic, status = %answer.status(), "again"),
                Err(error) => tracing::warn!(topic = message.topic, %error, "again"),
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

impl Broker {
    pub(crate) fn address(&self) -> SocketAddr {
        self.broker.local_addr()
    }

    /// Publishes what the REST API is given, if whoever gives it has the key.
    pub(crate) async fn take(&self, authorization: &str, key: &(String, String), body: &[u8]) -> StatusCode {
        let expected = format!("Basic {}", STANDARD.encode(format!("{}:{}", key.0, key.1)));
        if authorization != expected {
            return StatusCode::UNAUTHORIZED;
        }
        let Ok(message) = serde_json::from_slice::<PublishJson>(body) else { return StatusCode::BAD_REQUEST };
        let payload = match message.payload_encoding.as_str() {
            "base64" => STANDARD.decode(&message.payload).ok(),
            "plain" => Some(message.payload.clone().into_bytes()),
            _ => None,
        };
        let (Some(payload), 1) = (payload, message.qos) else { return StatusCode::BAD_REQUEST };
        match self.publisher.publish(message.topic, QoS::AtLeastOnce, false, payload).await {
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
