//! What webhooks' requests are signed with, and where it is not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ota_tests::{Call, Received, World, hours, json, minutes, reply, seconds};
use standardwebhooks::Webhook;

use crate::webhook_deliveries::happen;

/// The signature that a library of others makes of a request with a secret.
fn expected(secret: &str, received: &Received) -> String {
    let at = received.header("webhook-timestamp").parse().expect("seconds");
    let library = Webhook::new(secret).expect("a secret as the specification has it");
    library.sign(received.header("webhook-id"), at, received.body.as_bytes()).expect("a signature")
}

fn rotate(world: &World, id: &str) -> String {
    world.send(&Call::new("POST", format!("/v1/webhooks/{id}/secret"))).expect(200).text_of("secret")
}

#[test]
fn a_request_is_signed_as_the_standard_libraries_verify_it() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (_, secret) = world.webhook(&json!({}));
    happen(&world, 2);
    world.run(seconds(5));
    for received in receiver.received() {
        assert_eq!(received.header("webhook-timestamp"), (world.now_ms() / 1_000).to_string());
        assert_eq!(received.header("webhook-signature"), expected(&secret, &received));
    }
}

#[test]
fn a_replaced_secret_signs_beside_the_new_one_for_a_day() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, first) = world.webhook(&json!({}));
    let second = rotate(&world, &id);
    assert_ne!(first, second);
    let signed = || {
        happen(&world, 1);
        world.run(seconds(5));
        receiver.received().remove(0)
    };
    let received = signed();
    let both = format!("{} {}", expected(&second, &received), expected(&first, &received));
    assert_eq!(received.header("webhook-signature"), both);
    world.advance(hours(24));
    let received = signed();
    assert_eq!(received.header("webhook-signature"), expected(&second, &received));
    // Two changes in a day leave the first one out.
    let third = rotate(&world, &id);
    let fourth = rotate(&world, &id);
    let received = signed();
    let both = format!("{} {}", expected(&fourth, &received), expected(&third, &received));
    assert_eq!(received.header("webhook-signature"), both);
}

#[test]
fn a_secret_is_told_once_and_in_the_store_and_the_log_it_is_not() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, first) = world.webhook(&json!({"url": "https://hooks.test/?key=receivers-own-secret"}));
    let second = rotate(&world, &id);
    receiver.answer(|_| reply(500));
    happen(&world, 2);
    world.run(minutes(1));
    let mut seen = world.kv().dump();
    let log = world.engine().log_lines().join("\n");
    assert!(log.contains("answered 500") && !log.contains("receivers-own-secret"), "{log}");
    seen.push(("the log".into(), log.into_bytes()));
    for path in ["", &format!("/{id}"), &format!("/{id}/deliveries")] {
        seen.push((path.into(), world.send(&Call::get(format!("/v1/webhooks{path}"))).expect(200).body));
    }
    for request in receiver.received() {
        seen.push(("a request".into(), format!("{request:?}").into_bytes()));
    }
    for secret in [&first, &second] {
        let text = secret.trim_start_matches("whsec_");
        let bytes = STANDARD.decode(text).expect("base64");
        for part in [text.as_bytes(), &bytes, hex::encode(&bytes).as_bytes(), &bytes[8..24]] {
            for (place, held) in &seen {
                assert!(!held.windows(part.len()).any(|window| window == part), "{place} holds a secret");
            }
        }
    }
}

#[test]
fn with_another_secrets_key_nothing_is_sent_unsigned_and_all_of_it_later() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, _) = world.webhook(&json!({}));
    world.engine().set_variable("secrets_key", &"w".repeat(64));
    happen(&world, 2);
    world.advance(seconds(5));
    let tick = Call::new("POST", "/internal/dispatch/tick");
    assert_eq!(world.send_once(&tick).problem(), "500 webhook.secret-sealed");
    assert!(world.engine().log_lines().iter().any(|line| line.contains(&id)));
    assert_eq!(receiver.received().len(), 0);
    // A new secret is sealed under the present key, but the old one would sign beside it; another leaves that one out.
    let second = rotate(&world, &id);
    assert_eq!(world.send_once(&tick).status, 500);
    let third = rotate(&world, &id);
    let _told = world.send_once(&tick).expect(200);
    let received = receiver.received();
    assert_eq!(received.len(), 2);
    let both = format!("{} {}", expected(&third, &received[0]), expected(&second, &received[0]));
    assert_eq!(received[0].header("webhook-signature"), both);
}

#[test]
fn a_webhook_whose_secret_does_not_open_does_not_keep_the_others_waiting() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (_, _) = world.webhook(&json!({"url": "https://old.test/"}));
    world.engine().set_variable("secrets_key", &"w".repeat(64));
    let (_, _) = world.webhook(&json!({"url": "https://new.test/"}));
    happen(&world, 2);
    world.advance(seconds(5));
    let _told = world.send_once(&Call::new("POST", "/internal/dispatch/tick")).expect(500);
    let urls: Vec<String> = receiver.received().into_iter().map(|one| one.url).collect();
    assert_eq!(urls, ["https://new.test/"; 2]);
}
