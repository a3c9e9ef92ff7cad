//! What a new batch must look like (R54-R89).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::schedule::check_schedule;
use super::target_rules::{TargetFields, check_target};
use super::{BatchError, DownloadProtocol, ScheduleFields, Tag, TargetSelection, UpgradeMode};
use crate::device::push::is_reserved_tag_key;
use crate::error::{Faults, ValueError, check_len};
use crate::ids::Version;
use crate::limits;
use crate::package::{Package, PackageKind};
use crate::task::{Retry, TaskPolicy, Window};
use crate::time::Timestamp;

/// What a product and the service allow where the documents differ; the default is the newer document to the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The highest rate, which is also the default (R81).
    pub push_per_minute_max: u32,
    /// See [`TaskPolicy::forgive_source_version`].
    pub forgive_source_version: bool,
    /// Whether only upgrades that have begun are retried, of batches that name source versions.
    pub narrow_retries: bool,
    /// Whether the retry interval must be below the timeout.
    pub strict_retry_interval: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            push_per_minute_max: limits::PUSH_PER_MINUTE_MAX,
            forgive_source_version: false,
            narrow_retries: false,
            strict_retry_interval: false,
        }
    }
}

/// The raw words of a request for a new batch.
#[derive(Clone, Debug, Default)]
pub struct BatchFields<'a> {
    /// `product_key`; absent is the package's.
    pub product_key: Option<&'a str>,
    /// `mode`: `static` or `dynamic`; absent is `static`.
    pub mode: Option<&'a str>,
    /// `new_reports_only`, for a dynamic batch; absent is no (R109).
    pub new_reports_only: Option<bool>,
    /// `schedule`.
    pub schedule: Option<ScheduleFields>,
    /// `push`; absent is yes (R95).
    pub push: Option<bool>,
    /// `needs_confirmation`; absent is no (R96).
    pub needs_confirmation: Option<bool>,
    /// `multi_module`; absent is no (R141).
    pub multi_module: Option<bool>,
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

/// What an operator says of a batch, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBatch {
    /// When it takes its devices.
    pub mode: UpgradeMode,
    /// Which devices.
    pub target: TargetSelection,
    /// How devices download.
    pub download: DownloadProtocol,
    /// The versions that are upgraded; empty is any.
    pub source_versions: Vec<Version>,
    /// Pushes per minute.
    pub push_per_minute_max: u32,
    /// What its tasks do.
    pub policy: TaskPolicy,
    /// Whether older tasks that have not begun are replaced.
    pub overwrite: bool,
    /// Whether its tasks occupy the package's module only.
    pub multi_module: bool,
    /// Pairs for the devices.
    pub tags: Vec<Tag>,
}

impl NewBatch {
    /// Checks the words of a request, made at `now`, against the package; every fault at once.
    ///
    /// # Errors
    /// The faults, with JSON pointers into the request.
    pub fn check(
        fields: &BatchFields<'_>,
        package: &Package,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        if !package.verification.allows_upgrade() {
            let status = package.verification.as_str();
            faults.add("/package_id", &BatchError::PackageNotVerified { status });
        }
        if fields.product_key.is_some_and(|key| key != package.product_key.as_str()) {
            faults.add("/product_key", &BatchError::ProductMismatch);
        }
        let parts = Parts::check(fields, Some(package), terms, now, &mut faults);
        let Parts {
            mode,
            target: Some(target),
            download,
            source_versions,
            push_per_minute_max,
            window,
            retry,
            tags,
        } = parts
        else {
            return Err(faults);
        };
        faults.into_result()?;
        Ok(Self {
            mode,
            target,
            download,
            source_versions,
            push_per_minute_max,
            policy: TaskPolicy {
                timeout_minutes: fields.timeout_minutes,
                retry,
                forgive_source_version: terms.forgive_source_version,
                retry_begun_only: terms.narrow_retries,
                push: fields.push.unwrap_or(true),
                needs_confirmation: fields.needs_confirmation.unwrap_or(false),
                window,
                ..TaskPolicy::new(package.target_version.clone())
            },
            overwrite: fields.overwrite.unwrap_or(false),
            multi_module: fields.multi_module.unwrap_or(false),
            tags,
        })
    }

    /// Returns the faults of a request whose package is not there: all that do not depend on it.
    pub fn faults_without_package(fields: &BatchFields<'_>, now: Timestamp) -> Faults {
        let mut faults = Faults::new();
        Parts::check(fields, None, &Terms::default(), now, &mut faults);
        faults
    }
}

/// The parts of a new batch that have rules of their own.
struct Parts {
    mode: UpgradeMode,
    target: Option<TargetSelection>,
    download: DownloadProtocol,
    source_versions: Vec<Version>,
    push_per_minute_max: u32,
    window: Window,
    retry: Option<Retry>,
    tags: Vec<Tag>,
}

impl Parts {
    fn check(
        fields: &BatchFields<'_>,
        package: Option<&Package>,
        terms: &Terms,
        now: Timestamp,
        faults: &mut Faults,
    ) -> Self {
        let mode = check_mode(fields, package, faults);
        let target = check_target(&fields.target, faults);
        let download = DownloadProtocol::check(fields.download_protocol, package, faults);
        let source_versions = check_source_versions(fields, package, faults);
        let push_per_minute_max = check_rate(fields.push_per_minute_max, terms, faults);
        let window =
            fields.schedule.map(|schedule| check_schedule(schedule, now, faults)).unwrap_or_default();
        check_timeout(fields.timeout_minutes, faults);
        let retry = check_retry(fields, package, terms, faults);
        if fields.multi_module == Some(true) && fields.overwrite == Some(true) {
            faults.add("/overwrite", &BatchError::MultiModuleOverwrite);
        }
        let tags = check_tags(&fields.tags, faults);
        Self { mode, target, download, source_versions, push_per_minute_max, window, retry, tags }
    }
}

fn check_mode(fields: &BatchFields<'_>, package: Option<&Package>, faults: &mut Faults) -> UpgradeMode {
    match fields.mode.unwrap_or("static") {
        "static" => {
            if fields.new_reports_only.is_some() {
                let why = "a static batch takes the devices of its creation";
                faults.add("/new_reports_only", &ValueError::NotAllowed { why });
            }
            UpgradeMode::Static
        }
        "dynamic" => {
            if matches!(fields.target.selection, Some("specific" | "gray")) {
                faults.add("/target/selection", &BatchError::DynamicTarget);
            }
            let is_full = package.is_some_and(|package| package.kind == PackageKind::Full);
            if is_full && fields.source_versions.is_empty() {
                faults.add("/source_versions", &BatchError::SourceVersionsRequired);
            }
            if fields.schedule.is_some() {
                faults.add("/schedule", &BatchError::ScheduleStaticOnly);
            }
            UpgradeMode::Dynamic { new_reports_only: fields.new_reports_only.unwrap_or(false) }
        }
        _ => {
            faults.add("/mode", &ValueError::NotOneOf { allowed: "static, dynamic" });
            UpgradeMode::Static
        }
    }
}

fn check_rate(rate: Option<u32>, terms: &Terms, faults: &mut Faults) -> u32 {
    let (min, max) = (limits::PUSH_PER_MINUTE_MIN, terms.push_per_minute_max);
    let rate = rate.unwrap_or(max);
    if !(min..=max).contains(&rate) {
        faults.add("/push_per_minute_max", &ValueError::Range { min: min.into(), max: max.into() });
    }
    rate
}

fn check_retry(
    fields: &BatchFields<'_>,
    package: Option<&Package>,
    terms: &Terms,
    faults: &mut Faults,
) -> Option<Retry> {
    let (after_minutes, count_max) = fields.retry?;
    if !limits::RETRY_AFTER_MINUTES.contains(&after_minutes) {
        faults.add("/retry/after_minutes", &ValueError::NotOneOf { allowed: "0, 10, 30, 60, 1440" });
    } else if terms.strict_retry_interval && fields.timeout_minutes.is_some_and(|most| after_minutes >= most)
    {
        faults.add("/retry/after_minutes", &BatchError::RetryAfterTimeout);
    }
    if !limits::RETRY_COUNTS.contains(&count_max) {
        faults.add("/retry/count_max", &ValueError::NotOneOf { allowed: "1, 2, 5" });
    }
    let is_full = package.is_some_and(|package| package.kind == PackageKind::Full);
    if terms.narrow_retries && is_full && fields.source_versions.is_empty() {
        faults.add("/retry", &BatchError::RetryNeedsSourceVersions);
    }
    Some(Retry { after_minutes, count_max })
}

/// Checks a timeout (R48, R84).
pub(super) fn check_timeout(minutes: Option<u16>, faults: &mut Faults) {
    let max = limits::TIMEOUT_MINUTES_MAX;
    if minutes.is_some_and(|m| !(1..=max).contains(&m)) {
        faults.add("/timeout_minutes", &ValueError::Range { min: 1, max: max.into() });
    }
}

fn check_source_versions(
    fields: &BatchFields<'_>,
    package: Option<&Package>,
    faults: &mut Faults,
) -> Vec<Version> {
    if !fields.source_versions.is_empty() && fields.target.selection == Some("specific") {
        faults.add("/source_versions", &BatchError::SourceVersionsNotAllowed);
    }
    check_versions(&fields.source_versions, package, faults)
}

/// Checks source versions: at most 10, each once (R59), none of them the target (R58), of a delta only its own (R57).
pub(super) fn check_versions(
    listed: &[&str],
    package: Option<&Package>,
    faults: &mut Faults,
) -> Vec<Version> {
    if listed.len() > limits::SOURCE_VERSIONS_MAX {
        let max = limits::SOURCE_VERSIONS_MAX;
        faults.add("/source_versions", &ValueError::TooMany { count: listed.len(), max });
        return Vec::new();
    }
    let mut versions: Vec<Version> = Vec::with_capacity(listed.len());
    for (index, text) in listed.iter().enumerate() {
        let pointer = format!("/source_versions/{index}");
        let Some(version) = faults.take(&pointer, Version::new(text)) else { continue };
        let delta_from = package.and_then(|package| package.kind.source_version());
        match delta_from {
            _ if package.is_some_and(|package| version == package.target_version) => {
                faults.add(&pointer, &BatchError::SourceIsTarget);
            }
            Some(source_version) if version != *source_version => {
                let source_version: String = source_version.as_str().into();
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

/// Checks the tags of a request that changes nothing else (R86, R87).
///
/// # Errors
/// The faults, with JSON pointers into the request.
pub fn check_batch_tags(tags: &[(&str, &str)]) -> Result<Vec<Tag>, Faults> {
    let mut faults = Faults::new();
    let tags = check_tags(tags, &mut faults);
    faults.into_result().map(|()| tags)
}

/// Checks tags (R86).
pub(super) fn check_tags(tags: &[(&str, &str)], faults: &mut Faults) -> Vec<Tag> {
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
        let key_pointer = format!("/tags/{index}/key");
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
        let value_pointer = format!("/tags/{index}/value");
        faults.take(&value_pointer, check_len(value, 1, limits::TAG_VALUE_LEN_MAX));
        checked.push(Tag { key: (*key).into(), value: (*value).into() });
    }
    checked
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "rules_kinds_tests.rs"]
mod kinds_tests;
