//! Coming, going, and being replaced.

use crate::support::{Connect, broker, counters, inform, upgrade, watcher};

#[tokio::test]
async fn a_device_is_announced_when_it_comes_and_when_it_goes() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let device = Connect::device(&broker, "d1").open().await;
    let (status, session, name) = watcher.presence().await;
    assert_eq!((status.as_str(), name.as_str()), ("online", "d1"));
    device.disconnect().await;
    assert_eq!(watcher.presence().await, ("offline".to_owned(), session.clone(), name));

    // A broken connection is announced like an orderly one, and a session's name is never used again.
    let device = Connect::device(&broker, "d1").open().await;
    let (status, second, _) = watcher.presence().await;
    assert_eq!(status, "online");
    assert_ne!(session, second);
    drop(device);
    assert_eq!(watcher.presence().await.0, "offline");
}

#[tokio::test]
async fn the_service_itself_is_not_announced() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    Connect::service(&broker, "other").open().await.disconnect().await;
    let _device = Connect::device(&broker, "d1").open().await;
    assert_eq!(watcher.presence().await.2, "d1");
}

#[tokio::test]
async fn an_announcement_is_not_retained() {
    let broker = broker().await;
    let _device = Connect::device(&broker, "d1").open().await;
    let mut watcher = watcher(&broker).await;
    let _second = Connect::device(&broker, "d2").open().await;
    assert_eq!(watcher.presence().await.2, "d2");
}

#[tokio::test]
async fn a_later_login_takes_the_device_over() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    // Whether the client id changes or not, and whether sessions are meant to last or not.
    for (first_id, second_id) in [("a", "b"), ("same", "same")] {
        for persistent in [false, true] {
            let connect = |client_id| {
                let connect = Connect::device(&broker, "d1").client_id(client_id);
                if persistent { connect.persistent() } else { connect }
            };
            let mut first = connect(first_id).open().await;
            let (status, old_session, _) = watcher.presence().await;
            assert_eq!(status, "online");

            let mut second = connect(second_id).open().await;
            first.closed().await;
            assert!(!second.session_present);
            let (status, new_session, _) = watcher.presence().await;
            assert_eq!(status, "online");
            assert_ne!(old_session, new_session);
            assert_eq!(broker.counters().sessions, 2);

            watcher.publish(&upgrade("d1"), "push").await;
            assert_eq!(second.text().await.1, "push");
            second.disconnect().await;
            // The next announcement is the new session's end: the old one's was never made.
            assert_eq!(watcher.presence().await, ("offline".to_owned(), new_session, "d1".to_owned()));
        }
    }
}

#[tokio::test]
async fn of_many_logins_at_once_exactly_one_session_lives() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let logins: Vec<_> = (0..20)
        .map(|n| tokio::spawn(Connect::device(&broker, "d1").client_id(&format!("c{n}")).try_open()))
        .collect();
    // Some may be thrown out while they still wait for their answer, as long as they do not live on.
    let mut clients = Vec::new();
    for login in logins {
        if let Ok(Ok(client)) = login.await {
            clients.push(client);
        }
    }
    counters(&broker, |now| now.sessions == 2).await;

    watcher.publish("/overair/presence/pk/end", r#"{"status":"end","session":"","at":0}"#).await;
    let mut live = None;
    loop {
        let (status, session, _) = watcher.presence().await;
        match status.as_str() {
            "online" => live = Some(session),
            "offline" => assert_ne!(live, Some(session), "the live session was announced as gone"),
            _ => break,
        }
    }
    assert!(live.is_some());

    // Only one of them hears the push; all others are closed.
    watcher.publish(&upgrade("d1"), "push").await;
    let mut heard = 0;
    for mut client in clients {
        if let Some(message) = client.message_or_end().await {
            assert_eq!(message.payload, "push");
            heard += 1;
        }
    }
    assert_eq!(heard, 1);
}

#[tokio::test]
async fn a_service_connection_cannot_be_thrown_out_by_a_device_of_the_same_client_id() {
    let broker = broker().await;
    let mut service = Connect::service(&broker, "bridge").open().await;
    service.subscribe(&["/ota/device/inform/+/+"]).await;
    let mut device = Connect::device(&broker, "d1").client_id("bridge").open().await;
    let mut other = Connect::device(&broker, "d2").client_id("bridge").open().await;
    device.publish(&inform("d1"), "one").await;
    other.publish(&inform("d2"), "two").await;
    assert_eq!(service.text().await.1, "one");
    assert_eq!(service.text().await.1, "two");
    service.publish(&upgrade("d1"), "push").await;
    assert_eq!(device.text().await.1, "push");
}
