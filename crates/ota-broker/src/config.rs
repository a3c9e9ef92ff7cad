//! What an operator may set.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::topics::DOWNLINK_TOPICS;

/// The limits of one broker. All but `listen` have a default that suits shipped device software.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerConfig {
    /// Where to listen. Port 0 takes a free port, which `Broker::local_addr` then tells.
    pub listen: SocketAddr,
    /// Threads of the broker's own runtime. Two: routing a message costs microseconds, and the functions need the
    /// rest of the machine.
    pub threads: usize,
    /// How long a client may take over the rest of a CONNECT it has begun, and then the gate over its answer. A
    /// connection that never sends anything is not covered: the library waits for its first bytes without end.
    pub connect_timeout: Duration,
    /// How long a client may leave its receive window shut before it is thrown out.
    pub send_timeout: Duration,
    /// Shortest keep-alive a device may ask for. The product page says 30 s, but command line clients default to
    /// less and cost little, so only what would be a flood of pings is refused.
    pub keep_alive_seconds_min: u16,
    /// Longest keep-alive a device may ask for, from the product page: the C SDK asks for exactly this. A device
    /// that goes silent is declared offline after one and a half times what it asked for. Zero, which means never,
    /// is refused to devices, because their presence would then be wrong for good.
    pub keep_alive_seconds_max: u16,
    /// Longest client id. The product page allows 64 characters before the `|`; with the parameters after it the
    /// ids that real software sends reach 150.
    pub client_id_bytes_max: usize,
    /// Largest payload, from the product page. A larger one is refused, and a packet that is larger by more than
    /// its headers ends the connection before it is read.
    pub payload_bytes_max: u32,
    /// Longest topic of a device. The product page says 128; names at their longest need a little more.
    pub topic_bytes_max: usize,
    /// From how many sessions on no further device is let in. The service, and a device that comes back, always are.
    pub device_sessions_max: usize,
    /// Subscriptions of one session. The product page says 100 for a device, those made by the broker not counted.
    pub subscriptions_max: usize,
    /// Sub-devices that one gateway's connection carries, from the product page. Each adds its own to the gateway's
    /// subscriptions and queue.
    pub sub_devices_max: usize,
    /// QoS 1 messages on their way to one client without an acknowledgement.
    pub inflight_max: u16,
    /// When a message that could not be delivered is no longer worth delivering. It also bounds how long a client
    /// that never acknowledges can block its own in-flight window.
    pub message_expiry: Duration,
    /// What may wait for one device. Few: the service pushes one upgrade at a time, and pushes it again.
    pub device_queue: QueueLimit,
    /// What may wait for one connection of the service. Many: when power comes back a whole fleet reports at once,
    /// and a report that finds no room is lost.
    pub service_queue: QueueLimit,
    /// Messages a device may publish per second for good; beyond that it is slowed down. The product page allows
    /// 30, but a device that downloads a package over MQTT asks for one block per message.
    pub device_publish_per_second_max: u32,
    /// Messages a device may publish at once after a rest. The C SDK sends 20 progress reports within 10 ms.
    pub device_publish_burst_max: u32,
}

/// How much may wait for one session, in whichever measure is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimit {
    /// Messages.
    pub messages_max: usize,
    /// Bytes of payload.
    pub bytes_max: usize,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 1883)),
            threads: 2,
            connect_timeout: Duration::from_secs(15),
            send_timeout: Duration::from_secs(10),
            keep_alive_seconds_min: 5,
            keep_alive_seconds_max: 1200,
            client_id_bytes_max: 256,
            payload_bytes_max: 256 * 1024,
            topic_bytes_max: 256,
            device_sessions_max: 20_000,
            subscriptions_max: 128,
            sub_devices_max: 1_500,
            inflight_max: 32,
            message_expiry: Duration::from_secs(300),
            device_queue: QueueLimit { messages_max: 64, bytes_max: 1024 * 1024 },
            service_queue: QueueLimit { messages_max: 65_536, bytes_max: 16 * 1024 * 1024 },
            device_publish_per_second_max: 100,
            device_publish_burst_max: 200,
        }
    }
}

impl BrokerConfig {
    /// Subscriptions of a session that carries so many sub-devices, those of the broker included that the library
    /// counts.
    pub(crate) fn subscriptions_of(&self, sub_devices: usize) -> usize {
        let own = self.subscriptions_max.saturating_mul(sub_devices.saturating_add(1));
        own.saturating_add(DOWNLINK_TOPICS)
    }

    /// The largest packet: the largest payload and what stands around it.
    pub(crate) fn packet_bytes_max(&self) -> u32 {
        let headers = u32::try_from(self.topic_bytes_max).unwrap_or(u32::MAX).saturating_add(64);
        self.payload_bytes_max.saturating_add(headers)
    }
}
