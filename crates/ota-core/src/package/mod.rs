//! An upgrade package: what devices are to run, and whether it has been tried.

mod files;
pub(crate) mod rules;
mod transition;

use alloc::string::String;
use alloc::vec::Vec;

pub use self::files::{FileFields, FilesFields, PackageFile};
pub use self::rules::{NewPackage, PackageError, PackageFields, check_file_name, is_device_list};
pub use self::transition::{VerificationEvent, VerificationStatus};
use crate::digest::{DigestAlgorithm, Digests};
use crate::ids::{BatchId, ModuleName, PackageId, ProductKey, Version};
use crate::time::Timestamp;

/// Whether a package holds everything or only what changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageKind {
    /// The whole image (整包).
    Full,
    /// The difference from one version; the device restores the whole by itself (差分).
    Delta {
        /// The version the device must run.
        source_version: Version,
    },
}

impl PackageKind {
    /// Returns the one version a delta starts from.
    pub fn source_version(&self) -> Option<&Version> {
        match self {
            Self::Full => None,
            Self::Delta { source_version } => Some(source_version),
        }
    }
}

/// An upgrade package (升级包; Firmware in the vendor's API). It belongs to exactly one product (R21).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Issued by the service.
    pub id: PackageId,
    /// The product whose devices may get it.
    pub product_key: ProductKey,
    /// The operator's name for it, unique in the account, never changed (R19).
    pub name: String,
    /// The module it upgrades.
    pub module: ModuleName,
    /// Whole or difference.
    pub kind: PackageKind,
    /// The version a device runs afterwards (DestVersion).
    pub target_version: Version,
    /// Which digest the device is given as `sign`.
    pub algorithm: DigestAlgorithm,
    /// Both digests of the file; of several files, those of the first.
    pub digests: Digests,
    /// Bytes of the file; of several files, of all together.
    pub size: u64,
    /// Bytes of the target that each slice restores, of a delta that the service has made in slices (R37).
    pub slice_bytes: Option<u32>,
    /// The uploaded file's name; of several files, that of the first.
    pub file_name: String,
    /// Up to 100 characters.
    pub description: String,
    /// Free text for devices, delivered as `_package_udi`.
    pub udi: String,
    /// How its trial stands.
    pub verification: VerificationStatus,
    /// The verification batch that runs or ran last.
    pub verify_batch: Option<BatchId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its files if it has several (R31), in the order of their numbers; empty for a package of one file.
    pub files: Vec<PackageFile>,
}

impl Package {
    /// Returns what `digestsign` signs: the binary digest that is told as `sign` (R40). No document says what it is for
    /// several files, so it is their digests in the order of the files: a device that checks it is as safe.
    pub fn signed_digest(&self) -> Vec<u8> {
        if self.files.is_empty() {
            return self.digests.bytes(self.algorithm).to_vec();
        }
        self.files.iter().flat_map(|file| file.digests.bytes(self.algorithm)).copied().collect()
    }
}
