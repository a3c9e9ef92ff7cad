//! A batch with its bookkeeping, and a page of its history.

use minicbor::{Decode, Encode};
use ota_core::batch::{
    Batch, BatchKind, BatchStatus, Cancel, DownloadProtocol, GrayPercent, GraySearch, RateWindow, Tag,
    TargetSelection, TaskCounts, UpgradeMode,
};
use ota_core::device::Region;
use ota_core::ids::{BatchId, DeviceName, ModuleName, PackageId, ProductKey, Version};
use ota_core::package::PackageKind;
use ota_core::task::{Task, TaskPolicy};
use ota_core::time::Timestamp;

use super::task_v1::{PolicyRecord, TaskRecord};
use super::{Corrupt, Record, read_body, state, write_body};
use crate::batches::{GrayWalk, Names, Page, StoredBatch, Sweep};

#[derive(Encode, Decode)]
struct BatchRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[b(1)]
    kind: &'a str,
    /// Present for named devices.
    #[b(2)]
    devices: Option<Vec<&'a str>>,
    #[cbor(n(3), with = "minicbor::bytes")]
    package_id: [u8; 16],
    #[b(4)]
    product_key: &'a str,
    #[b(5)]
    module: &'a str,
    /// Present for a delta.
    #[b(6)]
    delta_source: Option<&'a str>,
    #[b(7)]
    source_versions: Vec<&'a str>,
    #[b(8)]
    policy: PolicyRecord<'a>,
    #[n(9)]
    push_per_minute_max: u32,
    #[n(10)]
    overwrite: bool,
    #[b(11)]
    tags: Vec<(&'a str, &'a str)>,
    #[b(12)]
    status: &'a str,
    #[n(13)]
    cancel: Option<CancelRecord>,
    #[n(14)]
    created_at: u64,
    #[n(15)]
    started_at: Option<u64>,
    #[n(16)]
    ended_at: Option<u64>,
    #[n(17)]
    expand_cursor: u32,
    #[n(18)]
    expanded: bool,
    #[n(19)]
    sweep: SweepRecord,
    #[n(20)]
    counts: CountsRecord,
    #[n(21)]
    counted_at: u64,
    #[n(22)]
    grants: Vec<(u64, u32)>,
    #[cbor(n(23), with = "minicbor::bytes")]
    fingerprint: [u8; 16],
    /// Absent for all devices, and for named ones.
    #[b(24)]
    target: Option<TargetRecord<'a>>,
    /// Absent for a static batch.
    #[n(25)]
    new_reports_only: Option<bool>,
    #[n(26)]
    strategy_canceled_at: Option<u64>,
    #[n(27)]
    multi_module: Option<bool>,
    /// How many names the batch's own device list has, which is stored apart.
    #[n(28)]
    listed: Option<u32>,
    #[n(29)]
    gray: Option<GrayRecord>,
    #[n(30)]
    drained: Option<bool>,
    /// Absent before the first status was announced.
    #[b(31)]
    announced: Option<&'a str>,
    /// Absent for HTTPS.
    #[b(40)]
    download: Option<&'a str>,
    /// Absent in batches that are older than it.
    #[n(41)]
    progressed_at: Option<u64>,
    /// Absent when nobody is about to queue a task again.
    #[n(42)]
    reopening: Option<Vec<u64>>,
    #[n(43)]
    walks: Option<u32>,
}

/// A target that is neither all devices nor named ones.
#[derive(Encode, Decode)]
struct TargetRecord<'a> {
    #[n(0)]
    gray_thousandths: Option<u32>,
    #[n(1)]
    gray_cutoff: Option<u64>,
    #[b(2)]
    regions: Option<Vec<RegionRecord<'a>>>,
}

#[derive(Encode, Decode)]
pub(crate) struct RegionRecord<'a> {
    #[b(0)]
    province: &'a str,
    #[b(1)]
    city: Option<&'a str>,
}

impl<'a> From<&'a Region> for RegionRecord<'a> {
    fn from(region: &'a Region) -> Self {
        Self { province: &region.province, city: region.city.as_deref() }
    }
}

impl TryFrom<RegionRecord<'_>> for Region {
    type Error = Corrupt;

    fn try_from(record: RegionRecord<'_>) -> Result<Self, Corrupt> {
        Ok(Self::new(record.province, record.city)?)
    }
}

#[derive(Encode, Decode)]
struct GrayRecord {
    #[cbor(n(0), with = "minicbor::bytes")]
    prefix: Vec<u8>,
    #[n(1)]
    wanted: Option<u64>,
    #[n(2)]
    buckets: Vec<u32>,
    #[n(3)]
    shards: u32,
}

impl<'a> TargetRecord<'a> {
    fn of(target: &'a TargetSelection) -> Option<Self> {
        let none = Self { gray_thousandths: None, gray_cutoff: None, regions: None };
        match target {
            TargetSelection::All | TargetSelection::Specific { .. } => None,
            TargetSelection::Gray { percent, cutoff } => {
                Some(Self { gray_thousandths: Some(percent.thousandths()), gray_cutoff: *cutoff, ..none })
            }
            TargetSelection::Region { regions } => {
                Some(Self { regions: Some(regions.iter().map(RegionRecord::from).collect()), ..none })
            }
        }
    }

    fn read(self) -> Result<TargetSelection, Corrupt> {
        match (self.gray_thousandths, self.regions) {
            (Some(thousandths), None) => {
                let percent = GrayPercent::from_thousandths(thousandths)
                    .ok_or_else(|| Corrupt(format!("a share of {thousandths} thousandths of a percent")))?;
                Ok(TargetSelection::Gray { percent, cutoff: self.gray_cutoff })
            }
            (None, Some(regions)) => Ok(TargetSelection::Region {
                regions: regions.into_iter().map(Region::try_from).collect::<Result<_, _>>()?,
            }),
            _ => Err(Corrupt("a target of no known kind".into())),
        }
    }
}

#[derive(Encode, Decode)]
struct SweepRecord {
    #[n(0)]
    cursor: u32,
    #[n(1)]
    shards: u32,
    #[n(2)]
    counts: CountsRecord,
    #[n(3)]
    unrecorded: u32,
    #[n(4)]
    after_expansion: bool,
}

#[derive(Encode, Decode)]
pub(crate) struct CountsRecord {
    #[n(0)]
    unconfirmed: u32,
    #[n(1)]
    queued: u32,
    #[n(2)]
    notified: u32,
    #[n(3)]
    in_progress: u32,
    #[n(4)]
    succeeded: u32,
    #[n(5)]
    failed: u32,
    #[n(6)]
    canceled: u32,
}

impl From<TaskCounts> for CountsRecord {
    fn from(c: TaskCounts) -> Self {
        let TaskCounts { unconfirmed, queued, notified, in_progress, succeeded, failed, canceled } = c;
        Self { unconfirmed, queued, notified, in_progress, succeeded, failed, canceled }
    }
}

impl From<CountsRecord> for TaskCounts {
    fn from(c: CountsRecord) -> Self {
        let CountsRecord { unconfirmed, queued, notified, in_progress, succeeded, failed, canceled } = c;
        Self { unconfirmed, queued, notified, in_progress, succeeded, failed, canceled }
    }
}

#[derive(Encode, Decode)]
struct CancelRecord {
    #[n(0)]
    queued: Option<u64>,
    #[n(1)]
    notified: Option<u64>,
    #[n(2)]
    in_progress: Option<u64>,
    #[n(3)]
    scheduled: Option<u64>,
    #[n(4)]
    unconfirmed: Option<u64>,
}

impl From<Cancel> for CancelRecord {
    fn from(c: Cancel) -> Self {
        let ms = |at: Option<Timestamp>| at.map(|at| at.0);
        Self {
            queued: ms(c.queued),
            notified: ms(c.notified),
            in_progress: ms(c.in_progress),
            scheduled: ms(c.scheduled),
            unconfirmed: ms(c.unconfirmed),
        }
    }
}

impl From<CancelRecord> for Cancel {
    fn from(c: CancelRecord) -> Self {
        let at = |ms: Option<u64>| ms.map(Timestamp);
        Self {
            queued: at(c.queued),
            notified: at(c.notified),
            in_progress: at(c.in_progress),
            scheduled: at(c.scheduled),
            unconfirmed: at(c.unconfirmed),
        }
    }
}

impl Record for StoredBatch {
    fn write(&self, out: &mut Vec<u8>) {
        let batch = &self.batch;
        let devices = match &batch.target {
            TargetSelection::Specific { devices, listed: false } => {
                Some(devices.iter().map(DeviceName::as_str).collect())
            }
            _ => None,
        };
        let record = BatchRecord {
            id: batch.id.0,
            kind: batch.kind.as_str(),
            devices,
            package_id: batch.package_id.0,
            product_key: batch.product_key.as_str(),
            module: batch.module.as_str(),
            delta_source: batch.package_kind.source_version().map(Version::as_str),
            source_versions: batch.source_versions.iter().map(Version::as_str).collect(),
            policy: PolicyRecord::from(&batch.policy),
            push_per_minute_max: batch.push_per_minute_max,
            overwrite: batch.overwrite,
            tags: batch.tags.iter().map(|t| (t.key.as_str(), t.value.as_str())).collect(),
            status: batch.status.as_str(),
            cancel: batch.cancel.map(CancelRecord::from),
            created_at: batch.created_at.0,
            started_at: batch.started_at.map(|at| at.0),
            ended_at: batch.ended_at.map(|at| at.0),
            expand_cursor: self.expand_cursor,
            expanded: self.expanded,
            sweep: SweepRecord {
                cursor: self.sweep.cursor,
                shards: self.sweep.shards,
                counts: self.sweep.counts.into(),
                unrecorded: self.sweep.unrecorded,
                after_expansion: self.sweep.after_expansion,
            },
            counts: self.counts.into(),
            counted_at: self.counted_at.0,
            grants: self.rate.grants.clone(),
            fingerprint: self.fingerprint,
            target: TargetRecord::of(&batch.target),
            new_reports_only: match batch.mode {
                UpgradeMode::Static => None,
                UpgradeMode::Dynamic { new_reports_only } => Some(new_reports_only),
            },
            strategy_canceled_at: batch.strategy_canceled_at.map(|at| at.0),
            multi_module: batch.multi_module.then_some(true),
            listed: (self.listed > 0).then_some(self.listed),
            gray: self.gray.as_ref().map(|walk| GrayRecord {
                prefix: walk.search.prefix.clone(),
                wanted: walk.search.wanted,
                buckets: walk.search.buckets.clone(),
                shards: walk.shards,
            }),
            drained: Some(self.drained),
            announced: self.announced.map(BatchStatus::as_str),
            download: (batch.download != DownloadProtocol::Https).then(|| batch.download.as_str()),
            progressed_at: Some(self.progressed_at.0),
            reopening: (!self.reopening.is_empty()).then(|| self.reopening.iter().map(|at| at.0).collect()),
            walks: (self.walks > 0).then_some(self.walks),
        };
        write_body(&record, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: BatchRecord<'_> = read_body(&bytes)?;
        let target = match (record.devices, record.target, record.listed) {
            (Some(names), ..) => TargetSelection::Specific {
                devices: names.into_iter().map(DeviceName::new).collect::<Result<_, _>>()?,
                listed: false,
            },
            (None, Some(target), _) => target.read()?,
            // The names are fetched by whoever needs them.
            (None, None, Some(_)) => TargetSelection::Specific { devices: Vec::new(), listed: true },
            (None, None, None) => TargetSelection::All,
        };
        let package_kind = match record.delta_source {
            None => PackageKind::Full,
            Some(version) => PackageKind::Delta { source_version: Version::new(version)? },
        };
        let tag = |(key, value): (&str, &str)| Tag { key: key.to_owned(), value: value.to_owned() };
        let batch = Batch {
            id: BatchId(record.id),
            kind: state(BatchKind::parse(record.kind), record.kind)?,
            mode: match record.new_reports_only {
                None => UpgradeMode::Static,
                Some(new_reports_only) => UpgradeMode::Dynamic { new_reports_only },
            },
            target,
            package_id: PackageId(record.package_id),
            product_key: ProductKey::new(record.product_key)?,
            module: ModuleName::new(record.module)?,
            package_kind,
            download: match record.download {
                None => DownloadProtocol::Https,
                Some(text) => state(DownloadProtocol::parse(text), text)?,
            },
            source_versions: record
                .source_versions
                .into_iter()
                .map(Version::new)
                .collect::<Result<_, _>>()?,
            policy: TaskPolicy::try_from(record.policy)?,
            push_per_minute_max: record.push_per_minute_max,
            overwrite: record.overwrite,
            multi_module: record.multi_module.unwrap_or(false),
            tags: record.tags.into_iter().map(tag).collect(),
            status: state(BatchStatus::parse(record.status), record.status)?,
            cancel: record.cancel.map(Cancel::from),
            strategy_canceled_at: record.strategy_canceled_at.map(Timestamp),
            created_at: Timestamp(record.created_at),
            started_at: record.started_at.map(Timestamp),
            ended_at: record.ended_at.map(Timestamp),
        };
        let drained = record.drained.unwrap_or(batch.status.is_terminal());
        Ok(Self {
            batch,
            listed: record.listed.unwrap_or(0),
            gray: record.gray.map(|gray| GrayWalk {
                search: GraySearch { prefix: gray.prefix, wanted: gray.wanted, buckets: gray.buckets },
                shards: gray.shards,
            }),
            drained,
            announced: record.announced.map(|text| state(BatchStatus::parse(text), text)).transpose()?,
            expand_cursor: record.expand_cursor,
            expanded: record.expanded,
            sweep: Sweep {
                cursor: record.sweep.cursor,
                shards: record.sweep.shards,
                counts: record.sweep.counts.into(),
                unrecorded: record.sweep.unrecorded,
                after_expansion: record.sweep.after_expansion,
            },
            counts: record.counts.into(),
            counted_at: Timestamp(record.counted_at),
            progressed_at: Timestamp(record.progressed_at.unwrap_or(record.counted_at)),
            rate: RateWindow { grants: record.grants },
            fingerprint: record.fingerprint,
            reopening: record.reopening.unwrap_or_default().into_iter().map(Timestamp).collect(),
            walks: record.walks.unwrap_or(0),
        })
    }
}

#[derive(Encode, Decode)]
struct SlotRecord<'a> {
    #[b(0)]
    device: &'a str,
    #[b(1)]
    task: TaskRecord<'a>,
}

impl Record for Page {
    fn write(&self, out: &mut Vec<u8>) {
        let slots = self
            .slots
            .iter()
            .map(|(device, task)| SlotRecord { device: device.as_str(), task: TaskRecord::from(task) });
        write_body(&slots.collect::<Vec<_>>(), out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let slots: Vec<SlotRecord<'_>> = read_body(&bytes)?;
        let slots =
            slots.into_iter().map(|slot| Ok((DeviceName::new(slot.device)?, Task::try_from(slot.task)?)));
        Ok(Self { slots: slots.collect::<Result<_, Corrupt>>()? })
    }
}

impl Record for Names {
    fn write(&self, out: &mut Vec<u8>) {
        write_body(&self.0.iter().map(DeviceName::as_str).collect::<Vec<_>>(), out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let names: Vec<&str> = read_body(&bytes)?;
        Ok(Self(names.into_iter().map(DeviceName::new).collect::<Result<_, _>>()?))
    }
}
