//! A device written out from what the C SDK sends and looks for, and from nothing of ours.
//!
//! It never subscribes, since the SDK leaves that to the broker; it speaks with QoS 0; it has no JSON parser, and takes
//! the first hit of a key in the text.

use std::net::SocketAddr;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, MqttOptions, Packet, QoS, SubscribeReasonCode,
};
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::service::PATIENCE;

/// Who a device is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) product_key: String,
    pub(crate) name: String,
    pub(crate) secret: String,
}

impl Identity {
    /// Client id, user name and password of the `boot`th connection.
    pub(crate) fn login(&self, boot: u32) -> (String, String, String) {
        let Self { product_key, name, secret } = self;
        let client_id = format!(
            "{product_key}.{name}|timestamp=2524608000000,_ss=1,_v=sdk-c-4.2.0,securemode=3,\
             signmethod=hmacsha256,ext=3,_conn=tcp_{boot}|"
        );
        let content = format!(
            "clientId{product_key}.{name}deviceName{name}productKey{product_key}timestamp2524608000000"
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(content.as_bytes());
        (client_id, format!("{name}&{product_key}"), hex::encode_upper(mac.finalize().into_bytes()))
    }

    /// Connects for the `boot`th time.
    pub(crate) async fn connect(&self, broker: SocketAddr, boot: u32) -> Device {
        let connected = Device::connect(self, broker, self.login(boot)).await;
        connected.unwrap_or_else(|code| panic!("{} is refused: {code:?}", self.name))
    }
}

/// A connected device.
pub(crate) struct Device {
    identity: Identity,
    client: AsyncClient,
    events: mpsc::UnboundedReceiver<Packet>,
    connection: JoinHandle<()>,
    message_id: u32,
}

impl Device {
    /// Connects, or returns the code that the broker refuses with.
    pub(crate) async fn connect(
        identity: &Identity,
        broker: SocketAddr,
        (client_id, username, password): (String, String, String),
    ) -> Result<Self, ConnectReturnCode> {
        let mut options = MqttOptions::new(client_id, broker.ip().to_string(), broker.port());
        options.set_credentials(username, password);
        options.set_keep_alive(Duration::from_secs(1200));
        options.set_clean_session(true);
        // A block of a file is larger than the library takes by itself.
        options.set_max_packet_size(256 * 1024, 256 * 1024);
        let (client, mut connection) = AsyncClient::new(options, 64);
        loop {
            match tokio::time::timeout(PATIENCE, connection.poll()).await.expect("the broker answers") {
                Ok(Event::Incoming(Packet::ConnAck(_))) => break,
                Ok(_) => {}
                Err(ConnectionError::ConnectionRefused(code)) => return Err(code),
                Err(error) => panic!("{}: {error}", identity.name),
            }
        }
        let (told, events) = mpsc::unbounded_channel();
        let connection = tokio::spawn(async move {
            while let Ok(event) = connection.poll().await {
                if let Event::Incoming(packet) = event
                    && told.send(packet).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { identity: identity.clone(), client, events, connection, message_id: 0 })
    }

    /// Tells its version, with the SDK's space after the comma.
    pub(crate) async fn inform(&mut self, version: &str) {
        let id = self.next_id();
        let payload = format!(r#"{{"id":{id}, "params":{{"version":"{version}"}}}}"#);
        self.publish(&self.own_topic("inform"), QoS::AtMostOnce, payload).await;
    }

    /// Tells how far it is: a step as a text, without words.
    pub(crate) async fn progress(&mut self, step: i8) {
        let id = self.next_id();
        let payload = format!(r#"{{"id":{id}, "params":{{"step":"{step}","desc":""}}}}"#);
        self.publish(&self.own_topic("progress"), QoS::AtMostOnce, payload).await;
    }

    /// Asks for its upgrade and returns the answer.
    pub(crate) async fn ask(&mut self) -> String {
        let (id, Identity { product_key, name, .. }) = (self.next_id(), self.identity.clone());
        let topic = format!("/sys/{product_key}/{name}/thing/ota/firmware/get");
        self.publish(&topic, QoS::AtMostOnce, format!(r#"{{"id":{id}, "params":{{}}}}"#)).await;
        let reply = self.message(&format!("{topic}_reply")).await;
        assert!(reply.contains(&format!(r#""id":{id},"#)), "{reply}");
        reply
    }

    /// Waits for a push.
    pub(crate) async fn push(&mut self) -> String {
        let Identity { product_key, name, .. } = &self.identity;
        self.message(&format!("/ota/device/upgrade/{product_key}/{name}")).await
    }

    /// Waits for the next message, which has to be of this topic.
    pub(crate) async fn message(&mut self, topic: &str) -> String {
        String::from_utf8(self.bytes(topic).await).unwrap()
    }

    /// Waits for the next message, which has to be of this topic, and returns it as it came.
    pub(crate) async fn bytes(&mut self, topic: &str) -> Vec<u8> {
        match self.packet(|packet| matches!(packet, Packet::Publish(_))).await {
            Packet::Publish(publish) => {
                assert_eq!(publish.topic, topic);
                publish.payload.to_vec()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Publishes, and with QoS 1 waits until the broker has the message.
    pub(crate) async fn publish(&mut self, topic: &str, qos: QoS, payload: impl Into<Vec<u8>>) {
        self.client.publish(topic, qos, false, payload).await.unwrap();
        if qos == QoS::AtLeastOnce {
            self.packet(|packet| matches!(packet, Packet::PubAck(_))).await;
        }
    }

    /// Subscribes and returns the broker's word on it.
    pub(crate) async fn subscribe(&mut self, filter: &str) -> SubscribeReasonCode {
        self.client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        match self.packet(|packet| matches!(packet, Packet::SubAck(_))).await {
            Packet::SubAck(answer) => answer.return_codes[0],
            other => panic!("{other:?}"),
        }
    }

    /// Says goodbye and waits until the connection is closed.
    pub(crate) async fn disconnect(mut self) {
        self.client.disconnect().await.unwrap();
        while self.events.recv().await.is_some() {}
    }

    /// Returns whether a message has come that nobody waited for.
    pub(crate) fn has_message(&mut self) -> bool {
        std::iter::from_fn(|| self.events.try_recv().ok()).any(|packet| matches!(packet, Packet::Publish(_)))
    }

    async fn packet(&mut self, wanted: impl Fn(&Packet) -> bool) -> Packet {
        let found = async {
            loop {
                let packet = self.events.recv().await.expect("the connection stands");
                if wanted(&packet) {
                    return packet;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("the broker answers in time")
    }

    fn own_topic(&self, verb: &str) -> String {
        let Identity { product_key, name, .. } = &self.identity;
        format!("/ota/device/{verb}/{product_key}/{name}")
    }

    fn next_id(&mut self) -> u32 {
        self.message_id += 1;
        self.message_id
    }
}

impl Drop for Device {
    /// A device that loses its power says nothing.
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Finds the value of a key as the C SDK does: right behind the first hit in the text, in no matter which object.
#[track_caller]
pub(crate) fn first_hit<'a>(text: &'a str, key: &str) -> &'a str {
    let hit = format!("\"{key}\":");
    let (_, value) = text.split_once(&hit).unwrap_or_else(|| panic!("no {key} in {text}"));
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default(),
        None => value.split([',', '}']).next().unwrap_or_default(),
    }
}
