//! What a request to try a package must look like (R44-R48).

use alloc::vec::Vec;

use super::rules::{check_tags, check_timeout, check_versions};
use super::target_rules::check_devices;
use super::{BatchError, DownloadProtocol, NewBatch, TargetSelection, Terms, UpgradeMode};
use crate::error::Faults;
use crate::limits;
use crate::package::Package;
use crate::task::TaskPolicy;

/// The raw words of a request for a trial.
#[derive(Clone, Debug, Default)]
pub struct VerificationFields<'a> {
    /// `product_key`; absent is the package's.
    pub product_key: Option<&'a str>,
    /// `devices`.
    pub devices: Vec<&'a str>,
    /// `source_versions`; absent is any (R45).
    pub source_versions: Vec<&'a str>,
    /// `timeout_minutes`.
    pub timeout_minutes: Option<u16>,
    /// `push`; absent is yes.
    pub push: Option<bool>,
    /// `needs_confirmation`; absent is no.
    pub needs_confirmation: Option<bool>,
    /// `download_protocol`; absent is HTTPS.
    pub download_protocol: Option<&'a str>,
    /// `tags`: keys and values.
    pub tags: Vec<(&'a str, &'a str)>,
}

/// Checks a request to try a package: 1 to 10 test devices, each once (R44), source versions that are none of the
/// target's and, for a delta, its own (R45-R47), a timeout (R48). No retry, rate, schedule or overwriting belongs to it.
///
/// # Errors
/// The faults, with JSON pointers into the request.
pub fn check_verification(
    fields: &VerificationFields<'_>,
    package: &Package,
    terms: &Terms,
) -> Result<NewBatch, Faults> {
    let mut faults = Faults::new();
    if fields.product_key.is_some_and(|key| key != package.product_key.as_str()) {
        faults.add("/product_key", &BatchError::ProductMismatch);
    }
    let devices = check_devices(&fields.devices, limits::VERIFY_DEVICES_MAX, "/devices", &mut faults);
    let download = DownloadProtocol::check(fields.download_protocol, Some(package), &mut faults);
    let source_versions = check_versions(&fields.source_versions, Some(package), &mut faults);
    check_timeout(fields.timeout_minutes, &mut faults);
    let tags = check_tags(&fields.tags, &mut faults);
    match devices {
        Some(devices) if faults.0.is_empty() => Ok(NewBatch {
            mode: UpgradeMode::Static,
            target: TargetSelection::Specific { devices, listed: false },
            download,
            source_versions,
            push_per_minute_max: limits::PUSH_PER_MINUTE_MAX,
            policy: TaskPolicy {
                timeout_minutes: fields.timeout_minutes,
                forgive_source_version: terms.forgive_source_version,
                push: fields.push.unwrap_or(true),
                needs_confirmation: fields.needs_confirmation.unwrap_or(false),
                ..TaskPolicy::new(package.target_version.clone())
            },
            overwrite: false,
            multi_module: false,
            tags,
        }),
        _ => Err(faults),
    }
}
