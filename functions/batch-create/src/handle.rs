//! Routes.

use bytes::Bytes;
use http::Method;
use ota_core::ids::{BatchId, DeviceName};
use ota_http::{Problem, Request, Response};
use ota_platform::{Platform, serve};

use crate::{cancel, create, dry_run, query, tags, tasks};

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
        (&Method::POST, ["v1", "batches"]) if request.query("dry_run").is_some() => {
            dry_run::dry_run(platform, request).await
        }
        (&Method::POST, ["v1", "batches"]) => create::create(platform, request).await,
        (&Method::GET, ["v1", "batches"]) => query::list(platform, request).await,
        (&Method::GET, ["v1", "batches", id]) => query::get(platform, request, batch_id(id)?).await,
        (&Method::GET, ["v1", "batches", id, "history"]) => {
            query::history(platform, request, batch_id(id)?).await
        }
        (&Method::POST, ["v1", "batches", id, "cancel"]) => {
            cancel::batch(platform, request, batch_id(id)?).await
        }
        (&Method::GET, ["v1", "batches", id, "devices", name, "why"]) => {
            let device = DeviceName::new(name).map_err(|_| Problem::not_found("device"))?;
            query::why(platform, request, batch_id(id)?, &device).await
        }
        (&Method::PATCH, ["v1", "batches", id]) => tags::change(platform, request, batch_id(id)?).await,
        (&Method::POST, ["v1", "tasks", "confirm"]) => tasks::confirm(platform, request).await,
        (&Method::POST, ["v1", "tasks", "reupgrade"]) => tasks::reupgrade(platform, request).await,
        (&Method::POST, ["v1", "tasks", "cancel"]) => cancel::by_device(platform, request).await,
        (&Method::GET, ["v1", "batches", id, "tasks"]) => {
            query::tasks(platform, request, batch_id(id)?).await
        }
        (&Method::GET, ["v1", "batches", id, "tasks", name]) => {
            let device = DeviceName::new(name).map_err(|_| Problem::not_found("task"))?;
            query::task(platform, request, batch_id(id)?, &device).await
        }
        _ => Err(Problem::no_route()),
    }
}

/// An id that no batch can have is one that no batch has.
fn batch_id(text: &str) -> Result<BatchId, Problem> {
    text.parse().map_err(|_| Problem::not_found("batch"))
}
