//! A client of the REST API: as much of it as the story needs.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How many times a request is sent while the service asks to come back later.
const TRIES_MAX: u32 = 6;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Pages of one list: a bound, so that a cursor that never ends is a fault and not a hang.
const PAGES_MAX: usize = 10_000;

/// The service, seen by an operator.
pub(super) struct Api {
    http: reqwest::Client,
    base_url: String,
    token: String,
    /// Makes the idempotency keys of this run unlike those of any other.
    run: String,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    #[serde(default)]
    next_cursor: Option<String>,
}

impl Api {
    pub(super) fn new(base_url: &str, token: &str, run: &str) -> anyhow::Result<Self> {
        let http =
            reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().context("no HTTP client")?;
        let base_url = base_url.trim_end_matches('/').to_owned();
        Ok(Self { http, base_url, token: token.to_owned(), run: run.to_owned() })
    }

    /// Reads one thing.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.send(Method::GET, path, |request| request).await
    }

    /// Makes something. `key` tells this request from the other ones of the run.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> anyhow::Result<T> {
        let key = format!("{}-{key}", self.run);
        self.send(Method::POST, path, |request| request.header("Idempotency-Key", &key).json(body)).await
    }

    /// Uploads bytes.
    pub(super) async fn upload<T: DeserializeOwned>(&self, path: &str, bytes: Vec<u8>) -> anyhow::Result<T> {
        let binary = "application/octet-stream";
        self.send(Method::POST, path, |request| request.header("Content-Type", binary).body(bytes.clone()))
            .await
    }

    /// Reads a whole list, page by page.
    pub(super) async fn list<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page: Page<T> = self
                .send(Method::GET, path, |request| {
                    let request = request.query(&[("limit", "100")]);
                    match &cursor {
                        Some(cursor) => request.query(&[("cursor", cursor)]),
                        None => request,
                    }
                })
                .await?;
            items.extend(page.items);
            match page.next_cursor {
                Some(next) if cursor.as_ref() == Some(&next) => bail!("GET {path}: the cursor does not move"),
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
        bail!("GET {path}: more than {PAGES_MAX} pages")
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> anyhow::Result<T> {
        let what = format!("{method} {path}");
        let url = format!("{}{path}", self.base_url);
        let mut tries = 0;
        loop {
            tries += 1;
            let request = fill(self.http.request(method.clone(), &url).bearer_auth(&self.token));
            let response = request.send().await.with_context(|| format!("{what}: no answer"))?;
            let status = response.status();
            if status == StatusCode::SERVICE_UNAVAILABLE && tries < TRIES_MAX {
                tokio::time::sleep(retry_after(&response)).await;
                continue;
            }
            let body = response.bytes().await.with_context(|| format!("{what}: the answer broke off"))?;
            if !status.is_success() {
                bail!("{what}: {} {}", status.as_u16(), explain(&body));
            }
            return serde_json::from_slice(&body)
                .with_context(|| format!("{what}: the answer is not as documented"));
        }
    }
}

fn retry_after(response: &Response) -> Duration {
    let seconds =
        response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1)).min(Duration::from_secs(10))
}

/// Says what a problem says: code, detail, and each fault with its place.
fn explain(body: &[u8]) -> String {
    let Ok(problem) = serde_json::from_slice::<Value>(body) else {
        return String::from_utf8_lossy(body).chars().take(200).collect();
    };
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let detail = [text(&problem, "detail"), text(&problem, "title")].into_iter().find(|t| !t.is_empty());
    let mut said = format!("{}: {}", text(&problem, "code"), detail.unwrap_or_default());
    for fault in problem["errors"].as_array().into_iter().flatten() {
        let (at, code, detail) = (text(fault, "pointer"), text(fault, "code"), text(fault, "detail"));
        said.push_str(&format!("\n    {at}: {code}: {detail}"));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_with_every_fault() {
        let body =
            br#"{"type":"x","title":"Refused","status":422,"detail":"two faults","code":"request.invalid",
            "errors":[{"pointer":"/name","code":"value.missing","detail":"a name is needed"},
                      {"pointer":"/size","code":"value.range","detail":"too large"}]}"#;
        let said = explain(body);
        assert_eq!(
            said,
            "request.invalid: two faults\n    /name: value.missing: a name is needed\n    /size: value.range: too large"
        );
    }

    #[test]
    fn an_answer_that_is_no_problem_is_quoted() {
        assert_eq!(explain(b"Bad Gateway"), "Bad Gateway");
    }
}
