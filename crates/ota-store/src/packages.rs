//! Packages: one record each, and a catalogue that keeps names and versions unique.

use ota_core::digest::Digests;
use ota_core::ids::{BatchId, PackageId, UploadId};
use ota_core::package::{Package, PackageError, VerificationEvent, VerificationStatus};
use ota_core::time::Timestamp;

use crate::keys;
use crate::kv::Kv;
use crate::record::to_bytes;
use crate::transact::{Change, StoreError, load, update};

/// A package, where its bytes are, and what it was asked for with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPackage {
    /// The package.
    pub package: Package,
    /// Its bytes; of several files, those of the first.
    pub blob: UploadId,
    /// The bytes of the further files, if it has several (R31).
    pub more_blobs: Vec<UploadId>,
    /// What the request said, so that the same idempotency key with other words is noticed.
    pub fingerprint: [u8; 16],
    /// Whether it was deleted. The record stays, because batches tell of it.
    pub deleted: bool,
}

/// One file of a package as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredFile<'a> {
    /// Its bytes.
    pub blob: UploadId,
    /// How many there are.
    pub size: u64,
    /// Their digests.
    pub digests: &'a Digests,
}

impl StoredPackage {
    /// Returns where the bytes of each file are, in the order of the files' numbers.
    pub fn blobs(&self) -> impl Iterator<Item = UploadId> {
        std::iter::once(self.blob).chain(self.more_blobs.iter().copied())
    }

    /// Returns its files, in the order of their numbers: one, or several.
    pub fn files(&self) -> Vec<StoredFile<'_>> {
        let package = &self.package;
        if package.files.is_empty() {
            return vec![StoredFile { blob: self.blob, size: package.size, digests: &package.digests }];
        }
        let files = package.files.iter().zip(self.blobs());
        files.map(|(file, blob)| StoredFile { blob, size: file.size, digests: &file.digests }).collect()
    }

    /// Returns what a download URL means: of a package of one file that one, which has no number, and of a package of
    /// several the one with this number, from 1 on.
    pub fn file(&self, number: Option<u8>) -> Option<StoredFile<'_>> {
        let at = match (number, self.package.files.is_empty()) {
            (None, true) => 0,
            (Some(number), false) => usize::from(number).checked_sub(1)?,
            (Some(_), true) | (None, false) => return None,
        };
        self.files().get(at).copied()
    }
}

/// What must be unique among packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageEntry {
    /// The package.
    pub id: PackageId,
    /// Unique in the account (R19).
    pub name: String,
    /// With module and versions unique (R28).
    pub product_key: String,
    /// See `product_key`.
    pub module: String,
    /// Present for a delta: several deltas to one version are legitimate.
    pub source_version: Option<String>,
    /// See `product_key`.
    pub target_version: String,
}

/// All packages, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageCatalog(pub Vec<PackageEntry>);

impl From<&Package> for PackageEntry {
    fn from(package: &Package) -> Self {
        Self {
            id: package.id,
            name: package.name.clone(),
            product_key: package.product_key.as_str().to_owned(),
            module: package.module.as_str().to_owned(),
            source_version: package.kind.source_version().map(|v| v.as_str().to_owned()),
            target_version: package.target_version.as_str().to_owned(),
        }
    }
}

impl PackageCatalog {
    /// Adds a package; adding it again changes nothing. Returns whether it is new.
    ///
    /// # Errors
    /// A taken name (R19) or version (R28), or `max` packages already (R11).
    pub fn add(&mut self, entry: PackageEntry, max: usize) -> Result<bool, PackageError> {
        if self.0.iter().any(|e| e.id == entry.id) {
            return Ok(false);
        }
        if self.0.iter().any(|e| e.name == entry.name) {
            return Err(PackageError::NameTaken { name: entry.name });
        }
        let same_version = |e: &PackageEntry| {
            (&e.product_key, &e.module, &e.source_version, &e.target_version)
                == (&entry.product_key, &entry.module, &entry.source_version, &entry.target_version)
        };
        if self.0.iter().any(same_version) {
            return Err(PackageError::VersionTaken { version: entry.target_version });
        }
        if self.0.len() >= max {
            return Err(PackageError::TooMany { max });
        }
        self.0.push(entry);
        Ok(true)
    }
}

/// Returns all packages' names and versions.
///
/// # Errors
/// The store's.
pub async fn catalog(kv: &impl Kv) -> Result<PackageCatalog, StoreError> {
    Ok(load(kv, keys::PACKAGES).await?.unwrap_or_default())
}

/// Returns a package that was not deleted.
///
/// # Errors
/// The store's.
pub async fn get(kv: &impl Kv, id: PackageId) -> Result<Option<StoredPackage>, StoreError> {
    let stored: Option<StoredPackage> = load(kv, &keys::package(id)).await?;
    Ok(stored.filter(|stored| !stored.deleted))
}

/// Returns a package's record, also that of one that was deleted.
///
/// # Errors
/// The store's.
pub async fn get_record(kv: &impl Kv, id: PackageId) -> Result<Option<StoredPackage>, StoreError> {
    load(kv, &keys::package(id)).await
}

/// Makes a package: its record, then its place in the catalogue, which is what makes it exist. The account may have
/// `packages_max`.
///
/// # Errors
/// The store's; the inner one when its name or version is taken or there are too many packages.
pub async fn create(
    kv: &impl Kv,
    stored: &StoredPackage,
    packages_max: usize,
    now: Timestamp,
) -> Result<Result<(), PackageError>, StoreError> {
    let entry = PackageEntry::from(&stored.package);
    // Looked at first, so that a refused request writes nothing.
    if let Err(refused) = catalog(kv).await?.add(entry.clone(), packages_max) {
        return Ok(Err(refused));
    }
    // The id is random or made from an idempotency key, and whoever has the same one writes the same record.
    let key = keys::package(stored.package.id);
    match load::<StoredPackage>(kv, &key).await? {
        None => kv.set(&key, &to_bytes(stored, 1)).await?,
        Some(known) if known.deleted => return Err(StoreError::Contention { key }),
        Some(_) => {}
    }
    update(kv, keys::PACKAGES, now, |catalog: Option<PackageCatalog>| {
        let mut catalog = catalog.unwrap_or_default();
        match catalog.add(entry.clone(), packages_max) {
            Ok(true) => Change::Put(catalog, Ok(())),
            Ok(false) => Change::Keep(Ok(())),
            Err(refused) => Change::Keep(Err(refused)),
        }
    })
    .await
}

/// Tells whether a package exists: it has its place in the catalogue.
///
/// # Errors
/// The store's.
pub async fn is_listed(kv: &impl Kv, id: PackageId) -> Result<bool, StoreError> {
    Ok(catalog(kv).await?.0.iter().any(|entry| entry.id == id))
}

/// Returns a package that exists, or whose deletion has begun and not ended.
///
/// # Errors
/// The store's.
pub async fn get_to_delete(kv: &impl Kv, id: PackageId) -> Result<Option<StoredPackage>, StoreError> {
    let stored: Option<StoredPackage> = load(kv, &keys::package(id)).await?;
    match stored {
        Some(stored) if is_listed(kv, id).await? => Ok(Some(stored)),
        _ => Ok(None),
    }
}

/// Begins to delete a package: nobody finds it any more. Its name stays taken until [`unlist`] ends it.
///
/// # Errors
/// The store's.
pub async fn delete(kv: &impl Kv, id: PackageId, now: Timestamp) -> Result<(), StoreError> {
    update(kv, &keys::package(id), now, |stored: Option<StoredPackage>| match stored {
        Some(stored) if !stored.deleted => Change::Put(StoredPackage { deleted: true, ..stored }, ()),
        _ => Change::Keep(()),
    })
    .await?;
    Ok(kv.delete(&keys::package_signature(id)).await?)
}

/// Ends the deletion of a package: its name and version are free.
///
/// # Errors
/// The store's.
pub async fn unlist(kv: &impl Kv, id: PackageId, now: Timestamp) -> Result<(), StoreError> {
    update(kv, keys::PACKAGES, now, |catalog: Option<PackageCatalog>| match catalog {
        Some(mut catalog) if catalog.0.iter().any(|e| e.id == id) => {
            catalog.0.retain(|e| e.id != id);
            Change::Put(catalog, ())
        }
        _ => Change::Keep(()),
    })
    .await
}

/// Applies an event to a package's verification by the batch `batch`, and returns the package after it; `None` if there
/// is no such package.
///
/// # Errors
/// The store's; the inner one when the event is refused in the present state (R51).
pub async fn verification(
    kv: &impl Kv,
    id: PackageId,
    batch: BatchId,
    event: VerificationEvent,
    now: Timestamp,
) -> Result<Option<Result<Package, PackageError>>, StoreError> {
    update(kv, &keys::package(id), now, |stored: Option<StoredPackage>| {
        let Some(mut stored) = stored.filter(|stored| !stored.deleted) else { return Change::Keep(None) };
        let package = &mut stored.package;
        let starts = matches!(event, VerificationEvent::Started { .. });
        let runs = package.verification == VerificationStatus::Verifying;
        if starts && runs && package.verify_batch == Some(batch) {
            return Change::Keep(Some(Ok(package.clone())));
        }
        if !starts && package.verify_batch != Some(batch) {
            return Change::Keep(Some(Ok(package.clone())));
        }
        match package.verification.after(event) {
            None => Change::Keep(Some(Err(PackageError::Verification { status: package.verification }))),
            Some(status) => {
                package.verification = status;
                package.verify_batch = Some(batch);
                let after = package.clone();
                Change::Put(stored, Some(Ok(after)))
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use ota_core::settings::PackageLimits;

    fn entry(n: u16) -> PackageEntry {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&n.to_be_bytes());
        PackageEntry {
            id: PackageId(id),
            name: format!("package-{n}"),
            product_key: "a1lamp".to_owned(),
            module: "default".to_owned(),
            source_version: None,
            target_version: format!("1.{n}"),
        }
    }

    #[test]
    fn r11_r32_a_package_beyond_the_most_is_refused() {
        for (limits, max) in [(PackageLimits::Current, 500), (PackageLimits::Legacy, 100)] {
            let mut catalog = PackageCatalog::default();
            for n in 0..max {
                assert_eq!(catalog.add(entry(n), limits.packages_max()), Ok(true), "{n}");
            }
            let refused = catalog.add(entry(max), limits.packages_max());
            assert_eq!(refused, Err(PackageError::TooMany { max: usize::from(max) }));
            assert_eq!(catalog.add(entry(0), limits.packages_max()), Ok(false), "that one is there already");
            assert_eq!(catalog.0.len(), usize::from(max));
        }
    }
}
