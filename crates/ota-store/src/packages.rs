//! Packages: one record each, and a catalogue that keeps names and versions unique.

use ota_core::ids::{BatchId, PackageId, UploadId};
use ota_core::limits;
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
    /// Its bytes.
    pub blob: UploadId,
    /// What the request said, so that the same idempotency key with other words is noticed.
    pub fingerprint: [u8; 16],
    /// Whether it was deleted. The record stays, because batches tell of it.
    pub deleted: bool,
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
    /// A taken name (R19) or version (R28), or too many packages (R11).
    pub fn add(&mut self, entry: PackageEntry) -> Result<bool, PackageError> {
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
        if self.0.len() >= limits::PACKAGES_MAX {
            return Err(PackageError::TooMany);
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

/// Makes a package: its record, then its place in the catalogue, which is what makes it exist.
///
/// # Errors
/// The store's; the inner one when its name or version is taken or there are too many packages.
pub async fn create(
    kv: &impl Kv,
    stored: &StoredPackage,
    now: Timestamp,
) -> Result<Result<(), PackageError>, StoreError> {
    let entry = PackageEntry::from(&stored.package);
    // Looked at first, so that a refused request writes nothing.
    if let Err(refused) = catalog(kv).await?.add(entry.clone()) {
        return Ok(Err(refused));
    }
    // The id is random or made from an idempotency key, and whoever has the same one writes the same record.
    if load::<StoredPackage>(kv, &keys::package(stored.package.id)).await?.is_none() {
        kv.set(&keys::package(stored.package.id), &to_bytes(stored, 1)).await?;
    }
    update(kv, keys::PACKAGES, now, |catalog: Option<PackageCatalog>| {
        let mut catalog = catalog.unwrap_or_default();
        match catalog.add(entry.clone()) {
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
    .await
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
        let starts = event == VerificationEvent::Started;
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
