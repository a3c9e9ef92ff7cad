//! An uploaded file.

use minicbor::{Decode, Encode};
use ota_core::digest::Digests;
use ota_core::ids::UploadId;
use ota_core::time::Timestamp;

use super::{Corrupt, Record, read_body, write_body};
use crate::blobs::Blob;

#[derive(Encode, Decode)]
struct BlobRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[b(1)]
    file_name: &'a str,
    #[n(2)]
    size: u64,
    #[n(3)]
    chunk_bytes: u32,
    #[cbor(n(4), with = "minicbor::bytes")]
    md5: [u8; 16],
    #[cbor(n(5), with = "minicbor::bytes")]
    sha256: [u8; 32],
    #[n(6)]
    created_at: u64,
}

impl Record for Blob {
    fn write(&self, out: &mut Vec<u8>) {
        let record = BlobRecord {
            id: self.id.0,
            file_name: &self.file_name,
            size: self.size,
            chunk_bytes: self.chunk_bytes,
            md5: self.digests.md5,
            sha256: self.digests.sha256,
            created_at: self.created_at.0,
        };
        write_body(&record, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: BlobRecord<'_> = read_body(&bytes)?;
        Ok(Self {
            id: UploadId(record.id),
            file_name: record.file_name.to_owned(),
            size: record.size,
            chunk_bytes: record.chunk_bytes,
            digests: Digests { md5: record.md5, sha256: record.sha256 },
            created_at: Timestamp(record.created_at),
        })
    }
}
