//! Faults as `application/problem+json` (RFC 9457).

use http::{HeaderValue, StatusCode, header};
use ota_core::error::{Coded, Faults};
use ota_store::StoreError;
use serde::Serialize;

use crate::{Response, respond};

/// Where the codes are explained; a problem's `type` is this and the code.
const TYPE_BASE: &str = "https://overair.dev/errors#";
/// What a caller is asked to wait when the store is busy, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The stable code, such as `batch.no-device`.
    pub code: &'static str,
    /// What is wrong this time, in words that are safe for strangers.
    pub detail: String,
    /// Every fault of a request that was read and found wrong.
    pub faults: Faults,
    /// What only the log is told.
    pub log: Option<String>,
    /// Of a method that a path does not have: those that it has.
    pub allow: Vec<&'static str>,
}

#[derive(Serialize)]
struct Wire<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: String,
    code: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<WireFault<'a>>,
}

#[derive(Serialize)]
struct WireFault<'a> {
    pointer: &'a str,
    code: &'a str,
    detail: &'a str,
}

impl Problem {
    /// Makes a problem with a code and its words.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), faults: Faults::new(), log: None, allow: Vec::new() }
    }

    /// Makes a problem of a fault that concerns the request as a whole.
    pub fn of(fault: &impl Coded) -> Self {
        Self::new(fault.code(), fault.to_string())
    }

    /// Something the caller named is not there. `what` is a noun, such as "batch".
    pub fn not_found(what: &str) -> Self {
        Self::new("request.not-found", format!("there is no such {what}"))
    }

    /// The caller may not do this kind of thing.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new("request.forbidden", detail)
    }

    /// The path is none.
    pub fn no_route() -> Self {
        Self::new("request.no-route", "no route of this service has this path")
    }

    /// The path has other methods.
    pub fn method_not_allowed(allow: Vec<&'static str>) -> Self {
        let detail = format!("this path has only {}", allow.join(", "));
        Self { allow, ..Self::new("request.method-not-allowed", detail) }
    }

    /// A stored value is not there or not what it must be; `log` tells which, and the caller is not told.
    pub fn corrupt(log: impl Into<String>) -> Self {
        Self { log: Some(log.into()), ..Self::new("store.corrupt", "a stored value cannot be read") }
    }

    /// Returns the status of this problem: the one place where codes meet statuses.
    pub fn status(&self) -> StatusCode {
        let (noun, fault) = self.code.split_once('.').unwrap_or((self.code, ""));
        match (noun, fault) {
            ("request", "malformed" | "body-cut") => StatusCode::BAD_REQUEST,
            ("request", "unauthorized") => StatusCode::UNAUTHORIZED,
            ("request", "forbidden") => StatusCode::FORBIDDEN,
            // A thing the path names is not there; one that a field names is a fault of that field.
            ("request", "not-found" | "no-route") => StatusCode::NOT_FOUND,
            ("device" | "module", "unknown") if self.faults.0.is_empty() => StatusCode::NOT_FOUND,
            ("request", "method-not-allowed") => StatusCode::METHOD_NOT_ALLOWED,
            ("request", "too-large") | ("package", "file-too-large") => StatusCode::PAYLOAD_TOO_LARGE,
            ("download", "expired" | "signature") => StatusCode::FORBIDDEN,
            ("download", "range") => StatusCode::RANGE_NOT_SATISFIABLE,
            ("upload", "checksum-malformed") => StatusCode::BAD_REQUEST,
            ("upload", "version") => StatusCode::PRECONDITION_FAILED,
            ("upload", "content-type") => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ("upload", "length-required") => StatusCode::LENGTH_REQUIRED,
            ("upload", "beyond-size") => StatusCode::PAYLOAD_TOO_LARGE,
            ("upload", "offset" | "taken-over" | "broken-off") => StatusCode::CONFLICT,
            ("upload", "expired") => StatusCode::GONE,
            ("upload", "checksum") => checksum_mismatch(),
            ("bucket", "unavailable") => StatusCode::SERVICE_UNAVAILABLE,
            ("device", "login-refused") => StatusCode::FORBIDDEN,
            ("store", "contention") | ("broker", "unreachable") => StatusCode::SERVICE_UNAVAILABLE,
            ("store" | "service" | "security", _) => StatusCode::INTERNAL_SERVER_ERROR,
            (_, "exists" | "in-use" | "name-taken" | "version-taken" | "verification" | "ended") => {
                StatusCode::CONFLICT
            }
            ("batch", "dynamic-exists" | "conflict" | "too-many-lanes" | "tags-fixed") => {
                StatusCode::CONFLICT
            }
            ("batch", "no-schedule" | "not-dynamic" | "strategy-canceled") => StatusCode::CONFLICT,
            ("task", _) if self.faults.0.is_empty() => StatusCode::CONFLICT,
            (
                "product" | "module" | "package" | "batch" | "upload" | "delta" | "token" | "webhook",
                "too-many",
            ) => StatusCode::CONFLICT,
            ("webhook", "queue-full" | "event-forgotten") => StatusCode::CONFLICT,
            ("webhook", "secret-sealed") => StatusCode::INTERNAL_SERVER_ERROR,
            ("device", "has-gateway" | "is-gateway" | "is-sub-device" | "too-many-sub-devices") => {
                StatusCode::CONFLICT
            }
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// Returns the words that are the same for every problem of its kind.
    fn title(&self) -> &'static str {
        match self.status() {
            StatusCode::BAD_REQUEST => "The request cannot be read",
            StatusCode::UNAUTHORIZED => "The request has no valid credentials",
            StatusCode::FORBIDDEN => "Access is refused",
            StatusCode::NOT_FOUND => "There is no such thing",
            StatusCode::METHOD_NOT_ALLOWED => "There is no such method here",
            StatusCode::CONFLICT => "The request does not fit the present state",
            StatusCode::PAYLOAD_TOO_LARGE => "The request is too large",
            StatusCode::RANGE_NOT_SATISFIABLE => "The range is outside the file",
            StatusCode::UNPROCESSABLE_ENTITY => "The request breaks a rule",
            StatusCode::SERVICE_UNAVAILABLE => "The service is busy",
            StatusCode::GONE => "It is over",
            status if status.is_client_error() => "The upload protocol is not kept to",
            _ => "The service failed",
        }
    }

    /// Returns what the log is to tell of the problem: what only the log is told, or that the service failed.
    pub fn reason(&self) -> Option<&str> {
        self.log.as_deref().or_else(|| self.status().is_server_error().then_some(self.detail.as_str()))
    }

    /// Renders the problem. `instance` is the random id under which the log tells of this occurrence.
    pub fn into_response(self, instance: [u8; 16]) -> Response {
        let status = self.status();
        let instance = format!("urn:uuid:{}", uuid_text(instance));
        let faults = &self.faults.0;
        let errors =
            faults.iter().map(|f| WireFault { pointer: &f.pointer, code: f.code, detail: &f.detail });
        let wire = Wire {
            r#type: format!("{TYPE_BASE}{}", self.code),
            title: self.title(),
            status: status.as_u16(),
            detail: &self.detail,
            instance,
            code: self.code,
            errors: errors.collect(),
        };
        let mut response = respond::json(status, &wire);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        if let Ok(allow) = HeaderValue::from_str(&self.allow.join(", "))
            && !self.allow.is_empty()
        {
            headers.insert(header::ALLOW, allow);
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The status of the upload protocol for bytes whose checksum is wrong, which no RFC has.
fn checksum_mismatch() -> StatusCode {
    StatusCode::from_u16(460).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
}

/// Renders a version 4 UUID of random bytes (RFC 9562).
pub fn uuid_text(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

impl From<Faults> for Problem {
    fn from(faults: Faults) -> Self {
        // One fault speaks for itself; several are a request that breaks rules.
        match faults.0.as_slice() {
            [only] => Self {
                code: only.code,
                detail: format!("{}: {}", only.pointer, only.detail),
                faults,
                log: None,
                allow: Vec::new(),
            },
            all => {
                let detail = format!("{} fields of the request are wrong", all.len());
                Self { faults, ..Self::new("request.invalid", detail) }
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let mut log = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            log = format!("{log}: {cause}");
            source = cause.source();
        }
        let detail = match &error {
            StoreError::Contention { .. } => "too many changes at once; try again",
            // A store that fails for the moment (a locked file, a lost connection) may be asked again.
            StoreError::Kv(_) => "the store is not available; try again",
            StoreError::Corrupt { .. } => return Self::corrupt(log),
        };
        Self { log: Some(log), ..Self::new("store.contention", detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn text(response: Response) -> String {
        let mut collected = pin!(response.into_body().collect());
        match std::future::Future::poll(collected.as_mut(), &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(body)) => String::from_utf8(body.to_bytes().to_vec()).unwrap(),
            _ => panic!("a whole body is ready at once"),
        }
    }

    #[test]
    fn several_faults_are_listed_and_one_speaks_for_itself() {
        let mut faults = Faults::new();
        faults.add("/name", &ota_core::error::ValueError::Missing);
        assert_eq!(Problem::from(faults.clone()).code, "value.missing");
        faults.add("/size", &ota_core::error::ValueError::Range { min: 1, max: 2 });
        let body = text(Problem::from(faults).into_response([0; 16]));
        assert!(body.contains(r#""code":"request.invalid""#), "{body}");
        assert!(body.contains(r#"{"pointer":"/size","code":"value.range","detail":"must be from 1 to 2"}"#));
        assert!(body.contains(r#""instance":"urn:uuid:00000000-0000-4000-8000-000000000000""#));
    }

    #[test]
    fn a_busy_store_asks_to_come_back() {
        let problem = Problem::from(StoreError::Contention { key: "k".into() });
        let response = problem.into_response([0; 16]);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
