//! A delta that is made here, and the list of those that are being made.

use minicbor::{Decode, Encode};
use ota_core::delta::{Delta, DeltaFailure, DeltaStatus, SliceSize};
use ota_core::ids::{DeltaId, PackageId};
use ota_core::time::Timestamp;

use super::{Corrupt, Record, read_body, state, write_body};
use crate::deltas::{OpenDeltas, StoredDelta};

#[derive(Encode, Decode)]
struct DeltaRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    target_package: [u8; 16],
    #[n(2)]
    target_size: u64,
    #[cbor(n(3), with = "minicbor::bytes")]
    source_package: [u8; 16],
    #[b(4)]
    slice: &'a str,
    #[b(5)]
    name: &'a str,
    #[b(6)]
    status: &'a str,
    /// Present when it failed.
    #[b(7)]
    failure: Option<&'a str>,
    #[n(8)]
    slices_done: u32,
    #[n(9)]
    bytes: u64,
    #[n(10)]
    created_at: u64,
    #[n(11)]
    ended_at: Option<u64>,
    #[cbor(n(12), with = "minicbor::bytes")]
    fingerprint: [u8; 16],
}

impl Record for StoredDelta {
    fn write(&self, out: &mut Vec<u8>) {
        let delta = &self.delta;
        let failure = match &delta.status {
            DeltaStatus::Failed(failure) => Some(failure.code()),
            DeltaStatus::Making | DeltaStatus::Ready => None,
        };
        let record = DeltaRecord {
            id: delta.id.0,
            target_package: delta.target_package.0,
            target_size: delta.target_size,
            source_package: delta.source_package.0,
            slice: delta.slice.as_str(),
            name: &delta.name,
            status: delta.status.as_str(),
            failure,
            slices_done: delta.slices_done,
            bytes: delta.bytes,
            created_at: delta.created_at.0,
            ended_at: delta.ended_at.map(|at| at.0),
            fingerprint: self.fingerprint,
        };
        write_body(&record, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: DeltaRecord<'_> = read_body(&bytes)?;
        let status = match (record.status, record.failure) {
            ("making", None) => Some(DeltaStatus::Making),
            ("ready", None) => Some(DeltaStatus::Ready),
            ("failed", Some(code)) => Some(DeltaStatus::Failed(DeltaFailure::from_code(code))),
            _ => None,
        };
        let delta = Delta {
            id: DeltaId(record.id),
            target_package: PackageId(record.target_package),
            target_size: record.target_size,
            source_package: PackageId(record.source_package),
            slice: state(SliceSize::parse(record.slice), record.slice)?,
            name: record.name.to_owned(),
            status: state(status, record.status)?,
            slices_done: record.slices_done,
            bytes: record.bytes,
            created_at: Timestamp(record.created_at),
            ended_at: record.ended_at.map(Timestamp),
        };
        Ok(Self { delta, fingerprint: record.fingerprint })
    }
}

#[derive(Encode, Decode)]
struct OpenDeltaRecord {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[n(1)]
    since: u64,
}

#[derive(Encode, Decode)]
struct OpenDeltasRecord {
    #[n(0)]
    deltas: Vec<OpenDeltaRecord>,
    #[n(1)]
    turn_until: u64,
}

impl Record for OpenDeltas {
    fn write(&self, out: &mut Vec<u8>) {
        let deltas = self.deltas.iter().map(|(id, since)| OpenDeltaRecord { id: id.0, since: since.0 });
        write_body(&OpenDeltasRecord { deltas: deltas.collect(), turn_until: self.turn_until.0 }, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: OpenDeltasRecord = read_body(&bytes)?;
        let deltas = record.deltas.into_iter().map(|delta| (DeltaId(delta.id), Timestamp(delta.since)));
        Ok(Self { deltas: deltas.collect(), turn_until: Timestamp(record.turn_until) })
    }
}
