//! What an operator, or an app, does to single tasks: consent (R96, R97), and upgrading again (R134).

use bytes::Bytes;
use http::StatusCode;
use ota_core::error::{Faults, ValueError};
use ota_core::event::task_id;
use ota_core::ids::{BatchId, DeviceName};
use ota_core::limits;
use ota_core::task::{TaskError, TaskEvent, TaskStatus};
use ota_http::wire::TaskJson;
use ota_http::{Problem, Request, Response, json, respond};
use ota_platform::{Platform, nudge};
use ota_store::batches::{self, Reupgrade, StoredBatch};
use ota_store::{devices, packages};
use serde::Serialize;

#[derive(Serialize)]
struct TasksJson {
    tasks: Vec<TaskJson>,
}

/// A task that a request names.
struct Named {
    pointer: String,
    batch: StoredBatch,
    device: DeviceName,
}

/// Reads the `task_ids` of a request: 1 to 10, each once. Returns those whose batches are there, and the faults of the
/// others.
async fn named<P, B>(platform: &P, request: &mut Request<B>) -> Result<(Vec<Named>, Faults), Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let (ids, reading) = document.read(|fields, faults| fields.texts("task_ids", faults));
    let ids = ids.unwrap_or_default();
    let (mut rules, max) = (Faults::new(), limits::TASKS_PER_REQUEST_MAX);
    if ids.is_empty() {
        rules.add("/task_ids", &ValueError::Missing);
    }
    if ids.len() > max {
        rules.add("/task_ids", &ValueError::TooMany { count: ids.len(), max });
    }
    let mut named = Vec::new();
    for (index, id) in ids.iter().take(max).enumerate() {
        let pointer = format!("/task_ids/{index}");
        if ids[..index].contains(id) {
            rules.add(&pointer, &ValueError::Duplicate { item: (*id).to_owned() });
            continue;
        }
        let parts = id.split_once('.').and_then(|(batch, device)| {
            Some((batch.parse::<BatchId>().ok()?, DeviceName::new(device).ok()?))
        });
        let found = match parts {
            Some((batch, device)) => batches::get(platform.kv(), batch).await?.zip(Some(device)),
            None => None,
        };
        match found.filter(|(stored, _)| request.may_touch(&stored.batch.product_key)) {
            Some((batch, device)) => named.push(Named { pointer, batch, device }),
            None => rules.add(&pointer, &TaskError::Unknown),
        }
    }
    json::join(reading, Ok(()))?;
    request.about.names(named.iter().map(|task| task_id(task.batch.batch.id, &task.device)));
    Ok((named, rules))
}

/// Answers with the tasks as they are now.
async fn answer<P: Platform>(platform: &P, named: &[Named]) -> Result<Response, Problem> {
    let mut told = TasksJson { tasks: Vec::with_capacity(named.len()) };
    for task in named {
        let batch = &task.batch.batch;
        let found = batches::task_of(platform.kv(), batch, &task.device, platform.now()).await?;
        told.tasks.extend(found.map(|(listed, _)| TaskJson::listed(batch, &listed)));
    }
    Ok(respond::json(StatusCode::OK, &told))
}

/// `POST /v1/tasks/confirm`: an app's consent to tasks that wait for it. All or none of them are confirmed.
pub(crate) async fn confirm<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let (named, mut faults) = named(platform, request).await?;
    let (kv, now) = (platform.kv(), platform.now());
    for task in &named {
        let batch = &task.batch.batch;
        let found = batches::task_of(kv, batch, &task.device, now).await?;
        // What is canceled is not confirmed, although the dispatcher may not have come by yet (R152).
        let status = found.map(|(listed, _)| match listed.task.status {
            TaskStatus::Unconfirmed if batch.cancels(&listed.task) => TaskStatus::Canceled,
            status => status,
        });
        match status {
            None => faults.add(&task.pointer, &TaskError::Unknown),
            Some(TaskStatus::Unconfirmed) if !batch.policy.window.is_open(now) => {
                faults.add(&task.pointer, &TaskError::OutsideSchedule);
            }
            Some(TaskStatus::Unconfirmed) => {}
            Some(status) => faults.add(&task.pointer, &TaskError::NotUnconfirmed { status }),
        }
    }
    faults.into_result()?;
    for task in &named {
        let batch = &task.batch.batch;
        let device = batches::device_ref(batch, &task.device);
        devices::update(kv, &device, now, |found, _| {
            (found.apply(batch.id, &TaskEvent::Confirmed, &batch.policy, now), ())
        })
        .await?;
        nudge::device(platform, &device);
    }
    answer(platform, &named).await
}

/// `POST /v1/tasks/reupgrade`: queues failed and canceled tasks again. All or none of them are.
pub(crate) async fn reupgrade<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let (named, mut faults) = named(platform, request).await?;
    let (kv, now) = (platform.kv(), platform.now());
    // First they are all looked at, then all queued.
    for dry in [true, false] {
        for task in &named {
            let batch = &task.batch.batch;
            let package =
                packages::get(kv, batch.package_id).await?.map(|stored| stored.package.verification);
            if !package.is_some_and(|status| status.allows_upgrade()) {
                let status = package.map_or("gone", |status| status.as_str()).to_owned();
                faults.add(&task.pointer, &TaskError::PackageNotVerified { status });
                continue;
            }
            if batch.policy.window.is_over(now) {
                faults.add(&task.pointer, &TaskError::OutsideSchedule);
                continue;
            }
            let refused = match batches::reupgrade(kv, batch, &task.device, dry, now).await? {
                Reupgrade::Queued => continue,
                Reupgrade::Unknown => TaskError::Unknown,
                Reupgrade::NotEnded(status) => TaskError::NotEnded { status },
                Reupgrade::Busy(batch_id) => TaskError::DeviceBusy { batch_id },
                Reupgrade::TooManyOpen => {
                    return Err(Problem::new("batch.too-many", "too many batches have not ended"));
                }
            };
            faults.add(&task.pointer, &refused);
        }
        std::mem::take(&mut faults).into_result()?;
    }
    for task in &named {
        nudge::batch(platform, task.batch.batch.id);
    }
    answer(platform, &named).await
}
