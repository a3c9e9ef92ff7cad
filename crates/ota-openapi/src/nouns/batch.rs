//! Batches.

use ota_core::batch::{BatchKind, BatchStatus};
use ota_core::limits;
use serde_json::{Value, json};

use super::batch_request::{gray_percent, mode, protocol, retry_fields, selection, tags, timeout};
use crate::names::{DEVICE, END_AT, PACKAGE_ID, START_AT};
use crate::operation::{Operation, operation};
use crate::schema::{
    Schema, device_name, flag, id, list, may, module_name, moment, must, named, object, page, product_key,
    region, request, text, version, whole, words,
};

pub(super) fn operations() -> Vec<Operation> {
    let path = "/v1/batches/{batch_id}";
    vec![
        operation("createBatch", "POST", "/v1/batches", "Starts a batch")
            .says(
                "With `dry_run=true` nothing is made, and the answer tells what the batch would do; of a large fleet in parts, each with the \
                 `cursor` of the one before.",
            )
            .once()
            .query("dry_run", words(["true", "false"]).says("Whether the batch is only tried out."))
            .query("cursor", text().says("Of a dry run: the `next_cursor` of the part before."))
            .body(named("NewBatch"), examples())
            .refuses(&["batch.dynamic-exists", "batch.conflict", "batch.too-many-lanes", "batch.too-many"])
            .refuses(&["request.not-found", "bucket.unavailable"])
            .faults(&FAULTS)
            .answers(201, "The batch.", named("Batch"))
            .answers(200, "Of a dry run: what the batch would do.", named("DryRun")),
        operation("listBatches", "GET", "/v1/batches", "Lists batches, the newest first")
            .pages(limits::PAGE_SIZE_MAX)
            .query("package_id", id().says("Only batches of this package."))
            .such_as(PACKAGE_ID)
            .answers(200, "A page of batches.", page(named("Batch"))),
        operation("getBatch", "GET", path, "Shows a batch").answers(200, "The batch.", named("Batch")),
        operation(
            "getBatchHistory",
            "GET",
            "/v1/batches/{batch_id}/history",
            "Shows how the counts of a batch went",
        )
        .faults(&[])
        .answers(200, "Points, the oldest first.", object([must("items", list(named("HistoryPoint")))])),
        operation("changeBatch", "PATCH", path, "Changes a batch's tags")
            .says(
                "Of a product with `editable_tags`. Devices that were told before keep what they were told.",
            )
            .body(
                request([must("tags", tags())]),
                vec![("One tag", json!({"tags": [{"key": "campaign", "value": "spring"}]}))],
            )
            .refuses(&["batch.tags-fixed"])
            .answers(200, "The batch.", named("Batch")),
        operation(
            "cancelBatch",
            "POST",
            "/v1/batches/{batch_id}/cancel",
            "Cancels tasks of a batch, or its strategy",
        )
        .says("Without a body: the scheduled tasks of a static batch, the strategy of a dynamic one.")
        .optional_body(cancel(), vec![("Those that wait", json!({"queued": true, "unconfirmed": true}))])
        .refuses(&["batch.cancel-nothing", "batch.ended", "batch.no-schedule", "batch.not-dynamic"])
        .refuses(&["batch.strategy-canceled"])
        .answers(202, "The batch. The dispatcher ends the tasks.", named("Batch")),
    ]
}

/// What may be wrong with a new batch beside single values.
const FAULTS: [&str; 27] = [
    "batch.package-not-verified",
    "batch.product-mismatch",
    "batch.source-is-target",
    "batch.source-not-deltas",
    "batch.source-versions-not-allowed",
    "batch.source-versions-required",
    "batch.dynamic-target",
    "batch.schedule-static-only",
    "batch.end-without-start",
    "batch.start-in-past",
    "batch.start-too-soon",
    "batch.start-too-late",
    "batch.end-before-start",
    "batch.end-too-soon",
    "batch.end-too-late",
    "batch.names-and-list",
    "batch.list-unknown",
    "batch.list-too-long",
    "batch.retry-after-timeout",
    "batch.retry-needs-source-versions",
    "batch.multi-module-overwrite",
    "batch.no-device",
    "batch.unknown-devices",
    "batch.other-version",
    "batch.never-reported",
    "batch.mqtt-too-large",
    "batch.mqtt-several-files",
];

fn examples() -> Vec<(&'static str, Value)> {
    let all = json!({"package_id": PACKAGE_ID, "target": {"selection": "all"}});
    let named = json!({
        "package_id": PACKAGE_ID,
        "target": {"selection": "specific", "devices": [DEVICE]},
        "timeout_minutes": 60,
        "retry": {"after_minutes": 10, "count_max": 2},
    });
    let share = json!({
        "package_id": PACKAGE_ID,
        "target": {"selection": "gray", "gray_percent": "33.33"},
        "push_per_minute_max": 100,
        "schedule": {"start_at": START_AT, "end_at": END_AT, "hard_stop": false},
        "tags": [{"key": "campaign", "value": "spring"}],
    });
    let dynamic = json!({
        "package_id": PACKAGE_ID,
        "mode": "dynamic",
        "target": {"selection": "all"},
        "source_versions": ["1.0.0"],
        "needs_confirmation": true,
    });
    vec![
        ("Every device", all),
        ("One device, with retries", named),
        ("A third of the devices, tonight", share),
        ("Devices that come to match", dynamic),
    ]
}

fn cancel() -> Schema {
    let tasks = |words: &str| flag().says(words);
    request([
        may("scheduled", tasks("Tasks that wait for the start of the schedule.")),
        may(
            "queued",
            tasks(
                "Tasks that wait for their push; those that wait for consent too, unless `unconfirmed` is false.",
            ),
        ),
        may("unconfirmed", tasks("Tasks that wait for consent.")),
        may("notified", tasks("Tasks whose devices were told and have not begun.")),
        may("in_progress", tasks("Tasks whose devices have begun.")),
        may("strategy", tasks("No device joins the dynamic batch any more.")),
    ])
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let target = object([
        must("selection", selection()),
        may("devices", list(device_name())),
        may("listed", whole().says("How many names the list has.")),
        may("gray_percent", gray_percent()),
        may("regions", list(region())),
    ]);
    let refused = object([
        must("code", text().says("Why: a code of `/why`, or `device-busy`.")),
        must("count", whole()),
        must("devices", list(device_name()).says("The names of some.")),
    ]);
    let dry_run = object([
        must(
            "devices",
            whole().says("How many devices of this part would get a task that waits for its push."),
        ),
        must("refused", list(refused)),
        must("walked", flag().says("Whether this part is the last.")),
        must(
            "minutes_at_rate",
            whole()
                .says("How long the pushes to all devices found so far take at the batch's rate.")
                .nullable(),
        ),
        may("next_cursor", text().says("Where to go on.")),
    ]);
    let counts =
        ["total", "unconfirmed", "queued", "notified", "in_progress", "succeeded", "failed", "canceled"];
    let status = words(BatchStatus::ALL.map(BatchStatus::as_str));
    let batch = object([
        must("batch_id", id()),
        must("kind", words([BatchKind::Verify, BatchKind::Upgrade].map(BatchKind::as_str))),
        must("mode", mode()),
        must("status", status),
        must("package_id", id()),
        must("product_key", product_key()),
        must("module", module_name()),
        must("target_version", version()),
        must("target", target),
        must("download_protocol", protocol()),
        must("source_versions", list(version())),
        must("push_per_minute_max", whole()),
        may("timeout_minutes", timeout()),
        may("retry", object(retry_fields())),
        may("new_reports_only", flag().says("Of a dynamic batch.")),
        may("strategy_canceled_at", moment("Since when no device joins it.")),
        may("schedule", named("Schedule")),
        must("push", flag()),
        must("needs_confirmation", flag()),
        must("multi_module", flag()),
        must("overwrite", flag()),
        must("tags", tags()),
        must("counts", object(counts.map(|name| must(name, whole()))).says("How many tasks stand where.")),
        must("counted_at", moment("When they were counted.")),
        must("expanded", flag().says("Whether every device has its task.")),
        must("created_at", moment("When it was made.")),
        may("started_at", moment("When it began.")),
        may("ended_at", moment("When it ended.")),
    ]);
    let count = |name| must(name, whole());
    let [total, unconfirmed, queued, notified, in_progress, succeeded, failed, canceled] = counts.map(count);
    let point = object([
        must("at", moment("When they were counted.")),
        total,
        unconfirmed,
        queued,
        notified,
        in_progress,
        succeeded,
        failed,
        canceled,
    ]);
    vec![("Batch", batch), ("DryRun", dry_run), ("HistoryPoint", point)]
}
