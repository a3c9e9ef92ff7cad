//! Clients of MQTT 5, which come free with the library.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};

use crate::support::{Connect, PATIENCE, PK, broker, counters, upgrade, watcher};

async fn answer<T>(events: &mut EventLoop, wanted: impl Fn(Packet) -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Event::Incoming(packet) = events.poll().await.unwrap()
                && let Some(answer) = wanted(packet)
            {
                return answer;
            }
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.unwrap()
}

#[tokio::test]
async fn a_device_of_version_5_is_served_like_any_other() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let address = broker.local_addr();
    let mut options = MqttOptions::new("d1", address.ip().to_string(), address.port());
    options.set_credentials(format!("d1&{PK}"), "good").set_keep_alive(Duration::from_secs(60));
    options.set_clean_start(false).set_session_expiry_interval(Some(3600));
    let (client, mut events) = AsyncClient::new(options, 10);

    let ack = answer(&mut events, |packet| match packet {
        Packet::ConnAck(ack) => Some(ack),
        _ => None,
    });
    assert!(!ack.await.session_present);
    assert_eq!(watcher.presence().await.0, "online");

    watcher.publish(&upgrade("d1"), "push").await;
    let push = answer(&mut events, |packet| match packet {
        Packet::Publish(publish) => Some(publish),
        _ => None,
    });
    assert_eq!(push.await.payload, "push");

    client.subscribe("/sys/pk/d1/#", QoS::AtLeastOnce).await.unwrap();
    client.subscribe("/sys/pk/d2/#", QoS::AtLeastOnce).await.unwrap();
    for expected in [SubscribeReasonCode::Success(QoS::AtLeastOnce), SubscribeReasonCode::NotAuthorized] {
        let ack = answer(&mut events, |packet| match packet {
            Packet::SubAck(ack) => Some(ack.return_codes),
            _ => None,
        });
        assert_eq!(ack.await, [expected]);
    }

    // A later login of the other version takes over; nothing of the session is kept.
    let _later = Connect::device(&broker, "d1").open().await;
    assert_eq!(watcher.presence().await.0, "online");
    counters(&broker, |now| now.sessions == 2).await;
}
