//! `POST /internal/dispatch/tick` and `POST /internal/dispatch/device`

use bytes::Bytes;
use http::{Method, StatusCode};
use ota_core::error::{Faults, ValueError};
use ota_core::ids::{BatchId, DeviceName, DeviceRef, ProductKey};
use ota_http::{Problem, Request, Response, json, respond};
use ota_platform::line::Line;
use ota_platform::{Platform, serve};
use ota_store::work::{self, LastTick};
use ota_store::{batches, shards};
use serde::Serialize;

use crate::{deliver, deltas, finish, push, sweep, walk};

/// What a call has done.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Batches looked at.
    pub(crate) batches: u32,
    /// Shards visited.
    pub(crate) shards: u32,
    /// Tasks made.
    pub(crate) made: u32,
    /// Devices pushed to.
    pub(crate) pushed: u32,
    /// Tasks ended by the clock or an operator.
    pub(crate) ended: u32,
    /// Ended tasks written into their batch's history.
    pub(crate) recorded: u32,
    /// Uploads collected.
    pub(crate) collected: u32,
    /// Slices of deltas made.
    pub(crate) slices: u32,
    /// Events that webhooks have taken.
    pub(crate) delivered: u32,
    /// Events that webhooks were told and have not taken.
    pub(crate) undelivered: u32,
}

/// Answers a request.
pub async fn handle<P, B>(platform: &P, request: http::Request<B>) -> Response
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    serve::internal(platform, request, route).await
}

async fn route<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let path = request.segments.clone();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let report = match (&request.method, path.as_slice()) {
        (&Method::POST, ["internal", "dispatch", "tick"]) => {
            let document = request.json().await?;
            let (batch, reading) = document.read(|fields, faults| fields.text("batch_id", faults));
            let mut rules = Faults::new();
            let only = batch.and_then(|text| rules.take("/batch_id", text.parse::<BatchId>()));
            json::join(reading, rules.into_result())?;
            tick(platform, only).await?
        }
        (&Method::POST, ["internal", "dispatch", "device"]) => {
            let document = request.json().await?;
            let ((key, name), reading) = document.read(|fields, faults| {
                (fields.text("product_key", faults), fields.text("device_name", faults))
            });
            let mut rules = Faults::new();
            let missing = ValueError::Missing;
            let key = rules.take("/product_key", key.ok_or(missing.clone()).and_then(ProductKey::new));
            let name = rules.take("/device_name", name.ok_or(missing).and_then(DeviceName::new));
            json::join(reading, rules.into_result())?;
            let mut report = Report::default();
            if let (Some(product_key), Some(device_name)) = (key, name) {
                device(platform, &DeviceRef { product_key, device_name }, &mut report).await?;
            }
            report
        }
        _ => return Err(Problem::no_route()),
    };
    Ok(respond::json(StatusCode::OK, &report))
}

/// Pushes what is due to a device, and lists what is to be told of it and its neighbours.
async fn device<P: Platform>(platform: &P, device: &DeviceRef, report: &mut Report) -> Result<(), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let (product, name) = (&device.product_key, &device.device_name);
    let Some((at, shard)) = shards::load_for(kv, product, name, now).await? else { return Ok(()) };
    // What cannot be listed now keeps no device waiting for its push.
    let recorded = batches::record_found(kv, product, (at, &shard), now).await;
    if let Some(found) = shard.get(name).map_err(shards::corrupt(product, at))? {
        push::one(platform, device, &found, &shard.briefs, report).await?;
    }
    report.recorded += recorded?;
    Ok(())
}

/// Looks after every batch that has not ended, or after one. A batch that fails does not keep the others waiting.
async fn tick<P: Platform>(platform: &P, only: Option<BatchId>) -> Result<Report, Problem> {
    let mut report = Report::default();
    let began = platform.now();
    let open = work::open_batches(platform.kv()).await?;
    let mut failed = None;
    for (id, since) in open.0 {
        if only.is_some_and(|only| only != id) {
            continue;
        }
        report.batches += 1;
        if let Err(problem) = walk::batch(platform, id, since, &mut report).await {
            let line =
                Line::of("Tick").with("batch", id).with("outcome", "failed").with("code", problem.code);
            line.with_some("error", problem.log.as_deref()).write(platform);
            failed = Some(problem);
        }
    }
    if only.is_none() {
        let rest = rest(platform, &mut report).await;
        // Last, because receivers take their time; and whatever else has failed, for they are to hear of it.
        deliver::all(platform, &mut report).await?;
        rest?;
    }
    if let Some(problem) = failed {
        return Err(problem);
    }
    if only.is_none() {
        let at = platform.now();
        work::note_tick(platform.kv(), LastTick { at, took_ms: at.ms_since(began) }).await?;
    }
    Ok(report)
}

/// Looks after what belongs to no batch that is open.
async fn rest<P: Platform>(platform: &P, report: &mut Report) -> Result<(), Problem> {
    finish::uploads(platform, report).await?;
    sweep::some_shards(platform, report).await?;
    deltas::make(platform, report).await
}
