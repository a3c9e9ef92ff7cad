//! A device, as it lies in its shard.

use minicbor::{Decode, Encode};
use ota_core::device::{Device, DeviceSecret, ModuleVersion, Region, Session};
use ota_core::ids::{BatchId, DeviceName, ModuleName, Version};
use ota_core::task::Task;
use ota_core::time::Timestamp;

use super::Corrupt;
use super::task_v1::TaskRecord;

#[derive(Encode, Decode)]
struct DeviceRecord<'a> {
    #[b(0)]
    secret: &'a str,
    #[n(1)]
    created_at: u64,
    #[n(2)]
    activated_at: Option<u64>,
    #[b(3)]
    session_id: Option<&'a str>,
    #[n(4)]
    session_since: u64,
    #[b(5)]
    versions: Vec<VersionRecord<'a>>,
    #[b(6)]
    task: Option<TaskRecord<'a>>,
    #[b(7)]
    ended: Vec<TaskRecord<'a>>,
    /// The tasks beside the first.
    #[b(8)]
    more_tasks: Option<Vec<TaskRecord<'a>>>,
    #[b(9)]
    province: Option<&'a str>,
    #[b(10)]
    city: Option<&'a str>,
    #[n(11)]
    joined: Option<Vec<JoinedRecord>>,
}

#[derive(Encode, Decode)]
struct JoinedRecord {
    #[cbor(n(0), with = "minicbor::bytes")]
    batch_id: [u8; 16],
    #[n(1)]
    times: u8,
}

/// A list that is rarely there takes no room while it is empty.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

#[derive(Encode, Decode)]
struct VersionRecord<'a> {
    #[b(0)]
    module: &'a str,
    #[b(1)]
    version: &'a str,
    #[n(2)]
    reported_at: u64,
    #[b(3)]
    previous: Option<&'a str>,
}

/// Appends a device without its name, which stands beside it in the shard.
pub(crate) fn write(device: &Device, out: &mut Vec<u8>) {
    let record = DeviceRecord {
        secret: device.secret.reveal(),
        created_at: device.created_at.0,
        activated_at: device.activated_at.map(|at| at.0),
        session_id: device.session.as_ref().map(|s| s.id.as_str()),
        session_since: device.session.as_ref().map_or(0, |s| s.since.0),
        versions: device
            .versions
            .iter()
            .map(|v| VersionRecord {
                module: v.module.as_str(),
                version: v.version.as_str(),
                reported_at: v.reported_at.0,
                previous: v.previous.as_ref().map(Version::as_str),
            })
            .collect(),
        task: device.tasks.first().map(TaskRecord::from),
        ended: device.ended.iter().map(TaskRecord::from).collect(),
        more_tasks: some(device.tasks.iter().skip(1).map(TaskRecord::from).collect()),
        province: device.region.as_ref().map(|region| region.province.as_str()),
        city: device.region.as_ref().and_then(|region| region.city.as_deref()),
        joined: some(
            device.joined.iter().map(|(id, times)| JoinedRecord { batch_id: id.0, times: *times }).collect(),
        ),
    };
    super::write_body(&record, out);
}

/// Reads what [`write`] wrote.
pub(crate) fn read(name: &str, bytes: &[u8]) -> Result<Device, Corrupt> {
    let record: DeviceRecord<'_> = minicbor::decode(bytes)?;
    let versions = record.versions.into_iter().map(|v| {
        Ok(ModuleVersion {
            module: ModuleName::new(v.module)?,
            version: Version::new(v.version)?,
            reported_at: Timestamp(v.reported_at),
            previous: v.previous.map(Version::new).transpose()?,
        })
    });
    Ok(Device {
        name: DeviceName::new(name)?,
        secret: DeviceSecret::new(record.secret)?,
        created_at: Timestamp(record.created_at),
        activated_at: record.activated_at.map(Timestamp),
        session: record
            .session_id
            .map(|id| Session { id: id.to_owned(), since: Timestamp(record.session_since) }),
        versions: versions.collect::<Result<_, Corrupt>>()?,
        region: record.province.map(|province| Region::new(province, record.city)).transpose()?,
        tasks: record
            .task
            .into_iter()
            .chain(record.more_tasks.into_iter().flatten())
            .map(Task::try_from)
            .collect::<Result<_, _>>()?,
        joined: record
            .joined
            .into_iter()
            .flatten()
            .map(|joined| (BatchId(joined.batch_id), joined.times))
            .collect(),
        ended: record.ended.into_iter().map(Task::try_from).collect::<Result<_, _>>()?,
    })
}
