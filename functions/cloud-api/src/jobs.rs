//! Looking at jobs, and canceling them.

use ota_core::cloud::{encode, render_utc};
use ota_core::ids::{BatchId, DeviceName, PackageId};
use ota_core::limits;
use ota_core::time::Timestamp;
use ota_http::wire::BatchJson;
use ota_platform::Platform;
use ota_store::batches::{self, StoredBatch};
use ota_store::{keys, log};
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, data, page_of};
use crate::packages;
use crate::refusal::Refusal;

/// The vendor's code for a job that is not there.
pub(crate) const UNKNOWN: &str = "iot.firmware.InvalidOTAJobId";
/// Jobs of a package that are looked through for those of one device, the newest first: each costs some reads.
const JOBS_LOOKED_THROUGH_MAX: usize = 2_000;

/// Writes a state as the vendor does.
pub(crate) fn word(state: &Value) -> String {
    match state.as_str().unwrap_or_default() {
        "unconfirmed" => "CONFIRM".to_owned(),
        state => state.to_ascii_uppercase().replace('-', "_"),
    }
}

/// Writes a moment, if there is one.
pub(crate) fn utc(at: &Value) -> Option<String> {
    at.as_u64().map(|at| render_utc(Timestamp(at)))
}

/// Returns the path of the job that a request names.
fn path<P: Platform>(call: &Call<'_, P>) -> Result<String, Refusal> {
    let [id] = call.need(["JobId"])?;
    Ok(format!("/v1/batches/{}", encode(id)))
}

/// `QueryOTAJob`: what was not set is not told (R179).
pub(crate) async fn query<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let batch = call.rest.get(&path(call)?).await.map_err(call.refuse(UNKNOWN))?;
    let mut job = summary(&batch);
    let mut tell = |name: &str, value: Value| {
        if !value.is_null() {
            job.insert(name.to_owned(), value);
        }
    };
    let one_or_two = |second: &Value| second.as_bool().map(|second| if second { 2 } else { 1 });
    tell("DestVersion", batch["target_version"].clone());
    tell("SrcVersions", json!({"SrcVersion": batch["source_versions"]}));
    tell("MaximumPerMinute", batch["push_per_minute_max"].clone());
    tell("OverwriteMode", one_or_two(&batch["overwrite"]).into());
    tell("DownloadProtocol", word(&batch["download_protocol"]).into());
    tell("NeedPush", batch["push"].clone());
    tell("NeedConfirm", batch["needs_confirmation"].clone());
    tell("MultiModuleMode", batch["multi_module"].clone());
    tell("GrayPercent", batch["target"]["gray_percent"].clone());
    tell("RetryInterval", batch["retry"]["after_minutes"].clone());
    tell("RetryCount", batch["retry"]["count_max"].clone());
    tell("TimeoutInMinutes", batch["timeout_minutes"].clone());
    tell("DynamicMode", one_or_two(&batch["new_reports_only"]).into());
    tell("UtcScheduleTime", utc(&batch["schedule"]["start_at"]).into());
    tell("UtcScheduleFinishTime", utc(&batch["schedule"]["end_at"]).into());
    // A deleted package has no name any more.
    if let Ok(package) = packages::get(call, batch["package_id"].as_str().unwrap_or_default()).await {
        tell("Name", package["name"].clone());
    }
    Ok(data(job.into()))
}

/// What lists tell of a job too.
fn summary(batch: &Value) -> Map<String, Value> {
    let kind = if batch["kind"] == "verify" { "VERIFY_FIRMWARE" } else { "UPGRADE_FIRMWARE" };
    let tags: Vec<Value> = batch["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|tag| json!({"Key": tag["key"], "Value": tag["value"]}))
        .collect();
    let moments = ["created_at", "started_at", "ended_at", "strategy_canceled_at"];
    let modified = moments.iter().filter_map(|name| batch[*name].as_u64()).max();
    let told = json!({
        "JobId": batch["batch_id"],
        "FirmwareId": batch["package_id"],
        "ProductKey": batch["product_key"],
        "JobStatus": word(&batch["status"]),
        "JobType": kind,
        "SelectionType": word(&batch["mode"]),
        "TargetSelection": word(&batch["target"]["selection"]),
        "Tags": {"OtaTagDTO": tags},
        "UtcCreate": utc(&batch["created_at"]),
        "UtcModified": modified.map(|at| render_utc(Timestamp(at))),
        "UtcStartTime": utc(&batch["started_at"]),
        "UtcEndTime": utc(&batch["ended_at"]),
    });
    match told {
        Value::Object(told) => told.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}

/// Renders a stored job as lists do.
fn listed(stored: &StoredBatch) -> Value {
    let told = BatchJson::new(stored, stored.counts, stored.counted_at);
    summary(&serde_json::to_value(told).unwrap_or_default()).into()
}

/// Returns the ids of a package's jobs, the newest first, up to `max`.
async fn ids<P: Platform>(
    call: &Call<'_, P>,
    package: PackageId,
    max: usize,
) -> Result<Vec<BatchId>, Refusal> {
    let (mut all, mut cursor) = (Vec::new(), None);
    while all.len() < max {
        let limit = log::PAGE_LEN.min(max - all.len());
        let key = keys::package_batches(package);
        let (ids, next) = log::read(call.platform.kv(), &key, cursor, limit).await?;
        all.extend(ids.into_iter().map(BatchId));
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(all)
}

/// Returns the id of the package that a request names, which must be there.
async fn package_id<P: Platform>(call: &Call<'_, P>, text: &str) -> Result<PackageId, Refusal> {
    packages::get(call, text).await?;
    text.parse().map_err(|_| Refusal::new(packages::UNKNOWN, "there is no such firmware"))
}

/// `ListOTAJobByFirmware`: the newest first.
pub(crate) async fn by_firmware<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let [firmware, current, size] = call.need(["FirmwareId", "CurrentPage", "PageSize"])?;
    let page = call.page(current, size, limits::CLOUD_JOBS_PAGE_MAX)?;
    let ids = ids(call, package_id(call, firmware).await?, limits::LIST_REACH_MAX).await?;
    let mut jobs = Vec::new();
    for id in ids.iter().skip(page.skip()).take(page.size) {
        // A batch that is just being made is listed and has no record yet.
        jobs.extend(batches::get(call.platform.kv(), *id).await?.as_ref().map(listed));
    }
    Ok(page_of(page, ids.len(), "Data", json!({"SimpleOTAJobInfo": jobs})))
}

/// `ListOTAJobByDevice`: those jobs of a package in which the device has a task, the newest first.
pub(crate) async fn by_device<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let [firmware, product, device, current, size] =
        call.need(["FirmwareId", "ProductKey", "DeviceName", "CurrentPage", "PageSize"])?;
    let page = call.page(current, size, limits::CLOUD_PAGE_MAX)?;
    packages::of_product(call, firmware, product).await?;
    let device = DeviceName::new(device)
        .map_err(|error| Refusal::new("iot.device.InvalidFormattedDeviceName", error.to_string()))?;
    let (kv, now) = (call.platform.kv(), call.platform.now());
    let mut jobs = Vec::new();
    for id in ids(call, package_id(call, firmware).await?, JOBS_LOOKED_THROUGH_MAX).await? {
        let Some(stored) = batches::get(kv, id).await? else { continue };
        if batches::task_of(kv, &stored.batch, &device, now).await?.is_some() {
            jobs.push(listed(&stored));
        }
    }
    let total = jobs.len();
    let jobs: Vec<Value> = jobs.into_iter().skip(page.skip()).take(page.size).collect();
    Ok(page_of(page, total, "Data", json!({"SimpleOTAJobInfo": jobs})))
}

/// `UpdateOTAJob`: the tags. What else the vendor lets change must be as it is.
pub(crate) async fn update<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let path = path(call)?;
    let batch = call.rest.get(&path).await.map_err(call.refuse(UNKNOWN))?;
    let fixed = [
        ("MaximumPerMinute", "push_per_minute_max", "iot.firmware.InvalidMaximumPerMinute"),
        ("TimeoutInMinutes", "timeout_minutes", "iot.firmware.InvalidTimeoutSetting"),
    ];
    for (name, field, code) in fixed {
        if call.get(name).is_some() && call.number(name) != batch[field] {
            return Err(Refusal::new(code, format!("{name} of a job cannot be changed")));
        }
    }
    if call.parameters.list("SrcVersionList").next().is_some() {
        let message = "the source versions of a job cannot be changed";
        return Err(Refusal::new("iot.firmware.SrcVersionsNotAllowed", message));
    }
    let body = json!({"tags": call.tags("Tags")});
    call.rest.patch(&path, &body).await.map_err(call.refuse(UNKNOWN))?;
    Ok(Answer::new())
}

/// `CancelOTAStrategyByJob`
pub(crate) async fn cancel_strategy<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    cancel(call, &json!({"strategy": true})).await
}

/// `CancelOTATaskByJob`
pub(crate) async fn cancel_tasks<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let body = json!({
        "scheduled": call.flag("CancelScheduledTask"),
        "queued": call.flag("CancelQueuedTask"),
        "notified": call.flag("CancelNotifiedTask"),
        "in_progress": call.flag("CancelInProgressTask"),
        "unconfirmed": call.flag("CancelUnconfirmedTask"),
    });
    cancel(call, &body).await
}

async fn cancel<P: Platform>(call: &Call<'_, P>, body: &Value) -> Result<Answer, Refusal> {
    let path = format!("{}/cancel", path(call)?);
    call.rest.post(&path, body).await.map_err(call.refuse(UNKNOWN))?;
    Ok(Answer::new())
}
