//! Routes.

use bytes::Bytes;
use http::Method;
use ota_core::ids::{DeltaId, PackageId, UploadId};
use ota_http::{Problem, Request, Response};
use ota_platform::{Platform, serve};

use crate::{deltas, packages, tus, uploads};

/// Answers a request.
pub async fn handle<P, B>(platform: &P, mut request: http::Request<B>) -> Response
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let is_tus = tus::is_spoken(request.headers());
    if is_tus {
        *request.method_mut() = tus::method(&request);
    }
    let response = serve::operator(platform, request, route).await;
    tus::finish(is_tus, response)
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
        (&Method::OPTIONS, ["v1", "uploads"]) => tus::options(platform).await,
        (&Method::POST, ["v1", "uploads"]) if tus::is_spoken(&request.headers) => {
            tus::create(platform, request).await
        }
        (&Method::POST | &Method::PUT, ["v1", "uploads"]) => uploads::receive(platform, request).await,
        (&Method::HEAD, ["v1", "uploads", id]) => tus::head(platform, request, upload_id(id)?).await,
        (&Method::PATCH, ["v1", "uploads", id]) => tus::append(platform, request, upload_id(id)?).await,
        (&Method::DELETE, ["v1", "uploads", id]) => tus::terminate(platform, upload_id(id)?).await,
        (&Method::GET, ["v1", "uploads", id]) => tus::get(platform, upload_id(id)?).await,
        (&Method::POST, ["v1", "packages"]) => packages::create(platform, request).await,
        (&Method::GET, ["v1", "packages"]) => packages::list(platform, request).await,
        (&Method::GET, ["v1", "packages", id]) => packages::get(platform, request, package_id(id)?).await,
        (&Method::DELETE, ["v1", "packages", id]) => {
            packages::remove(platform, request, package_id(id)?).await
        }
        (&Method::GET, ["v1", "packages", id, "download_url"]) => {
            packages::download_url(platform, request, package_id(id)?).await
        }
        (&Method::POST, ["v1", "deltas"]) => deltas::create(platform, request).await,
        (&Method::GET, ["v1", "deltas"]) => deltas::list(platform, request).await,
        (&Method::GET, ["v1", "deltas", id]) => deltas::get(platform, request, delta_id(id)?).await,
        _ => Err(Problem::no_route()),
    }
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
