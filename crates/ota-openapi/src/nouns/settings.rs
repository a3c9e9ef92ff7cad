//! Settings of the service, and those of a product.

use ota_core::product::{ConflictPolicy, VerificationMode};
use ota_core::settings::PackageLimits;
use serde_json::json;

use crate::operation::{Operation, operation};
use crate::schema::{Field, Schema, flag, may, must, named, object, request, words};

pub(super) fn operations() -> Vec<Operation> {
    let settings = || named("Settings");
    vec![
        operation("getSettings", "GET", "/v1/settings", "Shows the settings of the service")
            .faults(&[])
            .answers(200, "The settings.", settings()),
        operation("changeSettings", "PATCH", "/v1/settings", "Changes the settings of the service")
            .says("What the request does not name stays as it is.")
            .body(
                request([must("settings", named("SettingsChange"))]),
                vec![("A higher rate", json!({"settings": {"fast_push": true}}))],
            )
            .answers(200, "The settings.", settings()),
    ]
}

/// The settings of a product, each made by `field`.
fn of_product(field: fn(&'static str, Schema) -> Field) -> [Field; 9] {
    let says = |words: &str| flag().says(words);
    let policy = words(ConflictPolicy::ALL.map(ConflictPolicy::as_str));
    let mode = words(VerificationMode::ALL.map(VerificationMode::as_str));
    [
        field("conflict_policy", policy.says("What several batches may not do at once.")),
        field("verification_mode", mode.says("Which trials may be made again.")),
        field(
            "forgive_source_version",
            says("Whether a device that reports another version than it started from goes on."),
        ),
        field("narrow_retries", says("Whether only upgrades that have begun are tried again.")),
        field("strict_retry_interval", says("Whether the interval of retries must be below the timeout.")),
        field("lenient_aliases", says("Whether aliases of modules may be short, and Chinese.")),
        field("editable_tags", says("Whether a batch's tags can be changed.")),
        field("delta_capable", says("Whether devices can apply deltas.")),
        field("md5_deltas", says("Whether deltas must use MD5.")),
    ]
}

/// The settings of the service, each made by `field`.
fn of_service(field: fn(&'static str, Schema) -> Field) -> [Field; 2] {
    let limits = words(PackageLimits::ALL.map(PackageLimits::as_str));
    [
        field("package_limits", limits.says("Which document's limits of packages hold.")),
        field("fast_push", flag().says("Whether batches may push ten times as fast.")),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    vec![
        ("ProductSettings", object(of_product(must)).says("Explained in docs/settings.md.")),
        ("ProductSettingsChange", request(of_product(may))),
        ("Settings", object(of_service(must)).says("Explained in docs/settings.md.")),
        ("SettingsChange", request(of_service(may))),
    ]
}
