//! Where this service's codes meet the vendor's.

use http::StatusCode;
use ota_core::cloud::Parameters;

use crate::refusal::Refusal;
use crate::rest::Refused;

/// What is said of a refusal that no row below tells of.
const OTHER: &str = "iot.common.InvalidFormattedParameter";

/// A code, where the fault is (or the beginning of that), and what the vendor says. An empty code or place is any.
type Row = (&'static str, &'static str, &'static str);

/// What single operations say otherwise than the rest.
const BY_ACTION: &[(&str, &[Row])] = &[
    (
        "CreateOTAModule",
        &[
            ("", "/name", "iot.firmware.IncorrectFormattedModuleName"),
            ("", "/", "iot.ota.CreateOTAModuleParamError"),
        ],
    ),
    (
        "UpdateOTAModule",
        &[
            ("module.reserved", "", "iot.ota.UpdateOTAModuleParamError"),
            ("", "/", "iot.ota.UpdateOTAModuleParamError"),
        ],
    ),
    ("DeleteOTAModule", &[("module.reserved", "", "iot.ota.DeleteOtaDefaultModule")]),
    (
        "CreateOTAFirmware",
        &[
            ("value.missing", "/name", "iot.firmware.NullFirmwareName"),
            ("value.malformed", "/product_key", "iot.prod.NotExistedProduct"),
        ],
    ),
    ("CancelOTATaskByDevice", &[("value.missing", "/devices", "iot.device.NoneDeviceNameElement")]),
];

const ROWS: &[Row] = &[
    // Packages.
    ("package.name-taken", "", "iot.firmware.AlreadyExistedFirmwareName"),
    ("package.version-taken", "", "iot.firmware.AlreadyExistedFirmwareVersion"),
    ("package.too-many", "", "iot.firmware.FirmwareCountExceedMax"),
    ("package.same-versions", "", "iot.firmware.SrcDestVersionMatched"),
    ("package.empty-file", "", "iot.firmware.EmptyFirmwareFile"),
    ("package.file-too-large", "", "iot.firmware.InvalidFirmwareSize"),
    ("package.size-mismatch", "", "iot.firmware.InvalidFirmwareSize"),
    ("package.digest-mismatch", "", "iot.firmware.InvalidFirmwareSign"),
    ("package.suffix", "", "iot.firmware.InvalidFirmwareUrl"),
    ("package.verification", "", "iot.firmware.InProgressVerifyJobExisted"),
    ("package.in-use", "", "iot.firmware.DeleteFirmwareFailure"),
    ("package.delta-not-supported", "", "iot.firmware.DiffNotSupported"),
    ("package.delta-needs-md5", "", "iot.firmware.InvalidFirmwareSignMethod"),
    ("upload.too-many", "", "iot.firmware.SystemBusy"),
    ("", "/name", "iot.firmware.IncorrectFormattedFirmwareName"),
    ("", "/target_version", "iot.firmware.IncorrectFormattedFirmwareVersion"),
    ("value.missing", "/source_version", "iot.firmware.SrcVersionIsMandatory"),
    ("", "/kind", "iot.firmware.InvalidFirmwareType"),
    ("", "/digest_algorithm", "iot.firmware.InvalidFirmwareSignMethod"),
    ("", "/digest", "iot.firmware.InvalidFirmwareSign"),
    ("", "/size", "iot.firmware.InvalidFirmwareSize"),
    ("", "/description", "iot.firmware.FirmwareDescriptionExceedMaxLength"),
    ("value.missing", "/upload_id", "iot.firmware.NullFirmwareUrl"),
    ("", "/upload_id", "iot.firmware.InvalidFirmwareUrl"),
    ("", "/files", "iot.firmware.InvalidFirmwareUrl"),
    // Modules.
    ("module.exists", "", "iot.ota.CreateOTAModuleNameExist"),
    ("module.reserved", "", "iot.firmware.ModuleNameReserved"),
    ("module.too-many", "", "iot.ota.CreateOTAModuleExceedLimit"),
    ("module.unknown", "", "iot.ota.OTAModuleNotExist"),
    ("module.in-use", "", "iot.ota.DeleteOTAModulePackageExist"),
    ("", "/module", "iot.firmware.IncorrectFormattedModuleName"),
    ("", "query:module", "iot.firmware.IncorrectFormattedModuleName"),
    // Making jobs.
    ("", "/package_id", "iot.firmware.InvalidFirmwareId"),
    ("batch.product-mismatch", "", "iot.firmware.FirmwareAndProductKeyMismatch"),
    ("value.missing", "/product_key", "iot.prod.NullProductKey"),
    ("", "/product_key", "iot.firmware.InvalidProductKey"),
    ("batch.dynamic-target", "", "iot.firmware.DynamicSpecificNotSupported"),
    ("batch.dynamic-exists", "", "iot.firmware.InProgressDynamicJobExisted"),
    ("batch.conflict", "", "iot.firmware.UpgradeTaskConflict"),
    ("batch.too-many", "", "iot.firmware.SystemBusy"),
    ("batch.too-many-lanes", "", "iot.firmware.SystemBusy"),
    ("value.missing", "/target/selection", "iot.firmware.NullTargetSelection"),
    ("", "/target/selection", "iot.firmware.InvalidTargetSelection"),
    ("value.missing", "/target/gray_percent", "iot.firmware.NullGrayPercent"),
    ("value.malformed", "/target/gray_percent", "iot.firmware.BadlyFormattedGrayPercent"),
    ("", "/target/gray_percent", "iot.firmware.InvalidGrayPercent"),
    ("value.missing", "/target/devices", "iot.firmware.NullTargetDeviceNames"),
    ("value.missing", "/devices", "iot.firmware.NullTargetDeviceNames"),
    ("value.not-allowed", "/target/devices", "iot.firmware.TargetDeviceNamesNotAllowed"),
    ("value.too-many", "/target/devices", "iot.firmware.ParameterSizeExceedMax"),
    ("value.too-many", "/devices", "iot.firmware.ParameterSizeExceedMax"),
    ("batch.list-too-long", "", "iot.firmware.ParameterSizeExceedMax"),
    ("value.length", "/target/devices", "iot.device.InvalidFormattedDeviceName"),
    ("value.charset", "/target/devices", "iot.device.InvalidFormattedDeviceName"),
    ("value.length", "/devices", "iot.device.InvalidFormattedDeviceName"),
    ("value.charset", "/devices", "iot.device.InvalidFormattedDeviceName"),
    ("batch.unknown-devices", "", "iot.device.NotExistedDevice"),
    ("device.unknown", "", "iot.device.NotExistedDevice"),
    ("batch.no-device", "", "iot.firmware.NoDeviceCanUpgrade"),
    ("batch.other-version", "", "iot.firmware.SrcVersionMismatch"),
    ("batch.never-reported", "", "iot.firmware.NonVersionedDeviceInArray"),
    ("batch.package-not-verified", "", "iot.firmware.FirmwareNotVerified"),
    ("batch.source-versions-not-allowed", "", "iot.firmware.SrcVersionsNotAllowed"),
    ("batch.source-versions-required", "", "iot.firmware.NullSrcVersions"),
    ("batch.source-is-target", "", "iot.firmware.SrcDestVersionMatched"),
    ("batch.source-not-deltas", "", "iot.firmware.UpgradeSrcVersionMismatch"),
    ("value.too-many", "/source_versions", "iot.firmware.SrcVersionsSizeExceedMax"),
    // Of a delta package too, whose field is `/source_version`.
    ("", "/source_version", "iot.firmware.IncorrectFormattedSrcVersion"),
    ("", "/new_reports_only", "iot.firmware.InvalidDynamicMode"),
    ("", "/overwrite", "iot.firmware.InvalidOverwriteMode"),
    ("", "/push_per_minute_max", "iot.firmware.InvalidMaximumPerMinute"),
    ("", "/retry/count_max", "iot.firmware.InvalidRetryCount"),
    ("", "/retry", "iot.firmware.InvalidRetryInterval"),
    ("", "/timeout_minutes", "iot.firmware.InvalidTimeoutSetting"),
    ("value.duplicate", "/tags", "iot.ota.tag.KeyDuplicated"),
    ("batch.end-without-start", "", "iot.firmware.ScheduleFinishTimeWithoutStartTime"),
    ("batch.start-in-past", "", "iot.firmware.FireTimeMustLargeThanCurrentTime"),
    ("batch.start-too-soon", "", "iot.firmware.FireTimeTooShort"),
    ("batch.start-too-late", "", "iot.firmware.FireTimeTooLate"),
    ("batch.end-before-start", "", "iot.firmware.ScheduleFinishTimeEarlierThanStartTime"),
    ("batch.end-too-soon", "", "iot.firmware.ScheduleFinishTimeTooEarly"),
    ("batch.end-too-late", "", "iot.firmware.ScheduleFinishTimeTooLate"),
    // Canceling, and single tasks.
    ("batch.cancel-nothing", "", "iot.firmware.CancelOptionIsMandatory"),
    ("batch.ended", "", "iot.firmware.JobAlreadyCanceled"),
    ("batch.strategy-canceled", "", "iot.firmware.JobAlreadyCanceled"),
    ("batch.no-schedule", "", "iot.firmware.JobHasNoScheduleTime"),
    ("batch.not-dynamic", "", "iot.firmware.NotDynamicJob"),
    ("batch.tags-fixed", "", "iot.common.AuthActionPermissionDeny"),
    ("", "/batch_id", "iot.firmware.InvalidOTAJobId"),
    ("task.unknown", "", "iot.firmware.InvalidOTATaskId"),
    ("task.not-unconfirmed", "", "iot.firmware.IncorrectDeviceUpgradeJobStatus"),
    ("task.outside-schedule", "", "iot.firmware.IncorrectDeviceUpgradeJobStatus"),
    ("task.not-ended", "", "iot.firmware.IncorrectDeviceUpgradeJobStatus"),
    ("task.device-busy", "", "iot.firmware.IncorrectDeviceUpgradeJobStatus"),
    ("task.package-not-verified", "", "iot.firmware.ReUpgradeFailedFirmwareNotVerified"),
    ("value.missing", "/task_ids", "iot.firmware.NullTaskId"),
    ("value.too-many", "/task_ids", "iot.firmware.ParameterSizeExceedMax"),
    ("", "/task_ids", "iot.firmware.InvalidOTATaskId"),
    ("", "query:status", "iot.firmware.InvalidTaskStatus"),
    ("value.too-many", "query:device_names", "iot.firmware.ParameterSizeExceedMax"),
    ("", "query:device_names", "iot.device.InvalidFormattedDeviceName"),
];

/// Words the refusal of one of the service's own functions as the vendor does. `unknown` is what the vendor says of the
/// thing in the path that is not there.
pub(crate) fn translate(
    action: &str,
    parameters: &Parameters,
    unknown: &'static str,
    refused: &Refused,
) -> Refusal {
    // The function has logged the cause under an id of its own.
    let log = || format!("{} was refused by the service's own function: {}", action, refused.code);
    if refused.status == StatusCode::SERVICE_UNAVAILABLE {
        return Refusal::Busy { log: log() };
    }
    // A token that is refused is the service's own.
    if refused.status.is_server_error() || refused.status == StatusCode::UNAUTHORIZED {
        return Refusal::Failed { log: log() };
    }
    let code = if refused.code == "request.not-found" {
        unknown
    } else {
        sharpened(find(action, &refused.code, &refused.pointer), parameters)
    };
    Refusal::new(code, refused.message.clone())
}

fn find(action: &str, code: &str, pointer: &str) -> &'static str {
    let own = BY_ACTION.iter().filter(|(name, _)| *name == action).flat_map(|(_, rows)| *rows);
    // A row with a code counts before those that only tell the place.
    let [coded, placed] = [false, true].map(|any| ROWS.iter().filter(move |row| row.0.is_empty() == any));
    let fits = |row: &&Row| (row.0.is_empty() || row.0 == code) && pointer.starts_with(row.1);
    own.chain(coded).chain(placed).find(fits).map_or(OTHER, |row| row.2)
}

/// Tells apart what is one code here and two of the vendor's.
fn sharpened(code: &'static str, parameters: &Parameters) -> &'static str {
    match code {
        "iot.firmware.DynamicSpecificNotSupported" if parameters.get("TargetSelection") == Some("GRAY") => {
            "iot.firmware.DynamicGrayNotSupported"
        }
        "iot.firmware.UpgradeSrcVersionMismatch" if parameters.list("SrcVersion").nth(1).is_some() => {
            "iot.firmware.MoreThanOneSrcVersion"
        }
        code => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_and_the_operation_decide_where_the_code_does_not() {
        for (action, code, pointer, says) in [
            ("", "batch.package-not-verified", "/package_id", "iot.firmware.FirmwareNotVerified"),
            ("", "value.malformed", "/package_id", "iot.firmware.InvalidFirmwareId"),
            ("", "value.missing", "/target/gray_percent", "iot.firmware.NullGrayPercent"),
            ("", "value.range", "/target/gray_percent", "iot.firmware.InvalidGrayPercent"),
            ("", "value.not-one-of", "/retry/count_max", "iot.firmware.InvalidRetryCount"),
            ("", "value.not-one-of", "/retry/after_minutes", "iot.firmware.InvalidRetryInterval"),
            ("", "value.charset", "/source_versions/1", "iot.firmware.IncorrectFormattedSrcVersion"),
            ("DeleteOTAModule", "module.reserved", "", "iot.ota.DeleteOtaDefaultModule"),
            ("CreateOTAModule", "module.reserved", "", "iot.firmware.ModuleNameReserved"),
            ("CreateOTAModule", "value.length", "/alias", "iot.ota.CreateOTAModuleParamError"),
            ("", "value.length", "/nowhere", OTHER),
        ] {
            assert_eq!(find(action, code, pointer), says, "{action} {code} {pointer}");
        }
    }

    #[test]
    fn no_row_hides_a_later_one() {
        for (at, row) in ROWS.iter().enumerate() {
            let hidden = ROWS[..at]
                .iter()
                .find(|earlier| (earlier.0.is_empty() || earlier.0 == row.0) && row.1.starts_with(earlier.1));
            assert_eq!(hidden, None, "before {row:?}");
        }
    }
}
