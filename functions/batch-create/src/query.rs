//! Looking at batches and their tasks.

use http::StatusCode;
use ota_core::batch::{Point, Why, explain};
use ota_core::error::{Faults, ValueError};
use ota_core::ids::{BatchId, DeviceName, PackageId};
use ota_core::limits;
use ota_core::task::TaskStatus;
use ota_http::wire::{BatchJson, CountsJson, TaskJson};
use ota_http::{Problem, Request, Response, page, respond};
use ota_platform::Platform;
use ota_store::batches::{self, StoredBatch, visits};
use ota_store::log::{self, LogCursor};
use ota_store::{devices, keys, shards};
use serde::Serialize;

/// Shards that one page of a task list looks at, at most: a filter may leave nothing of any of them.
const PAGE_SHARDS_MAX: usize = 64;

/// Returns a batch, which must be there and of a product that the caller may touch.
pub(crate) async fn find<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: BatchId,
) -> Result<StoredBatch, Problem> {
    let found = batches::get(platform.kv(), id).await?;
    let found = found.filter(|stored| request.may_touch(&stored.batch.product_key));
    found.ok_or_else(|| Problem::not_found("batch"))
}

/// Answers with a batch and its counts.
pub(crate) async fn answer<P: Platform>(
    platform: &P,
    status: StatusCode,
    stored: &StoredBatch,
) -> Result<Response, Problem> {
    let (counts, at) = batches::counts(platform.kv(), stored, platform.now()).await?;
    Ok(respond::json(status, &BatchJson::new(stored, counts, at)))
}

/// `GET /v1/batches/{batch_id}`
pub(crate) async fn get<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: BatchId,
) -> Result<Response, Problem> {
    answer(platform, StatusCode::OK, &find(platform, request, id).await?).await
}

#[derive(Serialize)]
struct PointJson {
    at: u64,
    #[serde(flatten)]
    counts: CountsJson,
}

/// `GET /v1/batches/{batch_id}/history`: the points that the dispatcher has noted, oldest first, and what it counted last.
pub(crate) async fn history<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: BatchId,
) -> Result<Response, Problem> {
    request.only_query(&[])?;
    let stored = find(platform, request, id).await?;
    let history = batches::history(platform.kv(), id).await?;
    let points = history.up_to(Point { at: stored.counted_at, counts: stored.counts });
    let items =
        points.into_iter().map(|point| PointJson { at: point.at.0, counts: CountsJson::new(&point.counts) });
    Ok(respond::json(StatusCode::OK, &page::Page { items: items.collect(), next_cursor: None }))
}

/// `GET /v1/batches`: newest first, with the counts of the last walk.
pub(crate) async fn list<P: Platform, B>(platform: &P, request: &Request<B>) -> Result<Response, Problem> {
    request.only_query(&["limit", "cursor", "package_id"])?;
    let limit = page::limit(request)?;
    let cursor = page::cursor(request, |text| {
        let (page, left) = text.split_once('.')?;
        Some(LogCursor { page: page.parse().ok()?, left: left.parse().ok()? })
    })?;
    let key = match request.query("package_id") {
        None => keys::BATCHES.to_owned(),
        Some(text) => {
            let id: PackageId = text.parse().map_err(|error: ValueError| {
                let mut faults = Faults::new();
                faults.add("query:package_id", &error);
                Problem::from(faults)
            })?;
            keys::package_batches(id)
        }
    };
    let (ids, next) = log::read(platform.kv(), &key, cursor, limit).await?;
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        // A batch that is just being made is listed and has no record yet.
        if let Some(stored) = batches::get(platform.kv(), BatchId(id)).await?
            && request.may_touch(&stored.batch.product_key)
        {
            items.push(BatchJson::new(&stored, stored.counts, stored.counted_at));
        }
    }
    let next_cursor = next.map(|cursor| format!("{}.{}", cursor.page, cursor.left));
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }))
}

/// `GET /v1/batches/{batch_id}/tasks`: shard by shard, so a page may be shorter than asked for.
pub(crate) async fn tasks<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: BatchId,
) -> Result<Response, Problem> {
    request.only_query(&["limit", "cursor", "status", "device_names"])?;
    if let Some(names) = request.query("device_names") {
        return named_tasks(platform, request, names, id).await;
    }
    let limit = page::limit_up_to(request, limits::TASK_PAGE_SIZE_MAX)?;
    let cursor = page::cursor(request, |text| {
        let (visit, after) = text.split_once('.')?;
        Some((visit.parse::<usize>().ok()?, after.to_owned()))
    })?;
    let status = request.query("status").map(|text| {
        TaskStatus::parse(text).ok_or_else(|| {
            let mut faults = Faults::new();
            let allowed = "unconfirmed, queued, notified, in-progress, succeeded, failed, canceled";
            faults.add("query:status", &ValueError::NotOneOf { allowed });
            Problem::from(faults)
        })
    });
    let status = status.transpose()?;
    let stored = find(platform, request, id).await?;
    let kv = platform.kv();
    let shape =
        shards::shape(kv, &stored.batch.product_key).await?.ok_or_else(|| Problem::not_found("product"))?;
    let visits = visits(&stored.batch, shape.shards);
    let (mut at, mut after) = cursor.unwrap_or_default();
    let last = visits.len().min(at.saturating_add(PAGE_SHARDS_MAX));
    let mut items: Vec<TaskJson> = Vec::new();
    while let Some(visit) = visits.get(at)
        && at < last
        && items.len() < limit
    {
        let found = batches::look(kv, &stored.batch, visit, shape.shards).await?;
        let wanted = found.tasks(&stored.batch, platform.now()).into_iter().filter(|listed| {
            listed.device_name.as_str() > after.as_str()
                && status.is_none_or(|status| listed.task.status == status)
        });
        for listed in wanted {
            if items.len() >= limit {
                let next_cursor = items.last().map(|last| format!("{at}.{}", last.device_name));
                return Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }));
            }
            items.push(TaskJson::listed(&stored.batch, &listed));
        }
        (at, after) = (at + 1, String::new());
    }
    let next_cursor = (at < visits.len()).then(|| format!("{at}."));
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }))
}

/// `GET /v1/batches/{batch_id}/tasks?device_names=a,b`: up to 50 names in place of pages (R173). A device without a task
/// of the batch is left out.
async fn named_tasks<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    names: &str,
    id: BatchId,
) -> Result<Response, Problem> {
    let (mut faults, max) = (Faults::new(), limits::TASK_NAMES_MAX);
    let listed: Vec<&str> = names.split(',').collect();
    if listed.len() > max {
        faults.add("query:device_names", &ValueError::TooMany { count: listed.len(), max });
        return Err(faults.into());
    }
    let names = listed.into_iter().map(|name| faults.take("query:device_names", DeviceName::new(name)));
    let names: Vec<DeviceName> = names.collect::<Vec<_>>().into_iter().flatten().collect();
    faults.into_result()?;
    let stored = find(platform, request, id).await?;
    let mut items = Vec::with_capacity(names.len());
    for name in names {
        let found = batches::task_of(platform.kv(), &stored.batch, &name, platform.now()).await?;
        items.extend(found.map(|(listed, _)| TaskJson::listed(&stored.batch, &listed)));
    }
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor: None }))
}

/// `GET /v1/batches/{batch_id}/tasks/{device_name}`
pub(crate) async fn task<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: BatchId,
    device: &DeviceName,
) -> Result<Response, Problem> {
    let stored = find(platform, request, id).await?;
    let found = batches::task_of(platform.kv(), &stored.batch, device, platform.now()).await?;
    let (listed, _) = found.ok_or_else(|| Problem::not_found("task"))?;
    Ok(respond::json(StatusCode::OK, &TaskJson::listed(&stored.batch, &listed)))
}

#[derive(Serialize)]
struct WhyJson {
    upgraded: bool,
    code: &'static str,
    rule: &'static str,
    because: String,
    change: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<TaskJson>,
}

/// `GET /v1/batches/{batch_id}/devices/{device_name}/why`: why this device was upgraded by the batch, or was not, and what
/// would change it.
pub(crate) async fn why<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: BatchId,
    name: &DeviceName,
) -> Result<Response, Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let stored = find(platform, request, id).await?;
    let batch = &stored.batch;
    let device = devices::find(kv, &batches::device_ref(batch, name), now).await?;
    let (device, _) = device.ok_or_else(|| Problem::not_found("device"))?;
    let listed = batches::task_of(kv, batch, name, now).await?.map(|(listed, _)| listed);
    let why = explain(batch, &device, listed.as_ref().map(|listed| &listed.task), stored.expanded, now);
    let task = listed.as_ref().map(|listed| TaskJson::listed(batch, listed));
    let Why { upgraded, code, rule, because, change } = why;
    Ok(respond::json(StatusCode::OK, &WhyJson { upgraded, code, rule, because, change, task }))
}
