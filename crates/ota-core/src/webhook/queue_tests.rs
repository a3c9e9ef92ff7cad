use alloc::string::ToString;

use super::*;
use crate::webhook::tests::{event, webhook};

const NOW: Timestamp = Timestamp(1_000_000);
const WEBHOOK: WebhookId = WebhookId([7; 16]);

/// An event of its own id.
fn listed(number: u64) -> (u64, Event) {
    let mut event = event("a1lamp");
    event.id = id(number).0;
    (number, event)
}

fn id(number: u64) -> EventId {
    EventId(u128::from(number).to_be_bytes())
}

fn full(from: u64) -> Queue {
    let events: Vec<_> = (from..from + 1_000).map(listed).collect();
    let mut queue = Queue::new(from);
    queue.take(&webhook(), &events, 0, from + 1_000, NOW);
    assert_eq!((queue.room(), queue.cursor), (0, from + 1_000));
    queue
}

fn status(code: u16) -> Outcome {
    Outcome::Answered(Answered { status: code, retry_after_ms: None })
}

/// Fails until it is given up; returns after how many tries.
fn die(queue: &mut Queue, number: u64) -> u32 {
    let mut now = NOW;
    for tries in 1..100 {
        queue.settle(WEBHOOK, id(number), &status(500), now);
        match queue.find(id(number)).map(|delivery| delivery.status) {
            Some(DeliveryStatus::Pending { next_at }) => now = next_at,
            _ => return tries,
        }
    }
    panic!("it never dies");
}

#[test]
fn wanted_events_are_taken_once_and_the_cursor_passes_over_the_others() {
    let mut queue = Queue::new(3);
    let mut other = listed(4);
    other.1.kind = EventKind::BatchStatus;
    let mut again = listed(6);
    again.1.id = id(5).0;
    let webhook = Webhook { event_types: alloc::vec![EventKind::VersionChanged], ..webhook() };
    queue.take(&webhook, &[listed(3), other, listed(5), again], 0, 7, NOW);
    let taken: Vec<_> = queue.due(NOW, 10).iter().map(|delivery| delivery.event_id).collect();
    assert_eq!((taken, queue.cursor, queue.missed), (alloc::vec![id(3), id(5)], 7, 0));
    // Whoever looked at the same events meanwhile changes nothing.
    let before = queue.clone();
    queue.take(&webhook, &[listed(3), listed(5)], 0, 6, NOW);
    assert_eq!(queue, before);
}

#[test]
fn what_does_not_fit_waits_in_the_list() {
    let mut queue = full(10);
    queue.take(&webhook(), &[listed(1_010), listed(1_011)], 0, 1_012, NOW);
    assert_eq!(queue.cursor, 1_010);
    queue.settle(WEBHOOK, id(10), &status(200), NOW);
    queue.take(&webhook(), &[listed(1_010), listed(1_011)], 0, 1_012, NOW);
    assert_eq!((queue.cursor, queue.room()), (1_011, 0));
}

#[test]
fn what_the_list_has_forgotten_is_counted_as_missed() {
    let mut queue = Queue::new(10);
    queue.take(&webhook(), &[listed(64)], 64, 65, NOW);
    assert_eq!((queue.missed, queue.cursor), (54, 65));
    queue.settle(WEBHOOK, id(64), &Outcome::Forgotten, NOW);
    assert_eq!((queue.missed, queue.deliveries.len()), (55, 0));
}

#[test]
fn only_two_hundreds_are_taken_everything_else_is_tried_again() {
    for (code, taken) in
        [(200, true), (204, true), (299, true), (301, false), (400, false), (410, false), (503, false)]
    {
        let mut queue = Queue::new(1);
        queue.take(&webhook(), &[listed(1)], 0, 2, NOW);
        queue.settle(WEBHOOK, id(1), &status(code), NOW);
        let delivery = &queue.deliveries[0];
        assert_eq!(delivery.status == DeliveryStatus::Delivered { at: NOW }, taken, "{code}");
        assert_eq!((delivery.tries, delivery.last_status), (1, Some(code)));
        assert_eq!(queue.delivered, u64::from(taken));
        assert_eq!(queue.due(NOW, 10).len(), 0, "not at once");
    }
}

#[test]
fn a_receivers_wait_is_kept() {
    let mut queue = Queue::new(1);
    queue.take(&webhook(), &[listed(1)], 0, 2, NOW);
    let busy = Outcome::Answered(Answered { status: 429, retry_after_ms: Some(90_000) });
    queue.settle(WEBHOOK, id(1), &busy, NOW);
    assert_eq!(queue.deliveries[0].status, DeliveryStatus::Pending { next_at: NOW.plus_ms(90_000) });
}

#[test]
fn a_try_without_an_answer_is_told_in_a_few_words() {
    let mut queue = Queue::new(1);
    queue.take(&webhook(), &[listed(1)], 0, 2, NOW);
    queue.settle(WEBHOOK, id(1), &Outcome::Unanswered("\u{e9}".repeat(100)), NOW);
    let delivery = &queue.deliveries[0];
    assert_eq!(delivery.last_error.as_deref().map(str::len), Some(limits::WEBHOOK_ERROR_LEN_MAX));
    queue.settle(WEBHOOK, id(1), &status(200), NOW);
    assert_eq!((&queue.deliveries[0].last_error, queue.deliveries[0].tries), (&None, 2));
}

#[test]
fn a_delivery_dies_after_its_last_try_and_can_be_replayed() {
    let mut queue = Queue::new(1);
    queue.take(&webhook(), &[listed(1), listed(2)], 0, 3, NOW);
    assert_eq!(die(&mut queue, 1), 10);
    assert_eq!((queue.count("dead"), queue.count("pending")), (1, 1), "the other goes its own way");
    assert_eq!(queue.replay(id(1), 0, NOW), Ok(true));
    assert_eq!(queue.due(NOW, 10).len(), 2);
    assert_eq!(die(&mut queue, 1), 10, "it has all its tries again");
    queue.settle(WEBHOOK, id(2), &status(200), NOW);
    assert_eq!(queue.replay(id(2), 0, NOW), Ok(true), "what has arrived can be sent again");
    assert_eq!(queue.replay(id(9), 0, NOW), Ok(false));
    assert_eq!(queue.replay(id(1), 2, NOW), Err(WebhookError::EventForgotten));
}

#[test]
fn lists_of_what_has_ended_are_bounded_and_what_was_dropped_is_counted() {
    let mut queue = Queue::default();
    for round in 0..2 {
        let first = round * 400;
        let events: Vec<_> = (first..first + 400).map(listed).collect();
        queue.take(&webhook(), &events, 0, first + 400, NOW);
        for number in first..first + 400 {
            die(&mut queue, number);
        }
    }
    assert_eq!((queue.count("dead"), queue.dropped), (500, 300));
    assert!(queue.find(id(299)).is_none() && queue.find(id(300)).is_some(), "the oldest goes first");
    let events: Vec<_> = (800..1_000).map(listed).collect();
    queue.take(&webhook(), &events, 0, 1_000, NOW);
    for number in 800..1_000 {
        queue.settle(WEBHOOK, id(number), &status(200), NOW);
    }
    assert_eq!((queue.count("delivered"), queue.delivered, queue.dropped), (100, 200, 300));
}

#[test]
fn a_full_queue_refuses_tests_and_replays() {
    let mut queue = full(0);
    assert_eq!(queue.test(id(5_000), NOW), Err(WebhookError::QueueFull));
    assert_eq!(queue.replay(id(1), 0, NOW), Ok(true), "a pending one needs no room");
    die(&mut queue, 1);
    assert_eq!(queue.test(id(5_000), NOW), Ok(()));
    assert_eq!(queue.replay(id(1), 0, NOW), Err(WebhookError::QueueFull));
    assert_eq!(queue.due(NOW, 7).len(), 7);
}

#[test]
fn a_test_is_no_event_of_the_list() {
    let mut queue = Queue::new(50);
    queue.test(id(1), NOW).unwrap();
    assert_eq!(queue.deliveries[0].what.type_name().to_string(), "webhook.test");
    queue.settle(WEBHOOK, id(1), &status(200), NOW);
    assert_eq!(queue.replay(id(1), u64::MAX, NOW), Ok(true), "no list has to know it");
}

#[test]
fn one_dispatcher_has_the_turn() {
    let mut queue = Queue::new(0);
    assert!(queue.take_turn(NOW) && !queue.take_turn(NOW.plus_ms(1)));
    assert!(queue.take_turn(NOW.plus_ms(limits::WEBHOOK_TURN_MS)), "whoever had it is dead");
    assert!(queue.take_turn(Timestamp(5)), "the clock was set back");
}

#[test]
fn the_words_of_the_api_are_those_of_the_statuses() {
    let statuses = [
        DeliveryStatus::Pending { next_at: NOW },
        DeliveryStatus::Delivered { at: NOW },
        DeliveryStatus::Dead,
    ];
    assert_eq!(statuses.map(DeliveryStatus::as_str), DeliveryStatus::ALL);
}
