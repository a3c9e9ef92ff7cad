//! Batches, devices and histories to try the rules on.

use ota_core::batch::{Batch, BatchKind, BatchStatus, TargetSelection, UpgradeMode};
use ota_core::device::message::DeviceFailure;
use ota_core::device::{Device, DeviceSecret};
use ota_core::ids::{BatchId, DeviceName, ModuleName, PackageId, ProductKey, Version};
use ota_core::limits;
use ota_core::package::PackageKind;
use ota_core::task::{Retry, Task, TaskEvent, TaskPolicy, Window};
use ota_core::time::Timestamp;
use proptest::prelude::*;

/// When everything begins.
pub(crate) const START: Timestamp = Timestamp(1_600_000_000_000);

/// The version that every batch here leads to; devices report 1.0, 1.1 or this one.
pub(crate) const TARGET: &str = "2.0";

pub(crate) fn version(text: &str) -> Version {
    Version::new(text).expect("a version")
}

pub(crate) fn policy(timeout_minutes: Option<u16>, retry: Option<(u16, u8)>) -> TaskPolicy {
    TaskPolicy {
        timeout_minutes,
        retry: retry.map(|(after_minutes, count_max)| Retry { after_minutes, count_max }),
        ..TaskPolicy::new(version(TARGET))
    }
}

pub(crate) fn batch(id: u8) -> Batch {
    Batch {
        id: BatchId([id; 16]),
        kind: BatchKind::Upgrade,
        mode: UpgradeMode::Static,
        target: TargetSelection::All,
        package_id: PackageId([id; 16]),
        product_key: ProductKey::new("a1lamp").expect("a product key"),
        module: ModuleName::default_module(),
        package_kind: PackageKind::Full,
        download: ota_core::batch::DownloadProtocol::Https,
        source_versions: Vec::new(),
        policy: policy(None, None),
        push_per_minute_max: limits::PUSH_PER_MINUTE_MIN,
        overwrite: false,
        multi_module: false,
        tags: Vec::new(),
        status: BatchStatus::InProgress,
        cancel: None,
        strategy_canceled_at: None,
        created_at: START,
        started_at: Some(START),
        ended_at: None,
    }
}

/// An activated device on 1.0 that is offline.
pub(crate) fn device(number: usize) -> Device {
    let name = DeviceName::new(&format!("lamp-{number:04}")).expect("a device name");
    let mut device = Device::new(name, DeviceSecret::from_random([1; 16]), START);
    device.activated_at = Some(START);
    device.report_version(&ModuleName::default_module(), &version("1.0"), START);
    device
}

pub(crate) fn new_task(source: Option<&str>, needs_confirmation: bool) -> Task {
    Task::new(BatchId([1; 16]), source.map(version), needs_confirmation, START)
}

pub(crate) fn any_version() -> impl Strategy<Value = Version> {
    prop::sample::select(vec!["1.0", "1.1", TARGET]).prop_map(version)
}

pub(crate) fn any_policy() -> impl Strategy<Value = TaskPolicy> {
    let timeout = prop::option::of(1..=30_u16);
    let minutes = prop::sample::select(limits::RETRY_AFTER_MINUTES.to_vec());
    let count = prop::sample::select(limits::RETRY_COUNTS.to_vec());
    let later_readings = (any::<bool>(), any::<bool>());
    (timeout, prop::option::of((minutes, count)), later_readings, any_window()).prop_map(
        |(timeout, retry, (forgive_source_version, retry_begun_only), window)| TaskPolicy {
            forgive_source_version,
            retry_begun_only,
            window,
            ..policy(timeout, retry)
        },
    )
}

/// Mostly no schedule; else one that begins and ends while things happen.
fn any_window() -> impl Strategy<Value = Window> {
    let moment = || prop::option::weighted(0.3, 0..=7_200_000_u64);
    (moment(), moment(), any::<bool>()).prop_map(|(opens, closes, hard_stop)| Window {
        opens_at: opens.map(|ms| START.plus_ms(ms)),
        closes_at: closes.map(|ms| START.plus_ms(ms)),
        hard_stop,
    })
}

/// What a device may say of its task.
pub(crate) fn any_device_event() -> impl Strategy<Value = TaskEvent> {
    let desc = || prop::sample::select(vec![String::new(), "words".to_owned()]);
    prop_oneof![
        3 => (0..=100_u8, desc())
            .prop_map(|(percent, desc)| TaskEvent::ProgressReported { percent, desc }),
        2 => (prop::sample::select(DeviceFailure::ALL.to_vec()), desc())
            .prop_map(|(failure, desc)| TaskEvent::FailureReported { failure, desc }),
        2 => any_version().prop_map(|version| TaskEvent::VersionReported { version }),
        1 => Just(TaskEvent::Requested),
        1 => Just(TaskEvent::Reconnected),
    ]
}

/// Anything that may happen to a task, but for a re-upgrade.
pub(crate) fn any_event() -> impl Strategy<Value = TaskEvent> {
    prop_oneof![
        6 => any_device_event(),
        3 => Just(TaskEvent::PushDecided),
        2 => Just(TaskEvent::PushSent),
        2 => Just(TaskEvent::Ticked),
        1 => prop::sample::select(vec![
            TaskEvent::Confirmed,
            TaskEvent::CanceledByUser,
            TaskEvent::Overwritten,
            TaskEvent::ScheduleFinished,
            TaskEvent::SourceVersionLost,
            TaskEvent::DeviceDeleted,
        ]),
    ]
}

/// How long until the next thing happens: often no time at all, sometimes hours.
pub(crate) fn any_pause_ms() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..=10_000_u64, 60_000..=7_200_000_u64]
}
