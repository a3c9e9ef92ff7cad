//! Trials of packages.

use ota_core::limits;
use ota_core::package::VerificationStatus;
use serde_json::json;

use super::batch_request::{protocol, source_versions, tags, timeout};
use crate::names::DEVICE;
use crate::operation::{Operation, operation};
use crate::schema::{
    Schema, device_name, flag, id, list, may, must, named, object, product_key, request, whole, words,
};

pub(super) fn operations() -> Vec<Operation> {
    let path = "/v1/packages/{package_id}/verification";
    let new = request([
        must("devices", list(device_name()).items(1, limits::VERIFY_DEVICES_MAX)),
        may("source_versions", source_versions()),
        may("timeout_minutes", timeout()),
        may("push", flag().default(true)),
        may("needs_confirmation", flag().default(false)),
        may("download_protocol", protocol()),
        may("tags", tags()),
        may("product_key", product_key()),
    ]);
    vec![
        operation("verifyPackage", "POST", path, "Tries a package on a few devices")
            .once()
            .body(new, vec![("On one device", json!({"devices": [DEVICE], "timeout_minutes": 30}))])
            .refuses(&["package.verification", "batch.too-many"])
            .faults(&[
                "batch.product-mismatch",
                "batch.source-is-target",
                "batch.source-not-deltas",
                "batch.no-device",
                "batch.unknown-devices",
                "batch.other-version",
                "batch.never-reported",
                "batch.mqtt-too-large",
                "batch.mqtt-several-files",
            ])
            .answers(201, "The trial.", named("Verification")),
        operation("getVerification", "GET", path, "Tells how a trial stands").answers(
            200,
            "The trial.",
            named("Verification"),
        ),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let status = words(VerificationStatus::ALL.map(VerificationStatus::as_str));
    let verification = object([
        must("package_id", id()),
        must("status", status),
        must("progress_percent", whole().range(0_u64, 100_u64).says("Of the devices, how many have ended.")),
        may("batch", named("Batch")),
        must("tasks", list(named("Task"))),
    ]);
    vec![("Verification", verification)]
}
