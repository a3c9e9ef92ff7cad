//! Requests to the service's own functions, in the same process.

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use ota_core::access::Caller;
use ota_core::cloud::encode;
use ota_platform::Platform;
use ota_platform::serve::Passed;
use serde_json::Value;

/// Pages that are fetched of one list. More than any list that is fetched whole has: 500 packages, 11 versions.
const PAGES_MAX: usize = 100;

/// The service's own functions, for a caller who was let in.
pub(crate) struct Rest<'a, P> {
    platform: &'a P,
    passed: Passed,
}

/// A request that was refused.
pub(crate) struct Refused {
    /// The status.
    pub(crate) status: StatusCode,
    /// The problem's code, or that of its first fault.
    pub(crate) code: String,
    /// Where the first fault is; empty if it concerns the request as a whole.
    pub(crate) pointer: String,
    /// What is wrong: every fault.
    pub(crate) message: String,
}

impl<'a, P: Platform> Rest<'a, P> {
    /// Makes requests for the holder of an access key, whose own request has this id.
    pub(crate) fn new(platform: &'a P, access_key_id: &str, request: [u8; 16]) -> Self {
        Self { platform, passed: Passed { caller: Caller::cloud_api(access_key_id), request } }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Refused> {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Refused> {
        self.send(Method::DELETE, path, None).await
    }

    /// Returns all items of a list. `path` has a query already.
    pub(crate) async fn all(&self, path: &str) -> Result<Vec<Value>, Refused> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let mut page = self.get(&format!("{path}{cursor}")).await?;
            if let Some(found) = page["items"].as_array_mut() {
                items.append(found);
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={}", encode(next)),
                None => break,
            }
        }
        Ok(items)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Refused> {
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .extension(self.passed.clone())
            .body(Full::new(bytes))
            .map_err(|_| Refused::failed())?;
        let platform = self.platform;
        let response = if path.starts_with("/v1/products") {
            fleet::handle(platform, request).await
        } else if path.starts_with("/v1/packages/") && path.ends_with("/verification") {
            package_verify::handle(platform, request).await
        } else if path.starts_with("/v1/packages") {
            package_upload::handle(platform, request).await
        } else {
            batch_create::handle(platform, request).await
        };
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(|_| Refused::failed())?.to_bytes();
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        let told: Value = serde_json::from_slice(&bytes).map_err(|_| Refused::failed())?;
        if status.is_success() { Ok(told) } else { Err(Refused::new(status, &told)) }
    }
}

impl Refused {
    fn failed() -> Self {
        let (code, pointer, message) = (String::new(), String::new(), String::new());
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code, pointer, message }
    }

    fn new(status: StatusCode, problem: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let faults = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(first) = faults.first() else {
            let message = text(&problem["detail"]);
            return Self { status, code: text(&problem["code"]), pointer: String::new(), message };
        };
        let words = faults.iter().map(|fault| match text(&fault["pointer"]) {
            row if row.starts_with("row:") => format!("{row}: {}", text(&fault["detail"])),
            _ => text(&fault["detail"]),
        });
        let message = words.collect::<Vec<_>>().join("; ");
        Self { status, code: text(&first["code"]), pointer: text(&first["pointer"]), message }
    }
}
