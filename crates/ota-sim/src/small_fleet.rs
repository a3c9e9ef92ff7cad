//! The rules of tasks and pushes for a fleet of one or two devices and one or two batches: everything that can happen, in
//! every order, within a few moments. The rules are the core's own; nothing of them is written again here.

use ota_core::batch::{
    Batch, BatchKind, BatchStatus, Brief, CancelOptions, DownloadProtocol, RateWindow, TargetSelection,
    UpgradeMode, admit,
};
use ota_core::device::message::DeviceFailure;
use ota_core::device::{Device, DeviceSecret};
use ota_core::dispatch::plan;
use ota_core::ids::{BatchId, DeviceName, ModuleName, PackageId, ProductKey, Version};
use ota_core::limits;
use ota_core::package::PackageKind;
use ota_core::task::{Reason, Retry, Task, TaskEvent, TaskPolicy, TaskStatus, Wait};
use ota_core::time::Timestamp;

use crate::explore::Model;

/// When everything begins.
const START: Timestamp = Timestamp(1_000_000);
/// The pauses that time passes in: as long as a granted push may take, and as long as the rate's minute.
const PAUSES_MS: [u64; 2] = [limits::PUSH_GRANT_MS, limits::RATE_WINDOW_MS];
/// Versions that devices tell: the first one, and what the batches lead to.
const VERSIONS: [&str; 3] = ["1.0", "2.0", "3.0"];

/// What a small fleet is made of.
#[derive(Clone, Debug)]
pub struct SmallFleet {
    /// How many devices there are.
    pub devices: usize,
    /// How many batches there are; the second leads further than the first, and overwrites.
    pub batches: usize,
    /// How often time passes.
    pub pauses: u8,
    /// The retries of every batch.
    pub retry: Option<Retry>,
    /// The timeout of every batch.
    pub timeout_minutes: Option<u16>,
    /// Whether tasks need consent.
    pub needs_confirmation: bool,
    /// Whether operators cancel and try again.
    pub has_operator: bool,
}

/// A push that was granted and not published yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Granted {
    batch: usize,
    device: usize,
    at: Timestamp,
}

/// A state of the fleet.
#[derive(Clone, Debug)]
pub struct State {
    now: Timestamp,
    pauses: u8,
    batches: Vec<Batch>,
    windows: Vec<RateWindow>,
    devices: Vec<Device>,
    /// Which batches have reached which devices.
    reached: Vec<Vec<bool>>,
    /// How the tasks of each batch ended, by device.
    ends: Vec<Vec<Option<Task>>>,
    /// Which tasks were tried again.
    again: Vec<Vec<bool>>,
    granted: Vec<Granted>,
    published: Vec<Vec<Timestamp>>,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A batch reaches a device.
    Reach(usize, usize),
    /// A device connects.
    Connect(usize),
    /// A device loses its connection.
    Disconnect(usize),
    /// A device tells a version.
    Report(usize, usize),
    /// A device tells progress.
    Progress(usize),
    /// A device tells that it failed.
    Fail(usize),
    /// A device asks for its upgrade.
    Ask(usize),
    /// The dispatcher looks after a batch.
    Tick(usize),
    /// A push goes out and is noted.
    Publish(usize),
    /// A push goes out, and whoever sent it dies before it is noted.
    PublishAndDie(usize),
    /// Whoever holds a granted push dies.
    Die(usize),
    /// An app consents.
    Confirm(usize, usize),
    /// An operator cancels all tasks of a batch.
    Cancel(usize),
    /// An operator wants a task tried again.
    Again(usize, usize),
    /// So many milliseconds pass.
    Pass(u64),
}

fn version(text: &str) -> Version {
    Version::new(text).expect("a version of digits and points")
}

impl SmallFleet {
    fn batch(&self, number: usize) -> Batch {
        let id = u8::try_from(number + 1).expect("a few batches");
        let target = version(VERSIONS[number + 1]);
        Batch {
            id: BatchId([id; 16]),
            kind: BatchKind::Upgrade,
            mode: UpgradeMode::Static,
            target: TargetSelection::All,
            package_id: PackageId([id; 16]),
            product_key: ProductKey::new("a1lamp").expect("a product key"),
            module: ModuleName::default_module(),
            package_kind: PackageKind::Full,
            download: DownloadProtocol::Https,
            source_versions: Vec::new(),
            policy: TaskPolicy {
                retry: self.retry,
                timeout_minutes: self.timeout_minutes,
                needs_confirmation: self.needs_confirmation,
                ..TaskPolicy::new(target)
            },
            // The lowest there can be, so that the first push uses it up.
            push_per_minute_max: 1,
            overwrite: number > 0,
            multi_module: false,
            tags: Vec::new(),
            status: BatchStatus::InProgress,
            cancel: None,
            strategy_canceled_at: None,
            created_at: START.plus_ms(u64::from(id)),
            started_at: Some(START),
            ended_at: None,
        }
    }

    /// Applies what a device says to whatever task it is in.
    fn tell(state: &mut State, device: usize, event: &TaskEvent) {
        let now = state.now;
        for batch in &state.batches {
            state.devices[device].apply(batch.id, event, &batch.policy, now);
        }
    }

    /// Writes down the tasks that have ended.
    fn record(state: &mut State) {
        for (at, device) in state.devices.iter_mut().enumerate() {
            for task in std::mem::take(&mut device.ended) {
                let batch = state.batches.iter().position(|batch| batch.id == task.batch_id);
                if let Some(batch) = batch {
                    state.ends[batch][at] = Some(task);
                }
            }
        }
    }

    fn tick(state: &mut State, number: usize) {
        let now = state.now;
        let batch = state.batches[number].clone();
        let mut todo = plan(&batch, state.devices.iter(), now);
        for (name, event) in &todo.end {
            let device = state.devices.iter_mut().find(|device| device.name == *name);
            device.expect("planned for").apply(batch.id, event, &batch.policy, now);
        }
        let wanted = u32::try_from(todo.push.len()).expect("a small fleet");
        todo.limit_pushes(state.windows[number].grant(wanted, batch.push_per_minute_max, now));
        for (at, device) in state.devices.iter_mut().enumerate() {
            if todo.push.contains(&device.name)
                && device.apply(batch.id, &TaskEvent::PushDecided, &batch.policy, now)
            {
                state.granted.push(Granted { batch: number, device: at, at: now });
            }
        }
    }

    fn publish(state: &mut State, at: usize, is_noted: bool) {
        let granted = state.granted.remove(at);
        // What the dispatcher does with a push that has become late: it leaves it to a later tick.
        if state.now.ms_since(granted.at) > limits::PUSH_GRANT_MS {
            return;
        }
        state.published[granted.batch].push(state.now);
        if is_noted {
            let batch = &state.batches[granted.batch];
            let (id, policy, now) = (batch.id, batch.policy.clone(), state.now);
            state.devices[granted.device].apply(id, &TaskEvent::PushSent, &policy, now);
        }
    }
}

impl Model for SmallFleet {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        let device = |number: usize| {
            let name = DeviceName::new(&format!("lamp-{number}")).expect("a device name");
            let mut device = Device::new(name, DeviceSecret::from_random([1; 16]), START);
            device.activated_at = Some(START);
            device.report_version(&ModuleName::default_module(), &version(VERSIONS[0]), START);
            device
        };
        let (devices, batches) = (self.devices, self.batches);
        State {
            now: START.plus_ms(1_000),
            pauses: 0,
            batches: (0..batches).map(|number| self.batch(number)).collect(),
            windows: vec![RateWindow::default(); batches],
            devices: (0..devices).map(device).collect(),
            reached: vec![vec![false; devices]; batches],
            ends: vec![vec![None; devices]; batches],
            again: vec![vec![false; devices]; batches],
            granted: Vec::new(),
            published: vec![Vec::new(); batches],
        }
    }

    fn key(&self, state: &State) -> Vec<u8> {
        let mut key = vec![state.pauses];
        let time = |key: &mut Vec<u8>, at: Option<Timestamp>| {
            // Moments are counted from the beginning, in tenths of a second: nothing here is finer.
            let tenths = at.map_or(0, |at| 1 + at.0.saturating_sub(START.0) / 100);
            key.extend_from_slice(&u16::try_from(tenths).unwrap_or(u16::MAX).to_be_bytes());
        };
        time(&mut key, Some(state.now));
        for (number, batch) in state.batches.iter().enumerate() {
            key.push(u8::from(batch.cancel.is_some()));
            time(&mut key, batch.cancel.and_then(|cancel| cancel.queued));
            for (second, count) in &state.windows[number].grants {
                time(&mut key, Some(Timestamp(second * 1_000)));
                key.push(u8::try_from(*count).unwrap_or(u8::MAX));
            }
            key.push(0xfe);
            for at in &state.published[number] {
                time(&mut key, Some(*at));
            }
            key.push(0xfe);
            for device in 0..state.devices.len() {
                key.push(u8::from(state.reached[number][device]));
                key.push(u8::from(state.again[number][device]));
                match &state.ends[number][device] {
                    None => key.push(0),
                    Some(end) => {
                        key.push(1 + end.status as u8);
                        key.extend(end.reason.as_ref().map_or("", Reason::code).bytes().take(12));
                        time(&mut key, Some(end.updated_at));
                    }
                }
            }
        }
        for granted in &state.granted {
            key.extend([granted.batch as u8, granted.device as u8]);
            time(&mut key, Some(granted.at));
        }
        key.push(0xff);
        for device in &state.devices {
            let known = device.version_of(&ModuleName::default_module());
            let at = VERSIONS.iter().position(|text| known.is_some_and(|known| known.as_str() == *text));
            key.push(at.map_or(u8::MAX, |at| at as u8));
            for known in &device.versions {
                key.extend(known.previous.as_ref().map_or("", Version::as_str).bytes());
                time(&mut key, Some(known.reported_at));
            }
            time(&mut key, device.session.as_ref().map(|session| session.since));
            for task in &device.tasks {
                key.extend([task.batch_id.0[0], task.status as u8, task.percent, task.retries_used]);
                key.extend(task.reason.as_ref().map_or("", Reason::code).bytes().take(12));
                key.push(match task.wait {
                    None => 0,
                    Some(Wait::Retry(_)) => 1,
                    Some(Wait::Settle(_)) => 2,
                });
                time(&mut key, task.wait.map(Wait::until));
                for at in [Some(task.queued_at), Some(task.updated_at), task.notified_at] {
                    time(&mut key, at);
                }
                time(&mut key, task.first_progress_at);
                time(&mut key, task.unsent_since);
                let source = task.source_version.as_ref().map_or("", Version::as_str);
                key.extend(source.bytes());
            }
            key.push(0xff);
        }
        key
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        for batch in 0..state.batches.len() {
            actions.push(Action::Tick(batch));
            for device in 0..state.devices.len() {
                let is_new = !state.reached[batch][device] && state.batches[batch].takes_devices();
                if is_new {
                    actions.push(Action::Reach(batch, device));
                }
                let task = state.devices[device].task_of(state.batches[batch].id);
                if task.is_some_and(|task| task.status == TaskStatus::Unconfirmed) {
                    actions.push(Action::Confirm(batch, device));
                }
                let end = state.ends[batch][device].as_ref().map(|end| end.status);
                let may = matches!(end, Some(TaskStatus::Failed | TaskStatus::Canceled));
                let free = state.devices[device].tasks.is_empty();
                if self.has_operator && may && free && !state.again[batch][device] {
                    actions.push(Action::Again(batch, device));
                }
            }
            if self.has_operator && state.batches[batch].cancel.is_none() {
                actions.push(Action::Cancel(batch));
            }
        }
        for device in 0..state.devices.len() {
            let is_online = state.devices[device].session.is_some();
            actions.push(if is_online { Action::Disconnect(device) } else { Action::Connect(device) });
            if is_online {
                let most = self.batches + 1;
                actions.extend((0..most).map(|version| Action::Report(device, version)));
                actions.extend([Action::Progress(device), Action::Fail(device), Action::Ask(device)]);
            }
        }
        for granted in 0..state.granted.len() {
            actions.extend([Action::Publish(granted), Action::PublishAndDie(granted), Action::Die(granted)]);
        }
        if state.pauses < self.pauses {
            actions.extend(PAUSES_MS.map(Action::Pass));
        }
        actions
    }

    fn after(&self, before: &State, action: &Action) -> State {
        let mut state = before.clone();
        let now = state.now;
        match action {
            Action::Reach(batch, device) => {
                state.reached[*batch][*device] = true;
                let briefs: Vec<Brief> = state.batches.iter().map(|batch| Brief::of(batch, 0)).collect();
                admit(&state.batches[*batch], &mut state.devices[*device], &briefs, now);
            }
            Action::Connect(device) => {
                state.devices[*device].came_online("s", now);
                Self::tell(&mut state, *device, &TaskEvent::Reconnected);
            }
            Action::Disconnect(device) => {
                state.devices[*device].went_offline("s");
            }
            Action::Report(device, at) => {
                let version = version(VERSIONS[*at]);
                state.devices[*device].report_version(&ModuleName::default_module(), &version, now);
                Self::tell(&mut state, *device, &TaskEvent::VersionReported { version });
            }
            Action::Progress(device) => {
                let event = TaskEvent::ProgressReported { percent: 50, desc: String::new() };
                Self::tell(&mut state, *device, &event);
            }
            Action::Fail(device) => {
                let failure = DeviceFailure::ALL[0];
                let event = TaskEvent::FailureReported { failure, desc: String::new() };
                Self::tell(&mut state, *device, &event);
            }
            Action::Ask(device) => Self::tell(&mut state, *device, &TaskEvent::Requested),
            Action::Tick(batch) => Self::tick(&mut state, *batch),
            Action::Publish(at) => Self::publish(&mut state, *at, true),
            Action::PublishAndDie(at) => Self::publish(&mut state, *at, false),
            Action::Die(at) => {
                state.granted.remove(*at);
            }
            Action::Confirm(batch, device) => {
                let batch = state.batches[*batch].clone();
                state.devices[*device].apply(batch.id, &TaskEvent::Confirmed, &batch.policy, now);
            }
            Action::Cancel(batch) => {
                let all = CancelOptions {
                    queued: true,
                    notified: true,
                    in_progress: true,
                    ..CancelOptions::default()
                };
                let cancel = state.batches[*batch].cancel.unwrap_or_default().with(all, now);
                state.batches[*batch].cancel = Some(cancel);
            }
            Action::Again(batch, device) => {
                state.again[*batch][*device] = true;
                let batch_of = state.batches[*batch].clone();
                let end = state.ends[*batch][*device].take().expect("only what has ended is tried again");
                let task = end.after(&TaskEvent::Reupgraded, &batch_of.policy, now).task;
                let device = &mut state.devices[*device];
                let known = device.version_of(&batch_of.module).cloned();
                device
                    .tasks
                    .push(Task { source_version: known.clone().or(task.source_version.clone()), ..task });
                if let Some(version) = known.filter(|known| *known == batch_of.policy.target_version) {
                    let event = TaskEvent::VersionReported { version };
                    device.apply(batch_of.id, &event, &batch_of.policy, now);
                }
            }
            Action::Pass(ms) => {
                state.now = now.plus_ms(*ms);
                state.pauses += 1;
            }
        }
        Self::record(&mut state);
        state
    }

    fn check(&self, before: &State, action: &Action, after: &State) -> Result<(), &'static str> {
        for (at, device) in after.devices.iter().enumerate() {
            if device.tasks.len() > 1 {
                return Err("R135: a device is in at most one active task");
            }
            for task in &device.tasks {
                if task.retries_used > self.retry.map_or(0, |retry| retry.count_max) {
                    return Err("R128: no more retries than the count says");
                }
                if task.status.is_terminal() {
                    return Err("an active task has not ended");
                }
                if let (Action::Tick(batch), Some(deadline)) =
                    (action, task.deadline(&after.batches[task_batch(task)].policy))
                    && *batch == task_batch(task)
                    && after.now >= deadline
                {
                    return Err("R123: when the timeout is over the dispatcher ends the task");
                }
            }
            check_ends(before, action, after, at)?;
        }
        for published in &after.published {
            // The rate of every batch here is one push.
            let too_fast = published.windows(2).any(|two| two[1].ms_since(two[0]) < limits::RATE_WINDOW_MS);
            if too_fast {
                return Err("R93: no minute sees more pushes than the rate");
            }
        }
        Ok(())
    }

    fn is_at_rest(&self, state: &State) -> bool {
        state.devices.iter().all(|device| device.tasks.is_empty()) && state.granted.is_empty()
    }

    /// A device that does what it is told, the dispatcher, an app that consents.
    fn helps(&self, action: &Action) -> bool {
        !matches!(action, Action::Cancel(_) | Action::Again(..) | Action::Fail(_) | Action::Disconnect(_))
    }
}

/// The place of a task's batch.
fn task_batch(task: &Task) -> usize {
    usize::from(task.batch_id.0[0]) - 1
}

/// Looks at how the tasks of one device ended, and whether they stay so.
fn check_ends(before: &State, action: &Action, after: &State, at: usize) -> Result<(), &'static str> {
    for batch in 0..after.batches.len() {
        let (was, now) = (&before.ends[batch][at], &after.ends[batch][at]);
        if was.is_some() && was != now && *action != Action::Again(batch, at) {
            return Err("an ended task never changes, but for an operator who wants it tried again");
        }
        let task = before.devices[at].task_of(before.batches[batch].id);
        let (Some(end), None) = (now, was) else {
            let goes_on = after.devices[at].task_of(after.batches[batch].id).is_some();
            if task.is_some() && !goes_on {
                return Err("no task is lost");
            }
            continue;
        };
        // One that is tried again, and is where it should go by then, has succeeded (R73).
        let told = |version: &Version| match action {
            Action::Report(_, at) => VERSIONS[*at] == version.as_str(),
            Action::Again(..) => before.devices[at].version_of(&after.batches[batch].module) == Some(version),
            _ => false,
        };
        if end.status == TaskStatus::Succeeded && !told(&after.batches[batch].policy.target_version) {
            return Err("R115, R116: nothing but a report of the target version is success");
        }
        if end.reason == Some(Reason::Overwritten) && task.is_some_and(|t| t.status == TaskStatus::InProgress)
        {
            return Err("R138: an upgrade in progress is not overwritten");
        }
        if end.reason == Some(Reason::Timeout) && task.is_some_and(|t| t.first_progress_at.is_none()) {
            return Err("R124: without progress there is no timeout");
        }
    }
    Ok(())
}
