//! Pushes to many devices in one go. A batch's rate forbids to measure this with a whole fleet, so some thousand devices of
//! another product stand for it: one dispatcher tells them all.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bench_support::client::{all, device_message};
use http::Method;
use serde_json::{Value, json};

use crate::fleet::{name, package, product, register, report, text};
use crate::step::Steps;

/// The highest rate that a batch may have when the service allows fast pushes.
const PUSH_PER_MINUTE_MAX: usize = 10_000;
/// How often the batch is asked for.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// How long the pushes may take.
const PUSHES_MAX: Duration = Duration::from_secs(60);

/// Measures pushes by one dispatcher to devices that are online.
pub(crate) async fn measure(steps: &mut Steps, connections: usize, devices: usize) -> anyhow::Result<()> {
    ensure!(devices <= PUSH_PER_MINUTE_MAX, "no batch may push to {devices} devices in one go");
    let mut api = steps.connect().await?;
    api.api(Method::PATCH, "/v1/settings", &json!({ "settings": { "fast_push": true } }), 200).await?;
    let product_key = product(&mut api, "online").await?;
    register(steps, &product_key, devices, 1).await?;
    let key = product_key.clone();
    all(steps.server(), connections, devices, 204, move |number| {
        let topic = format!("/overair/presence/{key}/{}", name(number));
        device_message(&topic, r#"{"status":"online","session":"bench","at":1}"#.to_owned())
    })
    .await?;
    report(steps, &product_key, devices, connections).await?;

    let package = package(&mut api, &product_key).await?;
    let batch = json!({
        "package_id": package, "target": { "selection": "all" }, "push_per_minute_max": PUSH_PER_MINUTE_MAX,
    });
    let begun = steps.begin()?;
    let began = Instant::now();
    let batch = text(&api.api(Method::POST, "/v1/batches", &batch, 201).await?, "batch_id")?;
    // Whoever makes a batch asks the dispatcher to look after it at once.
    loop {
        // The list tells what the last walk has counted, and costs no look at the devices.
        let listed = api.api(Method::GET, "/v1/batches?limit=1", &Value::Null, 200).await?;
        let listed = listed["items"].get(0).context("no batch is listed")?;
        ensure!(listed["batch_id"] == batch.as_str(), "another batch is the newest");
        if listed["counts"]["notified"] == devices {
            break;
        }
        ensure!(began.elapsed() < PUSHES_MAX, "not all devices are told: {}", listed["counts"]);
        tokio::time::sleep(ASK_EVERY).await;
    }
    steps.end("push", &begun, devices)
}
