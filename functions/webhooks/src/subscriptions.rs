//! The webhooks themselves.

use bytes::Bytes;
use http::StatusCode;
use ota_core::error::ValueError;
use ota_core::ids::{ProductKey, WebhookId};
use ota_core::webhook::{
    ChangeFields, Disabled, NewWebhook, Queue, Secret, Webhook, WebhookChange, WebhookError, WebhookFields,
    cloud_event,
};
use ota_http::{Problem, Request, Response, idempotency, json, page, respond, signing};
use ota_platform::Platform;
use ota_store::webhooks::{self, StoredWebhook};
use ota_store::{events, products};
use serde::Serialize;

use crate::handle::is_visible;

#[derive(Serialize)]
struct WebhookJson {
    webhook_id: String,
    url: String,
    event_types: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_key: Option<String>,
    description: String,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_because: Option<&'static str>,
    counts: CountsJson,
    created_at: u64,
    /// Told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

#[derive(Serialize)]
struct CountsJson {
    behind: u64,
    pending: usize,
    delivered: u64,
    dead: usize,
    dropped: u64,
    missed: u64,
}

#[derive(Serialize)]
struct SecretJson {
    secret: String,
}

impl WebhookJson {
    /// `end` is the number of the event that is still to come.
    fn new(webhook: &Webhook, queue: &Queue, end: u64) -> Self {
        Self {
            webhook_id: webhook.id.to_string(),
            url: webhook.url.clone(),
            event_types: webhook.event_types.iter().map(|kind| cloud_event::type_name(*kind)).collect(),
            product_key: webhook.product_key.as_ref().map(ToString::to_string),
            description: webhook.description.clone(),
            enabled: webhook.disabled.is_none(),
            disabled_because: webhook.disabled.map(Disabled::as_str),
            counts: CountsJson {
                behind: end.saturating_sub(queue.cursor),
                pending: queue.count("pending"),
                delivered: queue.delivered,
                dead: queue.count("dead"),
                dropped: queue.dropped,
                missed: queue.missed,
            },
            created_at: webhook.created_at.0,
            secret: None,
        }
    }
}

/// Renders a webhook as it stands. One whose queue is not there is just being deleted.
async fn render<P: Platform>(platform: &P, webhook: &Webhook, end: u64) -> Result<WebhookJson, Problem> {
    let queue = webhooks::queue(platform.kv(), webhook.id).await?.unwrap_or_else(|| Queue::new(end));
    Ok(WebhookJson::new(webhook, &queue, end))
}

/// Finds the product that a request names. A caller who is bound to products must name one.
async fn find_product<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    key: Option<&str>,
) -> Result<Option<Result<ProductKey, ValueError>>, Problem> {
    let Some(key) = key else { return Ok(request.caller.is_bound().then_some(Err(ValueError::Missing))) };
    let unknown = ValueError::Malformed { expected: "the key of a product" };
    let Ok(key) = ProductKey::new(key) else { return Ok(Some(Err(unknown))) };
    let found = products::get(platform.kv(), &key).await?.filter(|_| request.may_touch(&key));
    Ok(Some(found.map(|_| key).ok_or(unknown)))
}

/// `POST /v1/webhooks`. It is told what is listed from now on.
pub(crate) async fn create<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let ((url, event_types, product_key, description), reading) = document.read(|fields, faults| {
        (
            fields.text("url", faults),
            fields.texts("event_types", faults),
            fields.text("product_key", faults),
            fields.text("description", faults),
        )
    });
    let identity = idempotency::identify(request, "webhook", document.bytes(), platform.random())?;
    let product = find_product(platform, request, product_key).await?;
    let checked =
        NewWebhook::check(WebhookFields { url, event_types: event_types.as_deref(), product, description });
    let new = json::join(reading, checked)?;

    let (kv, now, id) = (platform.kv(), platform.now(), WebhookId(identity.id));
    let key = signing::webhooks_key(platform.variable("secrets_key").await)?;
    let secret = Secret::new([platform.random(), platform.random()]);
    let sealed = secret.seal(&key, id, [platform.random(), platform.random()]);
    let webhook = new.begin(id, sealed, now);
    request.about.names([id]);
    let stored = StoredWebhook { webhook, fingerprint: identity.fingerprint, deleted: false };
    let end = events::span(kv).await?.end;
    let made = webhooks::create(kv, &stored, end, now).await?;
    let made = made.ok_or_else(|| Problem::of(&WebhookError::TooMany))?;
    identity.same_as(made.fingerprint)?;
    // A request made again is answered as the first, which may have got lost.
    let secret = made.webhook.secret.open(&key, id).map_err(|error| Problem::of(&error))?;
    let told = render(platform, &made.webhook, end).await?;
    Ok(respond::json(StatusCode::CREATED, &WebhookJson { secret: Some(secret.tell()), ..told }))
}

/// `GET /v1/webhooks`: oldest first.
pub(crate) async fn list<P: Platform, B>(platform: &P, request: &Request<B>) -> Result<Response, Problem> {
    request.only_query(&["limit", "cursor"])?;
    let limit = page::limit(request)?;
    let after = page::cursor(request, |text| {
        let (at, id) = text.split_once('.')?;
        Some((at.parse::<u64>().ok()?, id.parse::<WebhookId>().ok()?))
    })?;
    let end = events::span(platform.kv()).await?.end;
    let mut all: Vec<Webhook> = webhooks::all(platform.kv())
        .await?
        .0
        .into_iter()
        .filter(|stored| !stored.deleted)
        .map(|stored| stored.webhook)
        .filter(|webhook| is_visible(request, webhook))
        .filter(|webhook| after.is_none_or(|after| place(webhook) > after))
        .collect();
    all.sort_by_key(place);
    let is_more = all.len() > limit;
    all.truncate(limit);
    let next_cursor = all.last().filter(|_| is_more).map(place).map(|(at, id)| format!("{at}.{id}"));
    let mut items = Vec::with_capacity(all.len());
    for webhook in &all {
        items.push(render(platform, webhook, end).await?);
    }
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }))
}

/// What a webhook is listed by.
fn place(webhook: &Webhook) -> (u64, WebhookId) {
    (webhook.created_at.0, webhook.id)
}

/// `GET /v1/webhooks/{webhook_id}`
pub(crate) async fn get<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    webhook: &Webhook,
) -> Result<Response, Problem> {
    request.only_query(&[])?;
    let end = events::span(platform.kv()).await?.end;
    Ok(respond::json(StatusCode::OK, &render(platform, webhook, end).await?))
}

/// `PATCH /v1/webhooks/{webhook_id}`
pub(crate) async fn change<P, B>(
    platform: &P,
    request: &mut Request<B>,
    id: WebhookId,
) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let ((enabled, url, event_types, description), reading) = document.read(|fields, faults| {
        (
            fields.flag("enabled", faults),
            fields.text("url", faults),
            fields.texts("event_types", faults),
            fields.text("description", faults),
        )
    });
    let fields = ChangeFields { enabled, url, event_types: event_types.as_deref(), description };
    let change = json::join(reading, WebhookChange::check(&fields))?;
    let (kv, now) = (platform.kv(), platform.now());
    let after = webhooks::change(kv, id, now, |webhook| change.apply(webhook)).await?;
    let after = after.ok_or_else(|| Problem::not_found("webhook"))?;
    let end = events::span(kv).await?.end;
    Ok(respond::json(StatusCode::OK, &render(platform, &after, end).await?))
}

/// `DELETE /v1/webhooks/{webhook_id}`
pub(crate) async fn delete<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    webhook: &Webhook,
) -> Result<Response, Problem> {
    request.only_query(&[])?;
    webhooks::delete(platform.kv(), webhook.id, platform.now()).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `POST /v1/webhooks/{webhook_id}/secret`: a new secret. The one before signs beside it for a day.
pub(crate) async fn rotate<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    webhook: &Webhook,
) -> Result<Response, Problem> {
    request.only_query(&[])?;
    let key = signing::webhooks_key(platform.variable("secrets_key").await)?;
    let secret = Secret::new([platform.random(), platform.random()]);
    let sealed = secret.seal(&key, webhook.id, [platform.random(), platform.random()]);
    let now = platform.now();
    let rotated = webhooks::change(platform.kv(), webhook.id, now, |webhook| {
        webhook.rotate(sealed.clone(), now);
        true
    });
    rotated.await?.ok_or_else(|| Problem::not_found("webhook"))?;
    Ok(respond::json(StatusCode::OK, &SecretJson { secret: secret.tell() }))
}
