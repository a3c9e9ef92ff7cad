//! `GET /metrics`

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use ota_http::{Problem, Request, Response, respond};
use ota_platform::{Platform, serve};

use crate::exposition::{CONTENT_TYPE, Exposition};
use crate::{batches, families, service, webhooks};

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
        (&Method::GET, ["metrics"]) => tell(platform, request).await,
        _ => Err(Problem::no_route()),
    }
}

/// Tells every metric that the caller may see. A caller that is bound to products is told of these, and nothing of what
/// belongs to none.
async fn tell<P: Platform, B>(platform: &P, request: &Request<B>) -> Result<Response, Problem> {
    request.only_query(&[])?;
    let (kv, caller) = (platform.kv(), &request.caller);
    let mut text = Exposition::default();
    text.add(&families::BUILD_INFO, [([env!("CARGO_PKG_VERSION").to_owned()], 1)]);
    batches::tell(kv, caller, &mut text).await?;
    if !caller.is_bound() {
        service::tell(kv, &mut text).await?;
    }
    webhooks::tell(kv, caller, &mut text).await?;
    let text = text.finish();
    let length = HeaderValue::from(text.len());
    let mut response = Response::new(respond::full(text));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
