//! `GET /v1/events`

use bytes::Bytes;
use http::{Method, StatusCode};
use ota_core::error::{Faults, ValueError};
use ota_core::event::{Event, EventKind};
use ota_core::ids::ProductKey;
use ota_http::{Problem, Request, Response, page, respond};
use ota_platform::{Platform, serve};
use ota_store::events;
use serde::Serialize;
use serde_json::value::RawValue;

/// Events that one request looks at: a filter may leave nothing of any of them.
const LOOK_MAX: usize = 1_000;

#[derive(Serialize)]
struct EventJson {
    event_id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    product_key: String,
    at: u64,
    topic: String,
    payload: Box<RawValue>,
}

/// There is always a place to go on from: more may happen.
#[derive(Serialize)]
struct EventsJson {
    items: Vec<EventJson>,
    next_cursor: String,
}

impl EventJson {
    fn new(event: Event) -> Result<Self, Problem> {
        let payload = RawValue::from_string(event.payload)
            .map_err(|error| Problem::new("store.corrupt", format!("the payload of an event: {error}")))?;
        Ok(Self {
            event_id: event.id.iter().map(|byte| format!("{byte:02x}")).collect(),
            kind: event.kind.as_str(),
            product_key: event.product_key.to_string(),
            at: event.at.0,
            topic: event.topic,
            payload,
        })
    }
}

/// Answers a request.
pub async fn handle<P, B>(platform: &P, request: http::Request<B>) -> Response
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    serve::operator(platform, request, route).await
}

async fn route<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    match (&request.method, request.path().as_slice()) {
        (&Method::GET, ["v1", "events"]) => list(platform, request).await,
        _ => Err(Problem::no_route()),
    }
}

/// Lists events, oldest first, of one type and product if the request says so. `next_cursor` is where to go on, now or
/// when more has happened; the oldest events are forgotten after some hundred thousand newer ones.
async fn list<P: Platform, B>(platform: &P, request: &Request<B>) -> Result<Response, Problem> {
    request.only_query(&["limit", "cursor", "type", "product_key"])?;
    let limit = page::limit(request)?;
    let mut from = page::cursor(request, |text| text.parse::<u64>().ok())?.unwrap_or(0);
    let mut faults = Faults::new();
    let kind = request.query("type").and_then(|text| {
        let allowed = "task-ended, version-changed, batch-status";
        faults.take("query:type", EventKind::parse(text).ok_or(ValueError::NotOneOf { allowed }))
    });
    let product =
        request.query("product_key").and_then(|text| faults.take("query:product_key", ProductKey::new(text)));
    faults.into_result()?;
    let mut items = Vec::new();
    let mut looked = 0;
    while items.len() < limit && looked < LOOK_MAX {
        let (found, next) = events::read(platform.kv(), from, limit - items.len()).await?;
        if found.is_empty() {
            from = next;
            break;
        }
        looked += found.len();
        from = next;
        for (_, event) in found {
            let wanted = request.caller.may_touch(&event.product_key)
                && kind.is_none_or(|kind| kind == event.kind)
                && product.as_ref().is_none_or(|product| *product == event.product_key);
            if wanted {
                items.push(EventJson::new(event)?);
            }
        }
    }
    Ok(respond::json(StatusCode::OK, &EventsJson { items, next_cursor: from.to_string() }))
}
