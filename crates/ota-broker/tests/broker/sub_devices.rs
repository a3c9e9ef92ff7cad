//! Sub-devices on the connections of their gateways.

use ota_broker::{Broker, BrokerConfig};
use rumqttc::{QoS, SubscribeReasonCode};

use crate::support::{Client, Connect, broker, broker_with, config, inform, upgrade, watcher};

const GRANTED: SubscribeReasonCode = SubscribeReasonCode::Success(QoS::AtLeastOnce);
const FAILURE: SubscribeReasonCode = SubscribeReasonCode::Failure;

/// The service's order about sub-devices of the gateway `gate`.
fn order(verb: &str, names: &[&str]) -> String {
    let named = names.iter().map(|name| format!(r#"{{"productKey":"pk","deviceName":"{name}"}}"#));
    format!(r#"{{"{verb}":[{}]}}"#, named.collect::<Vec<_>>().join(","))
}

async fn give(service: &mut Client, verb: &str, names: &[&str]) {
    service.publish("/overair/sub-device/pk/gate", order(verb, names)).await;
}

/// A connection of the service that hears version reports.
async fn listener(broker: &Broker) -> Client {
    let mut service = Connect::service(broker, "service").open().await;
    service.subscribe(&["/ota/device/inform/+/+"]).await;
    service
}

/// Lets a gateway report for several devices, and returns those whose reports arrive.
async fn heard(gateway: &mut Client, service: &mut Client, names: &[&str]) -> Vec<String> {
    for name in names.iter().chain(&["gate"]) {
        gateway.publish(&inform(name), "report").await;
    }
    let mut heard = Vec::new();
    loop {
        let (topic, _) = service.text().await;
        let name = topic.rsplit('/').next().unwrap().to_owned();
        if name == "gate" {
            return heard;
        }
        heard.push(name);
    }
}

/// Pushes to several devices, and returns those whose pushes the gateway gets.
async fn pushed(gateway: &mut Client, service: &mut Client, names: &[&str]) -> Vec<String> {
    for name in names.iter().chain(&["gate"]) {
        service.publish(&upgrade(name), "push").await;
    }
    let mut got = Vec::new();
    loop {
        let (topic, _) = gateway.text().await;
        let name = topic.rsplit('/').next().unwrap().to_owned();
        if name == "gate" {
            return got;
        }
        got.push(name);
    }
}

#[tokio::test]
async fn r167_r168_a_gateway_speaks_for_a_sub_device_from_its_login_to_its_logout() {
    let broker = broker().await;
    let mut service = listener(&broker).await;
    let mut gate = Connect::device(&broker, "gate").open().await;
    let subs = ["s1", "s2"];
    assert!(heard(&mut gate, &mut service, &subs).await.is_empty());
    assert!(pushed(&mut gate, &mut service, &subs).await.is_empty());
    assert_eq!(gate.subscribe(&["/sys/pk/s1/#", "/ota/device/upgrade/pk/s1"]).await, [FAILURE; 2]);

    give(&mut service, "attach", &["s1"]).await;
    assert_eq!(heard(&mut gate, &mut service, &subs).await, ["s1"]);
    assert_eq!(pushed(&mut gate, &mut service, &subs).await, ["s1"], "without a subscription of its own");
    let filters = ["/sys/pk/s1/#", "/ota/device/upgrade/pk/s1", "/sys/pk/s2/#", "/sys/pk/+/#"];
    assert_eq!(gate.subscribe(&filters).await, [GRANTED, GRANTED, FAILURE, FAILURE]);
    assert_eq!(pushed(&mut gate, &mut service, &subs).await, ["s1"], "and once with one");
    service.publish("/sys/pk/s1/thing/ota/firmware/get_reply", "reply").await;
    assert_eq!(gate.text().await.0, "/sys/pk/s1/thing/ota/firmware/get_reply");

    give(&mut service, "detach", &["s1"]).await;
    assert!(heard(&mut gate, &mut service, &subs).await.is_empty());
    assert!(pushed(&mut gate, &mut service, &subs).await.is_empty());
    service.publish("/sys/pk/s1/thing/other", "what it subscribed to itself is over as well").await;
    assert!(pushed(&mut gate, &mut service, &[]).await.is_empty());
}

#[tokio::test]
async fn r168_what_the_gateway_is_told_after_an_order_finds_it_carried_out() {
    let broker = broker().await;
    let mut service = listener(&broker).await;
    service.subscribe(&["/ext/session/+/+/combine/login"]).await;
    let mut gate = Connect::device(&broker, "gate").open().await;
    for name in ["s1", "s2", "s3"] {
        gate.publish("/ext/session/pk/gate/combine/login", name).await;
        assert_eq!(service.text().await, ("/ext/session/pk/gate/combine/login".to_owned(), name.to_owned()));
        // Neither waits for the other's acknowledgement.
        for (topic, text) in [
            ("/overair/sub-device/pk/gate", order("attach", &[name])),
            ("/ext/session/pk/gate/combine/login_reply", name.to_owned()),
        ] {
            service.client.publish(topic, QoS::AtLeastOnce, false, text).await.unwrap();
        }
        // The gateway has subscribed to nothing, and does not hear itself.
        let reply = gate.text().await;
        assert_eq!(reply, ("/ext/session/pk/gate/combine/login_reply".to_owned(), name.to_owned()));
        assert_eq!(heard(&mut gate, &mut service, &[name]).await, [name]);
    }
}

#[tokio::test]
async fn r168_all_four_replies_reach_a_gateway_that_subscribes_to_none() {
    let broker = broker().await;
    let mut service = Connect::service(&broker, "service").open().await;
    let mut gate = Connect::device(&broker, "gate").open().await;
    gate.publish("/ext/session/pk/gate/combine/batch_login", "request").await;
    for verb in ["login", "logout", "batch_login", "batch_logout"] {
        let topic = format!("/ext/session/pk/gate/combine/{verb}_reply");
        service.publish(&topic, "reply").await;
        assert_eq!(gate.text().await.0, topic);
    }
}

#[tokio::test]
async fn r168_a_sub_device_is_announced_and_ends_with_its_gateways_connection() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let mut service = Connect::service(&broker, "service").open().await;
    let gate = Connect::device(&broker, "gate").open().await;
    let (_, session, _) = watcher.presence().await;
    give(&mut service, "attach", &["s1", "s2", "s3"]).await;
    let mut online = Vec::new();
    for name in ["s1", "s2", "s3"] {
        let (status, own, device) = watcher.presence().await;
        assert_eq!((status.as_str(), device.as_str()), ("online", name));
        assert!(own.starts_with(&format!("{session}-")), "{own} belongs to {session}");
        online.push(own);
    }
    // Said once more, it is no other session.
    give(&mut service, "attach", &["s1"]).await;
    assert_eq!(watcher.presence().await, ("online".to_owned(), online[0].clone(), "s1".to_owned()));
    give(&mut service, "detach", &["s1"]).await;
    assert_eq!(watcher.presence().await, ("offline".to_owned(), online[0].clone(), "s1".to_owned()));

    // A broken connection ends the others.
    drop(gate);
    assert_eq!(watcher.presence().await, ("offline".to_owned(), session, "gate".to_owned()));
    let mut ended = [watcher.presence().await, watcher.presence().await];
    ended.sort_by_key(|(_, _, device)| device.clone());
    for (told, name, own) in [(&ended[0], "s2", &online[1]), (&ended[1], "s3", &online[2])] {
        assert_eq!(*told, ("offline".to_owned(), own.clone(), name.to_owned()));
    }
}

#[tokio::test]
async fn r168_the_gateways_next_connection_begins_without_sub_devices() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let mut service = listener(&broker).await;
    let mut first = Connect::device(&broker, "gate").open().await;
    watcher.presence().await;
    give(&mut service, "attach", &["s1"]).await;
    let (_, session, _) = watcher.presence().await;

    let mut second = Connect::device(&broker, "gate").client_id("another").open().await;
    first.closed().await;
    // The gateway never left, its sub-device did.
    let mut told = [watcher.presence().await, watcher.presence().await];
    told.sort_by_key(|(_, _, device)| device.clone());
    assert_eq!((told[0].0.as_str(), told[0].2.as_str()), ("online", "gate"));
    assert_eq!(told[1], ("offline".to_owned(), session, "s1".to_owned()));
    assert!(heard(&mut second, &mut service, &["s1"]).await.is_empty());
    assert!(pushed(&mut second, &mut service, &["s1"]).await.is_empty());
    give(&mut service, "attach", &["s1"]).await;
    assert_eq!(heard(&mut second, &mut service, &["s1"]).await, ["s1"]);
}

#[tokio::test]
async fn r168_of_a_sub_devices_own_connection_and_its_gateways_the_later_holds() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let mut service = listener(&broker).await;
    let mut gate = Connect::device(&broker, "gate").open().await;
    watcher.presence().await;
    give(&mut service, "attach", &["s1"]).await;
    watcher.presence().await;

    let mut own = Connect::device(&broker, "s1").open().await;
    let (status, session, device) = watcher.presence().await;
    assert_eq!((status.as_str(), device.as_str()), ("online", "s1"), "it never left");
    assert!(heard(&mut gate, &mut service, &["s1"]).await.is_empty());
    assert!(pushed(&mut gate, &mut service, &["s1"]).await.is_empty());
    assert_eq!(own.text().await.0, upgrade("s1"));

    give(&mut service, "attach", &["s1"]).await;
    own.closed().await;
    let (status, later, _) = watcher.presence().await;
    assert_eq!(status, "online");
    assert_ne!(session, later);
    assert_eq!(heard(&mut gate, &mut service, &["s1"]).await, ["s1"]);
    assert_eq!(pushed(&mut gate, &mut service, &["s1"]).await, ["s1"]);
    // The next that is told is the end of the later session, so the end of the other never was.
    give(&mut service, "detach", &["s1"]).await;
    assert_eq!(watcher.presence().await, ("offline".to_owned(), later, "s1".to_owned()));
}

#[tokio::test]
async fn r168_a_sub_device_that_moves_to_another_gateway_leaves_the_first() {
    let broker = broker().await;
    let mut service = listener(&broker).await;
    let mut gate = Connect::device(&broker, "gate").open().await;
    let mut other = Connect::device(&broker, "other").open().await;
    give(&mut service, "attach", &["s1"]).await;
    service.publish("/overair/sub-device/pk/other", order("attach", &["s1"])).await;
    assert!(heard(&mut gate, &mut service, &["s1"]).await.is_empty());
    // A late word about the first gateway takes nothing from the second.
    give(&mut service, "detach", &["s1"]).await;
    service.publish(&upgrade("s1"), "push").await;
    assert_eq!(other.text().await.0, upgrade("s1"));
}

#[tokio::test]
async fn r167_only_the_service_gives_orders() {
    let broker = broker().await;
    let mut service = listener(&broker).await;
    let mut gate = Connect::device(&broker, "gate").open().await;
    gate.publish("/overair/sub-device/pk/gate", order("attach", &["s1"])).await;
    assert_eq!(broker.counters().publishes_refused, 1);
    assert!(heard(&mut gate, &mut service, &["s1"]).await.is_empty());
    // What makes no sense harms nobody, nor does an order about a gateway that is not there.
    for (topic, text) in [
        ("/overair/sub-device/pk/gate", "no order"),
        ("/overair/sub-device/pk/gate", r#"{"attach":[{"productKey":"pk","deviceName":"+"}]}"#),
        ("/overair/sub-device/pk/gate", r#"{"attach":[{"productKey":"pk","deviceName":"gate"}]}"#),
        ("/overair/sub-device/pk/away", r#"{"attach":[{"productKey":"pk","deviceName":"s1"}]}"#),
        ("/overair/sub-device/pk/away", r#"{"detach":[{"productKey":"pk","deviceName":"s1"}]}"#),
    ] {
        service.publish(topic, text).await;
    }
    assert!(heard(&mut gate, &mut service, &["s1"]).await.is_empty());
}

#[tokio::test]
async fn r168_a_gateway_carries_no_more_sub_devices_than_it_may() {
    let broker = broker_with(BrokerConfig { sub_devices_max: 2, ..config() }).await;
    let mut service = listener(&broker).await;
    let mut gate = Connect::device(&broker, "gate").open().await;
    give(&mut service, "attach", &["s1", "s2", "s3"]).await;
    assert_eq!(heard(&mut gate, &mut service, &["s1", "s2", "s3"]).await, ["s1", "s2"]);
    give(&mut service, "detach", &["s1"]).await;
    give(&mut service, "attach", &["s2", "s3"]).await;
    assert_eq!(heard(&mut gate, &mut service, &["s1", "s2", "s3"]).await, ["s2", "s3"]);
}

#[tokio::test]
async fn r168_1500_sub_devices_on_one_connection_are_all_pushed_to() {
    let broker = broker().await;
    let mut service = Connect::service(&broker, "service").open().await;
    let mut gate = Connect::device(&broker, "gate").open().await;
    let names: Vec<String> = (0..1_500).map(|n| format!("s{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for names in names.chunks(50) {
        give(&mut service, "attach", names).await;
    }
    assert_eq!(pushed(&mut gate, &mut service, &names).await, names);
    assert_eq!(broker.counters().messages_dropped, 0);
}

#[tokio::test]
async fn r168_each_sub_device_adds_its_own_to_the_gateways_subscriptions() {
    let broker = broker_with(BrokerConfig { subscriptions_max: 2, ..config() }).await;
    let mut service = Connect::service(&broker, "service").open().await;
    let mut gate = Connect::device(&broker, "gate").open().await;
    let own = |n: usize| format!("/sys/pk/gate/thing/{n}");
    assert_eq!(gate.subscribe(&[&own(1), &own(2), &own(3)]).await, [GRANTED, GRANTED, FAILURE]);
    give(&mut service, "attach", &["s1"]).await;
    let filters = ["/sys/pk/s1/thing/1", "/sys/pk/s1/thing/2", "/sys/pk/s1/thing/3"];
    assert_eq!(gate.subscribe(&filters).await, [GRANTED, GRANTED, FAILURE]);
    // They leave with the sub-device, and come again with it.
    give(&mut service, "detach", &["s1"]).await;
    assert_eq!(gate.subscribe(&[&own(3)]).await, [FAILURE]);
    give(&mut service, "attach", &["s1"]).await;
    assert_eq!(gate.subscribe(&filters).await, [GRANTED, GRANTED, FAILURE]);
}
