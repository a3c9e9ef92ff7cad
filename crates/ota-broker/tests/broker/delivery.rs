//! What arrives, how often, and in which order.

use ota_broker::{BrokerConfig, QueueLimit};
use rumqttc::QoS;

use crate::support::{Connect, broker, broker_with, config, counters, inform, upgrade};

#[tokio::test]
async fn a_device_that_never_subscribes_receives_what_is_sent_to_it() {
    let broker = broker().await;
    let mut device = Connect::device(&broker, "a-b_c@d.e:f").open().await;
    let mut service = Connect::service(&broker, "service").open().await;
    for topic in [
        upgrade("a-b_c@d.e:f"),
        "/sys/pk/a-b_c@d.e:f/thing/ota/firmware/get_reply".to_owned(),
        "/sys/pk/a-b_c@d.e:f/thing/file/download_reply".to_owned(),
    ] {
        service.publish(&topic, "push").await;
        let message = device.message().await;
        assert_eq!((message.topic, message.qos, message.retain), (topic, QoS::AtLeastOnce, false));
    }
}

#[tokio::test]
async fn a_device_that_subscribes_as_well_receives_each_message_once() {
    let broker = broker().await;
    let mut device = Connect::device(&broker, "d1").open().await;
    device.subscribe(&[&upgrade("d1"), "/ota/device/+/pk/d1", "/sys/pk/d1/#"]).await;
    let mut service = Connect::service(&broker, "service").open().await;
    service.publish(&upgrade("d1"), "one").await;
    service.publish("/sys/pk/d1/thing/ota/firmware/get_reply", "two").await;
    service.publish(&upgrade("d1"), "three").await;
    for expected in ["one", "two", "three"] {
        assert_eq!(device.text().await.1, expected);
    }
}

#[tokio::test]
async fn a_push_sent_on_the_announcement_is_not_lost() {
    let broker = broker().await;
    let mut service = crate::support::watcher(&broker).await;
    let mut devices = Vec::new();
    for round in 0..20 {
        let name = format!("d{round}");
        let connect = tokio::spawn(Connect::device(&broker, &name).open());
        let (status, _, device) = service.presence().await;
        assert_eq!((status.as_str(), &device), ("online", &name));
        service.publish(&upgrade(&name), "push").await;
        let mut device = connect.await.unwrap();
        assert_eq!(device.text().await, (upgrade(&name), "push".to_owned()));
        devices.push(device);
    }
}

#[tokio::test]
async fn two_informs_arrive_in_order() {
    let broker = broker().await;
    let mut service = Connect::service(&broker, "service").open().await;
    service.subscribe(&["/ota/device/inform/+/+"]).await;
    let device = Connect::device(&broker, "d1").open().await;
    for qos in [QoS::AtLeastOnce, QoS::AtMostOnce] {
        for n in 0..50 {
            device.client.publish(inform("d1"), qos, false, format!("{n}")).await.unwrap();
        }
        for n in 0..50 {
            assert_eq!(service.text().await, (inform("d1"), format!("{n}")));
        }
    }
}

#[tokio::test]
async fn a_payload_passes_through_untouched() {
    let broker = broker().await;
    let mut service = Connect::service(&broker, "service").open().await;
    service.subscribe(&["/ota/device/inform/+/+"]).await;
    let mut device = Connect::device(&broker, "d1").open().await;
    let payload = b"{\"id\":0,\"params\":{\"version\":\"1.0.0\"}}\0".to_vec();
    device.publish(&inform("d1"), payload.clone()).await;
    assert_eq!(service.message().await.payload, payload);
    device.publish(&inform("d1"), Vec::new()).await;
    assert!(service.message().await.payload.is_empty());
    let bytes: Vec<u8> = (0..=255).collect();
    device.publish(&inform("d1"), bytes.clone()).await;
    assert_eq!(service.message().await.payload, bytes);
}

#[tokio::test]
async fn a_payload_of_256_kib_passes_and_a_larger_one_does_not() {
    let broker = broker().await;
    let mut service = Connect::service(&broker, "service").open().await;
    service.subscribe(&["/ota/device/inform/+/+"]).await;
    let mut device = Connect::device(&broker, "d1").open().await;
    let limit = 256 * 1024;
    device.publish(&inform("d1"), vec![1; limit]).await;
    assert_eq!(service.message().await.payload.len(), limit);

    device.publish(&inform("d1"), vec![2; limit + 1]).await;
    counters(&broker, |now| now.publishes_refused == 1).await;

    // So much that the packet is not even read.
    device.client.publish(inform("d1"), QoS::AtLeastOnce, false, vec![3; 2 * limit]).await.unwrap();
    device.closed().await;
    let mut device = Connect::device(&broker, "d1").open().await;
    device.publish(&inform("d1"), "after").await;
    assert_eq!(service.text().await.1, "after");
}

#[tokio::test]
async fn a_shared_subscription_distributes() {
    let broker = broker().await;
    let filter = "$share/functions//ota/device/inform/+/+";
    let mut members = Vec::new();
    for name in ["one", "two"] {
        let mut member = Connect::service(&broker, name).open().await;
        member.subscribe(&[filter]).await;
        members.push(member);
    }
    let mut everything = Connect::service(&broker, "three").open().await;
    everything.subscribe(&["/ota/device/inform/pk/d1"]).await;
    let mut device = Connect::device(&broker, "d1").open().await;
    for n in 0..20 {
        device.publish(&inform("d1"), format!("{n}")).await;
        everything.message().await;
    }
    let [one, two] = members.as_mut_slice() else { panic!("two members") };
    let mut received = (0, 0);
    while received.0 + received.1 < 20 {
        tokio::select! {
            _ = one.message() => received.0 += 1,
            _ = two.message() => received.1 += 1,
        }
    }
    assert!(received.0 >= 5 && received.1 >= 5, "{received:?}");
    // A last one for everybody shows that no message came twice.
    device.publish(&inform("d1"), "last").await;
    let last = tokio::select! {
        message = one.text() => message,
        message = two.text() => message,
    };
    assert_eq!(last.1, "last");
}

#[tokio::test]
async fn the_members_that_stay_take_over_what_is_shared() {
    let broker = broker().await;
    let filter = "$share/functions//ota/device/inform/+/+";
    let mut stays = Connect::service(&broker, "stays").open().await;
    stays.subscribe(&[filter]).await;
    let mut leaves = Connect::service(&broker, "leaves").open().await;
    leaves.subscribe(&[filter]).await;
    leaves.disconnect().await;
    let mut device = Connect::device(&broker, "d1").open().await;
    counters(&broker, |now| now.sessions == 2).await;
    for n in 0..10 {
        device.publish(&inform("d1"), format!("{n}")).await;
        assert_eq!(stays.text().await.1, format!("{n}"));
    }
}

#[tokio::test]
async fn what_is_sent_to_a_device_while_it_is_away_is_not_kept() {
    let broker = broker().await;
    let mut service = Connect::service(&broker, "service").open().await;
    let connect = || Connect::device(&broker, "d1").client_id("always").persistent();
    let device = connect().open().await;
    device.disconnect().await;
    counters(&broker, |now| now.sessions == 1).await;
    service.publish(&upgrade("d1"), "while away").await;
    let mut device = connect().open().await;
    assert!(!device.session_present);
    service.publish(&upgrade("d1"), "now").await;
    assert_eq!(device.text().await.1, "now");
}

#[tokio::test]
async fn a_full_queue_loses_messages_and_nothing_else() {
    let queue = QueueLimit { messages_max: 1000, bytes_max: 10_000 };
    let broker = broker_with(BrokerConfig { device_queue: queue, ..config() }).await;
    let mut device = Connect::device(&broker, "d1").open().await;
    let mut service = Connect::service(&broker, "service").open().await;
    service.publish(&upgrade("d1"), vec![0; 10_001]).await;
    counters(&broker, |now| now.messages_dropped == 1).await;
    for _ in 0..5 {
        // Each needs the whole queue, so each shows that the one before has left it.
        service.publish(&upgrade("d1"), vec![1; 10_000]).await;
        assert_eq!(device.message().await.payload.len(), 10_000);
    }
}
