//! The whole service as a child process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use ota_core::time::Timestamp;
use ota_tests::host::{HostProcess, component};
use ota_tests::{query, sign};
use reqwest::Method;
use sha2::Sha256;

use crate::operator::{Answer, Operator};

/// Long enough for any machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How long to wait before looking again.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A running service, and its secrets.
pub(crate) struct Service {
    pub(crate) host: HostProcess,
    pub(crate) api_token: String,
    pub(crate) internal_token: String,
    url_signing_key: String,
    access_key: (String, String),
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a service with some variables of its own.
    pub(crate) fn start_with(own: &[(&str, &str)]) -> Self {
        let [api_token, internal_token, url_signing_key, secrets_key, mqtt_password, key_id, key_secret] =
            std::array::from_fn(|_| secret());
        let variables = [
            ("api_token", api_token.as_str()),
            ("internal_token", &internal_token),
            ("url_signing_key", &url_signing_key),
            ("secrets_key", &secrets_key),
            ("mqtt_password", &mqtt_password),
            ("access_key_id", &key_id),
            ("access_key_secret", &key_secret),
            ("public_base_url", "http://127.0.0.1:${http_port}"),
            ("internal_base_url", "http://127.0.0.1:${http_port}"),
            ("mqtt_address", "mqtt://127.0.0.1:${mqtt_port}"),
            // Where the tests' own receivers of webhooks listen.
            ("webhook_hosts", "http://127.0.0.1:*"),
        ];
        let mut arguments: Vec<String> = Vec::new();
        // Of two values for one name the later counts.
        for (name, value) in variables.iter().chain(own) {
            arguments.extend(["--variable".to_owned(), format!("{name}={value}")]);
        }
        let probe = component("kv_probe");
        arguments.extend(["--mount".to_owned(), format!("/probe/...={}", probe.display())]);
        let host = HostProcess::start("spin.toml", arguments);
        Self { host, api_token, internal_token, url_signing_key, access_key: (key_id, key_secret) }
    }

    /// Returns `http://127.0.0.1:…`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.host.http())
    }

    /// A client of the REST API with the API token.
    pub(crate) fn operator(&self) -> Operator {
        Operator::new(&self.base_url(), Some(&self.api_token))
    }

    /// A client with the token that functions trust each other by.
    pub(crate) fn insider(&self) -> Operator {
        Operator::new(&self.base_url(), Some(&self.internal_token))
    }

    /// A client with another token, or none.
    pub(crate) fn stranger(&self, token: Option<&str>) -> Operator {
        Operator::new(&self.base_url(), token)
    }

    /// Makes a request of the cloud API as the vendor's clients do, signed with the access key.
    pub(crate) async fn cloud(&self, action: &str, nonce: &str, parameters: &[(&str, &str)]) -> Answer {
        let key = (self.access_key.0.as_str(), self.access_key.1.as_str());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let at = Timestamp(u64::try_from(now.as_millis()).unwrap());
        let form = query(&sign("POST", action, key, at, nonce, parameters));
        let client = self.stranger(None);
        let request = client.request(Method::POST, "/cloud-api/").body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        client.send(action, request).await
    }

    /// Signs a download as the service does; with a wrong moment or key that is what a forger would like to do.
    pub(crate) fn sign_download(&self, package_id: &str, expires: u64) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.url_signing_key.as_bytes()).unwrap();
        mac.update(&hex::decode(package_id).unwrap());
        mac.update(&expires.to_be_bytes());
        let signature = hex::encode(&mac.finalize().into_bytes()[..16]);
        format!("/d/{package_id}?e={expires:x}&s={signature}")
    }
}

/// Seconds since 1970.
pub(crate) fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn secret() -> String {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes).unwrap();
    hex::encode(bytes)
}
