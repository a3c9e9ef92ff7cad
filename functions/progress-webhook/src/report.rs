//! What devices report, and what becomes of their task by it.
//!
//! A report is one read of the device's shard, and one swap if it changes anything. When it ends the task, the batch's
//! history is written as well; should that fail, the ended task lies in the shard until the dispatcher comes by.

use ota_core::device::{Device, VersionChange};
use ota_core::dispatch::push_is_due;
use ota_core::ids::{DeviceRef, ModuleName, Version};
use ota_core::task::{Task, TaskEvent};
use ota_http::Problem;
use ota_platform::{Platform, nudge};
use ota_store::shard::Brief;
use ota_store::{batches, devices};

/// What a report came to.
#[derive(Default)]
struct Outcome {
    /// The task it ended, with the brief of its batch.
    ended: Option<(Brief, Task)>,
    /// Whether a push has become due by it.
    push_due: bool,
}

/// The events that a report makes for a device's task, in order: that it has connected, and what it says of the task.
type Events = [Option<TaskEvent>; 2];

/// Changes a device by a report: `change` notes what it says and returns whether anything changed, and the events for
/// the device's task.
async fn update<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    mut change: impl FnMut(&mut Device, Option<&Brief>) -> (bool, Events),
) -> Result<(), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let updated = devices::update(kv, device, now, |found, brief| {
        let brief = brief.cloned();
        let (mut changed, events) = change(found, brief.as_ref());
        let mut outcome = Outcome::default();
        if let Some(brief) = brief {
            for event in events.iter().flatten() {
                changed |= found.apply(brief.batch_id, event, &brief.policy, now);
            }
            if changed && found.task.is_none() {
                outcome.ended = found.ended.last().cloned().map(|task| (brief, task));
            }
        }
        outcome.push_due = changed && found.task.as_ref().is_some_and(|task| push_is_due(found, task, now));
        (changed, outcome)
    });
    let Some(outcome) = updated.await? else {
        platform.log(&format!("dropped a report of {device}: there is no such device"));
        return Ok(());
    };
    if let Some((brief, task)) = outcome.ended {
        let ended = [(device.device_name.clone(), task)];
        batches::record(kv, brief.batch_id, brief.page, &ended, now).await?;
    }
    if outcome.push_due {
        nudge::device(platform, device);
    }
    Ok(())
}

/// A device tells the version of one module: the decisive sign of success (R115).
pub(crate) async fn version<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    module: &ModuleName,
    version: &Version,
) -> Result<(), Problem> {
    let now = platform.now();
    update(platform, device, |found, brief| {
        let connected = found.spoke(now);
        let news = found.report_version(module, version, now) == VersionChange::Changed;
        let event = brief.filter(|brief| brief.module == *module);
        let event = event.map(|_| TaskEvent::VersionReported { version: version.clone() });
        (connected || news, [connected.then_some(TaskEvent::Reconnected), event])
    })
    .await
}

/// A device tells how far it is, or that it failed.
pub(crate) async fn progress<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    module: &ModuleName,
    event: &TaskEvent,
) -> Result<(), Problem> {
    let now = platform.now();
    update(platform, device, |found, brief| {
        let connected = found.spoke(now);
        let event = brief.filter(|brief| brief.module == *module).map(|_| event.clone());
        (connected, [connected.then_some(TaskEvent::Reconnected), event])
    })
    .await
}

/// A device connected.
pub(crate) async fn online<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    session: &str,
) -> Result<(), Problem> {
    let now = platform.now();
    update(platform, device, |found, _| {
        let news = found.came_online(session, now);
        (news, [news.then_some(TaskEvent::Reconnected), None])
    })
    .await
}

/// A device's connection ended.
pub(crate) async fn offline<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    session: &str,
) -> Result<(), Problem> {
    update(platform, device, |found, _| (found.went_offline(session), [None, None])).await
}
