//! A package.

use minicbor::{Decode, Encode};
use ota_core::digest::{DigestAlgorithm, Digests};
use ota_core::ids::{BatchId, ModuleName, PackageId, ProductKey, UploadId, Version};
use ota_core::package::{Package, PackageFile, PackageKind, VerificationStatus};
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
    /// Present for several files. Fields 10, 7 to 9 and 16 then tell of the first, but for the size, which is the sum.
    #[b(19)]
    files: Option<Vec<FileRecord<'a>>>,
    #[n(20)]
    slice_bytes: Option<u32>,
}

#[derive(Encode, Decode)]
struct FileRecord<'a> {
    #[b(0)]
    name: &'a str,
    #[b(1)]
    file_name: &'a str,
    #[n(2)]
    size: u64,
    #[cbor(n(3), with = "minicbor::bytes")]
    md5: [u8; 16],
    #[cbor(n(4), with = "minicbor::bytes")]
    sha256: [u8; 32],
    #[cbor(n(5), with = "minicbor::bytes")]
    blob: [u8; 16],
}

impl<'a> FileRecord<'a> {
    fn new(file: &'a PackageFile, blob: UploadId) -> Self {
        Self {
            name: &file.name,
            file_name: &file.file_name,
            size: file.size,
            md5: file.digests.md5,
            sha256: file.digests.sha256,
            blob: blob.0,
        }
    }
}

impl From<FileRecord<'_>> for PackageFile {
    fn from(record: FileRecord<'_>) -> Self {
        Self {
            name: record.name.to_owned(),
            file_name: record.file_name.to_owned(),
            size: record.size,
            digests: Digests { md5: record.md5, sha256: record.sha256 },
        }
    }
}

impl Record for StoredPackage {
    fn write(&self, out: &mut Vec<u8>) {
        let package = &self.package;
        let files = package.files.iter().zip(self.blobs());
        let files: Vec<_> = files.map(|(file, blob)| FileRecord::new(file, blob)).collect();
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
            files: (!files.is_empty()).then_some(files),
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
        let files = record.files.unwrap_or_default();
        let more_blobs = files.iter().skip(1).map(|file| UploadId(file.blob)).collect();
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
            files: files.into_iter().map(PackageFile::from).collect(),
        };
        Ok(Self {
            package,
            blob: UploadId(record.blob),
            more_blobs,
            fingerprint: record.fingerprint,
            deleted: record.deleted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{from_bytes, to_bytes};

    fn stored() -> StoredPackage {
        let package = Package {
            id: PackageId([1; 16]),
            product_key: ProductKey::new("a1lamp").unwrap(),
            name: "lamp".into(),
            module: ModuleName::default_module(),
            kind: PackageKind::Full,
            target_version: Version::new("2.0").unwrap(),
            algorithm: DigestAlgorithm::Sha256,
            digests: Digests { md5: [3; 16], sha256: [4; 32] },
            size: 7,
            file_name: "a.bin".into(),
            description: String::new(),
            udi: String::new(),
            verification: VerificationStatus::Unverified,
            verify_batch: None,
            created_at: Timestamp(9),
            slice_bytes: None,
            files: Vec::new(),
        };
        StoredPackage {
            package,
            blob: UploadId([5; 16]),
            more_blobs: Vec::new(),
            fingerprint: [6; 16],
            deleted: false,
        }
    }

    fn file(name: &str, n: u8) -> PackageFile {
        PackageFile {
            name: name.into(),
            file_name: "a.bin".into(),
            size: n.into(),
            digests: Digests { md5: [n; 16], sha256: [n; 32] },
        }
    }

    #[test]
    fn r31_the_files_of_a_package_read_back() {
        let one = stored();
        assert_eq!(from_bytes::<StoredPackage>(to_bytes(&one, 1)), Ok(one.clone()));
        let mut several = one.clone();
        several.package.files = vec![file("a", 3), file("b", 4), file("c", 5)];
        several.more_blobs = vec![UploadId([7; 16]), UploadId([8; 16])];
        assert_eq!(from_bytes::<StoredPackage>(to_bytes(&several, 1)), Ok(several.clone()));
        // A package of one file is stored as it was before there were several: its 19 fields and no more.
        assert_eq!(to_bytes(&one, 1)[super::super::HEADER_LEN], 0x80 | 19);
    }

    #[test]
    fn r31_a_url_means_one_file() {
        let one = stored();
        let blob =
            |stored: &StoredPackage, number| stored.file(number).map(|file| (file.blob.0[0], file.size));
        assert_eq!([None, Some(1)].map(|n| blob(&one, n)), [Some((5, 7)), None]);
        let mut several = one;
        several.package.files = vec![file("a", 3), file("b", 4)];
        several.more_blobs = vec![UploadId([7; 16])];
        let found = [None, Some(0), Some(1), Some(2), Some(3)].map(|n| blob(&several, n));
        assert_eq!(found, [None, None, Some((5, 3)), Some((7, 4)), None]);
    }
}
