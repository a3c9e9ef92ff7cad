//! Batches and tasks as the REST API tells them; several functions do.

use ota_core::batch::{Batch, TargetSelection, TaskCounts, UpgradeMode};
use ota_core::device::{Device, Region};
use ota_core::dispatch::{QueuedBecause, queued_because};
use ota_core::event::task_id;
use ota_core::ids::{DeviceName, ModuleName, ProductKey, Version};
use ota_core::task::Task;
use ota_core::time::Timestamp;
use ota_store::batches::{ListedTask, StoredBatch};
use ota_store::shard::Brief;
use serde::Serialize;

/// A batch.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of docs/api.md")]
pub struct BatchJson {
    pub batch_id: String,
    pub kind: &'static str,
    pub mode: &'static str,
    pub status: &'static str,
    pub package_id: String,
    pub product_key: String,
    pub module: String,
    pub target_version: String,
    pub target: TargetJson,
    pub download_protocol: &'static str,
    pub source_versions: Vec<String>,
    pub push_per_minute_max: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_minutes: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_reports_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy_canceled_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleJson>,
    pub push: bool,
    pub needs_confirmation: bool,
    pub multi_module: bool,
    pub overwrite: bool,
    pub tags: Vec<TagJson>,
    pub counts: CountsJson,
    pub counted_at: u64,
    pub expanded: bool,
    pub created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
}

/// A batch's target.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of docs/api.md")]
pub struct TargetJson {
    pub selection: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gray_percent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<RegionJson>>,
}

/// A region.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of docs/api.md")]
pub struct RegionJson {
    pub province: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
}

impl From<&Region> for RegionJson {
    fn from(region: &Region) -> Self {
        Self { province: region.province.clone(), city: region.city.clone() }
    }
}

/// A batch's schedule.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of docs/api.md")]
pub struct ScheduleJson {
    pub start_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_at: Option<u64>,
    pub hard_stop: bool,
}

/// A batch's retry setting.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of docs/api.md")]
pub struct RetryJson {
    pub after_minutes: u16,
    pub count_max: u8,
}

/// A tag.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of docs/api.md")]
pub struct TagJson {
    pub key: String,
    pub value: String,
}

/// How many tasks stand where.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of docs/api.md")]
pub struct CountsJson {
    pub total: u32,
    pub unconfirmed: u32,
    pub queued: u32,
    pub notified: u32,
    pub in_progress: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub canceled: u32,
}

/// A task.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of docs/api.md")]
pub struct TaskJson {
    pub task_id: String,
    pub batch_id: String,
    pub product_key: String,
    pub device_name: String,
    pub module: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
    pub target_version: String,
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_because: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<u64>,
    pub progress: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonJson>,
    pub retries_used: u8,
    pub created_at: u64,
    pub updated_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
}

/// Why a task ended, or why its last attempt failed.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of docs/api.md")]
pub struct ReasonJson {
    pub code: &'static str,
    pub description: String,
}

impl BatchJson {
    /// Renders a batch with its counts and the moment they are of.
    pub fn new(stored: &StoredBatch, counts: TaskCounts, counted_at: Timestamp) -> Self {
        let batch = &stored.batch;
        Self {
            batch_id: batch.id.to_string(),
            kind: batch.kind.as_str(),
            mode: batch.mode.as_str(),
            status: batch.status.as_str(),
            package_id: batch.package_id.to_string(),
            product_key: batch.product_key.to_string(),
            module: batch.module.to_string(),
            target_version: batch.policy.target_version.to_string(),
            target: TargetJson::new(stored),
            download_protocol: batch.download.as_str(),
            source_versions: batch.source_versions.iter().map(ToString::to_string).collect(),
            push_per_minute_max: batch.push_per_minute_max,
            timeout_minutes: batch.policy.timeout_minutes,
            retry: batch
                .policy
                .retry
                .map(|retry| RetryJson { after_minutes: retry.after_minutes, count_max: retry.count_max }),
            new_reports_only: match batch.mode {
                UpgradeMode::Static => None,
                UpgradeMode::Dynamic { new_reports_only } => Some(new_reports_only),
            },
            strategy_canceled_at: batch.strategy_canceled_at.map(|at| at.0),
            schedule: batch.policy.window.opens_at.map(|start| ScheduleJson {
                start_at: start.0,
                end_at: batch.policy.window.closes_at.map(|at| at.0),
                hard_stop: batch.policy.window.hard_stop,
            }),
            push: batch.policy.push,
            needs_confirmation: batch.policy.needs_confirmation,
            multi_module: batch.multi_module,
            overwrite: batch.overwrite,
            tags: batch
                .tags
                .iter()
                .map(|tag| TagJson { key: tag.key.clone(), value: tag.value.clone() })
                .collect(),
            counts: CountsJson::new(&counts),
            counted_at: counted_at.0,
            expanded: stored.expanded,
            created_at: batch.created_at.0,
            started_at: batch.started_at.map(|at| at.0),
            ended_at: batch.ended_at.map(|at| at.0),
        }
    }
}

impl CountsJson {
    /// Renders counts.
    pub fn new(counts: &TaskCounts) -> Self {
        Self {
            total: counts.total(),
            unconfirmed: counts.unconfirmed,
            queued: counts.queued,
            notified: counts.notified,
            in_progress: counts.in_progress,
            succeeded: counts.succeeded,
            failed: counts.failed,
            canceled: counts.canceled,
        }
    }
}

impl TargetJson {
    fn new(stored: &StoredBatch) -> Self {
        let target = &stored.batch.target;
        let none = Self {
            selection: target.as_str(),
            devices: None,
            listed: None,
            gray_percent: None,
            regions: None,
        };
        match target {
            TargetSelection::All => none,
            // There may be thousands of names; the batch's tasks tell them.
            TargetSelection::Specific { listed: true, .. } => Self { listed: Some(stored.listed), ..none },
            TargetSelection::Specific { devices, .. } => {
                Self { devices: Some(devices.iter().map(ToString::to_string).collect()), ..none }
            }
            TargetSelection::Gray { percent, .. } => Self { gray_percent: Some(percent.to_string()), ..none },
            TargetSelection::Region { regions } => {
                Self { regions: Some(regions.iter().map(RegionJson::from).collect()), ..none }
            }
        }
    }
}

impl TaskJson {
    /// Renders a task as its batch lists it.
    pub fn listed(batch: &Batch, listed: &ListedTask) -> Self {
        let (product, module, target) = (&batch.product_key, &batch.module, &batch.policy.target_version);
        Self::new(product, &listed.device_name, module, target, &listed.task, listed.queued_because)
    }

    /// Renders a task a device is in, as it stands at `now`.
    pub fn of_device(
        product: &ProductKey,
        device: &Device,
        task: &Task,
        brief: &Brief,
        now: Timestamp,
    ) -> Self {
        let (module, target) = (&brief.module, &brief.policy.target_version);
        let because = queued_because(device, task, &brief.policy, now);
        Self::new(product, &device.name, module, target, task, because)
    }

    fn new(
        product: &ProductKey,
        device_name: &DeviceName,
        module: &ModuleName,
        target: &Version,
        task: &Task,
        because: Option<QueuedBecause>,
    ) -> Self {
        Self {
            task_id: task_id(task.batch_id, device_name),
            batch_id: task.batch_id.to_string(),
            product_key: product.to_string(),
            device_name: device_name.to_string(),
            module: module.to_string(),
            source_version: task.source_version.as_ref().map(ToString::to_string),
            target_version: target.to_string(),
            status: task.status.as_str(),
            queued_because: because.map(QueuedBecause::as_str),
            scheduled_at: match because {
                Some(QueuedBecause::Scheduled { at }) => Some(at.0),
                _ => None,
            },
            progress: task.percent,
            reason: task
                .reason
                .as_ref()
                .map(|reason| ReasonJson { code: reason.code(), description: reason.to_string() }),
            retries_used: task.retries_used,
            created_at: task.created_at.0,
            updated_at: task.updated_at.0,
            ended_at: task.status.is_terminal().then_some(task.updated_at.0),
        }
    }
}
