//! Clients that do not play by the rules.

use std::net::SocketAddr;
use std::time::Duration;

use ota_broker::BrokerConfig;
use rumqttc::QoS;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Connect, PATIENCE, broker, broker_with, config, counters, inform, upgrade, watcher};

/// A CONNECT of MQTT 3.1.1 with a user name and password, clean session, keep-alive 60 s.
fn connect_packet(client_id: &str, username: &str) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT\x04\xc2\x00\x3c".to_vec();
    for text in [client_id, username, "good"] {
        body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        body.extend(text.as_bytes());
    }
    let mut packet = vec![0x10, u8::try_from(body.len()).unwrap()];
    packet.extend(body);
    packet
}

async fn raw_device(address: SocketAddr, name: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&connect_packet(name, &format!("{name}&pk"))).await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0]);
    stream
}

/// Waits for the broker to close a connection.
async fn closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // An error is as good as an end here: the broker may reset what it does not want to read.
    let _ =
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the connection stays");
}

#[tokio::test]
async fn garbage_ends_its_own_connection_only() {
    let broker = broker().await;
    let mut device = Connect::device(&broker, "d1").open().await;
    for garbage in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(),
        &[0xff; 64],
        // A remaining length of five bytes.
        &[0x10, 0xff, 0xff, 0xff, 0xff, 0xff],
        // A packet that announces 256 MB.
        b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x04\xc2\x00\x3c",
        // MQTT of version 9.
        b"\x10\x0c\x00\x04MQTT\x09\x02\x00\x3c\x00\x00",
    ] {
        let mut stream = TcpStream::connect(broker.local_addr()).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        closed(stream).await;
    }
    for (n, garbage) in [
        // A reserved packet type, a SUBSCRIBE without filters, a PUBLISH whose topic is longer than itself, one
        // with a QoS of 3, one that announces 256 MB, and a second CONNECT.
        b"\xf0\x00".to_vec(),
        b"\x82\x02\x00\x01".to_vec(),
        b"\x30\x02\xff\xff".to_vec(),
        b"\x36\x05\x00\x01a\x00\x01".to_vec(),
        b"\x30\xff\xff\xff\x7f".to_vec(),
        connect_packet("x", "x&pk"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = raw_device(broker.local_addr(), &format!("bad{n}")).await;
        stream.write_all(&garbage).await.unwrap();
        closed(stream).await;
    }
    counters(&broker, |now| now.sessions == 1).await;
    let mut service = Connect::service(&broker, "service").open().await;
    service.publish(&upgrade("d1"), "push").await;
    assert_eq!(device.text().await.1, "push");
}

#[tokio::test]
async fn half_a_connect_is_given_up() {
    let broker = broker_with(BrokerConfig { connect_timeout: Duration::from_millis(200), ..config() }).await;
    let mut stream = TcpStream::connect(broker.local_addr()).await.unwrap();
    stream.write_all(&connect_packet("d1", "d1&pk")[..12]).await.unwrap();
    closed(stream).await;
}

#[tokio::test]
async fn a_topic_of_very_many_levels_harms_nobody() {
    let broker = broker().await;
    let mut service = Connect::service(&broker, "service").open().await;
    service.subscribe(&["/ota/#", "/sys/#"]).await;
    let endless = format!("/sys/pk/d1/{}", "/".repeat(60_000));
    let mut device = Connect::device(&broker, "d1").open().await;
    device.publish(&endless, "x").await;
    device.subscribe(&[&endless]).await;
    service.subscribe(&[&endless]).await;
    service.publish(&endless, "y").await;
    device.publish(&inform("d1"), "own").await;
    loop {
        let (topic, text) = service.text().await;
        if topic != endless {
            assert_eq!(text, "own");
            break;
        }
        assert_eq!(text, "y");
    }
}

#[tokio::test]
async fn a_device_that_reads_nothing_is_thrown_out_and_nobody_waits_for_it() {
    let broker = broker_with(BrokerConfig { send_timeout: Duration::from_millis(500), ..config() }).await;
    let mut watcher = watcher(&broker).await;
    let stuck = raw_device(broker.local_addr(), "stuck").await;
    assert_eq!(watcher.presence().await.0, "online");
    let mut service = Connect::service(&broker, "service").open().await;
    let mut device = Connect::device(&broker, "d1").open().await;
    assert_eq!(watcher.presence().await.2, "d1");

    let payload = vec![7; 200 * 1024];
    let gone = watcher.presence();
    tokio::pin!(gone);
    loop {
        service.publish(&upgrade("stuck"), payload.clone()).await;
        service.publish(&upgrade("d1"), "push").await;
        assert_eq!(device.text().await.1, "push");
        tokio::select! {
            biased;
            (status, _, name) = &mut gone => {
                assert_eq!((status.as_str(), name.as_str()), ("offline", "stuck"));
                break;
            }
            () = tokio::task::yield_now() => {}
        }
    }
    drop(stuck);
}

#[tokio::test]
async fn a_device_that_floods_is_slowed_down_and_loses_nothing() {
    let limits =
        BrokerConfig { device_publish_per_second_max: 200, device_publish_burst_max: 10, ..config() };
    let broker = broker_with(limits).await;
    let mut service = Connect::service(&broker, "service").open().await;
    service.subscribe(&["/ota/device/inform/+/+"]).await;
    let device = Connect::device(&broker, "d1").open().await;
    let start = std::time::Instant::now();
    for n in 0..60 {
        device.client.publish(inform("d1"), QoS::AtMostOnce, false, format!("{n}")).await.unwrap();
    }
    for n in 0..60 {
        assert_eq!(service.text().await.1, format!("{n}"));
    }
    // 10 at once and 50 at 200 a second.
    assert!(start.elapsed() >= Duration::from_millis(240), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_silent_device_is_gone_after_its_keep_alive() {
    let broker = broker_with(BrokerConfig { keep_alive_seconds_min: 1, ..config() }).await;
    let mut watcher = watcher(&broker).await;
    let mut packet = connect_packet("d1", "d1&pk");
    packet[11] = 1;
    let mut stream = TcpStream::connect(broker.local_addr()).await.unwrap();
    stream.write_all(&packet).await.unwrap();
    assert_eq!(watcher.presence().await.0, "online");
    assert_eq!(watcher.presence().await.0, "offline");
}

#[tokio::test]
async fn connections_that_break_in_the_middle_of_a_login_leave_nothing_behind() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    for _ in 0..50 {
        let mut stream = TcpStream::connect(broker.local_addr()).await.unwrap();
        stream.write_all(&connect_packet("d1", "d1&pk")).await.unwrap();
        stream.set_zero_linger().unwrap();
        drop(stream);
    }
    // Whatever becomes of those logins, what is announced as come is announced as gone.
    let mut live = None;
    loop {
        watcher.publish("/overair/presence/pk/end", r#"{"status":"end","session":"","at":0}"#).await;
        loop {
            let (status, session, _) = watcher.presence().await;
            match status.as_str() {
                "online" => live = Some(session),
                "offline" => assert_eq!(live.take(), Some(session)),
                _ => break,
            }
        }
        if live.is_none() && broker.counters().sessions == 1 {
            break;
        }
        counters(&broker, |now| now.sessions == 1).await;
    }
    Connect::device(&broker, "d1").open().await;
}
