//! What is on its way to a webhook, and what became of it.

use http::StatusCode;
use ota_core::error::{Faults, ValueError};
use ota_core::ids::EventId;
use ota_core::webhook::{Delivery, DeliveryStatus, Webhook};
use ota_http::{Problem, Request, Response, page, respond};
use ota_platform::Platform;
use ota_store::{events, webhooks};
use serde::Serialize;

#[derive(Serialize)]
struct DeliveryJson {
    delivery_id: String,
    event_id: String,
    event_type: &'static str,
    status: &'static str,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<u64>,
}

impl From<&Delivery> for DeliveryJson {
    fn from(delivery: &Delivery) -> Self {
        let (next, delivered) = match delivery.status {
            DeliveryStatus::Pending { next_at } => (Some(next_at.0), None),
            DeliveryStatus::Delivered { at } => (None, Some(at.0)),
            DeliveryStatus::Dead => (None, None),
        };
        // A webhook is told an event once, so the event's id names the delivery too.
        let id = delivery.event_id.to_string();
        Self {
            delivery_id: id.clone(),
            event_id: id,
            event_type: delivery.what.type_name(),
            status: delivery.status.as_str(),
            attempts: delivery.tries,
            last_status: delivery.last_status,
            last_error: delivery.last_error.clone(),
            created_at: delivery.created_at.0,
            next_attempt_at: next,
            delivered_at: delivered,
        }
    }
}

/// `GET /v1/webhooks/{webhook_id}/deliveries`: newest first.
pub(crate) async fn list<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    webhook: &Webhook,
) -> Result<Response, Problem> {
    request.only_query(&["limit", "cursor", "status"])?;
    let limit = page::limit(request)?;
    let before = page::cursor(request, |text| {
        let (at, id) = text.split_once('.')?;
        Some((at.parse::<u64>().ok()?, id.parse::<EventId>().ok()?))
    })?;
    let mut faults = Faults::new();
    let status = request.query("status").and_then(|text| {
        let allowed = "pending, delivered, dead";
        let known = DeliveryStatus::ALL.contains(&text).then_some(text);
        faults.take("query:status", known.ok_or(ValueError::NotOneOf { allowed }))
    });
    faults.into_result()?;
    let queue = webhooks::queue(platform.kv(), webhook.id).await?.unwrap_or_default();
    let mut found: Vec<&Delivery> = queue
        .deliveries
        .iter()
        .filter(|delivery| status.is_none_or(|status| delivery.status.as_str() == status))
        .filter(|delivery| before.is_none_or(|before| place(delivery) < before))
        .collect();
    found.sort_by_key(|delivery| std::cmp::Reverse(place(delivery)));
    let is_more = found.len() > limit;
    found.truncate(limit);
    let next_cursor =
        found.last().filter(|_| is_more).map(|delivery| place(delivery)).map(|(at, id)| format!("{at}.{id}"));
    let items: Vec<DeliveryJson> = found.into_iter().map(DeliveryJson::from).collect();
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }))
}

/// What a delivery is listed by, which never changes.
fn place(delivery: &Delivery) -> (u64, EventId) {
    (delivery.created_at.0, delivery.event_id)
}

/// `POST /v1/webhooks/{webhook_id}/test`: queues an event that says it is a test.
pub(crate) async fn test<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    webhook: &Webhook,
) -> Result<Response, Problem> {
    request.only_query(&[])?;
    let (now, event_id) = (platform.now(), EventId(platform.random()));
    let queued = webhooks::change_queue(platform.kv(), webhook.id, now, |queue| {
        queue.test(event_id, now).map(|()| queue.deliveries.last().map(DeliveryJson::from))
    });
    let queued = queued.await?.ok_or_else(|| Problem::not_found("webhook"))?;
    let queued = queued.map_err(|error| Problem::of(&error))?;
    Ok(respond::json(StatusCode::ACCEPTED, &queued))
}

/// `POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay`: queues it again, whatever became of it.
pub(crate) async fn replay<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    webhook: &Webhook,
    delivery: &str,
) -> Result<Response, Problem> {
    request.only_query(&[])?;
    let unknown = || Problem::not_found("delivery");
    let event_id: EventId = delivery.parse().map_err(|_| unknown())?;
    let (kv, now) = (platform.kv(), platform.now());
    let oldest = events::span(kv).await?.start;
    let replayed = webhooks::change_queue(kv, webhook.id, now, |queue| {
        let replayed = queue.replay(event_id, oldest, now);
        let after = queue.deliveries.iter().find(|delivery| delivery.event_id == event_id);
        replayed.map(|_| after.map(DeliveryJson::from))
    });
    let replayed = replayed.await?.ok_or_else(unknown)?;
    let after = replayed.map_err(|error| Problem::of(&error))?.ok_or_else(unknown)?;
    Ok(respond::json(StatusCode::ACCEPTED, &after))
}
