//! Events on their way to webhooks, when something fails: the receiver, the store, a dispatcher.

use std::cell::RefCell;
use std::collections::BTreeMap;

use ota_core::time::Timestamp;
use ota_store::events::EventPage;
use ota_store::keys;
use ota_store::memory::{Fault, MemoryKv};
use ota_store::transact::{Change, update};
use ota_tests::{Call, Received, Receiver, World, hours, json, minutes, reply, seconds};

use crate::crash;
use crate::webhook_deliveries::{counts, happen};

/// Lets a receiver refuse each event so many times before it takes it.
fn refuse_first(receiver: &Receiver, times: u32) {
    let seen: RefCell<BTreeMap<String, u32>> = RefCell::default();
    receiver.answer(move |received| {
        let mut seen = seen.borrow_mut();
        let tries = seen.entry(received.id()).or_default();
        *tries += 1;
        reply(if *tries > times { 200 } else { 500 })
    });
}

#[test]
fn an_event_that_is_refused_twice_arrives_with_the_third_try_and_is_the_same_each_time() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, _) = world.webhook(&json!({}));
    refuse_first(&receiver, 2);
    happen(&world, 3);
    world.run(minutes(2));
    let received = receiver.received();
    assert_eq!(received.len(), 9);
    let mut tries: BTreeMap<String, Vec<&Received>> = BTreeMap::new();
    received.iter().for_each(|one| tries.entry(one.id()).or_default().push(one));
    for tries in tries.values() {
        let statuses: Vec<u16> = tries.iter().map(|one| one.status).collect();
        assert_eq!(statuses, [500, 500, 200]);
        assert!(tries.iter().all(|one| one.body == tries[0].body), "it is the same event");
        let at = |n: usize| tries[n].header("webhook-timestamp").parse::<u64>().unwrap();
        let (first, second) = (at(1) - at(0), at(2) - at(1));
        assert!((5..=11).contains(&first) && (30..=41).contains(&second), "{first} s, {second} s");
    }
    let delivered = world.deliveries(&id, "delivered");
    assert!(delivered.iter().all(|one| one["attempts"] == 3 && one["last_status"] == 200), "{delivered:?}");
}

#[test]
fn one_event_that_fails_does_not_hold_the_others_up() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, _) = world.webhook(&json!({}));
    happen(&world, 1);
    let poison = world.events("")[0]["event_id"].as_str().unwrap().to_owned();
    let poisoned = poison.clone();
    receiver.answer(move |one| reply(if one.id() == poisoned { 500 } else { 200 }));
    for _ in 0..3 {
        happen(&world, 20);
        world.run(seconds(10));
    }
    assert_eq!(receiver.taken().len(), 60);
    assert_eq!(world.deliveries(&id, "pending")[0]["event_id"], poison);
}

#[test]
fn an_event_that_is_refused_for_days_is_dead_and_can_be_replayed() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, _) = world.webhook(&json!({}));
    receiver.answer(|_| Err(ota_platform::PlatformError::Fetch("ErrorCode::ConnectionRefused".into())));
    happen(&world, 2);
    for _ in 0..70 {
        world.run(seconds(5));
        world.advance(hours(1));
    }
    assert_eq!(receiver.received().len(), 20, "ten tries of each");
    let dead = world.deliveries(&id, "dead");
    assert_eq!((dead.len(), &counts(&world, &id)["dead"]), (2, &json!(2)));
    let error = dead[0]["last_error"].as_str().unwrap();
    assert!(error.contains("ConnectionRefused") && dead[0].get("last_status").is_none(), "{error}");
    assert!(dead[0].get("next_attempt_at").is_none() && dead[0]["attempts"] == 10);
    world.run(minutes(10));
    assert_eq!(receiver.received().len(), 0, "nobody tries it any more");

    receiver.answer(|_| reply(200));
    let delivery = dead[0]["delivery_id"].as_str().unwrap();
    let replay = Call::new("POST", format!("/v1/webhooks/{id}/deliveries/{delivery}/replay"));
    let queued = world.send(&replay).expect(202).json();
    assert_eq!((&queued["status"], &queued["attempts"]), (&json!("pending"), &json!(0)));
    world.run(seconds(5));
    let received = receiver.received();
    assert_eq!((received.len(), received[0].id().as_str()), (1, delivery), "it is the same event");
    assert_eq!((world.deliveries(&id, "dead").len(), world.deliveries(&id, "delivered").len()), (1, 1));
    // What has arrived can be sent again as well.
    let _queued = world.send(&replay).expect(202);
    world.run(seconds(5));
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn a_receiver_says_how_long_it_wants_to_be_left_alone() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, _) = world.webhook(&json!({}));
    receiver.answer(|_| {
        let busy = http::Response::builder().status(429).header("retry-after", "7200");
        Ok(busy.body(bytes::Bytes::new()).unwrap())
    });
    happen(&world, 1);
    world.run(seconds(5));
    let next = world.deliveries(&id, "pending")[0]["next_attempt_at"].as_u64().unwrap();
    assert_eq!(next, world.now_ms() + hours(2));
    world.run(hours(1));
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn a_redirect_is_a_failure_and_leads_nowhere() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, _) = world.webhook(&json!({}));
    receiver.answer(|_| {
        let moved = http::Response::builder().status(302).header("location", "http://169.254.169.254/");
        Ok(moved.body(bytes::Bytes::new()).unwrap())
    });
    happen(&world, 1);
    world.run(seconds(5));
    assert_eq!(world.deliveries(&id, "pending")[0]["last_status"], 302);
    assert!(receiver.received().iter().all(|one| one.url == "https://hooks.test/"));
}

#[test]
fn a_receiver_that_is_gone_disables_its_webhook_until_somebody_enables_it() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, _) = world.webhook(&json!({}));
    let (other, _) = world.webhook(&json!({"url": "https://other.test/"}));
    receiver.answer(|one| reply(if one.url.contains("hooks.test") { 410 } else { 200 }));
    happen(&world, 1);
    world.run(minutes(1));
    let told = world.get(format!("/v1/webhooks/{id}"));
    assert_eq!((&told["enabled"], &told["disabled_because"]), (&json!(false), &json!("gone")));
    let is_hooks = |one: &&Received| one.url.contains("hooks.test");
    assert_eq!(receiver.received().iter().filter(is_hooks).count(), 1, "and it is left alone");
    assert_eq!(world.get(format!("/v1/webhooks/{other}"))["enabled"], true);

    happen(&world, 2);
    world.run(minutes(1));
    assert_eq!(receiver.received().iter().filter(is_hooks).count(), 0);
    receiver.answer(|_| reply(200));
    let _enabled =
        world.send(&Call::patch(format!("/v1/webhooks/{id}"), &json!({"enabled": true}))).expect(200);
    world.run(minutes(1));
    assert_eq!(receiver.received().iter().filter(is_hooks).count(), 3, "nothing was lost meanwhile");
}

#[test]
fn a_deleted_webhook_is_told_nothing_more() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, _) = world.webhook(&json!({}));
    receiver.answer(|_| reply(500));
    happen(&world, 5);
    world.run(seconds(5));
    receiver.received();
    let _gone = world.send(&Call::delete(format!("/v1/webhooks/{id}"))).expect(204);
    happen(&world, 5);
    world.run(minutes(2));
    assert_eq!(receiver.received().len(), 0);
}

/// Lets the list forget all that it holds, as if some hundred thousand events had happened.
fn forget_all(world: &World) {
    let later = update(world.kv(), keys::EVENTS, Timestamp(world.now_ms()), |page: Option<EventPage>| {
        let number = page.unwrap_or_default().number + ota_store::events::PAGES_MAX + 1;
        Change::Put(EventPage { number, events: Vec::new() }, ())
    });
    world.block_on(later).expect("the store works");
}

#[test]
fn a_webhook_that_falls_behind_what_the_list_keeps_says_how_much_it_missed() {
    let world = World::new().product("lamp");
    let receiver = world.receiver();
    let (id, _) = world.webhook(&json!({}));
    receiver.answer(|_| reply(500));
    happen(&world, 3);
    world.run(seconds(5));
    let dead = world.deliveries(&id, "")[0]["delivery_id"].as_str().unwrap().to_owned();
    let _off = world.send(&Call::patch(format!("/v1/webhooks/{id}"), &json!({"enabled": false}))).expect(200);
    happen(&world, 4);
    forget_all(&world);
    happen(&world, 2);
    receiver.answer(|_| reply(200));
    receiver.received();
    let replay = Call::new("POST", format!("/v1/webhooks/{id}/deliveries/{dead}/replay"));
    assert_eq!(world.send(&replay).problem(), "409 webhook.event-forgotten");
    let _on = world.send(&Call::patch(format!("/v1/webhooks/{id}"), &json!({"enabled": true}))).expect(200);
    world.run(minutes(1));
    assert_eq!(receiver.received().len(), 2);
    // Three that were taken and could not be sent any more, and all from the fourth to what the list begins with.
    let counted = counts(&world, &id);
    assert_eq!(
        (&counted["delivered"], &counted["pending"], &counted["behind"]),
        (&json!(2), &json!(0), &json!(0))
    );
    let listed = world.block_on(ota_store::events::span(world.kv())).unwrap();
    assert_eq!(counted["missed"], json!(3 + (listed.start - 3)));
}

#[test]
fn a_dispatcher_that_stalls_at_any_moment_while_another_goes_on_loses_nothing() {
    for at in 1.. {
        let world = World::new().product("lamp");
        let receiver = world.receiver();
        let (id, _) = world.webhook(&json!({}));
        refuse_first(&receiver, 1);
        happen(&world, 3);
        let rival = Call::new("POST", "/internal/dispatch/tick");
        let answered = world.interrupt_after(at, minutes(2), rival);
        world.run(seconds(5));
        world.kv().clear_faults();
        world.run(minutes(5));
        assert_eq!(receiver.taken().len(), 3, "operation {at}");
        let counted = counts(&world, &id);
        assert_eq!((&counted["pending"], &counted["missed"]), (&json!(0), &json!(0)), "operation {at}");
        if answered.get().is_none() {
            assert!(at > 10, "a tick has only {at} operations");
            return;
        }
    }
}

/// A webhook that is there from the beginning, whose receiver refuses everything once; devices that report, a batch that
/// begins and ends, a success and a failure.
fn told(world: World) {
    world.be_patient();
    let receiver = world.receiver();
    refuse_first(&receiver, 1);
    let (id, _) = world.webhook(&json!({}));
    let world = world.product("lamp").devices(2);
    crash::gather(&world);
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    crash::live(&world, &["lamp-1"], || {
        if batch.task("lamp-2")["status"] == "notified" {
            world.device("lamp-2").progress(-1, "");
        }
        batch.status() == "completed"
    });
    crash::come_to_rest(&world);
    let taken = receiver.taken();
    for event in world.events("") {
        assert!(event["event_id"].as_str().is_some_and(|id| taken.contains(id)), "lost: {event}");
    }
    assert!(taken.len() >= 6, "{taken:?}");
    let counted = counts(&world, &id);
    assert_eq!((&counted["pending"], &counted["behind"]), (&json!(0), &json!(0)));
    assert_eq!((&counted["missed"], &counted["dead"]), (&json!(0), &json!(0)));
    assert_eq!(world.list("/v1/webhooks", 50).len(), 1, "no webhook is doubled");
}

#[test]
fn r170_r171_r172_webhooks_are_told_after_a_refusal_of_any_one_operation() {
    crash::each_in_turn(told, MemoryKv::new, Fault::Refused);
}

#[test]
fn r170_r171_r172_webhooks_are_told_after_the_loss_of_any_one_answer() {
    crash::each_in_turn(told, MemoryKv::with_spin_quirks, Fault::AnswerLost);
}
