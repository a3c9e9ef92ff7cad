//! Answers.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde::Serialize;

use crate::{Body, Response};

/// Wraps bytes that are there as a whole.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Answers with JSON, which is never stored by caches on the way.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // Our own answers are structs of text and numbers; there is nothing in them that JSON cannot say.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(full(Vec::new()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.body_mut() = full(bytes);
    *response.status_mut() = status;
    response
}

/// Answers with nothing but a status.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(full(Vec::new()));
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(0));
    }
    response
}
