//! What a new delta must look like (R33-R35, R38).

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::{Delta, DeltaStatus, SliceSize};
use crate::error::{Coded, Faults, ValueError};
use crate::ids::DeltaId;
use crate::limits;
use crate::package::rules::{check_package_name, required};
use crate::package::{NewPackage, Package, PackageError, PackageKind};
use crate::settings::PackageLimits;
use crate::time::Timestamp;

/// Why no delta is made of two packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeltaError {
    /// A delta is made of whole images only, each one file.
    NotFull,
    /// The packages are of two products.
    OtherProduct,
    /// The packages are for two modules.
    OtherModule,
    /// The target image has less than 20 KB (R35).
    TargetTooSmall,
    /// An image is larger than deltas are made of.
    ImageTooLarge {
        /// Bytes it may have.
        max: u64,
    },
    /// The product's devices cannot apply deltas (R38).
    NotCapable,
    /// Too many deltas are being made.
    TooMany,
}

impl Coded for DeltaError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFull => "delta.not-full",
            Self::OtherProduct => "delta.other-product",
            Self::OtherModule => "delta.other-module",
            Self::TargetTooSmall => "delta.target-too-small",
            Self::ImageTooLarge { .. } => "delta.image-too-large",
            Self::NotCapable => "delta.not-capable",
            Self::TooMany => "delta.too-many",
        }
    }
}

impl fmt::Display for DeltaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFull => write!(f, "a delta is made of full packages of one file only"),
            Self::OtherProduct => write!(f, "the packages are of two products"),
            Self::OtherModule => write!(f, "the packages are for two modules"),
            Self::TargetTooSmall => {
                write!(f, "the image has less than {} bytes", limits::DELTA_TARGET_BYTES_MIN)
            }
            Self::ImageTooLarge { max } => {
                write!(f, "the image has more than {max} bytes, which a delta sliced so may have")
            }
            Self::NotCapable => write!(f, "the product is not marked as able to apply deltas"),
            Self::TooMany => write!(f, "{} deltas are being made", limits::OPEN_DELTAS_MAX),
        }
    }
}

impl core::error::Error for DeltaError {}

/// The raw words of a request for a delta, and what they name. A package that is not there is the fault to tell.
#[derive(Clone, Debug)]
pub struct DeltaFields<'a> {
    /// `target_package_id`.
    pub target: Result<&'a Package, ValueError>,
    /// `source_package_id`.
    pub source: Result<&'a Package, ValueError>,
    /// `slice`: `none`, `2M`, `64K` or `32K`.
    pub slice: Option<&'a str>,
    /// `name` of the package to be; absent is `delta-` and the delta's id.
    pub name: Option<&'a str>,
}

/// What an operator asks for, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelta {
    /// How it is sliced.
    pub slice: SliceSize,
    /// The name of the package to be, unless it is given one.
    pub name: Option<String>,
}

/// Tells whether deltas may be made for a product at all: it is marked as able to apply them (R38).
///
/// # Errors
/// [`DeltaError::NotCapable`].
pub fn check_capable(delta_capable: bool) -> Result<(), DeltaError> {
    if delta_capable { Ok(()) } else { Err(DeltaError::NotCapable) }
}

impl NewDelta {
    /// Checks the words of a request; every fault at once. `delta_capable` is what the target's product is marked as, `profile`
    /// which limits of packages hold.
    ///
    /// # Errors
    /// The faults, with JSON pointers into the request.
    pub fn check(
        fields: &DeltaFields<'_>,
        delta_capable: bool,
        profile: PackageLimits,
    ) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let slice = faults.take(
            "/slice",
            required(fields.slice).and_then(|text| {
                SliceSize::parse(text).ok_or(ValueError::NotOneOf { allowed: "none, 2M, 64K, 32K" })
            }),
        );
        if let Some(name) = fields.name {
            faults.take("/name", check_package_name(name, profile));
        }
        let target = faults.take("/target_package_id", fields.target.clone());
        let source = faults.take("/source_package_id", fields.source.clone());
        if let Some(target) = target {
            check_image(target, slice, "/target_package_id", &mut faults);
            if target.size < limits::DELTA_TARGET_BYTES_MIN {
                faults.add("/target_package_id", &DeltaError::TargetTooSmall);
            }
            faults.take("/target_package_id", check_capable(delta_capable));
        }
        if let Some(source) = source {
            check_image(source, slice, "/source_package_id", &mut faults);
        }
        if let (Some(target), Some(source)) = (target, source) {
            check_pair(target, source, &mut faults);
        }
        faults.into_result()?;
        let slice = slice.ok_or_else(Faults::new)?;
        Ok(Self { slice, name: fields.name.map(Into::into) })
    }

    /// Begins the delta of two packages that were checked.
    pub fn begin(self, id: DeltaId, target: &Package, source: &Package, now: Timestamp) -> Delta {
        Delta {
            id,
            target_package: target.id,
            target_size: target.size,
            source_package: source.id,
            slice: self.slice,
            // 38 characters, of those that names are made of (R16, R17).
            name: self.name.unwrap_or_else(|| format!("delta-{id}")),
            status: DeltaStatus::Making,
            slices_done: 0,
            bytes: 0,
            created_at: now,
            ended_at: None,
        }
    }
}

fn check_image(package: &Package, slice: Option<SliceSize>, pointer: &str, faults: &mut Faults) {
    if package.kind != PackageKind::Full || !package.files.is_empty() {
        faults.add(pointer, &DeltaError::NotFull);
    }
    let max = match slice {
        Some(SliceSize::None) => limits::DELTA_UNSLICED_BYTES_MAX,
        Some(SliceSize::Mib2 | SliceSize::Kib64 | SliceSize::Kib32) | None => limits::DELTA_IMAGE_BYTES_MAX,
    };
    if package.size > max {
        faults.add(pointer, &DeltaError::ImageTooLarge { max });
    }
}

fn check_pair(target: &Package, source: &Package, faults: &mut Faults) {
    if source.product_key != target.product_key {
        faults.add("/source_package_id", &DeltaError::OtherProduct);
    } else if source.module != target.module {
        faults.add("/source_package_id", &DeltaError::OtherModule);
    } else if source.target_version == target.target_version {
        faults.add("/source_package_id", &PackageError::SameVersions);
    }
}

impl Delta {
    /// Returns the package to be, as its maker would have asked for it: a delta between the two versions that awaits its
    /// trial (R29). What devices are told of the target is told of the delta too.
    pub fn package(&self, target: &Package, source: &Package) -> NewPackage {
        NewPackage {
            product_key: target.product_key.clone(),
            name: self.name.clone(),
            module: target.module.clone(),
            kind: PackageKind::Delta { source_version: source.target_version.clone() },
            target_version: target.target_version.clone(),
            algorithm: target.algorithm,
            description: format!("from {} to {}", source.name, target.name),
            udi: target.udi.clone(),
            needs_verification: true,
            // What the limits say of was said of the two packages, and of the name when the delta was asked for.
            limits: PackageLimits::default(),
        }
    }
}
