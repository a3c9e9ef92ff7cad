//! Trying a batch out before it is made.

use bytes::Bytes;
use http::StatusCode;
use ota_core::batch::Refused;
use ota_core::error::{Faults, ValueError};
use ota_core::ids::BatchId;
use ota_http::{Problem, Request, Response, page, respond};
use ota_platform::Platform;
use ota_store::batches::{self, DryRunCursor};
use ota_store::{lanes, work};
use serde::Serialize;

use crate::create;

#[derive(Serialize)]
struct DryRunJson {
    devices: u64,
    refused: Vec<RefusedJson>,
    walked: bool,
    minutes_at_rate: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct RefusedJson {
    code: &'static str,
    count: u64,
    devices: Vec<String>,
}

/// `POST /v1/batches?dry_run=true`: refuses what `POST /v1/batches` would, and otherwise tells what it would do. It makes
/// nothing that a request sent twice could make twice, so an `Idempotency-Key` means nothing to it.
pub(crate) async fn dry_run<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&["dry_run", "cursor"])?;
    match request.query("dry_run") {
        Some("false") if request.query("cursor").is_none() => {
            return create::create(platform, request).await;
        }
        Some("true") => {}
        _ => return Err(fault("query:dry_run", &ValueError::NotOneOf { allowed: "true, false" })),
    }
    let cursor = page::cursor(request, read_cursor)?;
    let document = request.json().await?;
    let (kv, now) = (platform.kv(), platform.now());
    let id = BatchId(platform.random());
    let (batch, product) = create::check(platform, request, &document, id, now).await?;
    if work::open_batches(kv).await?.0.len() >= work::OPEN_BATCHES_MAX {
        return Err(create::too_many());
    }
    if let Some(lane) = create::lane(&batch, &product) {
        let free = lanes::check(kv, &batch.product_key, &lane, product.conflict_policy).await?;
        free.map_err(|refused| Problem::of(&refused))?;
    }
    let Some(part) = batches::dry_run(kv, &batch, cursor, now).await? else {
        let expected =
            "the next_cursor of an earlier part of this dry run; begin again if the fleet has grown much";
        return Err(fault("query:cursor", &ValueError::Malformed { expected }));
    };
    let refused = part.found.refused.into_iter().map(|(code, Refused { count, devices })| RefusedJson {
        code,
        count,
        devices: devices.iter().map(ToString::to_string).collect(),
    });
    let told = DryRunJson {
        devices: part.found.devices,
        refused: refused.collect(),
        walked: part.done,
        minutes_at_rate: batch.minutes_at_rate(part.cursor.devices),
        next_cursor: (!part.done).then(|| write_cursor(&part.cursor)),
    };
    Ok(respond::json(StatusCode::OK, &told))
}

fn fault(pointer: &str, error: &ValueError) -> Problem {
    let mut faults = Faults::new();
    faults.add(pointer, error);
    faults.into()
}

fn write_cursor(cursor: &DryRunCursor) -> String {
    let DryRunCursor { shards, next, eligible, devices } = cursor;
    format!("{shards}.{next}.{eligible}.{devices}")
}

fn read_cursor(text: &str) -> Option<DryRunCursor> {
    let mut parts = text.split('.');
    let cursor = DryRunCursor {
        shards: parts.next()?.parse().ok()?,
        next: parts.next()?.parse().ok()?,
        eligible: parts.next()?.parse().ok()?,
        devices: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(cursor)
}
