//! Routes.

use bytes::Bytes;
use http::Method;
use ota_core::ids::{DeltaId, PackageId, UploadId};
use ota_http::{Problem, Request, Response};
use ota_platform::Platform;

use crate::{deltas, packages, tus, uploads};

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
    let method = tus::method(&request);
    let segments = request.segments.clone();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (&method, path.as_slice()) {
        (&Method::OPTIONS, ["v1", "uploads"]) => tus(platform, tus::options(platform).await),
        (&Method::POST, ["v1", "uploads"]) if tus::is_spoken(&request) => {
            tus(platform, tus::create(platform, &mut request).await)
        }
        (&Method::POST | &Method::PUT, ["v1", "uploads"]) => uploads::receive(platform, &mut request).await,
        (&Method::HEAD, ["v1", "uploads", id]) => {
            tus(platform, tus::head(platform, &request, upload_id(id)?).await)
        }
        (&Method::PATCH, ["v1", "uploads", id]) => {
            tus(platform, tus::append(platform, &mut request, upload_id(id)?).await)
        }
        (&Method::DELETE, ["v1", "uploads", id]) => {
            tus(platform, tus::terminate(platform, upload_id(id)?).await)
        }
        (&Method::GET, ["v1", "uploads", id]) => tus::get(platform, upload_id(id)?).await,
        (&Method::POST, ["v1", "packages"]) => packages::create(platform, &mut request).await,
        (&Method::GET, ["v1", "packages"]) => packages::list(platform, &request).await,
        (&Method::GET, ["v1", "packages", id]) => packages::get(platform, package_id(id)?).await,
        (&Method::DELETE, ["v1", "packages", id]) => packages::remove(platform, package_id(id)?).await,
        (&Method::GET, ["v1", "packages", id, "download_url"]) => {
            packages::download_url(platform, package_id(id)?).await
        }
        (&Method::POST, ["v1", "deltas"]) => deltas::create(platform, &mut request).await,
        (&Method::GET, ["v1", "deltas"]) => deltas::list(platform, &request).await,
        (&Method::GET, ["v1", "deltas", id]) => deltas::get(platform, delta_id(id)?).await,
        _ => Err(Problem::no_route()),
    }
}

/// Each answer of the upload protocol names its version, also one that refuses.
fn tus<P: Platform>(platform: &P, answer: Result<Response, Problem>) -> Result<Response, Problem> {
    Ok(tus::finish(answer, platform.random()))
}

/// See [`package_id`].
fn upload_id(text: &str) -> Result<UploadId, Problem> {
    text.parse().map_err(|_| Problem::not_found("upload"))
}

/// An id that no package can have is one that no package has.
fn package_id(text: &str) -> Result<PackageId, Problem> {
    text.parse().map_err(|_| Problem::not_found("package"))
}

/// See [`package_id`].
fn delta_id(text: &str) -> Result<DeltaId, Problem> {
    text.parse().map_err(|_| Problem::not_found("delta"))
}
