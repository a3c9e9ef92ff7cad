//! The fleet that reports: half of it in the middle of an upgrade, half of it idle.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use bench_support::child::{API_TOKEN, INTERNAL_TOKEN};
use clap::ValueEnum;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::connection::{Connection, request};

/// Where the do-nothing function is mounted.
pub(crate) const NOOP: &str = "/bench/noop";

/// What devices run that are upgraded, and what those run that are not.
const UPGRADED_FROM: &str = "1.0.0";
const IDLE: &str = "0.9.0";
/// Devices registered with one request.
const REGISTER_MAX: usize = 1_000;
/// Ticks that may pass until all devices have tasks, and until they are counted.
const TICKS_MAX: usize = 50;
/// The turn in which devices begin: another than those that are measured, so that these are news.
const FIRST_TURN: usize = 50;
/// Connections over which the fleet is brought to where it has to be.
const SPEAKERS: usize = 16;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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
        let all: Vec<Value> =
            fleet.upgrading.iter().chain(&fleet.idle).map(|name| json!({ "name": name })).collect();
        for some in all.chunks(REGISTER_MAX) {
            call(&mut api, "POST", &path, &json!({ "devices": some }), 201).await?;
        }
        let upgrading = fleet.upgrading.iter().map(|name| fleet.inform(name, UPGRADED_FROM));
        let idle = fleet.idle.iter().map(|name| fleet.inform(name, IDLE));
        say_all(server, upgrading.chain(idle).collect()).await?;
        let batch_id = fleet.start_batch(&mut api).await?;
        // A large fleet gets its tasks in steps.
        fleet.tick_until(&mut api, &batch_id, |batch| batch["expanded"] == true).await?;
        // Each device asks for its upgrade, so that it is told without regard to the rate of pushes, and begins.
        say_all(server, fleet.upgrading.iter().map(|name| fleet.ask(name)).collect()).await?;
        say_all(
            server,
            (0..devices).map(|number| fleet.request(Kind::Progress, number, FIRST_TURN)).collect(),
        )
        .await?;
        fleet.tick_until(&mut api, &batch_id, |batch| batch["counts"]["in_progress"] == devices).await?;
        Ok(fleet)
    }

    /// Lets the dispatcher work until a batch is as it has to be.
    async fn tick_until(
        &self,
        api: &mut Connection,
        batch_id: &str,
        so: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<()> {
        let mut batch = Value::Null;
        for _ in 0..TICKS_MAX {
            batch = call(api, "GET", &format!("/v1/batches/{batch_id}"), &Value::Null, 200).await?;
            if so(&batch) {
                return Ok(());
            }
            let (status, _) =
                api.exchange(&request("POST", "/internal/dispatch/tick", INTERNAL_TOKEN, "")).await?;
            ensure!(status == 200, "a tick is answered with {status}");
        }
        bail!("the batch is not as it has to be: {batch}")
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

    /// Writes the request of one kind by device number `number`, as it makes it for the `turn`th time.
    pub(crate) fn request(&self, kind: Kind, number: usize, turn: usize) -> Vec<u8> {
        match kind {
            Kind::Noop => request("POST", NOOP, INTERNAL_TOKEN, ""),
            Kind::Progress => {
                let name = &self.upgrading[number % self.upgrading.len()];
                // Never the same twice in a row, or it would be no news.
                let step = 1 + (number + turn) % 99;
                let body = format!(r#"{{"id":"{turn}","params":{{"step":"{step}","desc":""}}}}"#);
                self.report("progress", name, &body)
            }
            Kind::VersionReport => self.inform(&self.idle[number % self.idle.len()], IDLE),
        }
    }

    fn inform(&self, name: &str, version: &str) -> Vec<u8> {
        self.report("inform", name, &format!(r#"{{"id":"1","params":{{"version":"{version}"}}}}"#))
    }

    fn ask(&self, name: &str) -> Vec<u8> {
        let topic = format!("/sys/{}/{name}/thing/ota/firmware/get", self.product_key);
        message(&topic, r#"{"id":"1","params":{}}"#)
    }

    fn report(&self, verb: &str, name: &str, body: &str) -> Vec<u8> {
        message(&format!("/ota/device/{verb}/{}/{name}", self.product_key), body)
    }

    /// Devices of each half.
    pub(crate) fn len(&self) -> usize {
        self.upgrading.len()
    }
}

fn message(topic: &str, body: &str) -> Vec<u8> {
    request("POST", &format!("/internal/device-messages?topic={topic}"), INTERNAL_TOKEN, body)
}

/// Sends messages over several connections.
async fn say_all(server: SocketAddr, messages: Vec<Vec<u8>>) -> anyhow::Result<()> {
    let mut speaking = JoinSet::new();
    for some in messages.chunks(messages.len().div_ceil(SPEAKERS).max(1)) {
        let some = some.to_vec();
        speaking.spawn(async move {
            let mut connection = Connection::open(server).await?;
            for message in &some {
                let (status, body) = connection.exchange(message).await?;
                ensure!(
                    status == 204,
                    "a message is answered with {status}: {}",
                    String::from_utf8_lossy(body)
                );
            }
            Ok(())
        });
    }
    while let Some(spoken) = speaking.join_next().await {
        spoken??;
    }
    Ok(())
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
