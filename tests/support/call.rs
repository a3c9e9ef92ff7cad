//! A request of a story.

use anyhow::anyhow;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use ota_http::Body;
use serde_json::Value;

use crate::conforms::{self, Asked};
use crate::{Answer, documented};

/// Bytes of a body that arrive at once.
const FRAME_BYTES: usize = 100_000;

/// A request in the making. It bears the token its path asks for unless it is told another.
#[derive(Clone, Debug)]
pub struct Call {
    method: &'static str,
    uri: String,
    headers: Vec<(String, String)>,
    token: Option<String>,
    body: Vec<u8>,
    cut: bool,
}

impl Call {
    /// Starts a request. The URI may begin with the service's public address.
    pub fn new(method: &'static str, uri: impl Into<String>) -> Self {
        let uri = uri.into();
        let token = match uri.as_str() {
            path if path.starts_with("/v1/") || path.starts_with("/metrics") => {
                Some(crate::API_TOKEN.to_owned())
            }
            path if path.starts_with("/internal/") => Some(crate::INTERNAL_TOKEN.to_owned()),
            _ => None,
        };
        Self { method, uri, headers: Vec::new(), token, body: Vec::new(), cut: false }
    }

    /// Starts a `GET`.
    pub fn get(uri: impl Into<String>) -> Self {
        Self::new("GET", uri)
    }

    /// Starts a `POST` of JSON.
    pub fn post(uri: impl Into<String>, body: &Value) -> Self {
        Self::new("POST", uri).bytes(body.to_string())
    }

    /// Starts a `PATCH` of JSON.
    pub fn patch(uri: impl Into<String>, body: &Value) -> Self {
        Self::new("PATCH", uri).bytes(body.to_string())
    }

    /// Starts a `DELETE`.
    pub fn delete(uri: impl Into<String>) -> Self {
        Self::new("DELETE", uri)
    }

    /// Sets the body.
    #[must_use]
    pub fn bytes(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Lets the connection break after the body's bytes.
    #[must_use]
    pub fn cut(self) -> Self {
        Self { cut: true, ..self }
    }

    /// Adds a header, in place of one of this name.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds an `Idempotency-Key`.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Bears another token, or none.
    #[must_use]
    pub fn token(self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self }
    }

    /// Checks that this request and its answer are what the OpenAPI document says, and that the fields which they give and tell
    /// are on the pages. What a refused request gives is a mistake to be refused, and the vendor's fields are not ours.
    ///
    /// # Panics
    /// If one is not.
    pub(crate) fn check_documented(&self, answer: &Answer) {
        let Self { method, uri, headers, body, .. } = self;
        conforms::check(Asked { method, uri, headers, body }, answer);
        if !self.uri.starts_with("/v1/") {
            return;
        }
        let what = format!("{} {}", self.method, self.uri);
        if (200..300).contains(&answer.status) && !self.uri.starts_with("/v1/uploads") {
            documented::check(&what, &self.body);
        }
        if answer.header("content-type").contains("json") {
            documented::check(&what, &answer.body);
        }
    }

    /// Makes the request, which may be done any number of times.
    pub(crate) fn request(&self) -> http::Request<Body> {
        let frames =
            self.body.chunks(FRAME_BYTES).map(|bytes| Ok(Frame::data(Bytes::copy_from_slice(bytes))));
        let end = self.cut.then(|| Err(anyhow!("the connection is cut on purpose")));
        let frames: Vec<Result<Frame<Bytes>, anyhow::Error>> = frames.chain(end).collect();
        let body = StreamBody::new(futures::stream::iter(frames)).boxed_unsync();
        let mut request = http::Request::builder().method(self.method).uri(self.uri.as_str());
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(body).expect("a story's request is well formed")
    }
}
