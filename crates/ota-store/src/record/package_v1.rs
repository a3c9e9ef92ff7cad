//! A package.

use minicbor::{Decode, Encode};
use ota_core::digest::{DigestAlgorithm, Digests};
use ota_core::ids::{BatchId, ModuleName, PackageId, ProductKey, UploadId, Version};
use ota_core::package::{Package, PackageKind, VerificationStatus};
use ota_core::time::Timestamp;

use super::{Corrupt, Record, read_body, state, write_body};
use crate::packages::StoredPackage;

#[derive(Encode, Decode)]
struct PackageRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[b(1)]
    product_key: &'a str,
    #[b(2)]
    name: &'a str,
    #[b(3)]
    module: &'a str,
    /// Present for a delta.
    #[b(4)]
    source_version: Option<&'a str>,
    #[b(5)]
    target_version: &'a str,
    #[b(6)]
    algorithm: &'a str,
    #[cbor(n(7), with = "minicbor::bytes")]
    md5: [u8; 16],
    #[cbor(n(8), with = "minicbor::bytes")]
    sha256: [u8; 32],
    #[n(9)]
    size: u64,
    #[b(10)]
    file_name: &'a str,
    #[b(11)]
    description: &'a str,
    #[b(12)]
    udi: &'a str,
    #[b(13)]
    verification: &'a str,
    #[n(14)]
    verify_batch: Option<minicbor::bytes::ByteArray<16>>,
    #[n(15)]
    created_at: u64,
    #[cbor(n(16), with = "minicbor::bytes")]
    blob: [u8; 16],
    #[cbor(n(17), with = "minicbor::bytes")]
    fingerprint: [u8; 16],
    #[n(18)]
    deleted: bool,
    #[n(19)]
    slice_bytes: Option<u32>,
}

impl Record for StoredPackage {
    fn write(&self, out: &mut Vec<u8>) {
        let package = &self.package;
        let record = PackageRecord {
            id: package.id.0,
            product_key: package.product_key.as_str(),
            name: &package.name,
            module: package.module.as_str(),
            source_version: package.kind.source_version().map(Version::as_str),
            target_version: package.target_version.as_str(),
            algorithm: package.algorithm.as_str(),
            md5: package.digests.md5,
            sha256: package.digests.sha256,
            size: package.size,
            file_name: &package.file_name,
            description: &package.description,
            udi: &package.udi,
            verification: package.verification.as_str(),
            verify_batch: package.verify_batch.map(|id| id.0.into()),
            created_at: package.created_at.0,
            blob: self.blob.0,
            fingerprint: self.fingerprint,
            deleted: self.deleted,
            slice_bytes: package.slice_bytes,
        };
        write_body(&record, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: PackageRecord<'_> = read_body(&bytes)?;
        let kind = match record.source_version {
            None => PackageKind::Full,
            Some(version) => PackageKind::Delta { source_version: Version::new(version)? },
        };
        let package = Package {
            id: PackageId(record.id),
            product_key: ProductKey::new(record.product_key)?,
            name: record.name.to_owned(),
            module: ModuleName::new(record.module)?,
            kind,
            target_version: Version::new(record.target_version)?,
            algorithm: state(DigestAlgorithm::parse(record.algorithm), record.algorithm)?,
            digests: Digests { md5: record.md5, sha256: record.sha256 },
            size: record.size,
            slice_bytes: record.slice_bytes,
            file_name: record.file_name.to_owned(),
            description: record.description.to_owned(),
            udi: record.udi.to_owned(),
            verification: state(VerificationStatus::parse(record.verification), record.verification)?,
            verify_batch: record.verify_batch.map(|id| BatchId(id.into())),
            created_at: Timestamp(record.created_at),
        };
        Ok(Self {
            package,
            blob: UploadId(record.blob),
            fingerprint: record.fingerprint,
            deleted: record.deleted,
        })
    }
}
