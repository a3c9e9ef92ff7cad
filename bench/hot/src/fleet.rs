//! The fleet that reports: half of it in the middle of an upgrade, half of it idle.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::child::NOOP;
use crate::connection::{Connection, request};

/// Secrets of a host that lives for some seconds.
pub(crate) const API_TOKEN: &str = "operator";
pub(crate) const INTERNAL_TOKEN: &str = "inside";

/// What devices run that are upgraded, and what those run that are not.
const UPGRADED_FROM: &str = "1.0.0";
const IDLE: &str = "0.9.0";
/// Devices registered with one request.
const REGISTER_MAX: usize = 1_000;
/// How long it may take until all devices have been told.
const TOLD_WITHIN: Duration = Duration::from_secs(60);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A function that does nothing.
    Noop,
    /// A device tells how far it is, and it is news.
    Progress,
    /// A device tells its version, and it is none.
    VersionReport,
}

impl Kind {
    /// All of them, what is compared with first.
    pub(crate) const ALL: [Self; 3] = [Self::Noop, Self::Progress, Self::VersionReport];

    /// The status that means that all went well.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Noop => 200,
            Self::Progress | Self::VersionReport => 204,
        }
    }
}

/// A fleet in one product.
pub(crate) struct Fleet {
    product_key: String,
    upgrading: Vec<String>,
    idle: Vec<String>,
}

impl Fleet {
    /// Registers the fleet, lets it report its versions, and brings half of it into the middle of an upgrade.
    pub(crate) async fn create(server: SocketAddr, devices: usize) -> anyhow::Result<Self> {
        let mut api = Connection::open(server).await?;
        let product = call(&mut api, "POST", "/v1/products", &json!({ "name": "bench" }), 201).await?;
        let product_key = product["product_key"].as_str().context("no product key")?.to_owned();
        let names = |what: &str| (0..devices).map(|n| format!("{what}-{n:05}")).collect::<Vec<_>>();
        let fleet = Self { product_key, upgrading: names("busy"), idle: names("idle") };

        let path = format!("/v1/products/{}/devices", fleet.product_key);
        let all: Vec<Value> = fleet.upgrading.iter().chain(&fleet.idle).map(|name| json!({ "name": name })).collect();
        for some in all.chunks(REGISTER_MAX) {
            call(&mut api, "POST", &path, &json!({ "devices": some }), 201).await?;
        }
        for (names, version) in [(&fleet.upgrading, UPGRADED_FROM), (&fleet.idle, IDLE)] {
            for name in names {
                fleet.say(&mut api, &fleet.inform(name, version)).await?;
            }
        }
        let batch_id = fleet.start_batch(&mut api).await?;
        fleet.await_told(&mut api, &batch_id).await?;
        for number in 0..devices {
            fleet.say(&mut api, &fleet.request(Kind::Progress, number, 0)).await?;
        }
        let batch = call(&mut api, "GET", &format!("/v1/batches/{batch_id}"), &Value::Null, 200).await?;
        ensure!(batch["counts"]["in_progress"] == devices, "not all devices have begun: {batch}");
        Ok(fleet)
    }

    async fn start_batch(&self, api: &mut Connection) -> anyhow::Result<String> {
        let upload = call(api, "POST", "/v1/uploads?file_name=bench.bin", &json!("bytes"), 201).await?;
        let package = json!({
            "product_key": self.product_key, "name": "bench", "target_version": "2.0.0",
            "upload_id": upload["upload_id"], "needs_verification": false,
        });
        let package = call(api, "POST", "/v1/packages", &package, 201).await?;
        let batch = json!({
            "package_id": package["package_id"], "target": { "selection": "all" },
            "source_versions": [UPGRADED_FROM], "push_per_minute_max": 1000,
        });
        let batch = call(api, "POST", "/v1/batches", &batch, 201).await?;
        Ok(batch["batch_id"].as_str().context("no batch id")?.to_owned())
    }

    /// Lets the dispatcher work until every device has been told: none can make progress before.
    async fn await_told(&self, api: &mut Connection, batch_id: &str) -> anyhow::Result<()> {
        let until = Instant::now() + TOLD_WITHIN;
        loop {
            let tick = request("POST", "/internal/dispatch/tick", INTERNAL_TOKEN, "");
            let (status, _) = api.exchange(&tick).await?;
            ensure!(status == 200, "a tick is answered with {status}");
            let batch = call(api, "GET", &format!("/v1/batches/{batch_id}"), &Value::Null, 200).await?;
            if batch["counts"]["notified"] == self.upgrading.len() {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("not all devices are told: {batch}");
            }
        }
    }

    async fn say(&self, api: &mut Connection, message: &[u8]) -> anyhow::Result<()> {
        let (status, body) = api.exchange(message).await?;
        ensure!(status == 204, "a message is answered with {status}: {}", String::from_utf8_lossy(body));
        Ok(())
    }

    /// Writes the request of one kind by device number `number`, as it makes it for the `turn`th time.
    pub(crate) fn request(&self, kind: Kind, number: usize, turn: usize) -> Vec<u8> {
        match kind {
            Kind::Noop => request("POST", NOOP, INTERNAL_TOKEN, ""),
            Kind::Progress => {
                let name = &self.upgrading[number % self.upgrading.len()];
                // Never the same twice in a row, or it would be no news.
                let step = 1 + (number + turn) % 99;
                let body = format!(r#"{{"id":"{turn}","params":{{"step":"{step}","desc":""}}}}"#);
                self.message("progress", name, &body)
            }
            Kind::VersionReport => self.inform(&self.idle[number % self.idle.len()], IDLE),
        }
    }

    fn inform(&self, name: &str, version: &str) -> Vec<u8> {
        self.message("inform", name, &format!(r#"{{"id":"1","params":{{"version":"{version}"}}}}"#))
    }

    fn message(&self, verb: &str, name: &str, body: &str) -> Vec<u8> {
        let path = format!("/internal/device-messages?topic=/ota/device/{verb}/{}/{name}", self.product_key);
        request("POST", &path, INTERNAL_TOKEN, body)
    }

    /// Devices of each half.
    pub(crate) fn len(&self) -> usize {
        self.upgrading.len()
    }
}

async fn call(
    api: &mut Connection,
    method: &str,
    path: &str,
    body: &Value,
    expected: u16,
) -> anyhow::Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, answer) = api.exchange(&request(method, path, API_TOKEN, &body)).await?;
    ensure!(status == expected, "{method} {path}: {status} {}", String::from_utf8_lossy(answer));
    serde_json::from_slice(answer).with_context(|| format!("{method} {path}"))
}
