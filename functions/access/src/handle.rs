//! Routes.

use bytes::Bytes;
use http::Method;
use ota_http::{Problem, Request, Response};
use ota_platform::{Platform, serve};

use crate::{audit, tokens};

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
        (&Method::POST, ["v1", "tokens"]) => tokens::create(platform, request).await,
        (&Method::GET, ["v1", "tokens"]) => tokens::list(platform, request).await,
        (&Method::GET, ["v1", "tokens", "self"]) => tokens::own(request),
        (&Method::DELETE, ["v1", "tokens", id]) => {
            let id = id.parse().map_err(|_| Problem::not_found("token"))?;
            tokens::delete(platform, request, id).await
        }
        (&Method::GET, ["v1", "audit"]) => audit::list(platform, request).await,
        _ => Err(Problem::no_route()),
    }
}
