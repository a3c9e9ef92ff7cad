//! Making jobs: verifications and batches.

use ota_core::cloud::{encode, render_utc};
use ota_core::time::Timestamp;
use ota_platform::Platform;
use serde_json::{Value, json};

use crate::call::{Answer, Call, data};
use crate::packages::{UNKNOWN, upload_id};
use crate::refusal::Refusal;

/// `CreateOTAVerifyJob`
pub(crate) async fn verify_job<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let [firmware, product] = call.need(["FirmwareId", "ProductKey"])?;
    let body = json!({
        "product_key": product,
        "devices": call.texts("TargetDeviceName"),
        "source_versions": call.texts("SrcVersion"),
        "timeout_minutes": call.number("TimeoutInMinutes"),
        "push": call.flag("NeedPush"),
        "needs_confirmation": call.flag("NeedConfirm"),
        "download_protocol": call.word("DownloadProtocol"),
        "tags": call.tags("Tag"),
    });
    let path = format!("/v1/packages/{}/verification", encode(firmware));
    let made = call.rest.post(&path, &body).await.map_err(call.refuse(UNKNOWN))?;
    Ok(made_job(&made["batch"]))
}

/// `CreateOTAStaticUpgradeJob`
pub(crate) async fn static_job<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    call.need(["FirmwareId", "ProductKey", "TargetSelection"])?;
    job(call, "static", call.word("TargetSelection"), Value::Null).await
}

/// `CreateOTADynamicUpgradeJob`
pub(crate) async fn dynamic_job<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    call.need(["FirmwareId", "ProductKey"])?;
    let selection = match call.word("TargetSelection") {
        Value::Null => "all".into(),
        said => said,
    };
    job(call, "dynamic", selection, call.choice("DynamicMode", ["1", "2"])).await
}

async fn job<P: Platform>(
    call: &Call<'_, P>,
    mode: &str,
    selection: Value,
    new_reports_only: Value,
) -> Result<Answer, Refusal> {
    if call.get("GroupId").or(call.get("GroupType")).is_some() {
        let message = "groups of devices are not supported";
        return Err(Refusal::new("iot.common.InvalidFormattedParameter", message));
    }
    let either = |one: &str, other: &str, object: Value| {
        if call.get(one).or(call.get(other)).is_some() { object } else { Value::Null }
    };
    let regions: Vec<Value> = call
        .parameters
        .objects("Region")
        .map(|region| json!({"province": region.get("Province"), "city": region.get("City")}))
        .collect();
    let schedule =
        json!({"start_at": call.number("ScheduleTime"), "end_at": call.number("ScheduleFinishTime")});
    let retry =
        json!({"after_minutes": call.number("RetryInterval"), "count_max": call.number("RetryCount")});
    let body = json!({
        "package_id": call.text("FirmwareId"),
        "product_key": call.text("ProductKey"),
        "mode": mode,
        "new_reports_only": new_reports_only,
        "target": {
            "selection": selection,
            "devices": call.texts("TargetDeviceName"),
            "device_list": call.get("DnListFileUrl").map(upload_id),
            "gray_percent": call.text("GrayPercent"),
            "regions": if regions.is_empty() { Value::Null } else { regions.into() },
        },
        "source_versions": call.texts("SrcVersion"),
        "schedule": either("ScheduleTime", "ScheduleFinishTime", schedule),
        "push_per_minute_max": call.number("MaximumPerMinute"),
        "retry": either("RetryInterval", "RetryCount", retry),
        "timeout_minutes": call.number("TimeoutInMinutes"),
        "overwrite": call.choice("OverwriteMode", ["1", "2"]),
        "push": call.flag("NeedPush"),
        "needs_confirmation": call.flag("NeedConfirm"),
        "multi_module": call.flag("MultiModuleMode"),
        "download_protocol": call.word("DownloadProtocol"),
        "tags": call.tags("Tag"),
    });
    let made = call.rest.post("/v1/batches", &body).await.map_err(call.refuse(UNKNOWN))?;
    Ok(made_job(&made))
}

fn made_job(batch: &Value) -> Answer {
    let created_at = Timestamp(batch["created_at"].as_u64().unwrap_or_default());
    data(json!({"JobId": batch["batch_id"], "UtcCreate": render_utc(created_at)}))
}
