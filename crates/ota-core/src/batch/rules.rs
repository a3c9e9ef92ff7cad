//! What a new batch must look like (R54-R89, for static batches).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{DownloadProtocol, Tag, TargetSelection};
use crate::device::push::is_reserved_tag_key;
use crate::error::{Coded, Faults, ValueError, check_len};
use crate::ids::{DeviceName, Version};
use crate::limits;
use crate::package::Package;
use crate::task::Retry;

/// Why a batch is refused although each of its fields is well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// The package has not passed its trial (R42).
    PackageNotVerified {
        /// How its trial stands.
        status: &'static str,
    },
    /// A source version is the package's target version (R58).
    SourceIsTarget,
    /// A delta upgrades from its own source version only (R57).
    SourceNotDeltas {
        /// The delta's source version.
        source_version: String,
    },
    /// A batch for named devices takes them on whatever version they are (R56).
    SourceVersionsNotAllowed,
    /// No device is eligible (R74).
    NoDevice,
    /// Devices that the product does not have.
    UnknownDevices {
        /// Their names.
        names: Vec<String>,
    },
    /// The batch has ended, so there is nothing to cancel (R150).
    Ended {
        /// How it ended.
        status: &'static str,
    },
    /// A cancel that names nothing (R147).
    CancelNothing,
}

impl Coded for BatchError {
    fn code(&self) -> &'static str {
        match self {
            Self::PackageNotVerified { .. } => "batch.package-not-verified",
            Self::SourceIsTarget => "batch.source-is-target",
            Self::SourceNotDeltas { .. } => "batch.source-not-deltas",
            Self::SourceVersionsNotAllowed => "batch.source-versions-not-allowed",
            Self::NoDevice => "batch.no-device",
            Self::UnknownDevices { .. } => "batch.unknown-devices",
            Self::Ended { .. } => "batch.ended",
            Self::CancelNothing => "batch.cancel-nothing",
        }
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PackageNotVerified { status } => {
                write!(f, "the package must be verified on test devices first; its verification is {status}")
            }
            Self::SourceIsTarget => write!(f, "a source version must differ from the package's version"),
            Self::SourceNotDeltas { source_version } => {
                write!(f, "the package is a delta from {source_version} and upgrades from no other version")
            }
            Self::SourceVersionsNotAllowed => {
                write!(f, "a batch for named devices takes no source versions")
            }
            Self::NoDevice => write!(f, "no device is eligible for this batch"),
            Self::UnknownDevices { names } => write!(f, "the product has no device {}", names.join(", ")),
            Self::Ended { status } => write!(f, "the batch is {status}"),
            Self::CancelNothing => write!(f, "say which tasks to cancel: queued, notified or in_progress"),
        }
    }
}

impl core::error::Error for BatchError {}

/// The raw words of a request for a new batch.
#[derive(Clone, Debug, Default)]
pub struct BatchFields<'a> {
    /// `target`.
    pub target: TargetFields<'a>,
    /// `download_protocol`; absent is HTTPS.
    pub download_protocol: Option<&'a str>,
    /// `source_versions`.
    pub source_versions: Vec<&'a str>,
    /// `push_per_minute_max`; absent is 1,000.
    pub push_per_minute_max: Option<u32>,
    /// `timeout_minutes`.
    pub timeout_minutes: Option<u16>,
    /// `retry`: minutes and count.
    pub retry: Option<(u16, u8)>,
    /// `overwrite`; absent is no (R85).
    pub overwrite: Option<bool>,
    /// `tags`: keys and values.
    pub tags: Vec<(&'a str, &'a str)>,
}

/// The raw words of `target`.
#[derive(Clone, Debug, Default)]
pub struct TargetFields<'a> {
    /// `selection`.
    pub selection: Option<&'a str>,
    /// `devices`.
    pub devices: Option<Vec<&'a str>>,
}

/// What an operator says of a batch, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBatch {
    /// Which devices.
    pub target: TargetSelection,
    /// How devices download.
    pub download: DownloadProtocol,
    /// The versions that are upgraded; empty is any.
    pub source_versions: Vec<Version>,
    /// Pushes per minute.
    pub push_per_minute_max: u32,
    /// Minutes from the first progress to failure.
    pub timeout_minutes: Option<u16>,
    /// When and how often to try again.
    pub retry: Option<Retry>,
    /// Whether older tasks that have not begun are replaced.
    pub overwrite: bool,
    /// Pairs for the devices.
    pub tags: Vec<Tag>,
}

impl NewBatch {
    /// Checks the words of a request against the package; every fault at once.
    ///
    /// # Errors
    /// The faults, with JSON pointers into the request.
    pub fn check(fields: &BatchFields<'_>, package: &Package) -> Result<Self, Faults> {
        Self::check_against(fields, Some(package))
    }

    /// Returns the faults of a request whose package is not there: all that do not depend on it.
    pub fn faults_without_package(fields: &BatchFields<'_>) -> Faults {
        Self::check_against(fields, None).err().unwrap_or_default()
    }

    fn check_against(fields: &BatchFields<'_>, package: Option<&Package>) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        if let Some(package) = package.filter(|package| !package.verification.allows_upgrade()) {
            let status = package.verification.as_str();
            faults.add("/package_id", &BatchError::PackageNotVerified { status });
        }
        let target = check_target(&fields.target, &mut faults);
        let download = DownloadProtocol::check(fields.download_protocol, package, &mut faults);
        let source_versions = check_source_versions(fields, package, &mut faults);
        let rate = fields.push_per_minute_max.unwrap_or(limits::PUSH_PER_MINUTE_MAX);
        let (min, max) = (limits::PUSH_PER_MINUTE_MIN, limits::PUSH_PER_MINUTE_MAX);
        if !(min..=max).contains(&rate) {
            faults.add("/push_per_minute_max", &ValueError::Range { min: min.into(), max: max.into() });
        }
        check_timeout(fields.timeout_minutes, &mut faults);
        let retry = fields.retry.map(|(after_minutes, count_max)| Retry { after_minutes, count_max });
        if let Some(retry) = retry {
            if !limits::RETRY_AFTER_MINUTES.contains(&retry.after_minutes) {
                faults.add("/retry/after_minutes", &ValueError::NotOneOf { allowed: "0, 10, 30, 60, 1440" });
            }
            if !limits::RETRY_COUNTS.contains(&retry.count_max) {
                faults.add("/retry/count_max", &ValueError::NotOneOf { allowed: "1, 2, 5" });
            }
        }
        let tags = check_tags(&fields.tags, &mut faults);
        match target {
            Some(target) if faults.0.is_empty() => Ok(Self {
                target,
                download,
                source_versions,
                push_per_minute_max: rate,
                timeout_minutes: fields.timeout_minutes,
                retry,
                overwrite: fields.overwrite.unwrap_or(false),
                tags,
            }),
            _ => Err(faults),
        }
    }
}

/// Checks a request to try a package: 1 to 10 test devices, each once (R44), and a timeout (R48). Returns the names
/// sorted.
///
/// # Errors
/// The faults, with JSON pointers into the request.
pub fn check_verification(names: &[&str], timeout_minutes: Option<u16>) -> Result<Vec<DeviceName>, Faults> {
    let mut faults = Faults::new();
    let devices = check_devices(names, limits::VERIFY_DEVICES_MAX, "/devices", &mut faults);
    check_timeout(timeout_minutes, &mut faults);
    match devices {
        Some(devices) if faults.0.is_empty() => Ok(devices),
        _ => Err(faults),
    }
}

/// Checks a list of device names: 1 to `max`, well formed, each once. Returns them sorted.
fn check_devices(names: &[&str], max: usize, pointer: &str, faults: &mut Faults) -> Option<Vec<DeviceName>> {
    let before = faults.0.len();
    if names.is_empty() {
        faults.add(pointer, &ValueError::Missing);
    }
    if names.len() > max {
        faults.add(pointer, &ValueError::TooMany { count: names.len(), max });
        return None;
    }
    let mut devices: Vec<DeviceName> = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let pointer = alloc::format!("{pointer}/{index}");
        let Some(name) = faults.take(&pointer, DeviceName::new(name)) else { continue };
        match devices.binary_search(&name) {
            Ok(_) => faults.add(&pointer, &ValueError::Duplicate { item: name.as_str().into() }),
            Err(at) => devices.insert(at, name),
        }
    }
    (faults.0.len() == before).then_some(devices)
}

/// Checks a timeout (R48, R84).
fn check_timeout(minutes: Option<u16>, faults: &mut Faults) {
    let max = limits::TIMEOUT_MINUTES_MAX;
    if minutes.is_some_and(|m| !(1..=max).contains(&m)) {
        faults.add("/timeout_minutes", &ValueError::Range { min: 1, max: max.into() });
    }
}

fn check_target(fields: &TargetFields<'_>, faults: &mut Faults) -> Option<TargetSelection> {
    match (fields.selection, &fields.devices) {
        (None, _) => {
            faults.add("/target/selection", &ValueError::Missing);
            None
        }
        (Some("all"), None) => Some(TargetSelection::All),
        (Some("all"), Some(_)) => {
            let why = "a batch for all devices names none";
            faults.add("/target/devices", &ValueError::NotAllowed { why });
            None
        }
        (Some("specific"), devices) => {
            let names = devices.as_deref().unwrap_or_default();
            check_devices(names, limits::BATCH_DEVICES_MAX, "/target/devices", faults)
                .map(|devices| TargetSelection::Specific { devices })
        }
        (Some(_), _) => {
            faults.add("/target/selection", &ValueError::NotOneOf { allowed: "all, specific" });
            None
        }
    }
}

fn check_source_versions(
    fields: &BatchFields<'_>,
    package: Option<&Package>,
    faults: &mut Faults,
) -> Vec<Version> {
    let listed = &fields.source_versions;
    if listed.len() > limits::SOURCE_VERSIONS_MAX {
        let max = limits::SOURCE_VERSIONS_MAX;
        faults.add("/source_versions", &ValueError::TooMany { count: listed.len(), max });
        return Vec::new();
    }
    if !listed.is_empty() && fields.target.selection == Some("specific") {
        faults.add("/source_versions", &BatchError::SourceVersionsNotAllowed);
    }
    let mut versions: Vec<Version> = Vec::with_capacity(listed.len());
    for (index, text) in listed.iter().enumerate() {
        let pointer = alloc::format!("/source_versions/{index}");
        let Some(version) = faults.take(&pointer, Version::new(text)) else { continue };
        let delta_from = package.and_then(|package| package.kind.source_version());
        match delta_from {
            _ if package.is_some_and(|package| version == package.target_version) => {
                faults.add(&pointer, &BatchError::SourceIsTarget);
            }
            Some(source_version) if version != *source_version => {
                let source_version = source_version.as_str().into();
                faults.add(&pointer, &BatchError::SourceNotDeltas { source_version });
            }
            _ if versions.contains(&version) => {
                faults.add(&pointer, &ValueError::Duplicate { item: version.as_str().into() });
            }
            _ => versions.push(version),
        }
    }
    versions
}

fn check_tags(tags: &[(&str, &str)], faults: &mut Faults) -> Vec<Tag> {
    if tags.len() > limits::TAGS_MAX {
        faults.add("/tags", &ValueError::TooMany { count: tags.len(), max: limits::TAGS_MAX });
        return Vec::new();
    }
    let total: usize = tags.iter().map(|(k, v)| k.chars().count() + v.chars().count()).sum();
    if total > limits::TAGS_LEN_MAX {
        faults.add("/tags", &ValueError::Length { len: total, min: 0, max: limits::TAGS_LEN_MAX });
    }
    let mut checked: Vec<Tag> = Vec::with_capacity(tags.len());
    for (index, (key, value)) in tags.iter().enumerate() {
        let key_pointer = alloc::format!("/tags/{index}/key");
        faults.take(&key_pointer, check_len(key, 1, limits::TAG_KEY_LEN_MAX));
        if !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') {
            faults.add(&key_pointer, &ValueError::Charset { allowed: "letters, digits, `.`" });
        }
        if is_reserved_tag_key(key) {
            let why = "devices would take it for a field of the upgrade";
            faults.add(&key_pointer, &ValueError::NotAllowed { why });
        }
        if checked.iter().any(|t| t.key == *key) {
            faults.add(&key_pointer, &ValueError::Duplicate { item: (*key).into() });
        }
        let value_pointer = alloc::format!("/tags/{index}/value");
        faults.take(&value_pointer, check_len(value, 1, limits::TAG_VALUE_LEN_MAX));
        checked.push(Tag { key: (*key).into(), value: (*value).into() });
    }
    checked
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
