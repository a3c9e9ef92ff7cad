//! A batch and a device to try the rules on.

use crate::batch::{Batch, BatchKind, BatchStatus, DownloadProtocol, TargetSelection, UpgradeMode};
use crate::device::{Device, DeviceSecret, Session};
use crate::ids::{BatchId, DeviceName, ModuleName, PackageId, ProductKey, Version};
use crate::limits;
use crate::package::PackageKind;
use crate::task::TaskPolicy;
use crate::time::Timestamp;
use alloc::vec;

pub(crate) const BEFORE: Timestamp = Timestamp(1_000);
pub(crate) const CREATED: Timestamp = Timestamp(2_000);
pub(crate) const LATER: Timestamp = Timestamp(3_000);

pub(crate) fn version(text: &str) -> Version {
    Version::new(text).unwrap()
}

/// A batch that brings every device to 2.0.
pub(crate) fn batch(id: u8) -> Batch {
    Batch {
        id: BatchId([id; 16]),
        kind: BatchKind::Upgrade,
        mode: UpgradeMode::Static,
        target: TargetSelection::All,
        package_id: PackageId([1; 16]),
        product_key: ProductKey::new("a1lamp").unwrap(),
        module: ModuleName::default_module(),
        package_kind: PackageKind::Full,
        download: DownloadProtocol::Https,
        source_versions: vec![],
        policy: TaskPolicy::new(version("2.0")),
        push_per_minute_max: limits::PUSH_PER_MINUTE_MAX,
        overwrite: false,
        multi_module: false,
        tags: vec![],
        status: BatchStatus::InProgress,
        cancel: None,
        strategy_canceled_at: None,
        created_at: CREATED,
        started_at: Some(CREATED),
        ended_at: None,
    }
}

/// A device that was activated before the batch, is online, and runs `running` if it has said so.
pub(crate) fn device(running: Option<&str>) -> Device {
    let mut device =
        Device::new(DeviceName::new("lamp").unwrap(), DeviceSecret::from_random([1; 16]), BEFORE);
    device.activated_at = Some(BEFORE);
    device.session = Some(Session { id: "s".into(), since: BEFORE });
    if let Some(version) = running {
        report(&mut device, version, BEFORE);
    }
    device
}

pub(crate) fn report(device: &mut Device, text: &str, at: Timestamp) {
    device.report_version(&ModuleName::default_module(), &version(text), at);
}
