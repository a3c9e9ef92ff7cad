//! Requests of the service.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use ota_http::Body;
use ota_platform::Platform;
use serde_json::Value;

/// A request, which may be made any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) uri: String,
    /// Its `Idempotency-Key`.
    pub(crate) key: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What a request was answered with.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Whether the body broke off.
    pub(crate) is_cut: bool,
}

impl Call {
    pub(crate) fn get(uri: impl Into<String>) -> Self {
        Self { method: "GET", uri: uri.into(), key: None, body: Vec::new() }
    }

    pub(crate) fn delete(uri: impl Into<String>) -> Self {
        Self { method: "DELETE", ..Self::get(uri) }
    }

    pub(crate) fn post(uri: impl Into<String>, body: &Value) -> Self {
        Self { method: "POST", body: body.to_string().into_bytes(), ..Self::get(uri) }
    }

    pub(crate) fn bytes(uri: impl Into<String>, body: Vec<u8>) -> Self {
        Self { method: "POST", body, ..Self::get(uri) }
    }

    pub(crate) fn key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    fn request(&self) -> http::Request<Body> {
        let token = match self.uri.as_str() {
            uri if uri.starts_with("/v1/") => Some("api-token"),
            uri if uri.starts_with("/internal/") => Some("internal-token"),
            _ => None,
        };
        let mut request = http::Request::builder().method(self.method).uri(&self.uri);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = &self.key {
            request = request.header("idempotency-key", key);
        }
        if !self.body.is_empty() {
            request = request.header("content-length", self.body.len().to_string());
        }
        let body = Full::new(Bytes::from(self.body.clone())).map_err(|never| match never {});
        request.body(body.boxed_unsync()).expect("the simulation's requests are well formed")
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Of a body that is no text, and of a long one, the beginning tells enough.
        let body: String = String::from_utf8_lossy(&self.body).chars().take(200).collect();
        write!(f, "{} {} {body}", self.method, self.uri)
    }
}

impl Answer {
    /// Returns the body as JSON, `null` if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns one text of a JSON body, empty when it is not there.
    pub(crate) fn text_of(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_default().to_owned()
    }
}

/// Makes a request, and reads its answer to the end.
pub(crate) async fn make<P: Platform>(platform: P, call: Call) -> Answer {
    let (parts, mut body) = gateway::handle(&platform, call.request()).await.into_parts();
    let (mut bytes, mut is_cut) = (Vec::new(), false);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend(frame.into_data().unwrap_or_default()),
            Err(_) => is_cut = true,
        }
    }
    Answer { status: parts.status.as_u16(), body: bytes, is_cut }
}
