//! The catalogues, the work lists, the logs and the fleet's shape: short values that many records are found by.

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use ota_core::ids::{BatchId, PackageId, ProductKey, UploadId};
use ota_core::time::Timestamp;

use super::{Corrupt, Record, read_body, write_body};
use crate::log::LogHead;
use crate::packages::{PackageCatalog, PackageEntry};
use crate::products::ProductCatalog;
use crate::shards::{AHEAD_MAX, Shape};
use crate::work::{LastTick, OpenBatches, OpenUpload, OpenUploads};

#[derive(Encode, Decode)]
struct ProductEntryRecord<'a> {
    #[b(0)]
    key: &'a str,
    #[b(1)]
    name: &'a str,
}

impl Record for ProductCatalog {
    fn write(&self, out: &mut Vec<u8>) {
        let entries: Vec<_> =
            self.0.iter().map(|(key, name)| ProductEntryRecord { key: key.as_str(), name }).collect();
        write_body(&entries, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let entries: Vec<ProductEntryRecord<'_>> = read_body(&bytes)?;
        let entries = entries.into_iter().map(|e| Ok((ProductKey::new(e.key)?, e.name.to_owned())));
        Ok(Self(entries.collect::<Result<_, Corrupt>>()?))
    }
}

#[derive(Encode, Decode)]
struct PackageEntryRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[b(1)]
    name: &'a str,
    #[b(2)]
    product_key: &'a str,
    #[b(3)]
    module: &'a str,
    #[b(4)]
    source_version: Option<&'a str>,
    #[b(5)]
    target_version: &'a str,
}

impl Record for PackageCatalog {
    fn write(&self, out: &mut Vec<u8>) {
        let entries = self.0.iter().map(|e| PackageEntryRecord {
            id: e.id.0,
            name: &e.name,
            product_key: &e.product_key,
            module: &e.module,
            source_version: e.source_version.as_deref(),
            target_version: &e.target_version,
        });
        write_body(&entries.collect::<Vec<_>>(), out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let entries: Vec<PackageEntryRecord<'_>> = read_body(&bytes)?;
        let entries = entries.into_iter().map(|e| PackageEntry {
            id: PackageId(e.id),
            name: e.name.to_owned(),
            product_key: e.product_key.to_owned(),
            module: e.module.to_owned(),
            source_version: e.source_version.map(str::to_owned),
            target_version: e.target_version.to_owned(),
        });
        Ok(Self(entries.collect()))
    }
}

#[derive(Encode, Decode)]
struct OpenUploadRecord {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[n(1)]
    since: u64,
    #[n(2)]
    chunks_max: u64,
    #[n(3)]
    taken_by: Option<ByteArray<16>>,
}

impl Record for OpenUploads {
    fn write(&self, out: &mut Vec<u8>) {
        let entries = self.0.iter().map(|u| OpenUploadRecord {
            id: u.id.0,
            since: u.since.0,
            chunks_max: u.chunks_max,
            taken_by: u.taken_by.map(|id| id.0.into()),
        });
        write_body(&entries.collect::<Vec<_>>(), out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let entries: Vec<OpenUploadRecord> = read_body(&bytes)?;
        let entries = entries.into_iter().map(|u| OpenUpload {
            id: UploadId(u.id),
            since: Timestamp(u.since),
            chunks_max: u.chunks_max,
            taken_by: u.taken_by.map(|id| PackageId(id.into())),
        });
        Ok(Self(entries.collect()))
    }
}

#[derive(Encode, Decode)]
struct OpenBatchRecord {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[n(1)]
    since: u64,
}

impl Record for OpenBatches {
    fn write(&self, out: &mut Vec<u8>) {
        let entries = self.0.iter().map(|(id, since)| OpenBatchRecord { id: id.0, since: since.0 });
        write_body(&entries.collect::<Vec<_>>(), out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let entries: Vec<OpenBatchRecord> = read_body(&bytes)?;
        Ok(Self(entries.into_iter().map(|e| (BatchId(e.id), Timestamp(e.since))).collect()))
    }
}

#[derive(Encode, Decode)]
struct LastTickRecord {
    #[n(0)]
    at: u64,
    #[n(1)]
    took_ms: u64,
}

impl Record for LastTick {
    fn write(&self, out: &mut Vec<u8>) {
        write_body(&LastTickRecord { at: self.at.0, took_ms: self.took_ms }, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let LastTickRecord { at, took_ms } = read_body(&bytes)?;
        Ok(Self { at: Timestamp(at), took_ms })
    }
}

#[derive(Encode, Decode)]
struct LogRecord {
    #[n(0)]
    sealed: u32,
    #[n(1)]
    tail: Vec<ByteArray<16>>,
}

impl Record for LogHead {
    fn write(&self, out: &mut Vec<u8>) {
        let tail = self.tail.iter().map(|id| ByteArray::from(*id)).collect();
        write_body(&LogRecord { sealed: self.sealed, tail }, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: LogRecord = read_body(&bytes)?;
        Ok(Self { sealed: record.sealed, tail: record.tail.into_iter().map(Into::into).collect() })
    }
}

#[derive(Encode, Decode)]
struct ShapeRecord {
    #[n(0)]
    shards: u32,
    #[n(1)]
    splitting: bool,
    #[n(2)]
    ahead: Option<u32>,
    #[n(3)]
    there: Option<u16>,
}

impl Record for Shape {
    fn write(&self, out: &mut Vec<u8>) {
        let (ahead, there) = (Some(self.ahead), Some(self.there));
        write_body(&ShapeRecord { shards: self.shards, splitting: self.is_splitting(), ahead, there }, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: ShapeRecord = read_body(&bytes)?;
        // The first shapes ever written knew of one split at a time.
        let ahead = record.ahead.unwrap_or(record.splitting.into()).min(AHEAD_MAX);
        let there = record.there.unwrap_or(0) & ((1_u32 << ahead) - 1) as u16;
        Ok(Self { shards: record.shards.max(1), ahead, there })
    }
}
