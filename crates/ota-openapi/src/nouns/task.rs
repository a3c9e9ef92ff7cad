//! Tasks: one device's part in a batch.

use ota_core::dispatch::QueuedBecause;
use ota_core::limits;
use ota_core::task::TaskStatus;
use ota_core::time::Timestamp;
use serde_json::json;

use crate::names::{BATCH_ID, DEVICE, PACKAGE_ID};
use crate::operation::{Operation, operation};
use crate::schema::{
    Schema, device_name, flag, id, list, may, module_name, moment, must, named, object, page, product_key,
    request, text, version, whole, words,
};

fn status() -> Schema {
    words(TaskStatus::ALL.map(TaskStatus::as_str))
}

fn names() -> Schema {
    text().says(&format!(
        "Up to {} names of devices with commas between, in place of pages.",
        limits::TASK_NAMES_MAX
    ))
}

/// Several tasks by their ids; all of them or none.
fn by_id(operation: Operation) -> Operation {
    let ids = list(text()).items(1, limits::TASKS_PER_REQUEST_MAX);
    let id = format!("{BATCH_ID}.{DEVICE}");
    operation
        .says("All of them, or none if one cannot be.")
        .body(request([must("task_ids", ids)]), vec![("One task", json!({"task_ids": [id]}))])
        .faults(&["task.unknown", "task.outside-schedule"])
        .answers(200, "The tasks.", object([must("tasks", list(named("Task")))]))
}

pub(super) fn operations() -> Vec<Operation> {
    let cancel = request([
        must("package_id", id()),
        must("devices", list(device_name()).items(1, limits::CANCEL_DEVICES_MAX)),
        may("batch_id", id().says("Only tasks of this batch.")),
    ]);
    let example = json!({"package_id": PACKAGE_ID, "devices": [DEVICE]});
    vec![
        operation("listTasks", "GET", "/v1/batches/{batch_id}/tasks", "Lists a batch's tasks")
            .says("A page may hold fewer items than asked for, even none, and still have a next one.")
            .pages(limits::TASK_PAGE_SIZE_MAX)
            .query("status", status())
            .query("device_names", names())
            .such_as(DEVICE)
            .answers(200, "A page of tasks.", page(named("Task"))),
        operation("getTask", "GET", "/v1/batches/{batch_id}/tasks/{device_name}", "Shows a task").answers(
            200,
            "The task.",
            named("Task"),
        ),
        operation(
            "explainTask",
            "GET",
            "/v1/batches/{batch_id}/devices/{device_name}/why",
            "Tells why a device was upgraded by a batch, or was not",
        )
        .answers(200, "The reason.", named("Why")),
        by_id(operation("confirmTasks", "POST", "/v1/tasks/confirm", "Consents to tasks that wait for it"))
            .faults(&["task.not-unconfirmed"]),
        by_id(operation(
            "reupgradeTasks",
            "POST",
            "/v1/tasks/reupgrade",
            "Queues failed and canceled tasks again",
        ))
        .faults(&["task.not-ended", "task.package-not-verified", "task.device-busy"])
        .refuses(&["batch.too-many"]),
        operation(
            "cancelTasks",
            "POST",
            "/v1/tasks/cancel",
            "Cancels the tasks that devices have of a package",
        )
        .body(cancel, vec![("Of one device", example)])
        .refuses(&["request.not-found"])
        .faults(&["batch.unknown-devices"])
        .answers(200, "How many were canceled.", object([must("canceled", whole())])),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let because = [
        QueuedBecause::Scheduled { at: Timestamp(0) },
        QueuedBecause::Offline,
        QueuedBecause::PullOnly,
        QueuedBecause::RateLimited,
    ];
    let reason = object([must("code", text()), must("description", text())]);
    let task = object([
        must("task_id", text().says("The batch's id, a dot, and the device's name.")),
        must("batch_id", id()),
        must("product_key", product_key()),
        must("device_name", device_name()),
        must("module", module_name()),
        may("source_version", version()),
        must("target_version", version()),
        must("status", status()),
        may(
            "queued_because",
            words(because.map(QueuedBecause::as_str)).says("What a queued task waits for."),
        ),
        may("scheduled_at", moment("When it will be pushed.")),
        must("progress", whole().range(0_u64, 100_u64).says("In percent.")),
        may("reason", reason.says("Why it ended, or why its last attempt failed.")),
        must("retries_used", whole()),
        must("created_at", moment("When it was given out.")),
        must("updated_at", moment("When it last changed.")),
        may("ended_at", moment("When it ended.")),
    ]);
    let why = object([
        must("upgraded", flag()),
        must("code", text().says("A stable word such as `offline`.")),
        must("rule", text().says("The number in docs/rules.md that decides.")),
        must("because", text().says("What is the case.")),
        must("change", text().says("What would change it; empty where nothing would.")),
        may("task", named("Task")),
    ]);
    vec![("Task", task), ("Why", why)]
}
