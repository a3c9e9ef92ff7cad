//! Pushing upgrades: take tokens, note the push with the task, publish, note that it went out.
//!
//! Each step is stored before the next begins. A process that dies in between leaves tokens unused, or a push that is
//! noted and not sent, which a later tick finds by its age and makes again. Publishing twice does no harm.

use ota_core::batch::{Batch, Brief};
use ota_core::device::Device;
use ota_core::device::push::Topics;
use ota_core::dispatch::push_is_due;
use ota_core::ids::{BatchId, DeviceRef};
use ota_core::limits;
use ota_core::task::TaskEvent;
use ota_core::time::Timestamp;
use ota_http::{Problem, signing};
use ota_platform::line::Line;
use ota_platform::notice::Notice;
use ota_platform::{Broker, Message, Platform};
use ota_store::{batches, devices, packages};

use crate::finish;
use crate::handle::Report;
use crate::walk::change_tasks;

/// How late after its grant a push may set out, once there is a connection to the broker. The rest of [`limits::PUSH_GRANT_MS`] is
/// for its way.
const SET_OUT_WITHIN_MS: u64 = limits::PUSH_GRANT_MS / 2;

/// Takes up to `wanted` tokens of the batch's rate (R93).
async fn tokens<P: Platform>(
    platform: &P,
    batch: &Batch,
    wanted: usize,
    now: Timestamp,
) -> Result<u32, Problem> {
    let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
    let granted = batches::change(platform.kv(), batch.id, now, |stored| {
        let granted = stored.rate.grant(wanted, stored.batch.push_per_minute_max, now);
        (granted > 0, granted)
    });
    Ok(granted.await?.unwrap_or(0))
}

/// Pushes to the devices of one shard that are due, as far as tokens go. Returns whether there were enough of these.
pub(crate) async fn shard<P: Platform>(
    platform: &P,
    batch: &Batch,
    shard: u32,
    wanted: usize,
    report: &mut Report,
) -> Result<bool, Problem> {
    let now = platform.now();
    let granted = tokens(platform, batch, wanted, now).await?;
    if granted == 0 {
        return Ok(false);
    }
    let chosen = change_tasks(platform, batch, shard, now, |plan, device| {
        let granted = plan.push.iter().take(granted as usize);
        granted.into_iter().any(|name| *name == device.name).then_some(TaskEvent::PushDecided)
    });
    let chosen = chosen.await?;
    let sent = publish(platform, batch, &chosen, now).await?;
    report.pushed += sent.len() as u32;
    if !sent.is_empty() {
        let done = change_tasks(platform, batch, shard, platform.now(), |_, device| {
            sent.contains(&device.name).then_some(TaskEvent::PushSent)
        });
        done.await?;
    }
    Ok(granted as usize >= wanted)
}

/// Pushes to one device, found in its shard with these briefs, what is due to it.
pub(crate) async fn one<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    found: &Device,
    briefs: &[Brief],
    report: &mut Report,
) -> Result<(), Problem> {
    let now = platform.now();
    for task in &found.tasks {
        let brief = briefs.iter().find(|brief| brief.batch_id == task.batch_id);
        if brief.is_some_and(|brief| push_is_due(found, task, &brief.policy, now)) {
            task_of(platform, device, found, task.batch_id, report).await?;
        }
    }
    Ok(())
}

/// Pushes one task of a device.
async fn task_of<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    found: &Device,
    batch_id: BatchId,
    report: &mut Report,
) -> Result<(), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let Some(stored) = batches::get(kv, batch_id).await? else { return Ok(()) };
    let batch = &stored.batch;
    // What the walk would end rather than push is left to the walk.
    let plan = ota_core::dispatch::plan(batch, std::iter::once(found), now);
    if plan.push.is_empty() || tokens(platform, batch, 1, now).await? == 0 {
        return Ok(());
    }
    let chosen = devices::update(kv, device, now, |found, _| {
        let task = found.task_of(batch.id);
        let due = task.is_some_and(|task| push_is_due(found, task, &batch.policy, now));
        let decided = due && found.apply(batch.id, &TaskEvent::PushDecided, &batch.policy, now);
        (decided, decided.then(|| found.clone()))
    });
    let Some(chosen) = chosen.await?.flatten() else { return Ok(()) };
    let sent = publish(platform, batch, std::slice::from_ref(&chosen), now).await?;
    report.pushed += sent.len() as u32;
    if !sent.is_empty() {
        devices::update(kv, device, platform.now(), |found, _| {
            (found.apply(batch.id, &TaskEvent::PushSent, &batch.policy, platform.now()), ())
        })
        .await?;
    }
    Ok(())
}

/// Publishes the upgrade to devices, and returns those the broker has taken it for. A push whose grant is too old is not
/// published any more, so that the rate holds however slow this process was.
async fn publish<P: Platform>(
    platform: &P,
    batch: &Batch,
    chosen: &[Device],
    granted_at: Timestamp,
) -> Result<Vec<ota_core::ids::DeviceName>, Problem> {
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let Some(stored) = packages::get(platform.kv(), batch.package_id).await? else {
        finish::without_package(platform, batch).await?;
        return Ok(Vec::new());
    };
    let secret = platform.variable("secrets_key").await;
    let signature =
        signing::digest_signature(platform.kv(), &stored.package, secret, platform.random()).await?;
    let notice = ota_http::variable(Notice::make(platform, batch, &stored.package, signature).await)?;
    let broker = ota_http::variable(Broker::from_variables(platform).await)?;
    let (now, until) = (platform.now(), granted_at.plus_ms(SET_OUT_WITHIN_MS));
    if now > until {
        // The rate is worth more than the push, which a later tick makes.
        chosen.iter().for_each(|device| log(platform, batch, device, "too-late"));
        return Ok(Vec::new());
    }
    let messages: Vec<Message> = chosen
        .iter()
        .enumerate()
        .map(|(index, device)| Message {
            topic: Topics::upgrade(&batches::device_ref(batch, &device.name)),
            payload: notice.push(now.0 + index as u64).into_bytes(),
            until: Some(until),
        })
        .collect();
    let taken = match platform.publish(&broker, &messages).await {
        Ok(taken) => taken,
        Err(error) => {
            // The pushes stay noted as not sent, and a later tick makes them.
            Line::of("Publish").with("batch", batch.id).with("error", error).write(platform);
            0
        }
    };
    for (index, device) in chosen.iter().enumerate() {
        log(platform, batch, device, if index < taken { "sent" } else { "not-taken" });
    }
    Ok(chosen.iter().take(taken).map(|device| device.name.clone()).collect())
}

/// Tells the log of a push to one device, and why it was due now.
fn log<P: Platform>(platform: &P, batch: &Batch, device: &Device, outcome: &str) {
    let line =
        Line::of("OTAFirmwarePush").with("cause", cause(batch, device)).with("product", &batch.product_key);
    line.with("device", &device.name).with("batch", batch.id).with("outcome", outcome).write(platform);
}

/// Why a push is due: the device has connected since the task was made, or an app has consented, or neither was needed; or
/// it is a further attempt.
fn cause(batch: &Batch, device: &Device) -> &'static str {
    let Some(task) = device.task_of(batch.id) else { return "at-start" };
    if task.retries_used > 0 {
        "retry"
    } else if device.session.as_ref().is_some_and(|session| session.since > task.created_at) {
        "at-online"
    } else if batch.policy.needs_confirmation {
        "at-confirmation"
    } else {
        "at-start"
    }
}
