//! A fleet, and what is done to it.

use std::time::Instant;

use anyhow::{Context, bail, ensure};
use bench_support::child::API_TOKEN;
use bench_support::client::{Connection, all, call, device_message};
use http::Method;
use serde_json::{Value, json};

use crate::step::Steps;

/// What the devices run, and what they should run.
const SOURCE_VERSION: &str = "1.0.0";
const TARGET_VERSION: &str = "2.0.0";
/// Devices registered with one request.
const REGISTER_MAX: usize = 1_000;
/// Tasks of one page.
const PAGE: usize = 100;
/// Ticks that a step may take: a shard has some thirty devices, a tick some hundreds of shards, and a walk may have to be made
/// three times.
const TICKS_MAX: usize = 2_000;

/// What is cheap is done so often that this many devices are seen: processor time is told in hundredths of a second.
const SEEN_MIN: usize = 200_000;

/// A fleet in a product of its own.
pub(crate) struct Fleet {
    product_key: String,
    devices: usize,
}

impl Fleet {
    pub(crate) async fn new(steps: &mut Steps, devices: usize) -> anyhow::Result<Self> {
        let mut api = steps.connect().await?;
        Ok(Self { product_key: product(&mut api, "fleet").await?, devices })
    }

    pub(crate) async fn register(&self, steps: &mut Steps, connections: usize) -> anyhow::Result<()> {
        let begun = steps.begin()?;
        let again = register(steps, &self.product_key, self.devices, connections).await?;
        steps.end("register", &begun, self.devices)?;
        steps.print("register_again", again);
        Ok(())
    }

    /// Lets every device tell its version, as it must once before it is in a batch.
    pub(crate) async fn report(&self, steps: &mut Steps, connections: usize) -> anyhow::Result<()> {
        let begun = steps.begin()?;
        report(steps, &self.product_key, self.devices, connections).await?;
        steps.end("report", &begun, self.devices)
    }

    /// Makes a batch over all devices.
    pub(crate) async fn create_batch(&self, steps: &mut Steps) -> anyhow::Result<String> {
        let mut api = steps.connect().await?;
        let package = package(&mut api, &self.product_key).await?;
        let begun = Instant::now();
        let batch = json!({ "package_id": package, "target": { "selection": "all" } });
        let batch = api.api(Method::POST, "/v1/batches", &batch, 201).await?;
        steps.print("create_ms", format_args!("{:.1}", begun.elapsed().as_secs_f64() * 1e3));
        text(&batch, "batch_id")
    }

    /// Lets the dispatcher work until every device has its task.
    pub(crate) async fn expand(&self, steps: &mut Steps, batch: &str) -> anyhow::Result<()> {
        let begun = steps.begin()?;
        self.tick_until(steps, batch, |batch| batch["expanded"] == true).await?;
        steps.end("expand", &begun, self.devices)
    }

    /// Lets some devices, of all parts of the fleet, ask for their upgrade, and tell how far they are with it. Returns how many.
    pub(crate) async fn progress(
        &self,
        steps: &mut Steps,
        connections: usize,
        count: usize,
    ) -> anyhow::Result<usize> {
        // A tenth at the most, so that fleets of all sizes have devices that wait.
        let count = count.min(self.devices.div_ceil(10));
        let ask = |key: &str, name: &str| (format!("/sys/{key}/{name}/thing/ota/firmware/get"), "{}");
        self.some(steps, connections, count, "ask", ask).await?;
        let tell = |key: &str, name: &str| (format!("/ota/device/progress/{key}/{name}"), r#"{"step":"10"}"#);
        self.some(steps, connections, count, "progress", tell).await?;
        Ok(count)
    }

    /// Lets some devices say something: on a topic, with parameters.
    async fn some(
        &self,
        steps: &mut Steps,
        connections: usize,
        count: usize,
        step: &'static str,
        say: impl Fn(&str, &str) -> (String, &'static str) + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        let (stride, product_key) = (self.devices / count.max(1), self.product_key.clone());
        let begun = steps.begin()?;
        all(steps.server(), connections, count, 204, move |number| {
            let (topic, params) = say(&product_key, &name(number * stride));
            device_message(&topic, format!(r#"{{"id":"1","params":{params}}}"#))
        })
        .await?;
        steps.end(step, &begun, count)
    }

    /// Lets the dispatcher walk over the fleet until it has seen all progress.
    pub(crate) async fn walk(&self, steps: &mut Steps, batch: &str, progressed: usize) -> anyhow::Result<()> {
        // A walk that began before the last report tells too little, and is not measured.
        self.tick_until(steps, batch, |batch| batch["counts"]["in_progress"] == progressed).await?;
        let counted = |batch: &Value| batch["counted_at"].clone();
        let mut api = steps.connect().await?;
        let mut told = self.batch(&mut api, batch).await?;
        let begun = steps.begin()?;
        for _ in 0..self.times() {
            let before = counted(&told);
            told = self.tick_until(steps, batch, |batch| counted(batch) != before).await?;
        }
        steps.end("walk", &begun, self.devices * self.times())?;
        let counts = &told["counts"];
        ensure!(counts["total"] == self.devices, "miscounted: {counts}");
        // Whoever reports is online, so that the batch pushes as well, at the rate it has.
        steps.print("notified", &counts["notified"]);
        Ok(())
    }

    /// Lists all tasks of the batch, page by page.
    pub(crate) async fn list(&self, steps: &mut Steps, batch: &str) -> anyhow::Result<()> {
        let mut api = steps.connect().await?;
        let path = format!("/v1/batches/{batch}/tasks?limit={PAGE}");
        let begun = steps.begin()?;
        let (mut listed, mut last_shard) = (0, 0);
        for _ in 0..self.times() {
            (listed, last_shard) = (0, 0);
            pages(&mut api, &path, |page, cursor| {
                listed += page["items"].as_array().map_or(0, Vec::len);
                let shard = cursor.and_then(|cursor| cursor.split('.').next()?.parse::<usize>().ok());
                last_shard = shard.unwrap_or(last_shard);
            })
            .await?;
        }
        steps.end("list", &begun, self.devices * self.times())?;
        ensure!(listed == self.devices, "{listed} tasks are listed");
        // The last page begins in one of the last shards.
        steps.print("shards_at_least", last_shard + 1);
        Ok(())
    }

    /// Counts which devices run which version, part by part.
    pub(crate) async fn versions(&self, steps: &mut Steps) -> anyhow::Result<()> {
        let mut api = steps.connect().await?;
        let path = format!("/v1/products/{}/versions?module=default", self.product_key);
        let begun = steps.begin()?;
        let mut counted = 0;
        for _ in 0..self.times() {
            counted = 0;
            pages(&mut api, &path, |part, _| {
                let versions = part["versions"].as_array().into_iter().flatten();
                counted += versions.filter_map(|version| version["devices"].as_u64()).sum::<u64>();
            })
            .await?;
        }
        steps.end("versions", &begun, self.devices * self.times())?;
        ensure!(counted == self.devices as u64, "{counted} devices are counted");
        Ok(())
    }

    /// How often what is cheap is done.
    fn times(&self) -> usize {
        SEEN_MIN.div_ceil(self.devices)
    }

    /// Cancels all tasks, and lets the dispatcher work until the batch has ended.
    pub(crate) async fn cancel(&self, steps: &mut Steps, batch: &str) -> anyhow::Result<()> {
        let mut api = steps.connect().await?;
        let begun = steps.begin()?;
        let requested = Instant::now();
        let all = json!({ "queued": true, "notified": true, "in_progress": true });
        api.api(Method::POST, &format!("/v1/batches/{batch}/cancel"), &all, 202).await?;
        steps.print("cancel_request_ms", format_args!("{:.1}", requested.elapsed().as_secs_f64() * 1e3));
        let told = self.tick_until(steps, batch, |batch| batch["status"] == "canceled").await?;
        steps.end("cancel", &begun, self.devices)?;
        ensure!(told["counts"]["canceled"] == self.devices, "miscounted: {}", told["counts"]);
        Ok(())
    }

    /// Lets the dispatcher work until a batch is as it has to be, and returns it.
    async fn tick_until(
        &self,
        steps: &mut Steps,
        batch: &str,
        so: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let mut api = steps.connect().await?;
        let mut told = Value::Null;
        for _ in 0..TICKS_MAX {
            told = self.batch(&mut api, batch).await?;
            if so(&told) {
                return Ok(told);
            }
            api.tick().await?;
        }
        bail!("the batch is not as it has to be: {told}")
    }

    async fn batch(&self, api: &mut Connection, batch: &str) -> anyhow::Result<Value> {
        api.api(Method::GET, &format!("/v1/batches/{batch}"), &Value::Null, 200).await
    }
}

/// Asks for a list to its end, and shows each page and where the next one begins.
async fn pages(
    api: &mut Connection,
    path: &str,
    mut see: impl FnMut(&Value, Option<&str>),
) -> anyhow::Result<()> {
    let mut next = path.to_owned();
    loop {
        let page = api.api(Method::GET, &next, &Value::Null, 200).await?;
        let cursor = page["next_cursor"].as_str();
        see(&page, cursor);
        let Some(cursor) = cursor else { return Ok(()) };
        next = format!("{path}&cursor={cursor}");
    }
}

/// Names device number `number`.
pub(crate) fn name(number: usize) -> String {
    format!("dev-{number:07}")
}

/// Makes a product and returns its key.
pub(crate) async fn product(api: &mut Connection, name: &str) -> anyhow::Result<String> {
    let product = api.api(Method::POST, "/v1/products", &json!({ "name": name }), 201).await?;
    text(&product, "product_key")
}

/// Uploads a package that needs no trial, and returns its id.
pub(crate) async fn package(api: &mut Connection, product_key: &str) -> anyhow::Result<String> {
    let upload = api.api(Method::POST, "/v1/uploads?file_name=bench.bin", &json!("bytes"), 201).await?;
    let package = json!({
        "product_key": product_key, "name": format!("bench-{product_key}"), "target_version": TARGET_VERSION,
        "upload_id": upload["upload_id"], "needs_verification": false,
    });
    text(&api.api(Method::POST, "/v1/packages", &package, 201).await?, "package_id")
}

/// Registers the first devices of a product, and returns how many requests had to be made again.
pub(crate) async fn register(
    steps: &Steps,
    product_key: &str,
    devices: usize,
    connections: usize,
) -> anyhow::Result<usize> {
    let path = format!("/v1/products/{product_key}/devices");
    all(steps.server(), connections, devices.div_ceil(REGISTER_MAX), 201, move |number| {
        let first = number * REGISTER_MAX;
        let some = first..devices.min(first + REGISTER_MAX);
        let some: Vec<Value> = some.map(|number| json!({ "name": name(number) })).collect();
        call(Method::POST, &path, API_TOKEN, &json!({ "devices": some }))
    })
    .await
}

/// Lets the first devices of a product tell their version.
pub(crate) async fn report(
    steps: &Steps,
    product_key: &str,
    devices: usize,
    connections: usize,
) -> anyhow::Result<()> {
    let product_key = product_key.to_owned();
    all(steps.server(), connections, devices, 204, move |number| {
        let topic = format!("/ota/device/inform/{product_key}/{}", name(number));
        device_message(&topic, format!(r#"{{"id":"1","params":{{"version":"{SOURCE_VERSION}"}}}}"#))
    })
    .await?;
    Ok(())
}

/// Returns a field that is text.
pub(crate) fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    Ok(value[field].as_str().with_context(|| format!("no {field} in {value}"))?.to_owned())
}
