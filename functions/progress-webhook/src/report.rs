//! What devices report, and what becomes of their task by it.
//!
//! A report is one read of the device's shard, and one swap if it changes anything. When it ends the task, the batch's
//! history is written as well; should that fail, the ended task lies in the shard until the dispatcher comes by.

use std::collections::BTreeMap;

use ota_core::batch::{Admission, newest_joining};
use ota_core::device::{Device, VersionChange};
use ota_core::dispatch::push_is_due;
use ota_core::event::Event;
use ota_core::ids::{BatchId, DeviceRef, ModuleName, Version};
use ota_core::limits;
use ota_core::task::{Reason, Task, TaskEvent};
use ota_core::time::Timestamp;
use ota_http::Problem;
use ota_platform::line::Line;
use ota_platform::{Platform, nudge};
use ota_store::devices::Beside;
use ota_store::{batches, devices};

/// Dynamic batches that one report looks at before it gives up joining one: those whose strategy was canceled a moment
/// ago, and whose brief the dispatcher has not closed yet.
const JOINS_LOOKED_AT_MAX: usize = 8;

/// What a report came to.
#[derive(Default)]
struct Outcome {
    /// Whether it changed anything.
    changed: bool,
    /// The dynamic batch it made the device join.
    joined: Option<BatchId>,
    /// The tasks it ended, each with its batch's page.
    ended: Vec<(u32, Task)>,
    /// Whether the dispatcher has something to do about it: a push, or something to tell.
    dispatch: bool,
    /// A dynamic batch that the device would join; whether it still takes devices has to be looked up first.
    joins: Option<BatchId>,
}

/// What a report says of the device's tasks.
struct Says<'a> {
    /// Whether it showed that the device has connected.
    connected: bool,
    /// The module it is about.
    module: &'a ModuleName,
    /// What it says of that module's task.
    event: Option<TaskEvent>,
}

/// Applies what a report says to the device's tasks; returns whether anything changed.
fn apply(device: &mut Device, beside: &Beside<'_>, says: &Says<'_>, now: Timestamp) -> bool {
    let mut changed = false;
    let batches: Vec<BatchId> = device.tasks.iter().map(|task| task.batch_id).collect();
    for brief in batches.into_iter().filter_map(|id| beside.brief(id)) {
        if says.connected {
            changed |= device.apply(brief.batch_id, &TaskEvent::Reconnected, &brief.policy, now);
        }
        if let Some(event) = says.event.as_ref().filter(|_| brief.module == *says.module) {
            changed |= device.apply(brief.batch_id, event, &brief.policy, now);
        }
    }
    changed
}

/// Sums up what a report did to a device that had `ended_before` unrecorded ends and a shard with nothing to tell or not.
fn outcome(
    device: &Device,
    beside: &Beside<'_>,
    ended_before: usize,
    had_news: bool,
    now: Timestamp,
) -> Outcome {
    let fresh = device.ended.get(ended_before..).unwrap_or_default();
    let ended = fresh.iter().filter_map(|task| Some((beside.brief(task.batch_id)?.page, task.clone())));
    let due = device.tasks.iter().any(|task| {
        beside.brief(task.batch_id).is_some_and(|brief| push_is_due(device, task, &brief.policy, now))
    });
    let news = !had_news && !beside.outbox.is_empty();
    Outcome { ended: ended.collect(), dispatch: due || news, ..Outcome::default() }
}

/// Changes a device by a report; `change` notes what it says, and returns whether anything changed and what it says of the
/// device's tasks.
async fn update<'a, P: Platform>(
    platform: &P,
    device: &DeviceRef,
    line: Line,
    mut change: impl FnMut(&mut Device) -> (bool, Says<'a>),
) -> Result<(), Problem> {
    let now = platform.now();
    let updated = devices::update(platform.kv(), device, now, |found, beside| {
        let (ended_before, had_news) = (found.ended.len(), !beside.outbox.is_empty());
        let (mut changed, says) = change(found);
        changed |= apply(found, beside, &says, now);
        let mut outcome = outcome(found, beside, ended_before, had_news, now);
        outcome.dispatch &= changed;
        // That devices come and go is not worth a line each time.
        outcome.changed = changed && says.event.is_some();
        (changed, outcome)
    });
    follow_up(platform, device, line, updated.await?, now).await
}

/// Writes the history of the tasks that a report ended, and tells the dispatcher what it has to do, and the log what came of
/// it. Most reports change nothing; the log is not told of those.
async fn follow_up<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    line: Line,
    outcome: Option<Outcome>,
    now: Timestamp,
) -> Result<(), Problem> {
    let Some(outcome) = outcome else {
        line.with("outcome", "dropped").with("error", "there is no such device").write(platform);
        return Ok(());
    };
    log(platform, &line, &outcome);
    for (page, task) in outcome.ended {
        let batch_id = task.batch_id;
        let ended = [(device.device_name.clone(), task)];
        batches::record(platform.kv(), batch_id, page, &ended, now).await?;
    }
    if outcome.dispatch {
        nudge::device(platform, device);
    }
    Ok(())
}

/// Writes a line for each task that a report ended, or one for a report that did something else.
fn log<P: Platform>(platform: &P, line: &Line, outcome: &Outcome) {
    for (_, task) in &outcome.ended {
        let code = task.reason.as_ref().map(Reason::code);
        let line = line.clone().with("batch", task.batch_id).with("outcome", task.status.as_str());
        line.with_some("code", code).write(platform);
    }
    if let Some(batch) = outcome.joined {
        line.clone().with("batch", batch).with("outcome", "joined").write(platform);
    } else if outcome.changed && outcome.ended.is_empty() {
        line.clone().with("outcome", "noted").write(platform);
    }
}

/// A device tells the version of one module: the decisive sign of success (R115). Another version than before may also
/// make it join a dynamic batch (R106, R107).
pub(crate) async fn version<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    module: &ModuleName,
    version: &Version,
) -> Result<(), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let event = TaskEvent::VersionReported { version: version.clone() };
    let line = Line::about("OTAVersionReport", device).with("module", module).with("version", version);
    // Whether the dynamic batches that the device might join still take devices.
    let mut taking: BTreeMap<BatchId, bool> = BTreeMap::new();
    loop {
        let may_look = taking.len() < JOINS_LOOKED_AT_MAX;
        let updated = devices::update(kv, device, now, |found, beside| {
            let (ended_before, had_news) = (found.ended.len(), !beside.outbox.is_empty());
            let connected = found.spoke(now);
            let news = found.report_version(module, version, now) == VersionChange::Changed;
            let says = Says { connected, module, event: Some(event.clone()) };
            let applied = apply(found, beside, &says, now);
            if !(connected || news || applied) {
                return (false, Outcome::default());
            }
            let mut joined = None;
            if news {
                // A dispatcher that never comes must not let the shard grow without end.
                if beside.outbox.len() >= limits::OUTBOX_EVENTS_MAX {
                    beside.outbox.remove(0);
                }
                beside.outbox.push(Event::version_changed(device, module, version, now));
                let open = beside.briefs.iter().filter(|brief| {
                    brief.module == *module && taking.get(&brief.batch_id).copied().unwrap_or(may_look)
                });
                if let Some(brief) = newest_joining(open, found) {
                    if !taking.contains_key(&brief.batch_id) {
                        return (false, Outcome { joins: Some(brief.batch_id), ..Outcome::default() });
                    }
                    let admission = brief.admit(found, beside.briefs, now);
                    joined = (admission == Admission::Queued).then_some(brief.batch_id);
                    found.joined.retain(|(id, _)| beside.brief(*id).is_some());
                }
            }
            let outcome = outcome(found, beside, ended_before, had_news, now);
            (true, Outcome { changed: true, joined, ..outcome })
        });
        let updated = updated.await?;
        let Some(id) = updated.as_ref().and_then(|outcome| outcome.joins) else {
            return follow_up(platform, device, line, updated, now).await;
        };
        let takes = batches::get(kv, id).await?.is_some_and(|stored| stored.batch.takes_devices());
        taking.insert(id, takes);
    }
}

/// A device tells how far it is, or that it failed.
pub(crate) async fn progress<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    module: &ModuleName,
    event: &TaskEvent,
) -> Result<(), Problem> {
    let now = platform.now();
    let line = Line::about("OTAProgressReport", device).with("module", module);
    let line = match event {
        TaskEvent::ProgressReported { percent, .. } => line.with("percent", percent),
        TaskEvent::FailureReported { failure, .. } => line.with("failure", failure.as_str()),
        _ => line,
    };
    update(platform, device, line, |found| {
        let connected = found.spoke(now);
        (connected, Says { connected, module, event: Some(event.clone()) })
    })
    .await
}

/// A device connected.
pub(crate) async fn online<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    session: &str,
) -> Result<(), Problem> {
    let (now, whole) = (platform.now(), ModuleName::default_module());
    let line = Line::about("DeviceOnline", device);
    update(platform, device, line, |found| {
        let connected = found.came_online(session, now);
        (connected, Says { connected, module: &whole, event: None })
    })
    .await
}

/// A device's connection ended.
pub(crate) async fn offline<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    session: &str,
) -> Result<(), Problem> {
    let whole = ModuleName::default_module();
    let line = Line::about("DeviceOffline", device);
    update(platform, device, line, |found| {
        (found.went_offline(session), Says { connected: false, module: &whole, event: None })
    })
    .await
}
