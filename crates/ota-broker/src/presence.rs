//! How the broker tells the service that a device came or went.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rmqtt::codec::types::Publish as PublishPacket;
use rmqtt::types::{ClientId, From, Id, Publish, QoS, TopicName};

use crate::DeviceIdentity;

/// Whether a device is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Online,
    Offline,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Online => "online",
            Status::Offline => "offline",
        }
    }
}

/// The message that announces a device's status, from nobody but the broker.
pub(crate) fn announcement(
    device: &DeviceIdentity,
    session: &str,
    status: Status,
    at: u64,
) -> (From, Publish) {
    let packet = PublishPacket {
        dup: false,
        retain: false,
        qos: QoS::AtLeastOnce,
        topic: TopicName::from(topic(device)),
        packet_id: None,
        payload: Bytes::from(payload(session, status, at)),
        properties: None,
    };
    let created = i64::try_from(at).unwrap_or(i64::MAX);
    let from = From::from_system(Id::from(0, ClientId::from_static("")));
    (from, Publish::from(packet).create_time(created))
}

/// Where a device's status is announced.
fn topic(device: &DeviceIdentity) -> String {
    format!("/overair/presence/{}/{}", device.product_key, device.device_name)
}

/// The announcement as compact JSON. Nothing in it needs escaping: a session is hexadecimal digits and dashes.
fn payload(session: &str, status: Status, at: u64) -> String {
    format!(r#"{{"status":"{}","session":"{session}","at":{at}}}"#, status.as_str())
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_compact_json() {
        assert_eq!(
            payload("19a-1", Status::Online, 1_795_355_887_123),
            r#"{"status":"online","session":"19a-1","at":1795355887123}"#
        );
    }
}
