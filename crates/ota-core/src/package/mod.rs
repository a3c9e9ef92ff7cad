//! An upgrade package: what devices are to run, and whether it has been tried.

pub(crate) mod rules;
mod transition;

use alloc::string::String;

pub use self::rules::{NewPackage, PackageError, PackageFields, check_file_name};
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
    /// Both digests of the file.
    pub digests: Digests,
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of the target that each slice restores, of a delta that the service has made in slices (R37).
    pub slice_bytes: Option<u32>,
    /// The uploaded file's name.
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
}
