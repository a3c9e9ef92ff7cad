//! `GET /v1/audit`

use http::StatusCode;
use ota_core::access::AuditEntry;
use ota_core::error::Faults;
use ota_core::ids::ProductKey;
use ota_http::problem::uuid_text;
use ota_http::{Problem, Request, Response, page, respond};
use ota_platform::Platform;
use ota_store::audit;
use serde::Serialize;

/// Entries that one request looks at: a filter may leave nothing of any of them.
const LOOK_MAX: usize = 1_000;

#[derive(Serialize)]
struct EntryJson {
    at: u64,
    actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
    role: &'static str,
    action: String,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    request_id: String,
}

impl From<AuditEntry> for EntryJson {
    fn from(entry: AuditEntry) -> Self {
        Self {
            at: entry.at.0,
            actor: entry.actor,
            token_id: entry.token.map(|id| id.to_string()),
            role: entry.role.as_str(),
            action: entry.action,
            subject: entry.subject,
            product_key: entry.product.map(|key| key.to_string()),
            status: entry.status,
            request_id: uuid_text(entry.request),
        }
    }
}

/// Lists who has changed what, the newest first, of one product, actor and action if the request says so. A caller who is
/// bound to products sees what belongs to them.
pub(crate) async fn list<P: Platform, B>(platform: &P, request: &Request<B>) -> Result<Response, Problem> {
    request.only_query(&["limit", "cursor", "product_key", "actor", "action"])?;
    let limit = page::limit(request)?;
    let before = page::cursor(request, |text| text.parse::<u64>().ok())?;
    let mut faults = Faults::new();
    let product =
        request.query("product_key").and_then(|text| faults.take("query:product_key", ProductKey::new(text)));
    faults.into_result()?;
    let (actor, action) = (request.query("actor"), request.query("action"));
    let wanted = |entry: &AuditEntry| {
        let visible = match &entry.product {
            Some(product) => request.caller.may_touch(product),
            None => !request.caller.is_bound(),
        };
        // A name may have been given to several tokens, one after the other; an id tells them apart.
        let is_actor =
            |actor: &str| entry.actor == actor || entry.token.is_some_and(|id| id.to_string() == actor);
        visible
            && product.as_ref().is_none_or(|product| entry.product.as_ref() == Some(product))
            && actor.is_none_or(is_actor)
            && action.is_none_or(|action| entry.action == action)
    };
    let (found, next) = audit::read(platform.kv(), before, (limit, LOOK_MAX), wanted).await?;
    let items: Vec<EntryJson> = found.into_iter().map(EntryJson::from).collect();
    let next_cursor = next.map(|next| next.to_string());
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }))
}
