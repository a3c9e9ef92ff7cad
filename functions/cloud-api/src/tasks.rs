//! Looking at tasks, and what is done to single ones.

use http::Method;
use ota_core::cloud::{GatewayError, PageNumber, encode};
use ota_core::event::iot_id;
use ota_core::ids::{BatchId, DeviceName, DeviceRef, ProductKey};
use ota_core::limits;
use ota_core::task::TaskStatus;
use ota_http::wire::TaskJson;
use ota_platform::Platform;
use ota_store::batches::{self, StoredBatch};
use ota_store::shards;
use serde_json::{Value, json};

use crate::call::{Answer, Call, data, page_of};
use crate::jobs::{self, utc, word};
use crate::packages;
use crate::refusal::Refusal;

/// The vendor's code for a device that is not there.
pub(crate) const UNKNOWN_DEVICE: &str = "iot.device.NotExistedDevice";

/// Writes a task. `batch` is what it belongs to.
fn render(task: &Value, batch: &StoredBatch) -> Value {
    let text = |name: &str| task[name].as_str().unwrap_or_default();
    let device = ProductKey::new(text("product_key"))
        .and_then(|product_key| {
            DeviceName::new(text("device_name")).map(|device_name| DeviceRef { product_key, device_name })
        })
        .ok();
    let told = json!({
        "TaskId": task["task_id"],
        "JobId": task["batch_id"],
        "FirmwareId": batch.batch.package_id.to_string(),
        "ProductKey": task["product_key"],
        "DeviceName": task["device_name"],
        "IotId": device.as_ref().map(iot_id),
        "ModuleName": task["module"],
        "SrcVersion": text("source_version"),
        "DestVersion": task["target_version"],
        "TaskStatus": word(&task["status"]),
        "Progress": format!("{}.00", task["progress"]),
        "TaskDesc": task["reason"]["description"],
        "Timeout": batch.batch.policy.timeout_minutes.map(|minutes| minutes.to_string()),
        "UtcCreate": utc(&task["created_at"]),
        "UtcModified": utc(&task["updated_at"]),
    });
    match told {
        Value::Object(told) => told.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        other => other,
    }
}

/// Reads a status as the vendor writes it.
fn status(text: &str) -> Result<TaskStatus, Refusal> {
    let status = TaskStatus::ALL.into_iter().find(|status| word(&status.as_str().into()) == text);
    status.ok_or_else(|| {
        let allowed: Vec<String> =
            TaskStatus::ALL.iter().map(|status| word(&status.as_str().into())).collect();
        let message = format!("TaskStatus is one of {}", allowed.join(", "));
        Refusal::new("iot.firmware.InvalidTaskStatus", message)
    })
}

async fn job<P: Platform>(call: &Call<'_, P>, id: &str) -> Result<StoredBatch, Refusal> {
    let unknown = || Refusal::new(jobs::UNKNOWN, "there is no such job");
    let id: BatchId = id.parse().map_err(|_| unknown())?;
    batches::get(call.platform.kv(), id).await?.ok_or_else(unknown)
}

/// `ListOTATaskByJob`: named devices' tasks, or a page (R173).
pub(crate) async fn by_job<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let [id] = call.need(["JobId"])?;
    let status = call.get("TaskStatus").map(status).transpose()?;
    // What a name may hold may stand in a query as it is, and 50 encoded names might be too long for one.
    let plain = |name: &str| if DeviceName::new(name).is_ok() { name.to_owned() } else { encode(name) };
    let names: Vec<String> = call.parameters.list("DeviceNames").map(plain).collect();
    let default = limits::CLOUD_PAGE_DEFAULT.to_string();
    let said = (call.get("CurrentPage").unwrap_or("1"), call.get("PageSize").unwrap_or(&default));
    if !names.is_empty() {
        let stored = job(call, id).await?;
        let path = format!("/v1/batches/{}/tasks?device_names={}", encode(id), names.join(","));
        let found = call.rest.get(&path).await.map_err(call.refuse(jobs::UNKNOWN))?;
        let tasks = found["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let wanted =
            tasks.iter().filter(|task| status.is_none_or(|status| task["status"] == status.as_str()));
        let tasks: Vec<Value> = wanted.map(|task| render(task, &stored)).collect();
        let page = PageNumber { current: 1, size: limits::TASK_NAMES_MAX };
        return Ok(page_of(page, tasks.len(), "Data", json!({"SimpleOTATaskInfo": tasks})));
    }
    let page = call.page(said.0, said.1, limits::TASK_PAGE_SIZE_MAX)?;
    let stored = job(call, id).await?;
    let (kv, now) = (call.platform.kv(), call.platform.now());
    let (counts, _) = batches::counts(kv, &stored, now).await?;
    let total = match status {
        None => counts.total(),
        Some(TaskStatus::Unconfirmed) => counts.unconfirmed,
        Some(TaskStatus::Queued) => counts.queued,
        Some(TaskStatus::Notified) => counts.notified,
        Some(TaskStatus::InProgress) => counts.in_progress,
        Some(TaskStatus::Succeeded) => counts.succeeded,
        Some(TaskStatus::Failed) => counts.failed,
        Some(TaskStatus::Canceled) => counts.canceled,
    };
    let tasks = page_of_tasks(call, &stored, status, page).await?;
    Ok(page_of(page, total as usize, "Data", json!({"SimpleOTATaskInfo": tasks})))
}

/// Walks the job's shards to the page and through it: two reads for each shard before its end.
async fn page_of_tasks<P: Platform>(
    call: &Call<'_, P>,
    stored: &StoredBatch,
    status: Option<TaskStatus>,
    page: PageNumber,
) -> Result<Vec<Value>, Refusal> {
    let (kv, now, batch) = (call.platform.kv(), call.platform.now(), &stored.batch);
    let Some(shape) = shards::shape(kv, &batch.product_key).await? else { return Ok(Vec::new()) };
    let (mut skip, mut tasks) = (page.skip(), Vec::new());
    for visit in batches::visits(batch, shape.shards).iter() {
        let found = batches::look(kv, batch, visit, shape.shards).await?;
        for listed in found.tasks(batch, now) {
            if status.is_some_and(|status| listed.task.status != status) {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let task = serde_json::to_value(TaskJson::listed(batch, &listed)).unwrap_or_default();
            tasks.push(render(&task, stored));
            if tasks.len() == page.size {
                return Ok(tasks);
            }
        }
    }
    Ok(tasks)
}

/// Returns the path of the device that a request names by its product and name. An `IotId` cannot be looked up: it follows
/// from the two names, and must be theirs if it is given.
pub(crate) fn device_path<P: Platform>(call: &Call<'_, P>) -> Result<String, Refusal> {
    let [product, name] = call.need(["ProductKey", "DeviceName"])?;
    if let Some(id) = call.get("IotId") {
        let names = ProductKey::new(product).ok().zip(DeviceName::new(name).ok());
        let device = names.map(|(product_key, device_name)| DeviceRef { product_key, device_name });
        if device.as_ref().map(iot_id).as_deref() != Some(id) {
            return Err(Refusal::new(UNKNOWN_DEVICE, "the IotId is not that of this device"));
        }
    }
    Ok(format!("/v1/products/{}/devices/{}", encode(product), encode(name)))
}

/// `ListOTAUnfinishedTaskByDevice` (R176)
pub(crate) async fn unfinished<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let path = device_path(call)?;
    let listed = call.parameters.list("TaskStatusList").chain(call.get("TaskStatus"));
    let statuses: Vec<&str> =
        listed.map(|text| status(text).map(TaskStatus::as_str)).collect::<Result<_, _>>()?;
    let mut query = Vec::new();
    if !statuses.is_empty() {
        query.push(format!("status={}", statuses.join(",")));
    }
    query.extend(call.get("ModuleName").map(|module| format!("module={}", encode(module))));
    let path = format!("{path}/tasks?{}", query.join("&"));
    let found = call.rest.get(&path).await.map_err(call.refuse(UNKNOWN_DEVICE))?;
    let mut tasks = Vec::new();
    // A device is in one task, or in one for each of its modules.
    for task in found["items"].as_array().into_iter().flatten() {
        let stored = job(call, task["batch_id"].as_str().unwrap_or_default()).await?;
        tasks.push(render(task, &stored));
    }
    Ok(data(json!({"SimpleOTATaskInfo": tasks})))
}

/// `CancelOTATaskByDevice`
pub(crate) async fn cancel_by_device<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let [firmware, product] = call.need(["FirmwareId", "ProductKey"])?;
    packages::of_product(call, firmware, product).await?;
    let body = json!({
        "package_id": firmware,
        "devices": call.texts("DeviceName"),
        "batch_id": call.text("JobId"),
    });
    call.rest.post("/v1/tasks/cancel", &body).await.map_err(call.refuse(packages::UNKNOWN))?;
    Ok(Answer::new())
}

/// `ConfirmOTATask`, by POST only.
pub(crate) async fn confirm<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    if call.method != Method::POST {
        return Err(GatewayError::MethodNotAllowed.into());
    }
    let body = json!({"task_ids": call.texts("TaskId")});
    call.rest.post("/v1/tasks/confirm", &body).await.map_err(call.refuse(jobs::UNKNOWN))?;
    Ok(Answer::new())
}

/// `ReupgradeOTATask`: tasks of one job.
pub(crate) async fn reupgrade<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let [id] = call.need(["JobId"])?;
    job(call, id).await?;
    let of_job = |task: &str| task.split_once('.').is_some_and(|(batch, _)| batch == id);
    if let Some(other) = call.parameters.list("TaskId").find(|task| !of_job(task)) {
        let message = format!("{other} is no task of the job");
        return Err(Refusal::new("iot.firmware.InvalidOTATaskId", message));
    }
    let body = json!({"task_ids": call.texts("TaskId")});
    call.rest.post("/v1/tasks/reupgrade", &body).await.map_err(call.refuse(jobs::UNKNOWN))?;
    Ok(Answer::new())
}
