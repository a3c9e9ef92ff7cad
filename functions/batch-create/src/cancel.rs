//! Canceling: tasks of a batch by their status, the strategy of a dynamic batch, tasks by device.

use bytes::Bytes;
use http::StatusCode;
use ota_core::batch::{Batch, BatchError, BatchEvent, CancelOptions};
use ota_core::error::{Faults, ValueError};
use ota_core::ids::{BatchId, DeviceName, DeviceRef, PackageId};
use ota_core::limits;
use ota_core::task::TaskEvent;
use ota_core::time::Timestamp;
use ota_http::{Problem, Request, Response, json, respond};
use ota_platform::{Platform, nudge};
use ota_store::kv::Kv;
use ota_store::{batches, devices, lanes, packages};
use serde::Serialize;

use crate::query;

/// What a cancel asks for.
#[derive(Clone, Copy)]
struct Wish {
    tasks: CancelOptions,
    strategy: bool,
}

impl Wish {
    /// What is meant when nothing is said: the scheduled tasks of a static batch (R143), the strategy of a dynamic one (R145).
    fn unsaid(batch: &Batch) -> Self {
        if batch.mode.is_dynamic() {
            Self { tasks: CancelOptions::default(), strategy: true }
        } else {
            Self { tasks: CancelOptions::SCHEDULED, strategy: false }
        }
    }
}

/// `POST /v1/batches/{batch_id}/cancel`: notes which tasks to end; the dispatcher ends them shard by shard, at once for
/// a small fleet. Devices are not told, because their protocol has no word for it.
///
/// Without a body it means what the vendor's console means by default: see [`Wish::unsaid`].
pub(crate) async fn batch<P, B>(
    platform: &P,
    request: &mut Request<B>,
    id: BatchId,
) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let is_said = !document.bytes().is_empty();
    let (wish, reading) = document.read(|fields, faults| Wish {
        tasks: CancelOptions {
            scheduled: fields.flag("scheduled", faults).unwrap_or(false),
            queued: fields.flag("queued", faults).unwrap_or(false),
            notified: fields.flag("notified", faults).unwrap_or(false),
            in_progress: fields.flag("in_progress", faults).unwrap_or(false),
            unconfirmed: fields.flag("unconfirmed", faults),
        },
        strategy: fields.flag("strategy", faults).unwrap_or(false),
    });
    json::join(reading, Ok(()))?;
    let said = is_said.then_some(wish);
    if said.is_some_and(|wish| wish.tasks.is_empty() && !wish.strategy) {
        return Err(Problem::of(&BatchError::CancelNothing));
    }
    let (kv, now) = (platform.kv(), platform.now());
    let canceled = batches::change(kv, id, now, |stored| {
        if !request.may_touch(&stored.batch.product_key) {
            return (false, None);
        }
        let wish = said.unwrap_or_else(|| Wish::unsaid(&stored.batch));
        if stored.drained {
            return (false, Some(Err(BatchError::Ended { status: stored.batch.status.as_str() })));
        }
        match apply(&mut stored.batch, wish, platform.now()) {
            Ok(changed) => (changed, Some(Ok((stored.clone(), wish.tasks)))),
            Err(refused) => (false, Some(Err(refused))),
        }
    });
    match canceled.await?.flatten().ok_or_else(|| Problem::not_found("batch"))? {
        Ok((mut stored, tasks)) => {
            if !tasks.is_empty() {
                choose_again(platform, id, tasks).await?;
            }
            batches::fetch_names(kv, &mut stored).await?;
            if stored.batch.strategy_canceled_at.is_some() {
                lanes::release(kv, &stored.batch.product_key, id, now).await?;
            }
            nudge::batch(platform, id);
            query::answer(platform, StatusCode::ACCEPTED, &stored).await
        }
        Err(refused) => Err(Problem::of(&refused)),
    }
}

/// Notes the choice once more, as made now. Whoever was giving the batch's devices their tasks while it was noted first has begun
/// before: these tasks may be younger than the first choice, and are older than this one. Nobody begins to after the first.
async fn choose_again<P: Platform>(platform: &P, id: BatchId, tasks: CancelOptions) -> Result<(), Problem> {
    batches::change(platform.kv(), id, platform.now(), |stored| {
        (!stored.drained && choose(&mut stored.batch, tasks, platform.now()), ())
    })
    .await?;
    Ok(())
}

/// Notes which tasks to end, as chosen at `now`; returns whether there are any to choose from.
fn choose(batch: &mut Batch, tasks: CancelOptions, now: Timestamp) -> bool {
    // Once the schedule has begun there are no scheduled tasks left, which is as good as having canceled them.
    let scheduled = tasks.scheduled && batch.policy.window.is_ahead(now);
    let tasks = CancelOptions { scheduled, ..tasks };
    if !tasks.is_empty() {
        batch.cancel = Some(batch.cancel.unwrap_or_default().with(tasks, now));
    }
    !tasks.is_empty()
}

/// Notes a cancel with a batch; returns whether that changed anything.
fn apply(batch: &mut Batch, wish: Wish, now: Timestamp) -> Result<bool, BatchError> {
    if wish.tasks.scheduled && batch.policy.window.opens_at.is_none() {
        return Err(BatchError::NoSchedule);
    }
    if wish.strategy && !batch.mode.is_dynamic() {
        return Err(BatchError::NotDynamic);
    }
    if wish.strategy && batch.strategy_canceled_at.is_some() {
        return Err(BatchError::StrategyCanceled);
    }
    if !batch.mode.is_dynamic() && batch.status.is_terminal() {
        return Err(BatchError::Ended { status: batch.status.as_str() });
    }
    let chosen = choose(batch, wish.tasks, now);
    if wish.strategy {
        batch.strategy_canceled_at = Some(now);
        batch.status = batch.status.after(BatchEvent::StrategyCanceled);
        batch.ended_at = Some(now);
    }
    Ok(chosen || wish.strategy)
}

#[derive(Serialize)]
struct CanceledJson {
    canceled: u32,
}

/// `POST /v1/tasks/cancel`: ends the active tasks that named devices have of a package, of all its batches or of one
/// (R153).
pub(crate) async fn by_device<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let ((package, names, batch), reading) = document.read(|fields, faults| {
        (fields.text("package_id", faults), fields.texts("devices", faults), fields.text("batch_id", faults))
    });
    let mut rules = Faults::new();
    let package = package.ok_or(ValueError::Missing).and_then(str::parse::<PackageId>);
    let package = rules.take("/package_id", package);
    let batch = batch.map(|text| rules.take("/batch_id", text.parse::<BatchId>()));
    let names = device_names(&names.unwrap_or_default(), &mut rules);
    json::join(reading, rules.into_result())?;
    let (Some(package), Some(only)) = (package, batch.map_or(Some(None), |batch| batch.map(Some))) else {
        return Err(Problem::not_found("package"));
    };
    let (kv, now) = (platform.kv(), platform.now());
    let found = packages::get(kv, package).await?.map(|stored| stored.package.product_key);
    let found = found.filter(|product_key| request.may_touch(product_key));
    let product_key = found.ok_or_else(|| Problem::not_found("package"))?;
    let refs =
        names.into_iter().map(|device_name| DeviceRef { product_key: product_key.clone(), device_name });
    let refs: Vec<DeviceRef> = refs.collect();
    request.about.names(refs.iter().map(|device| &device.device_name));
    check_known(kv, &refs, now).await?;
    let mut answer = CanceledJson { canceled: 0 };
    for device in refs {
        let canceled = devices::update(kv, &device, now, |found, beside| {
            let wanted = |id: &BatchId| only.is_none_or(|only| only == *id);
            let ids: Vec<BatchId> = found.tasks.iter().map(|task| task.batch_id).filter(wanted).collect();
            let briefs = ids.into_iter().filter_map(|id| beside.brief(id));
            let mut canceled = 0;
            for brief in briefs.filter(|brief| brief.package_id == package) {
                let event = &TaskEvent::CanceledByUser;
                canceled += u32::from(found.apply(brief.batch_id, event, &brief.policy, now));
            }
            (canceled > 0, canceled)
        });
        // A device that was deleted a moment ago has no task any more.
        let canceled = canceled.await?.unwrap_or(0);
        answer.canceled += canceled;
        if canceled > 0 {
            batches::record_shard_of(kv, &device, now).await?;
        }
    }
    Ok(respond::json(StatusCode::OK, &answer))
}

/// Refuses devices that the product does not have, before the first task is canceled: a request that is refused cancels
/// nothing.
async fn check_known(kv: &impl Kv, refs: &[DeviceRef], now: Timestamp) -> Result<(), Problem> {
    let mut names = Vec::new();
    for device in refs {
        if devices::find(kv, device, now).await?.is_none() {
            names.push(device.device_name.to_string());
        }
    }
    let mut faults = Faults::new();
    if !names.is_empty() {
        faults.add("/devices", &BatchError::UnknownDevices { names });
    }
    faults.into_result()?;
    Ok(())
}

/// Checks device names: 1 to 200, each once.
fn device_names(names: &[&str], faults: &mut Faults) -> Vec<DeviceName> {
    let max = limits::CANCEL_DEVICES_MAX;
    if names.is_empty() {
        faults.add("/devices", &ValueError::Missing);
    }
    if names.len() > max {
        faults.add("/devices", &ValueError::TooMany { count: names.len(), max });
        return Vec::new();
    }
    let mut checked: Vec<DeviceName> = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let pointer = format!("/devices/{index}");
        match faults.take(&pointer, DeviceName::new(name)) {
            Some(name) if checked.contains(&name) => {
                faults.add(&pointer, &ValueError::Duplicate { item: name.to_string() });
            }
            Some(name) => checked.push(name),
            None => {}
        }
    }
    checked
}
