//! A task and its batch's policy.

use minicbor::{Decode, Encode};
use ota_core::ids::{BatchId, ModuleName, Version};
use ota_core::task::{Reason, Retry, Task, TaskPolicy, TaskStatus, Wait, Window};
use ota_core::time::Timestamp;

use super::{Corrupt, state};

/// The stored form of [`Task`].
#[derive(Encode, Decode)]
pub(crate) struct TaskRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    batch_id: [u8; 16],
    #[b(1)]
    status: &'a str,
    #[b(2)]
    source_version: Option<&'a str>,
    #[n(3)]
    percent: u8,
    #[b(4)]
    desc: &'a str,
    #[b(5)]
    reason: Option<&'a str>,
    #[b(6)]
    reason_desc: &'a str,
    #[n(7)]
    created_at: u64,
    #[n(8)]
    updated_at: u64,
    #[n(9)]
    first_progress_at: Option<u64>,
    #[n(10)]
    retries_used: u8,
    #[n(11)]
    retry_at: Option<u64>,
    #[n(12)]
    settle_at: Option<u64>,
    #[n(13)]
    unsent_since: Option<u64>,
    #[n(14)]
    notified_at: Option<u64>,
    #[b(15)]
    only_module: Option<&'a str>,
    /// Present where it is another moment than `created_at`.
    #[n(16)]
    queued_at: Option<u64>,
}

impl<'a> From<&'a Task> for TaskRecord<'a> {
    fn from(task: &'a Task) -> Self {
        let (retry_at, settle_at) = match task.wait {
            None => (None, None),
            Some(Wait::Retry(at)) => (Some(at.0), None),
            Some(Wait::Settle(at)) => (None, Some(at.0)),
        };
        Self {
            batch_id: task.batch_id.0,
            status: task.status.as_str(),
            source_version: task.source_version.as_ref().map(Version::as_str),
            percent: task.percent,
            desc: &task.desc,
            reason: task.reason.as_ref().map(Reason::code),
            reason_desc: task.reason.as_ref().map_or("", Reason::desc),
            created_at: task.created_at.0,
            updated_at: task.updated_at.0,
            first_progress_at: task.first_progress_at.map(|at| at.0),
            retries_used: task.retries_used,
            retry_at,
            settle_at,
            unsent_since: task.unsent_since.map(|at| at.0),
            notified_at: task.notified_at.map(|at| at.0),
            only_module: task.only_module.as_ref().map(ModuleName::as_str),
            queued_at: (task.queued_at != task.created_at).then_some(task.queued_at.0),
        }
    }
}

impl TryFrom<TaskRecord<'_>> for Task {
    type Error = Corrupt;

    fn try_from(record: TaskRecord<'_>) -> Result<Self, Corrupt> {
        let reason = record
            .reason
            .map(|code| state(Reason::parse(code, record.reason_desc.to_owned()), code))
            .transpose()?;
        let retry = record.retry_at.map(|at| Wait::Retry(Timestamp(at)));
        let settle = record.settle_at.map(|at| Wait::Settle(Timestamp(at)));
        Ok(Self {
            batch_id: BatchId(record.batch_id),
            only_module: record.only_module.map(ModuleName::new).transpose()?,
            status: state(TaskStatus::parse(record.status), record.status)?,
            source_version: record.source_version.map(Version::new).transpose()?,
            percent: record.percent,
            desc: record.desc.to_owned(),
            reason,
            created_at: Timestamp(record.created_at),
            queued_at: Timestamp(record.queued_at.unwrap_or(record.created_at)),
            updated_at: Timestamp(record.updated_at),
            notified_at: record.notified_at.map(Timestamp),
            first_progress_at: record.first_progress_at.map(Timestamp),
            retries_used: record.retries_used,
            wait: retry.or(settle),
            unsent_since: record.unsent_since.map(Timestamp),
        })
    }
}

/// The stored form of [`TaskPolicy`].
#[derive(Encode, Decode)]
pub(crate) struct PolicyRecord<'a> {
    #[b(0)]
    target_version: &'a str,
    #[n(1)]
    timeout_minutes: Option<u16>,
    #[n(2)]
    retry_after_minutes: Option<u16>,
    #[n(3)]
    retry_count_max: Option<u8>,
    #[n(4)]
    forgive_source_version: bool,
    #[n(5)]
    retry_begun_only: Option<bool>,
    #[n(6)]
    pull_only: Option<bool>,
    #[n(7)]
    needs_confirmation: Option<bool>,
    #[n(8)]
    opens_at: Option<u64>,
    #[n(9)]
    closes_at: Option<u64>,
    #[n(10)]
    hard_stop: Option<bool>,
}

/// A flag that is rarely up takes no room while it is down.
fn flag(up: bool) -> Option<bool> {
    up.then_some(true)
}

impl<'a> From<&'a TaskPolicy> for PolicyRecord<'a> {
    fn from(policy: &'a TaskPolicy) -> Self {
        Self {
            target_version: policy.target_version.as_str(),
            timeout_minutes: policy.timeout_minutes,
            retry_after_minutes: policy.retry.map(|r| r.after_minutes),
            retry_count_max: policy.retry.map(|r| r.count_max),
            forgive_source_version: policy.forgive_source_version,
            retry_begun_only: flag(policy.retry_begun_only),
            pull_only: flag(!policy.push),
            needs_confirmation: flag(policy.needs_confirmation),
            opens_at: policy.window.opens_at.map(|at| at.0),
            closes_at: policy.window.closes_at.map(|at| at.0),
            hard_stop: flag(policy.window.hard_stop),
        }
    }
}

impl TryFrom<PolicyRecord<'_>> for TaskPolicy {
    type Error = Corrupt;

    fn try_from(record: PolicyRecord<'_>) -> Result<Self, Corrupt> {
        let retry = record.retry_after_minutes.zip(record.retry_count_max);
        Ok(Self {
            target_version: Version::new(record.target_version)?,
            timeout_minutes: record.timeout_minutes,
            retry: retry.map(|(after_minutes, count_max)| Retry { after_minutes, count_max }),
            forgive_source_version: record.forgive_source_version,
            retry_begun_only: record.retry_begun_only.unwrap_or(false),
            push: !record.pull_only.unwrap_or(false),
            needs_confirmation: record.needs_confirmation.unwrap_or(false),
            window: Window {
                opens_at: record.opens_at.map(Timestamp),
                closes_at: record.closes_at.map(Timestamp),
                hard_stop: record.hard_stop.unwrap_or(false),
            },
        })
    }
}
