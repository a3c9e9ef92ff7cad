//! One MQTT connection of a device.
//!
//! A link lives as long as its connection: it never reconnects by itself, because when and how a device comes back is
//! the device's part to play.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Outgoing, Packet, QoS};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::dialect::Message;
use crate::login::Login;

/// How long a login may take. The service decides logins in a function, which may have to start first.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the broker may take to acknowledge what was sent before a device switches itself off.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(20);
/// Messages of the service that wait while the device is busy. More are dropped, as on a device.
const INBOX_MAX: usize = 16;
/// Messages that wait to be sent.
const OUTBOX_MAX: usize = 64;
/// The largest packet in either direction: the protocol's largest payload and its topic.
const PACKET_BYTES_MAX: usize = 257 * 1024;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkError {
    /// The broker does not take the login.
    #[error("the broker refused the login: {0}")]
    Refused(String),
    /// The connection ended or never came to be.
    #[error("{0}")]
    Lost(String),
}

/// What the broker sent.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Progress {
    connected: bool,
    sent: u64,
    acknowledged: u64,
    ended: Option<LinkError>,
}

/// A connection.
pub(crate) struct Link {
    client: AsyncClient,
    inbox: mpsc::Receiver<Incoming>,
    progress: watch::Receiver<Progress>,
    pump: JoinHandle<()>,
    queued: u64,
    awaiting: u64,
}

impl Link {
    /// Connects and logs in.
    pub(crate) async fn connect(
        host: &str,
        port: u16,
        login: Login,
        keep_alive: Duration,
        clean_session: bool,
    ) -> Result<Self, LinkError> {
        let mut options = MqttOptions::new(login.client_id, host, port);
        options
            .set_credentials(login.username, login.password)
            .set_keep_alive(keep_alive)
            .set_clean_session(clean_session)
            .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
        let (client, mut events) = AsyncClient::new(options, OUTBOX_MAX);
        events.network_options.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
        events.network_options.set_tcp_nodelay(true);
        let (incoming, inbox) = mpsc::channel(INBOX_MAX);
        let (told, mut progress) = watch::channel(Progress::default());
        let pump = tokio::spawn(pump(events, incoming, told));
        let settled = progress.wait_for(|p| p.connected || p.ended.is_some()).await.map(|p| p.ended.clone());
        match settled {
            Ok(None) => Ok(Self { client, inbox, progress, pump, queued: 0, awaiting: 0 }),
            Ok(Some(error)) => Err(error),
            Err(_) => Err(LinkError::Lost("the connection's task ended".to_owned())),
        }
    }

    /// Sends a message, as surely as its QoS says.
    pub(crate) async fn send(&mut self, message: &Message) -> Result<(), LinkError> {
        let sent = self.client.publish(&message.topic, message.qos, false, message.payload.clone()).await;
        if sent.is_err() {
            return Err(self.why());
        }
        self.queued += 1;
        if message.qos != QoS::AtMostOnce {
            self.awaiting += 1;
        }
        Ok(())
    }

    /// Waits for the next message.
    pub(crate) async fn receive(&mut self) -> Result<Incoming, LinkError> {
        match self.inbox.recv().await {
            Some(incoming) => Ok(incoming),
            None => Err(self.why()),
        }
    }

    /// Forgets the messages that came while the device was busy.
    pub(crate) fn forget_inbox(&mut self) {
        while self.inbox.try_recv().is_ok() {}
    }

    /// Says goodbye once all that was sent has left, or been acknowledged where it is to be.
    pub(crate) async fn close(mut self) -> Result<(), LinkError> {
        let (queued, awaiting) = (self.queued, self.awaiting);
        let flushed =
            self.progress.wait_for(|p| p.ended.is_some() || (p.sent >= queued && p.acknowledged >= awaiting));
        match tokio::time::timeout(FLUSH_TIMEOUT, flushed).await {
            Ok(Ok(progress)) => {
                if let Some(error) = &progress.ended {
                    return Err(error.clone());
                }
            }
            Ok(Err(_)) => return Err(LinkError::Lost("the connection's task ended".to_owned())),
            Err(_) => return Err(LinkError::Lost("the broker acknowledges nothing".to_owned())),
        }
        if self.client.disconnect().await.is_err() {
            return Err(self.why());
        }
        // That it went out shows in the end of the connection; one that hangs is cut when the link is dropped.
        let ended = self.progress.wait_for(|p| p.ended.is_some());
        let _ended = tokio::time::timeout(FLUSH_TIMEOUT, ended).await;
        Ok(())
    }

    fn why(&self) -> LinkError {
        let ended = self.progress.borrow().ended.clone();
        ended.unwrap_or_else(|| LinkError::Lost("the connection ended".to_owned()))
    }
}

impl Drop for Link {
    /// Cuts the connection without a word.
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Turns the connection's crank until it ends.
async fn pump(mut events: EventLoop, incoming: mpsc::Sender<Incoming>, told: watch::Sender<Progress>) {
    let ended = loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => told.send_modify(|p| p.connected = true),
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let message = Incoming { topic: publish.topic, payload: publish.payload.to_vec() };
                // A full inbox drops the message, as the device's own memory would.
                let _dropped = incoming.try_send(message);
            }
            Ok(Event::Incoming(Packet::PubAck(_))) => told.send_modify(|p| p.acknowledged += 1),
            Ok(Event::Outgoing(Outgoing::Publish(_))) => told.send_modify(|p| p.sent += 1),
            Ok(Event::Outgoing(Outgoing::Disconnect)) => break LinkError::Lost("disconnected".to_owned()),
            Ok(_) => {}
            Err(rumqttc::ConnectionError::ConnectionRefused(code)) => break refusal(code),
            Err(error) => break LinkError::Lost(error.to_string()),
        }
    };
    // The socket first: whoever learns of the end may connect again at once.
    drop(events);
    told.send_modify(|p| p.ended = Some(ended));
}

fn refusal(code: rumqttc::ConnectReturnCode) -> LinkError {
    use rumqttc::ConnectReturnCode as Code;
    match code {
        // Nothing is wrong with the login: worth another try.
        Code::ServiceUnavailable => LinkError::Lost("the broker is not ready".to_owned()),
        other => LinkError::Refused(format!("{other:?}")),
    }
}
