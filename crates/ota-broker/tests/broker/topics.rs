//! What a device may publish and subscribe.

use rumqttc::{QoS, SubscribeReasonCode};

use crate::support::{Connect, broker, counters, inform, upgrade};

const GRANTED: SubscribeReasonCode = SubscribeReasonCode::Success(QoS::AtLeastOnce);
const FAILURE: SubscribeReasonCode = SubscribeReasonCode::Failure;

#[tokio::test]
async fn r167_what_a_device_publishes_to_a_foreign_topic_does_not_arrive() {
    let broker = broker().await;
    let mut service = Connect::service(&broker, "service").open().await;
    service.subscribe(&["#", "$SYS/#"]).await;
    let mut device = Connect::device(&broker, "d1").open().await;
    for topic in [
        "/ota/device/inform/pk/d2",
        "/ota/device/upgrade/pk/d2",
        "/overair/presence/pk/d1",
        "$SYS/brokers",
        "$share/g//ota/device/inform/pk/d2",
        "d1",
    ] {
        // Acknowledged, or the device would never get over it.
        device.publish(topic, "forged").await;
    }
    device.publish(&inform("d1"), "own").await;

    let mut arrived = Vec::new();
    while arrived.last().is_none_or(|(_, text)| text != "own") {
        arrived.push(service.text().await);
    }
    let announced = arrived.remove(0);
    assert_eq!(announced.0, "/overair/presence/pk/d1");
    assert!(announced.1.starts_with(r#"{"status":"online""#));
    assert_eq!(arrived, [(inform("d1"), "own".to_owned())]);
    assert_eq!(broker.counters().publishes_refused, 6);
}

#[tokio::test]
async fn r167_a_foreign_subscription_fails_while_its_own_are_granted() {
    let broker = broker().await;
    let mut device = Connect::device(&broker, "d1").open().await;
    let codes = device
        .subscribe(&[
            "/sys/pk/d1/#",
            "/ota/device/upgrade/pk/d2",
            "/ota/device/request/pk/d1",
            "#",
            "/overair/presence/+/+",
            "$share/g//sys/pk/d1/#",
            "/ota/device/upgrade/pk/d1",
        ])
        .await;
    assert_eq!(codes, [GRANTED, FAILURE, GRANTED, FAILURE, FAILURE, FAILURE, GRANTED]);
    counters(&broker, |now| now.subscriptions_refused == 4).await;

    let mut service = Connect::service(&broker, "service").open().await;
    service.publish(&upgrade("d2"), "foreign").await;
    service.publish(&upgrade("d1"), "own").await;
    assert_eq!(device.text().await, (upgrade("d1"), "own".to_owned()));
}

#[tokio::test]
async fn the_16_subscriptions_of_the_npm_sdk_fit_in_one_packet() {
    let broker = broker().await;
    let mut device = Connect::device(&broker, "d1").persistent().open().await;
    let filters: Vec<String> = (0..12)
        .map(|n| format!("/sys/pk/d1/thing/event/{n}/post_reply"))
        .chain(["/ext/session/pk/d1/combine/login_reply", "/shadow/get/pk/d1"].map(str::to_owned))
        .chain(["/sys/pk/d1/rrpc/request/+", "/sys/pk/d1/thing/service/+"].map(str::to_owned))
        .collect();
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    assert_eq!(device.subscribe(&filters).await, vec![GRANTED; 16]);
}

#[tokio::test]
async fn the_service_may_use_any_topic_but_a_malformed_filter_is_refused() {
    let broker = broker().await;
    let mut service = Connect::service(&broker, "service").open().await;
    let codes = service.subscribe(&["/anything/#", "$share/group//ota/+/#", "/+/x"]).await;
    assert_eq!(codes, [GRANTED; 3]);
    service.publish("/anything/at/all", "x").await;
    assert_eq!(service.text().await.0, "/anything/at/all");
}
