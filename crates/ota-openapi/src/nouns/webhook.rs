//! Webhooks and their deliveries.

use ota_core::event::EventKind;
use ota_core::limits;
use ota_core::webhook::{DeliveryStatus, Disabled, What, cloud_event};
use serde_json::json;

use crate::operation::{Operation, operation};
use crate::schema::{
    Schema, description, flag, id, list, may, moment, must, named, object, page, product_key, request, text,
    whole, words,
};

fn event_types() -> Schema {
    list(words(EventKind::ALL.map(cloud_event::type_name))).items(1, EventKind::ALL.len())
}

fn url() -> Schema {
    text().len(1, limits::WEBHOOK_URL_LEN_MAX).pattern("^https?://").says("Without user and password.")
}

fn secret() -> Schema {
    text().says("What requests are signed with, told this once.")
}

pub(super) fn operations() -> Vec<Operation> {
    let mut all = subscriptions();
    all.extend(deliveries());
    all
}

fn subscriptions() -> Vec<Operation> {
    let path = "/v1/webhooks/{webhook_id}";
    let new = request([
        must("url", url()),
        may("event_types", event_types().says("All unless given.")),
        may("product_key", product_key().says("Only events of this product.")),
        may("description", description()),
    ]);
    let change = request([
        may("enabled", flag()),
        may("url", url()),
        may("event_types", event_types()),
        may("description", description()),
    ]);
    let example = json!({"url": "https://hooks.example.com/ota", "event_types": ["task.finished"]});
    vec![
        operation("createWebhook", "POST", "/v1/webhooks", "Has events told to a URL")
            .once()
            .body(new, vec![("Of ended tasks", example)])
            .refuses(&["webhook.too-many", "webhook.secret-sealed"])
            .answers(201, "The webhook, with its secret.", named("Webhook")),
        operation("listWebhooks", "GET", "/v1/webhooks", "Lists webhooks, the oldest first")
            .pages(limits::PAGE_SIZE_MAX)
            .answers(200, "A page of webhooks.", page(named("Webhook"))),
        operation("getWebhook", "GET", path, "Shows a webhook").faults(&[]).answers(
            200,
            "The webhook.",
            named("Webhook"),
        ),
        operation("changeWebhook", "PATCH", path, "Changes a webhook")
            .says("What the request does not name stays as it is.")
            .optional_body(change, vec![("Switched off", json!({"enabled": false}))])
            .answers(200, "The webhook.", named("Webhook")),
        operation("deleteWebhook", "DELETE", path, "Deletes a webhook")
            .says("What was on its way goes with it.")
            .faults(&[])
            .ends(204, "It is gone."),
        operation("rotateWebhookSecret", "POST", "/v1/webhooks/{webhook_id}/secret", "Makes a new secret")
            .says("The one before signs beside it for 24 hours.")
            .faults(&[])
            .answers(200, "The secret.", object([must("secret", secret())])),
    ]
}

fn deliveries() -> Vec<Operation> {
    let replay = "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay";
    vec![
        operation(
            "testWebhook",
            "POST",
            "/v1/webhooks/{webhook_id}/test",
            "Sends an event that says it is a test",
        )
        .refuses(&["webhook.queue-full"])
        .faults(&[])
        .answers(202, "The delivery.", named("Delivery")),
        operation(
            "listDeliveries",
            "GET",
            "/v1/webhooks/{webhook_id}/deliveries",
            "Lists deliveries, the newest first",
        )
        .pages(limits::PAGE_SIZE_MAX)
        .query("status", words(DeliveryStatus::ALL))
        .such_as("pending")
        .answers(200, "A page of deliveries.", page(named("Delivery"))),
        operation("replayDelivery", "POST", replay, "Sends an event again")
            .says("Now, and with all its tries again, whatever became of it.")
            .refuses(&["webhook.event-forgotten", "webhook.queue-full"])
            .faults(&[])
            .answers(202, "The delivery.", named("Delivery")),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let count = |name, words: &str| must(name, whole().says(words));
    let counts = object([
        count("behind", "Events of the list that are still to be looked at."),
        count("pending", "Deliveries that wait to be tried, or tried again."),
        count("delivered", "Deliveries that have arrived so far."),
        count("dead", "Deliveries that were given up and are kept."),
        count("dropped", "Deliveries that were given up and are not kept."),
        count("missed", "Events that the list forgot before they could be delivered."),
    ]);
    let webhook = object([
        must("webhook_id", id()),
        must("url", url()),
        must("event_types", event_types()),
        may("product_key", product_key()),
        must("description", description()),
        must("enabled", flag()),
        may("disabled_because", words(Disabled::ALL.map(Disabled::as_str))),
        must("counts", counts),
        must("created_at", moment("When it was made.")),
        may("secret", secret()),
    ]);
    let told = EventKind::ALL.map(cloud_event::type_name).into_iter().chain([What::Test.type_name()]);
    let delivery = object([
        must("delivery_id", id()),
        must("event_id", id()),
        must("event_type", words(told)),
        must("status", words(DeliveryStatus::ALL)),
        must("attempts", whole()),
        may("last_status", whole().says("What the last try was answered with.")),
        may("last_error", text().says("Why there was no answer.")),
        must("created_at", moment("When it was queued.")),
        may("next_attempt_at", moment("When it is tried next.")),
        may("delivered_at", moment("When it arrived.")),
    ]);
    vec![("Webhook", webhook), ("Delivery", delivery)]
}
