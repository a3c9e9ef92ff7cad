//! One device: as little of a client as there can be, for thousands of them share a process. The packets are `rumqttc`'s.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::BytesMut;
use ota_devices::{Credential, Dialect};
use rumqttc::{ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::client::Shared;

/// How long a login and the first report may take.
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// Bytes of a packet: a push has some hundreds.
const PACKET_BYTES_MAX: usize = 16 * 1024;
/// The number of the only message that a device sends.
const REPORT: u16 = 1;

/// How devices connect.
pub(crate) struct Way {
    pub(crate) broker: SocketAddr,
    pub(crate) from: Ipv4Addr,
    pub(crate) product_key: String,
    /// Seconds between two keep-alives.
    pub(crate) keep_alive: u16,
}

/// A connected device.
pub(crate) struct Device {
    stream: TcpStream,
    buffer: BytesMut,
    keep_alive: Duration,
}

impl Device {
    /// Connects, logs in and tells the device's version.
    pub(crate) async fn connect(way: &Way, credential: &Credential) -> anyhow::Result<Self> {
        timeout(CONNECT_MAX, Self::log_in(way, credential)).await.context("the broker does not answer")?
    }

    async fn log_in(way: &Way, credential: &Credential) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4().context("no socket")?;
        socket.bind(SocketAddr::from((way.from, 0))).context("no port to connect from")?;
        let stream = socket.connect(way.broker).await.context("cannot connect")?;
        let keep_alive = Duration::from_secs(way.keep_alive.into());
        let mut device = Self { stream, buffer: BytesMut::new(), keep_alive };

        let Credential { name, secret } = credential;
        let login = Dialect::CLink.login(&way.product_key, name, secret, 0);
        let mut connect = Connect::new(login.client_id);
        // The broker waits half as long again; so a device that is late once is not cut off.
        connect.keep_alive = way.keep_alive;
        connect.set_login(login.username, login.password);
        device.send(&Packet::Connect(connect)).await?;
        match device.receive().await? {
            Packet::ConnAck(ConnAck { code: ConnectReturnCode::Success, .. }) => {}
            Packet::ConnAck(ConnAck { code, .. }) => bail!("the broker refuses the login: {code:?}"),
            other => bail!("a login is answered with {other:?}"),
        }
        let topic = format!("/ota/device/inform/{}/{name}", way.product_key);
        let mut report = Publish::new(topic, QoS::AtLeastOnce, r#"{"id":"1","params":{"version":"1.0.0"}}"#);
        report.pkid = REPORT;
        device.send(&Packet::Publish(report)).await?;
        match device.receive().await? {
            Packet::PubAck(PubAck { pkid: REPORT }) => Ok(device),
            other => bail!("a report is answered with {other:?}"),
        }
    }

    /// Stays connected, and takes what comes. Returns when the connection has ended.
    pub(crate) async fn stay(mut self, shared: &Shared) -> anyhow::Result<()> {
        let mut pings = interval_at(Instant::now() + self.keep_alive, self.keep_alive);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_told = false;
        loop {
            tokio::select! {
                _ = pings.tick() => self.send(&Packet::PingReq).await?,
                received = self.receive() => {
                    let Packet::Publish(push) = received? else { continue };
                    if push.qos != QoS::AtMostOnce {
                        self.send(&Packet::PubAck(PubAck::new(push.pkid))).await?;
                    }
                    if !is_told && push.topic.starts_with("/ota/device/upgrade/") {
                        is_told = true;
                        shared.pushed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    }

    async fn send(&mut self, packet: &Packet) -> anyhow::Result<()> {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, PACKET_BYTES_MAX).context("a packet is too long")?;
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// Returns the next packet. May be given up at any moment, and called again.
    async fn receive(&mut self) -> anyhow::Result<Packet> {
        loop {
            match Packet::read(&mut self.buffer, PACKET_BYTES_MAX) {
                Ok(packet) => return Ok(packet),
                Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => bail!("the broker sends no packet: {error}"),
            }
            // An idle device keeps no room for what may come.
            ensure!(
                self.stream.read_buf(&mut self.buffer).await? > 0,
                "the broker has closed the connection"
            );
        }
    }
}
