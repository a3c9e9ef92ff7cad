//! Who gets in, and how the broker starts and stops.

use std::time::Duration;

use ota_broker::BrokerConfig;
use rumqttc::ConnectReturnCode;

use crate::support::{Connect, broker, broker_with, config, counters, upgrade};

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let broker = broker().await;
    let code = Connect::device(&broker, "d1").password("bad").try_open().await.err();
    assert_eq!(code, Some(ConnectReturnCode::BadUserNamePassword));
    assert_eq!(counters(&broker, |now| now.logins_refused == 1).await.sessions, 0);
}

#[tokio::test]
async fn a_gate_that_fails_or_hangs_or_says_so_asks_the_client_to_come_back() {
    let broker = broker_with(BrokerConfig { connect_timeout: Duration::from_millis(300), ..config() }).await;
    for password in ["panic", "never", "later"] {
        let code = Connect::device(&broker, "d1").password(password).try_open().await.err();
        assert_eq!(code, Some(ConnectReturnCode::ServiceUnavailable), "{password}");
    }
    Connect::device(&broker, "d1").open().await;
}

#[tokio::test]
async fn a_client_id_of_256_bytes_is_accepted() {
    let broker = broker().await;
    let longest = format!("pk.d1|{}|", "k=v,".repeat(64)).chars().take(256).collect::<String>();
    Connect::device(&broker, "d1").client_id(&longest).open().await;
    let code = Connect::device(&broker, "d1").client_id(&format!("{longest}x")).try_open().await.err();
    assert_eq!(code, Some(ConnectReturnCode::BadClientId));
}

#[tokio::test]
async fn a_keep_alive_out_of_bounds_is_turned_away_and_leaves_the_live_session_alone() {
    let broker = broker().await;
    let mut live = Connect::device(&broker, "d1").keep_alive(1200).open().await;
    for seconds in [0, 1, 4, 1201, 65535] {
        let code = Connect::device(&broker, "d1").keep_alive(seconds).try_open().await.err();
        assert_eq!(code, Some(ConnectReturnCode::ServiceUnavailable), "{seconds} s");
    }
    let mut service = Connect::service(&broker, "service").keep_alive(0).open().await;
    service.publish(&upgrade("d1"), "push").await;
    assert_eq!(live.text().await.1, "push");
}

#[tokio::test]
async fn devices_over_the_limit_wait_outside_but_a_known_one_may_come_back() {
    let broker = broker_with(BrokerConfig { device_sessions_max: 1, ..config() }).await;
    let mut first = Connect::device(&broker, "d1").open().await;
    let code = Connect::device(&broker, "d2").try_open().await.err();
    assert_eq!(code, Some(ConnectReturnCode::ServiceUnavailable));
    let second = Connect::device(&broker, "d1").client_id("again").open().await;
    first.closed().await;
    Connect::service(&broker, "service").open().await;
    second.disconnect().await;
    counters(&broker, |now| now.sessions == 0).await;
    Connect::device(&broker, "d2").open().await;
}

#[tokio::test]
async fn r167_a_will_for_a_foreign_topic_is_refused() {
    let broker = broker().await;
    let code = Connect::device(&broker, "d1").will("/ota/device/inform/pk/d2").try_open().await.err();
    assert_eq!(code, Some(ConnectReturnCode::NotAuthorized));
    let own = Connect::device(&broker, "d1").will("/pk/d1/user/gone").open().await;
    drop(own);
}

#[tokio::test]
async fn brokers_live_side_by_side_and_give_their_port_back() {
    let first = broker().await;
    let second = broker().await;
    let mut device = Connect::device(&first, "d1").open().await;
    let mut other = Connect::device(&second, "d1").open().await;

    let address = first.local_addr();
    first.shutdown().await;
    device.closed().await;
    let third = broker_with(BrokerConfig { listen: address, ..config() }).await;
    assert_eq!(third.local_addr(), address);
    let mut again = Connect::device(&third, "d1").open().await;

    let mut service = Connect::service(&second, "service").open().await;
    service.publish(&upgrade("d1"), "second").await;
    assert_eq!(other.text().await.1, "second");
    let mut service = Connect::service(&third, "service").open().await;
    service.publish(&upgrade("d1"), "third").await;
    assert_eq!(again.text().await.1, "third");
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error() {
    let first = broker().await;
    let taken = BrokerConfig { listen: first.local_addr(), ..config() };
    let error = ota_broker::start(taken, std::sync::Arc::new(crate::support::TestGate)).await.err();
    assert!(error.is_some());
}

#[tokio::test]
async fn a_dropped_broker_closes_its_connections() {
    let broker = broker().await;
    let mut device = Connect::device(&broker, "d1").open().await;
    drop(broker);
    device.closed().await;
}
