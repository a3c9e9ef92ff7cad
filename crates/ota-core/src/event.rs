//! What the outside is told of: tasks that ended, versions that changed, batches whose status changed (R170-R172).
//!
//! Topics and payloads are the vendor's forwarded messages to the letter, so that whoever consumes those can consume
//! these. An event is told at least once; its id follows from what happened, so a repeated one is recognised.

use alloc::format;
use alloc::string::String;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::batch::{Batch, BatchStatus};
use crate::ids::{BatchId, DeviceName, DeviceRef, ModuleName, ProductKey, Version};
use crate::task::{Reason, Task, TaskStatus};
use crate::time::Timestamp;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A task succeeded or failed (R170).
    TaskEnded,
    /// A device reports another version than before (R171).
    VersionChanged,
    /// A batch's status changed (R172).
    BatchStatus,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::TaskEnded, Self::VersionChanged, Self::BatchStatus];

    /// Returns the name used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TaskEnded => "task-ended",
            Self::VersionChanged => "version-changed",
            Self::BatchStatus => "batch-status",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The same for the same happening, however often it is told.
    pub id: [u8; 16],
    /// What it is about.
    pub kind: EventKind,
    /// The product.
    pub product_key: ProductKey,
    /// When it happened.
    pub at: Timestamp,
    /// The vendor's topic.
    pub topic: String,
    /// The vendor's payload, a JSON object.
    pub payload: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskPayload<'a> {
    iot_id: String,
    product_key: &'a str,
    device_name: &'a str,
    status: &'static str,
    message_create_time: u64,
    src_version: &'a str,
    dest_version: &'a str,
    desc: String,
    job_id: String,
    task_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionPayload<'a> {
    iot_id: String,
    device_name: &'a str,
    product_key: &'a str,
    module_name: &'a str,
    module_version: &'a str,
    message_create_time: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchPayload<'a> {
    product_key: &'a str,
    module_name: &'a str,
    package_id: String,
    job_id: String,
    status: &'static str,
    message_create_time: u64,
}

/// Returns the id that the vendor's messages have for a device besides its two names: 20 characters that follow from
/// them.
pub fn iot_id(device: &DeviceRef) -> String {
    let digest = hash(&[device.product_key.as_str().as_bytes(), device.device_name.as_str().as_bytes()]);
    hex::encode(&digest[..10])
}

/// Returns the id of one device's task in a batch, as the API tells it.
pub fn task_id(batch_id: BatchId, device: &DeviceName) -> String {
    format!("{batch_id}.{device}")
}

impl Event {
    /// Returns the event of a task's end, if its end is one that is told: success, and failure but for a device that was
    /// busy with another task (R139, R170).
    pub fn task_ended(device: &DeviceRef, task: &Task, target: &Version) -> Option<Self> {
        let status = match (task.status, &task.reason) {
            (TaskStatus::Succeeded, _) => "SUCCEEDED",
            (TaskStatus::Failed, Some(Reason::DeviceBusy)) => return None,
            (TaskStatus::Failed, _) => "FAILED",
            _ => return None,
        };
        let task_id = task_id(task.batch_id, &device.device_name);
        let payload = TaskPayload {
            iot_id: iot_id(device),
            product_key: device.product_key.as_str(),
            device_name: device.device_name.as_str(),
            status,
            message_create_time: task.updated_at.0,
            src_version: task.source_version.as_ref().map_or("", Version::as_str),
            dest_version: target.as_str(),
            desc: task.reason.as_ref().map_or_else(|| "success".into(), |reason| format!("{reason}")),
            job_id: format!("{}", task.batch_id),
            task_id,
        };
        let topic = format!("/{}/{}/ota/upgrade", device.product_key, device.device_name);
        Some(Self::new(EventKind::TaskEnded, &device.product_key, task.updated_at, topic, &payload))
    }

    /// Returns the event of a changed version.
    pub fn version_changed(
        device: &DeviceRef,
        module: &ModuleName,
        version: &Version,
        at: Timestamp,
    ) -> Self {
        let payload = VersionPayload {
            iot_id: iot_id(device),
            device_name: device.device_name.as_str(),
            product_key: device.product_key.as_str(),
            module_name: module.as_str(),
            module_version: version.as_str(),
            message_create_time: at.0,
        };
        let topic = format!("/{}/{}/ota/version/post", device.product_key, device.device_name);
        Self::new(EventKind::VersionChanged, &device.product_key, at, topic, &payload)
    }

    /// Returns the event of a batch's present status, which it has had since `at`.
    pub fn batch_status(batch: &Batch, at: Timestamp) -> Self {
        let status = match batch.status {
            BatchStatus::Planned => "PLANNED",
            BatchStatus::InProgress => "IN_PROGRESS",
            BatchStatus::Completed => "COMPLETED",
            BatchStatus::Canceled => "CANCELED",
        };
        let payload = BatchPayload {
            product_key: batch.product_key.as_str(),
            module_name: batch.module.as_str(),
            package_id: format!("{}", batch.package_id),
            job_id: format!("{}", batch.id),
            status,
            message_create_time: at.0,
        };
        let topic = format!("/{}/{}/{}/ota/job/status", batch.product_key, batch.package_id, batch.id);
        Self::new(EventKind::BatchStatus, &batch.product_key, at, topic, &payload)
    }

    fn new(
        kind: EventKind,
        product_key: &ProductKey,
        at: Timestamp,
        topic: String,
        payload: &impl Serialize,
    ) -> Self {
        let payload = serde_json::to_string(payload).expect("texts and numbers can always be written");
        let mut id = [0; 16];
        id.copy_from_slice(&hash(&[topic.as_bytes(), payload.as_bytes()])[..16]);
        Self { id, kind, product_key: product_key.clone(), at, topic, payload }
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests_world::{LATER, batch, version};
    use crate::device::message::DeviceFailure;

    fn device() -> DeviceRef {
        DeviceRef {
            product_key: ProductKey::new("a1lamp").unwrap(),
            device_name: DeviceName::new("lamp").unwrap(),
        }
    }

    fn ended(status: TaskStatus, reason: Option<Reason>) -> Task {
        let task = Task::new(BatchId([1; 16]), Some(version("1.0")), false, Timestamp(1));
        Task { status, reason, updated_at: LATER, ..task }
    }

    fn told(status: TaskStatus, reason: Option<Reason>) -> Option<Event> {
        Event::task_ended(&device(), &ended(status, reason), &version("2.0"))
    }

    #[test]
    fn r170_a_tasks_end_is_told_in_the_vendors_words() {
        let event = told(TaskStatus::Succeeded, None).unwrap();
        assert_eq!(event.topic, "/a1lamp/lamp/ota/upgrade");
        let job = "01010101010101010101010101010101";
        let expected = format!(
            r#"{{"iotId":"{}","productKey":"a1lamp","deviceName":"lamp","status":"SUCCEEDED","messageCreateTime":3000,"srcVersion":"1.0","destVersion":"2.0","desc":"success","jobId":"{job}","taskId":"{job}.lamp"}}"#,
            iot_id(&device())
        );
        assert_eq!(event.payload, expected);
        let reason = Reason::Device { failure: DeviceFailure::Flash, desc: "bad block".into() };
        let failed = told(TaskStatus::Failed, Some(reason)).unwrap();
        assert!(failed.payload.contains(r#""status":"FAILED""#));
        assert!(failed.payload.contains(r#""desc":"device code -4: bad block""#));
    }

    #[test]
    fn r139_a_busy_failure_and_a_cancel_are_not_told() {
        assert_eq!(told(TaskStatus::Failed, Some(Reason::DeviceBusy)), None);
        assert_eq!(told(TaskStatus::Canceled, Some(Reason::CanceledByUser)), None);
        assert_eq!(told(TaskStatus::InProgress, None), None);
    }

    #[test]
    fn r171_a_changed_version_is_told_with_its_module() {
        let event = Event::version_changed(&device(), &ModuleName::new("mcu").unwrap(), &version("7"), LATER);
        assert_eq!(event.topic, "/a1lamp/lamp/ota/version/post");
        assert!(event.payload.contains(r#""moduleName":"mcu","moduleVersion":"7","messageCreateTime":3000"#));
    }

    #[test]
    fn r172_a_batchs_status_is_told_in_the_vendors_words() {
        let event = Event::batch_status(&batch(1), LATER);
        let id = "01010101010101010101010101010101";
        assert_eq!(event.topic, format!("/a1lamp/{id}/{id}/ota/job/status"));
        assert!(event.payload.contains(r#""moduleName":"default""#));
        assert!(event.payload.contains(r#""status":"IN_PROGRESS""#));
    }

    #[test]
    fn the_same_happening_has_the_same_id() {
        let once = told(TaskStatus::Succeeded, None);
        assert_eq!(once, told(TaskStatus::Succeeded, None));
        assert_ne!(once.map(|event| event.id), told(TaskStatus::Failed, None).map(|event| event.id));
    }

    #[test]
    fn names_read_back() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
        }
    }
}
