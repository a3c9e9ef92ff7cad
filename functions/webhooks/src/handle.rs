//! Routes.

use bytes::Bytes;
use http::Method;
use ota_core::ids::WebhookId;
use ota_core::webhook::Webhook;
use ota_http::{Problem, Request, Response};
use ota_platform::Platform;
use ota_store::webhooks;

use crate::{deliveries, subscriptions};

/// Answers a request.
pub async fn handle<P, B>(platform: &P, request: http::Request<B>) -> Response
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let answer = route(platform, request).await;
    answer.unwrap_or_else(|problem| problem.into_response(platform.random()))
}

async fn route<P, B>(platform: &P, request: http::Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let mut request = Request::authorized(request, platform.variable("api_token").await)?;
    let method = request.method.clone();
    let segments = request.segments.clone();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (&method, path.as_slice()) {
        (&Method::POST, ["v1", "webhooks"]) => subscriptions::create(platform, &mut request).await,
        (&Method::GET, ["v1", "webhooks"]) => subscriptions::list(platform, &request).await,
        (&Method::GET, ["v1", "webhooks", id]) => {
            subscriptions::get(platform, &request, &find(platform, id).await?).await
        }
        (&Method::PATCH, ["v1", "webhooks", id]) => {
            let webhook = find(platform, id).await?;
            subscriptions::change(platform, &mut request, webhook.id).await
        }
        (&Method::DELETE, ["v1", "webhooks", id]) => {
            subscriptions::delete(platform, &request, &find(platform, id).await?).await
        }
        (&Method::POST, ["v1", "webhooks", id, "secret"]) => {
            subscriptions::rotate(platform, &request, &find(platform, id).await?).await
        }
        (&Method::POST, ["v1", "webhooks", id, "test"]) => {
            deliveries::test(platform, &request, &find(platform, id).await?).await
        }
        (&Method::GET, ["v1", "webhooks", id, "deliveries"]) => {
            deliveries::list(platform, &request, &find(platform, id).await?).await
        }
        (&Method::POST, ["v1", "webhooks", id, "deliveries", delivery, "replay"]) => {
            deliveries::replay(platform, &request, &find(platform, id).await?, delivery).await
        }
        _ => Err(Problem::no_route()),
    }
}

/// An id that no webhook can have is one that no webhook has.
async fn find<P: Platform>(platform: &P, id: &str) -> Result<Webhook, Problem> {
    let unknown = || Problem::not_found("webhook");
    let id: WebhookId = id.parse().map_err(|_| unknown())?;
    let found = webhooks::get(platform.kv(), id).await?.ok_or_else(unknown)?;
    Ok(found.webhook)
}
