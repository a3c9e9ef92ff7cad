//! A client of the REST API, as somebody would write it from `docs/api.md`.

use std::time::Instant;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::service::{LOOK_EVERY, PATIENCE};

/// A client with a token.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) http: Client,
    base_url: String,
    token: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) what: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// Returns the body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.what, self.body);
        self.body
    }

    /// Checks that this is a problem, as it is documented, with this status and code.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.what);
        let body = self.expect(status);
        assert_eq!((&body["code"], &body["status"]), (&json!(code), &json!(status)), "{body}");
        assert!(body["type"].as_str().unwrap().ends_with(code), "{body}");
        assert!(body["instance"].as_str().unwrap().starts_with("urn:uuid:"), "{body}");
        body
    }
}

impl Operator {
    pub(crate) fn new(base_url: &str, token: Option<&str>) -> Self {
        let http = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { http, base_url: base_url.to_owned(), token: token.map(str::to_owned) }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base_url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn send(&self, what: &str, request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer { what: what.to_owned(), status, headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(&format!("POST {path}"), self.request(Method::POST, path).json(body)).await
    }

    /// Posts bytes as they are.
    pub(crate) async fn post_bytes(&self, path: &str, bytes: impl Into<reqwest::Body>) -> Answer {
        self.send(&format!("POST {path}"), self.request(Method::POST, path).body(bytes)).await
    }

    /// Reads a whole list.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut request = self.request(Method::GET, path).query(&[("limit", "100")]);
            if let Some(cursor) = &cursor {
                request = request.query(&[("cursor", cursor)]);
            }
            let mut page = self.send(&format!("GET {path}"), request).await.expect(200);
            items.append(page["items"].as_array_mut().unwrap());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return items,
            }
        }
    }

    /// Looks at something until it is as asked for.
    pub(crate) async fn until(&self, path: &str, so: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let seen = self.get(path).await.expect(200);
            if so(&seen) {
                return seen;
            }
            assert!(Instant::now() < until, "GET {path} stays at {seen:#}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Makes a product and returns its key.
    pub(crate) async fn product(&self, name: &str) -> String {
        let product = self.post("/v1/products", &json!({ "name": name })).await.expect(201);
        text(&product, "product_key")
    }

    /// Registers devices and returns their secrets in the order of the names.
    pub(crate) async fn devices(&self, product_key: &str, names: &[String]) -> Vec<String> {
        let devices: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        let path = format!("/v1/products/{product_key}/devices");
        let registered = self.post(&path, &json!({ "devices": devices })).await.expect(201);
        let registered = registered["devices"].as_array().unwrap();
        let answered: Vec<String> = registered.iter().map(|device| text(device, "name")).collect();
        assert_eq!(answered, names);
        registered.iter().map(|device| text(device, "secret")).collect()
    }

    /// Uploads bytes and makes a package of them; returns its id.
    pub(crate) async fn package(
        &self,
        product_key: &str,
        name: &str,
        version: &str,
        bytes: Vec<u8>,
    ) -> String {
        let upload = self.post_bytes("/v1/uploads?file_name=firmware.bin", bytes).await.expect(201);
        let body = json!({
            "product_key": product_key,
            "name": name,
            "target_version": version,
            "upload_id": upload["upload_id"],
            "needs_verification": true,
        });
        text(&self.post("/v1/packages", &body).await.expect(201), "package_id")
    }

    /// The same, with a package that needs no trial.
    pub(crate) async fn trusted_package(
        &self,
        product_key: &str,
        name: &str,
        version: &str,
        bytes: Vec<u8>,
    ) -> String {
        let upload = self.post_bytes("/v1/uploads?file_name=firmware.bin", bytes).await.expect(201);
        let body = json!({
            "product_key": product_key,
            "name": name,
            "target_version": version,
            "upload_id": upload["upload_id"],
            "needs_verification": false,
        });
        text(&self.post("/v1/packages", &body).await.expect(201), "package_id")
    }

    /// Returns the path of a package's download, signed by the service.
    pub(crate) async fn download_path(&self, package_id: &str) -> String {
        let answer = self.get(&format!("/v1/packages/{package_id}/download_url")).await.expect(200);
        let url = text(&answer, "url");
        url.strip_prefix(&self.base_url)
            .unwrap_or_else(|| panic!("{url} is not of {}", self.base_url))
            .to_owned()
    }
}

/// Returns a text of an answer.
#[track_caller]
pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {value}")).to_owned()
}

/// Returns bytes that look like firmware: without a pattern that a wrong offset would not be noticed in.
pub(crate) fn firmware(len: usize, mut seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // xorshift64, which is enough to tell any two places apart.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        bytes.extend_from_slice(&seed.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
