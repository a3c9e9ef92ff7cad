//! Routes.

use bytes::Bytes;
use http::Method;
use ota_core::ids::WebhookId;
use ota_core::webhook::Webhook;
use ota_http::{Problem, Request, Response};
use ota_platform::{Platform, serve};
use ota_store::webhooks;

use crate::{deliveries, subscriptions};

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
    let method = request.method.clone();
    let segments = request.segments.clone();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (&method, path.as_slice()) {
        (&Method::POST, ["v1", "webhooks"]) => subscriptions::create(platform, request).await,
        (&Method::GET, ["v1", "webhooks"]) => subscriptions::list(platform, request).await,
        (&Method::GET, ["v1", "webhooks", id]) => {
            subscriptions::get(platform, request, &find(platform, request, id).await?).await
        }
        (&Method::PATCH, ["v1", "webhooks", id]) => {
            let webhook = find(platform, request, id).await?;
            subscriptions::change(platform, request, webhook.id).await
        }
        (&Method::DELETE, ["v1", "webhooks", id]) => {
            subscriptions::delete(platform, request, &find(platform, request, id).await?).await
        }
        (&Method::POST, ["v1", "webhooks", id, "secret"]) => {
            subscriptions::rotate(platform, request, &find(platform, request, id).await?).await
        }
        (&Method::POST, ["v1", "webhooks", id, "test"]) => {
            deliveries::test(platform, request, &find(platform, request, id).await?).await
        }
        (&Method::GET, ["v1", "webhooks", id, "deliveries"]) => {
            deliveries::list(platform, request, &find(platform, request, id).await?).await
        }
        (&Method::POST, ["v1", "webhooks", id, "deliveries", delivery, "replay"]) => {
            deliveries::replay(platform, request, &find(platform, request, id).await?, delivery).await
        }
        _ => Err(Problem::no_route()),
    }
}

/// An id that no webhook can have is one that no webhook has. One that is told of every product is not for a caller who is
/// bound to some.
async fn find<P: Platform, B>(platform: &P, request: &Request<B>, id: &str) -> Result<Webhook, Problem> {
    let unknown = || Problem::not_found("webhook");
    let id: WebhookId = id.parse().map_err(|_| unknown())?;
    let found = webhooks::get(platform.kv(), id).await?.map(|stored| stored.webhook);
    found.filter(|webhook| is_visible(request, webhook)).ok_or_else(unknown)
}

/// Tells whether the caller may touch a webhook.
pub(crate) fn is_visible<B>(request: &Request<B>, webhook: &Webhook) -> bool {
    match &webhook.product_key {
        Some(product) => request.may_touch(product),
        None => !request.caller.is_bound(),
    }
}
