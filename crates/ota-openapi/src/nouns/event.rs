//! Events.

use ota_core::event::EventKind;
use ota_core::limits;

use crate::names::PRODUCT_KEY;
use crate::operation::{Operation, operation};
use crate::schema::{Schema, anything, digest, list, moment, must, named, object, product_key, text, words};

fn kind() -> Schema {
    words(EventKind::ALL.map(EventKind::as_str))
}

pub(super) fn operations() -> Vec<Operation> {
    let cursor = text().says("Where to go on, now or when more has happened; always there.");
    vec![
        operation("listEvents", "GET", "/v1/events", "Lists events, the oldest first")
            .says("An event is listed at least once, and a repeated one has the same `event_id`.")
            .pages(limits::PAGE_SIZE_MAX)
            .query("type", kind())
            .such_as("batch-status")
            .query("product_key", product_key())
            .such_as(PRODUCT_KEY)
            .answers(
                200,
                "A page of events.",
                object([must("items", list(named("Event"))), must("next_cursor", cursor)]),
            ),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let event = object([
        must("event_id", digest(32)),
        must("type", kind()),
        must("product_key", product_key()),
        must("at", moment("When it happened.")),
        must("topic", text().says("That of the vendor's forwarded message.")),
        must("payload", anything().says("That of the vendor's forwarded message: see docs/api.md.")),
    ]);
    vec![("Event", event)]
}
