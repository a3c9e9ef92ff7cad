//! A client of the vendor's cloud API makes a package and a job, and a device is upgraded by them.

use serde_json::{Value, json};

use crate::device::{Identity, first_hit};
use crate::operator::{firmware, text};
use crate::service::Service;

#[tokio::test]
async fn a_client_of_the_vendors_cloud_api_upgrades_a_device() {
    upgrade_by_cloud_api(&Service::start()).await;
}

/// Upgrades a device by the vendor's cloud API.
pub(crate) async fn upgrade_by_cloud_api(service: &Service) {
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let name = "lamp-0001".to_owned();
    let secret = operator.devices(&product_key, std::slice::from_ref(&name)).await.remove(0);
    let identity = Identity { product_key: product_key.clone(), name, secret };
    let mut device = identity.connect(service.host.mqtt(), 1).await;
    device.inform("1.0.0").await;
    let device_path = format!("/v1/products/{product_key}/devices/{}", identity.name);
    operator.until(&device_path, |device| device["versions"][0]["version"] == "1.0.0").await;

    let upload = operator.post_bytes("/v1/uploads?file_name=lamp.bin", firmware(70_000, 3)).await.expect(201);
    let upload = format!("upload:{}", text(&upload, "upload_id"));
    let ask = async |nonce: &str, action: &str, parameters: &[(&str, &str)]| -> Value {
        let told = service.cloud(action, nonce, parameters).await.expect(200);
        assert_eq!(told["Success"], true, "{action}: {told}");
        told
    };
    let parameters = [
        ("FirmwareName", "lamp_1_1"),
        ("ProductKey", &product_key),
        ("DestVersion", "1.1.0"),
        ("FirmwareUrl", &upload),
        ("NeedToVerify", "false"),
    ];
    let made = ask("1", "CreateOTAFirmware", &parameters).await;
    let firmware_id = text(&made["Data"], "FirmwareId");
    let used = service.cloud("CreateOTAFirmware", "1", &parameters).await.expect(400);
    assert_eq!(used["Code"], "SignatureNonceUsed");

    let parameters =
        [("FirmwareId", firmware_id.as_str()), ("ProductKey", &product_key), ("TargetSelection", "ALL")];
    let made = ask("2", "CreateOTAStaticUpgradeJob", &parameters).await;
    let job_id = text(&made["Data"], "JobId");
    let push = device.push().await;
    assert_eq!((first_hit(&push, "version"), first_hit(&push, "size")), ("1.1.0", "70000"));

    device.progress(100).await;
    device.inform("1.1.0").await;
    let batch_path = format!("/v1/batches/{job_id}");
    operator.until(&batch_path, |batch| batch["status"] == "completed").await;
    let job = ask("3", "QueryOTAJob", &[("JobId", &job_id)]).await;
    assert_eq!(job["Data"]["JobStatus"], "COMPLETED", "{job}");
    let tasks =
        ask("4", "ListOTATaskByJob", &[("JobId", &job_id), ("PageSize", "10"), ("CurrentPage", "1")]).await;
    let task = &tasks["Data"]["SimpleOTATaskInfo"][0];
    assert_eq!((&tasks["Total"], &task["TaskStatus"]), (&json!(1), &json!("SUCCEEDED")), "{tasks}");
}
