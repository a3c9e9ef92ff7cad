//! The whole service as a child process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use ota_core::time::Timestamp;
use ota_tests::host::{HostProcess, component, workspace};
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

/// The secrets that a service is started with.
struct Secrets {
    api_token: String,
    internal_token: String,
    url_signing_key: String,
    secrets_key: String,
    mqtt_password: String,
    access_key: (String, String),
}

impl Secrets {
    fn new() -> Self {
        Self {
            api_token: secret(),
            internal_token: secret(),
            url_signing_key: secret(),
            secrets_key: secret(),
            mqtt_password: secret(),
            access_key: (secret(), secret()),
        }
    }

    fn variables(&self) -> [(&'static str, &str); 7] {
        [
            ("api_token", &self.api_token),
            ("internal_token", &self.internal_token),
            ("url_signing_key", &self.url_signing_key),
            ("secrets_key", &self.secrets_key),
            ("mqtt_password", &self.mqtt_password),
            ("access_key_id", &self.access_key.0),
            ("access_key_secret", &self.access_key.1),
        ]
    }
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a service with some variables of its own.
    pub(crate) fn start_with(own: &[(&str, &str)]) -> Self {
        Self::start_as(own, &[])
    }

    /// Starts a service with some variables, and some arguments of the host, of its own.
    pub(crate) fn start_as(own: &[(&str, &str)], more: &[&str]) -> Self {
        let secrets = Secrets::new();
        let secret_variables = secrets.variables();
        let variables = [
            ("public_base_url", "http://127.0.0.1:${http_port}"),
            ("internal_base_url", "http://127.0.0.1:${http_port}"),
            ("mqtt_address", "mqtt://127.0.0.1:${mqtt_port}"),
            // Where the tests' own receivers of webhooks listen.
            ("webhook_hosts", "http://127.0.0.1:*"),
        ];
        let mut arguments: Vec<String> = Vec::new();
        // Of two values for one name the later counts.
        for (name, value) in secret_variables.iter().chain(&variables).chain(own) {
            arguments.extend(["--variable".to_owned(), format!("{name}={value}")]);
        }
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let probe = component("kv_probe");
        arguments.extend(["--mount".to_owned(), format!("/probe/...={}", probe.display())]);
        let host = HostProcess::start("spin.toml", arguments);
        Self::of(host, secrets)
    }

    /// Starts the gateway in what stands in for a host of wasmCloud, with its clock, and with what stands in for EMQX.
    pub(crate) fn start_wasmcloud() -> Self {
        let secrets = Secrets::new();
        let others = [
            ("mqtt_username", "key-of-the-rest-api"),
            ("public_base_url", "http://127.0.0.1:${http_port}"),
            ("internal_base_url", "http://127.0.0.1:${http_port}"),
            ("mqtt_address", "http://127.0.0.1:${rest_port}"),
        ];
        let mut arguments = vec!["--service".to_owned(), component("gateway_clock").display().to_string()];
        for (name, value) in secrets.variables().iter().chain(&others) {
            arguments.extend(["--env".to_owned(), format!("OVERAIR_{}={value}", name.to_ascii_uppercase())]);
        }
        // What the bridge subscribes to.
        let manifest = std::fs::read_to_string(workspace().join("spin.toml")).unwrap();
        let topics = manifest.lines().filter_map(|line| line.strip_prefix("topic = \"$share/overair/"));
        for topic in topics {
            arguments.extend(["--topic".to_owned(), topic.trim_end_matches('"').to_owned()]);
        }
        Self::of(HostProcess::start_wasmcloud("gateway", arguments), secrets)
    }

    fn of(host: HostProcess, secrets: Secrets) -> Self {
        let Secrets { api_token, internal_token, url_signing_key, access_key, .. } = secrets;
        Self { host, api_token, internal_token, url_signing_key, access_key }
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
