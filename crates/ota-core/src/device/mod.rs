//! A device: who it is, what it runs, and the task it is in.

pub mod auth;
pub mod block;
pub mod message;
pub mod push;
pub mod topology;

mod region;

use alloc::string::String;
use alloc::vec::Vec;

pub use self::region::Region;
use crate::error::{Coded, ValueError};
use crate::ids::{BatchId, DeviceName, ModuleName, Version};
use crate::limits;
use crate::task::{Task, TaskEvent, TaskPolicy};
use crate::time::Timestamp;

/// A device (设备), as the service knows it.
///
/// Invariant: of `tasks` no two exclude each other: there is one, whatever batches want the device (R135), or several
/// that each occupy a module of their own (R141). They sit in this record because that is a rule about the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Unique in its product.
    pub name: DeviceName,
    /// What its passwords are made with (DeviceSecret). Never logged.
    pub secret: DeviceSecret,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it first connected; a device that never did is in no static batch (R75).
    pub activated_at: Option<Timestamp>,
    /// Its present connection; none while it is offline.
    pub session: Option<Session>,
    /// What it last reported, per module.
    pub versions: Vec<ModuleVersion>,
    /// Where it is, if that is known (R72).
    pub region: Option<Region>,
    /// The tasks it is in.
    pub tasks: Vec<Task>,
    /// How often it has joined a dynamic batch that still takes devices (R112).
    pub joined: Vec<(BatchId, u8)>,
    /// Tasks that have ended and are not yet written into their batches' histories.
    pub ended: Vec<Task>,
}

/// A device's secret: 32 lower-case hexadecimal digits, or what the operator brought along.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceSecret(String);

impl DeviceSecret {
    /// Wraps a secret of 1 to 64 visible ASCII characters.
    ///
    /// # Errors
    /// [`ValueError::Length`] or [`ValueError::Charset`].
    pub fn new(text: &str) -> Result<Self, ValueError> {
        crate::error::check_len(text, 1, 64)?;
        if text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(ValueError::Charset { allowed: "visible ASCII characters" })
        }
    }

    /// Makes a secret from random bytes.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(hex::encode(random))
    }

    /// Returns the secret's text: to make a password from, or to tell it to the operator who registers the device.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Debug for DeviceSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("DeviceSecret(..)")
    }
}

/// A device's live connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The broker's id of the connection, so that the late end of an older one is recognised. Empty when the
    /// connection is known only from a message that came over it.
    pub id: String,
    /// Since when.
    pub since: Timestamp,
}

/// What a device last reported of one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleVersion {
    /// The module.
    pub module: ModuleName,
    /// The version it runs.
    pub version: Version,
    /// When this version was first reported.
    pub reported_at: Timestamp,
    /// The version before.
    pub previous: Option<Version>,
}

/// What a report of a version changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionChange {
    /// The module runs what it ran before.
    Same,
    /// The module runs another version, or told one for the first time (R171).
    Changed,
}

/// Why a device cannot be registered or used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// The product has no device of this name.
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// A device of this name is registered with another secret.
    Exists {
        /// The name.
        name: String,
    },
}

impl Coded for DeviceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "device.unknown",
            Self::Exists { .. } => "device.exists",
        }
    }
}

impl core::fmt::Display for DeviceError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unknown { name } => write!(f, "the product has no device {name}"),
            Self::Exists { name } => write!(f, "the device {name} is registered with another secret"),
        }
    }
}

impl core::error::Error for DeviceError {}

impl Device {
    /// Makes a device that has never connected.
    pub fn new(name: DeviceName, secret: DeviceSecret, now: Timestamp) -> Self {
        Self {
            name,
            secret,
            created_at: now,
            activated_at: None,
            session: None,
            versions: Vec::new(),
            region: None,
            tasks: Vec::new(),
            joined: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Returns its active task of a batch.
    pub fn task_of(&self, batch_id: BatchId) -> Option<&Task> {
        self.tasks.iter().find(|task| task.batch_id == batch_id)
    }

    /// Returns how often it has joined a dynamic batch (R112).
    pub fn times_joined(&self, batch_id: BatchId) -> u8 {
        self.joined.iter().find(|(id, _)| *id == batch_id).map_or(0, |(_, times)| *times)
    }

    /// Returns what `module` last reported.
    pub fn version_of(&self, module: &ModuleName) -> Option<&Version> {
        self.versions.iter().find(|v| v.module == *module).map(|v| &v.version)
    }

    /// Returns what `module` ran at the moment `at`, as far as it is known: a change after `at` is looked behind.
    pub fn version_at(&self, module: &ModuleName, at: Timestamp) -> Option<&Version> {
        let known = self.versions.iter().find(|v| v.module == *module)?;
        if known.reported_at > at { known.previous.as_ref() } else { Some(&known.version) }
    }

    /// Notes the version of one module. A device keeps at most [`limits::DEVICE_MODULES_MAX`] modules; of a module
    /// beyond that nothing is kept, because no product can have it.
    pub fn report_version(
        &mut self,
        module: &ModuleName,
        version: &Version,
        now: Timestamp,
    ) -> VersionChange {
        let is_full = self.versions.len() >= limits::DEVICE_MODULES_MAX;
        match self.versions.iter_mut().find(|v| v.module == *module) {
            Some(known) if known.version == *version => VersionChange::Same,
            Some(known) => {
                known.previous = Some(core::mem::replace(&mut known.version, version.clone()));
                known.reported_at = now;
                VersionChange::Changed
            }
            None if !is_full => {
                self.versions.push(ModuleVersion {
                    module: module.clone(),
                    version: version.clone(),
                    reported_at: now,
                    previous: None,
                });
                VersionChange::Changed
            }
            None => VersionChange::Same,
        }
    }

    /// Notes a connection. Returns whether this is news: a message over a connection that is already known is not.
    pub fn came_online(&mut self, session_id: &str, now: Timestamp) -> bool {
        self.activated_at.get_or_insert(now);
        match &self.session {
            Some(session) if session.id == session_id => false,
            _ => {
                self.session = Some(Session { id: session_id.into(), since: now });
                true
            }
        }
    }

    /// Notes that a message arrived, which proves a connection even where nobody announced one. Returns whether the
    /// device was thought to be offline.
    pub fn spoke(&mut self, now: Timestamp) -> bool {
        self.session.is_none() && self.came_online("", now)
    }

    /// Notes the end of a connection. The late end of an older connection is ignored. Returns whether the device is
    /// offline now and was not before.
    pub fn went_offline(&mut self, session_id: &str) -> bool {
        match &self.session {
            Some(session) if session.id == session_id || session.id.is_empty() => {
                self.session = None;
                true
            }
            _ => false,
        }
    }

    /// Applies an event to the device's task if it has one of `batch_id`, and moves it aside if it ended. Returns
    /// whether anything changed.
    pub fn apply(
        &mut self,
        batch_id: BatchId,
        event: &TaskEvent,
        policy: &TaskPolicy,
        now: Timestamp,
    ) -> bool {
        let Some(at) = self.tasks.iter().position(|task| task.batch_id == batch_id) else { return false };
        let step = self.tasks[at].after(event, policy, now);
        if step.task == self.tasks[at] {
            return false;
        }
        if step.task.status.is_terminal() {
            self.tasks.remove(at);
            self.ended.push(step.task);
        } else {
            self.tasks[at] = step.task;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        let name = DeviceName::new("lamp-1").unwrap();
        Device::new(name, DeviceSecret::from_random([1; 16]), Timestamp(0))
    }

    fn version(text: &str) -> Version {
        Version::new(text).unwrap()
    }

    #[test]
    fn r156_a_report_updates_its_own_module_only() {
        let mut device = device();
        let (whole, mcu) = (ModuleName::default_module(), ModuleName::new("mcu").unwrap());
        device.report_version(&whole, &version("1.0"), Timestamp(1));
        device.report_version(&mcu, &version("7"), Timestamp(2));
        assert_eq!(device.version_of(&whole), Some(&version("1.0")));
        assert_eq!(device.version_of(&mcu), Some(&version("7")));
    }

    #[test]
    fn r171_only_another_version_is_a_change() {
        let mut device = device();
        let module = ModuleName::default_module();
        let mut report = |text| device.report_version(&module, &version(text), Timestamp(1));
        assert_eq!(report("1.0"), VersionChange::Changed);
        assert_eq!(report("1.0"), VersionChange::Same);
        assert_eq!(report("1.1"), VersionChange::Changed);
    }

    #[test]
    fn the_version_at_a_moment_looks_behind_a_later_change() {
        let mut device = device();
        let module = ModuleName::default_module();
        device.report_version(&module, &version("1.0"), Timestamp(10));
        device.report_version(&module, &version("1.1"), Timestamp(20));
        assert_eq!(device.version_at(&module, Timestamp(15)), Some(&version("1.0")));
        assert_eq!(device.version_at(&module, Timestamp(20)), Some(&version("1.1")));
    }

    #[test]
    fn the_late_end_of_an_older_connection_is_ignored() {
        let mut device = device();
        device.came_online("a", Timestamp(1));
        device.came_online("b", Timestamp(2));
        assert!(!device.went_offline("a"));
        assert!(device.session.is_some());
        assert!(device.went_offline("b"));
    }

    #[test]
    fn a_message_proves_a_connection_that_nobody_announced() {
        let mut device = device();
        assert!(device.spoke(Timestamp(5)));
        assert!(!device.spoke(Timestamp(6)));
        assert_eq!(device.activated_at, Some(Timestamp(5)));
        assert!(device.went_offline("whatever"));
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        assert!(!alloc::format!("{:?}", device()).contains("0101"));
    }
}
