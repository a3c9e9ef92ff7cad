//! Deltas that the service makes.

use ota_core::delta::{DeltaStatus, SliceSize};
use ota_core::limits;
use serde_json::json;

use super::package::name;
use crate::names::{OLDER_PACKAGE_ID, PACKAGE_ID};
use crate::operation::{Operation, operation};
use crate::schema::{Schema, id, may, moment, must, named, object, page, request, text, whole, words};

fn slice() -> Schema {
    words(SliceSize::ALL.map(SliceSize::as_str)).says("How much of the target one slice restores.")
}

pub(super) fn operations() -> Vec<Operation> {
    let new = request([
        must("target_package_id", id()),
        must("source_package_id", id()),
        must("slice", slice()),
        may("name", name().says("Of the package to be; `delta-` and the delta's id unless it is given.")),
    ]);
    let example =
        json!({"target_package_id": PACKAGE_ID, "source_package_id": OLDER_PACKAGE_ID, "slice": "64K"});
    vec![
        operation("createDelta", "POST", "/v1/deltas", "Has a delta made of two packages")
            .says("In the background: ask again until it is ready. Then its package exists.")
            .once()
            .body(new, vec![("Between two versions", example)])
            .refuses(&["delta.too-many", "package.too-many", "package.name-taken", "package.version-taken"])
            .faults(&[
                "delta.not-full",
                "delta.other-product",
                "delta.other-module",
                "delta.target-too-small",
                "delta.image-too-large",
                "delta.not-capable",
                "package.same-versions",
            ])
            .answers(201, "The delta.", named("Delta")),
        operation("listDeltas", "GET", "/v1/deltas", "Lists deltas, the newest first")
            .pages(limits::PAGE_SIZE_MAX)
            .answers(200, "A page of deltas.", page(named("Delta"))),
        operation("getDelta", "GET", "/v1/deltas/{delta_id}", "Shows a delta").answers(
            200,
            "The delta.",
            named("Delta"),
        ),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let failed = "failed";
    let status = words([DeltaStatus::Making.as_str(), DeltaStatus::Ready.as_str(), failed]);
    let reason = object([must("code", text()), must("description", text())]);
    let percent = || whole().range(0_u64, 100_u64);
    let delta = object([
        must("delta_id", id()),
        must("status", status),
        must("target_package_id", id()),
        must("source_package_id", id()),
        must("slice", slice()),
        must("name", name()),
        must("progress", percent()),
        may("package_id", id().says("When it is ready.")),
        may("size", whole().says("Its bytes.")),
        may("saved_percent", percent().says("How much less there is to download.")),
        may("reason", reason.says("Why it has failed.")),
        must("created_at", moment("When it was asked for.")),
        may("ended_at", moment("When it was ready, or failed.")),
    ]);
    vec![("Delta", delta)]
}
