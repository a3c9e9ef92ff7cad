//! Packages.

use bytes::Bytes;
use http::StatusCode;
use ota_core::digest::DigestAlgorithm;
use ota_core::download;
use ota_core::error::{Faults, ValueError};
use ota_core::ids::{PackageId, UploadId};
use ota_core::package::{
    NewPackage, Package, PackageError, PackageFields, PackageFile, PackageKind, VerificationStatus,
};
use ota_core::product::ProductError;
use ota_core::settings::PackageLimits;
use ota_http::{Problem, Request, Response, idempotency, json, page, respond};
use ota_platform::Platform;
use ota_platform::line::Line;
use ota_store::blobs::{self, Blob};
use ota_store::packages::StoredPackage;
use ota_store::{Kv, StoreError, batches, keys, log, packages, products, settings, work};
use serde::Serialize;

use crate::files;

#[derive(Serialize)]
struct PackageJson {
    package_id: String,
    product_key: String,
    name: String,
    module: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_version: Option<String>,
    target_version: String,
    digest_algorithm: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    md5: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    slice_bytes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileJson>,
    description: String,
    udi: String,
    verification: VerificationJson,
    created_at: u64,
}

#[derive(Serialize)]
struct VerificationJson {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<String>,
}

/// One file of several (R31).
#[derive(Serialize)]
struct FileJson {
    name: String,
    file_name: String,
    size: u64,
    digest: String,
    md5: String,
    sha256: String,
}

#[derive(Serialize)]
struct UrlJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileUrlJson>,
    expires_at: u64,
}

#[derive(Serialize)]
struct FileUrlJson {
    name: String,
    url: String,
}

impl FileJson {
    fn new(file: &PackageFile, algorithm: DigestAlgorithm) -> Self {
        Self {
            name: file.name.clone(),
            file_name: file.file_name.clone(),
            size: file.size,
            digest: file.digests.hex(algorithm),
            md5: file.digests.hex(DigestAlgorithm::Md5),
            sha256: file.digests.hex(DigestAlgorithm::Sha256),
        }
    }
}

impl From<&Package> for PackageJson {
    fn from(package: &Package) -> Self {
        // What only one file has is told of it; several have it each.
        let one_file = package.files.is_empty();
        let digest = |algorithm| one_file.then(|| package.digests.hex(algorithm));
        Self {
            package_id: package.id.to_string(),
            product_key: package.product_key.to_string(),
            name: package.name.clone(),
            module: package.module.to_string(),
            kind: match package.kind {
                PackageKind::Full => "full",
                PackageKind::Delta { .. } => "delta",
            },
            source_version: package.kind.source_version().map(ToString::to_string),
            target_version: package.target_version.to_string(),
            digest_algorithm: package.algorithm.as_str(),
            digest: digest(package.algorithm),
            md5: digest(DigestAlgorithm::Md5),
            sha256: digest(DigestAlgorithm::Sha256),
            size: package.size,
            slice_bytes: package.slice_bytes,
            file_name: one_file.then(|| package.file_name.clone()),
            files: package.files.iter().map(|file| FileJson::new(file, package.algorithm)).collect(),
            description: package.description.clone(),
            udi: package.udi.clone(),
            verification: VerificationJson {
                status: package.verification.as_str(),
                batch_id: package.verify_batch.map(|id| id.to_string()),
            },
            created_at: package.created_at.0,
        }
    }
}

/// `POST /v1/packages`
pub(crate) async fn create<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let limits = settings::get(platform.kv()).await?.package_limits;
    let ((fields, told), reading) = document.read(|f, faults| {
        let fields = PackageFields {
            product_key: f.text("product_key", faults),
            name: f.text("name", faults),
            module: f.text("module", faults),
            kind: f.text("kind", faults),
            source_version: f.text("source_version", faults),
            target_version: f.text("target_version", faults),
            digest_algorithm: f.text("digest_algorithm", faults),
            description: f.text("description", faults),
            udi: f.text("udi", faults),
            needs_verification: f.flag("needs_verification", faults),
            limits,
        };
        (fields, files::read(f, faults))
    });
    let identity = idempotency::identify(request, "package", document.bytes(), platform.random())?;
    let (kv, now) = (platform.kv(), platform.now());
    if identity.may_exist
        && let Some(existing) = packages::get_record(kv, PackageId(identity.id)).await?
    {
        identity.same_as(existing.fingerprint)?;
        if existing.deleted {
            // Its record would make nothing but a name in the catalogue that no package has.
            let detail = "what this Idempotency-Key made was deleted; another request takes another key";
            return Err(Problem::new("request.idempotency-key-reused", detail));
        }
        if !packages::is_listed(kv, existing.package.id).await? {
            // The first request died between record and catalogue.
            request.about.names([existing.package.id]);
            request.about.product(&existing.package.product_key);
            for (at, blob) in existing.blobs().enumerate() {
                files::find_blob(platform, &place(&existing, at), Some(&blob.to_string()), limits).await??;
            }
            make(platform, &existing, limits).await?;
        }
        return Ok(respond::json(StatusCode::CREATED, &PackageJson::from(&existing.package)));
    }

    let (blobs, mut rules) = files::find(platform, &told, limits).await?;
    let new = match NewPackage::check(&fields) {
        Ok(new) => {
            check_product(platform, request, &new, &mut rules).await?;
            rules.0.extend(files::check(&new, &told, &blobs).0);
            Some(new)
        }
        Err(faults) => {
            rules.0.extend(faults.0);
            None
        }
    };
    json::join(reading, rules.into_result())?;
    let blobs: Vec<Blob> = blobs.into_iter().flatten().collect();
    let (Some(new), Some((first, more))) = (new, blobs.split_first()) else {
        return Err(Problem::from(Faults::new()));
    };

    let stored = StoredPackage {
        package: Package {
            size: blobs.iter().map(|blob| blob.size).sum(),
            files: files::named(&told, &blobs),
            ..package(new, first, PackageId(identity.id), now)
        },
        blob: first.id,
        more_blobs: more.iter().map(|blob| blob.id).collect(),
        fingerprint: identity.fingerprint,
        deleted: false,
    };
    request.about.names([stored.package.id]);
    make(platform, &stored, limits).await?;
    let uploads: Vec<UploadId> = stored.blobs().collect();
    if let Err(error) = work::remove_uploads(kv, &uploads, now).await {
        // The package exists; the clock takes its uploads off the list.
        let line =
            Line::of("Package").with("package", stored.package.id).with("outcome", "uploads stay listed");
        line.with("error", error).write(platform);
    }
    Ok(respond::json(StatusCode::CREATED, &PackageJson::from(&stored.package)))
}

/// Returns where the request for a package tells of the file at this place.
fn place(stored: &StoredPackage, at: usize) -> String {
    if stored.package.files.is_empty() { String::new() } else { format!("/files/{at}") }
}

/// Makes a package of its uploads, which are taken for it first: from then on no other package gets the bytes, and the
/// clock asks for the package before it collects them.
async fn make<P: Platform>(
    platform: &P,
    stored: &StoredPackage,
    limits: PackageLimits,
) -> Result<(), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let uploads: Vec<UploadId> = stored.blobs().collect();
    if let Err(at) = work::take_uploads(kv, &uploads, stored.package.id, now).await? {
        return Err(files::upload_unknown(&place(stored, at)).into());
    }
    let refused = match packages::create(kv, stored, limits.packages_max(), now).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(refused)) => Problem::of(&refused),
        // It was surely not made. After any other failure it may have been, and then needs its bytes.
        Err(error @ StoreError::Contention { .. }) => error.into(),
        Err(error) => return Err(error.into()),
    };
    // The uploads are the operator's still: a request with another name may use them.
    let mut free = Vec::with_capacity(uploads.len());
    for id in uploads {
        if let Some(blob) = blobs::get(kv, id).await? {
            let (since, chunks_max) = (blob.created_at, blob.chunks());
            free.push(work::OpenUpload { id, since, chunks_max, taken_by: None });
        }
    }
    work::add_uploads(kv, &free, now).await?;
    Err(refused)
}

fn package(new: NewPackage, blob: &Blob, id: PackageId, now: ota_core::time::Timestamp) -> Package {
    Package {
        id,
        product_key: new.product_key,
        name: new.name,
        module: new.module,
        kind: new.kind,
        target_version: new.target_version,
        algorithm: new.algorithm,
        digests: blob.digests.clone(),
        size: blob.size,
        slice_bytes: None,
        file_name: blob.file_name.clone(),
        description: new.description,
        udi: new.udi,
        verification: if new.needs_verification {
            VerificationStatus::Unverified
        } else {
            VerificationStatus::NotNeeded
        },
        verify_batch: None,
        created_at: now,
        files: Vec::new(),
    }
}

/// The problem of a list of uploads that is full.
pub(crate) fn too_many_uploads() -> Problem {
    Problem::new("upload.too-many", format!("{} uploads wait for their packages", work::OPEN_UPLOADS_MAX))
}

async fn check_product<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    new: &NewPackage,
    faults: &mut Faults,
) -> Result<(), Problem> {
    let found = products::get(platform.kv(), &new.product_key).await?;
    match found.filter(|product| request.may_touch(&product.key)) {
        None => faults.add("/product_key", &ValueError::Malformed { expected: "the key of a product" }),
        Some(product) => {
            if !product.has_module(&new.module) {
                faults.add("/module", &ProductError::ModuleUnknown { name: new.module.to_string() });
            }
            if let Err(unfit) = new.check_delta(&product.settings) {
                faults.0.extend(unfit.0);
            }
        }
    }
    Ok(())
}

/// `GET /v1/packages`
pub(crate) async fn list<P: Platform, B>(platform: &P, request: &Request<B>) -> Result<Response, Problem> {
    request.only_query(&["limit", "cursor", "product_key", "target_version"])?;
    let limit = page::limit(request)?;
    let after = page::cursor(request, |text| text.parse::<PackageId>().ok())?;
    let catalog = packages::catalog(platform.kv()).await?;
    // Newest first; the cursor is the last package seen.
    let from = match after {
        None => catalog.0.len(),
        Some(id) => catalog.0.iter().position(|e| e.id == id).unwrap_or(0),
    };
    let wanted = |e: &&packages::PackageEntry| {
        request.caller.scope.holds(&e.product_key)
            && request.query("product_key").is_none_or(|key| e.product_key == key)
            && request.query("target_version").is_none_or(|version| e.target_version == version)
    };
    let mut ids = catalog.0[..from].iter().rev().filter(wanted).map(|e| e.id).peekable();
    let mut items = Vec::new();
    let mut last = None;
    for id in ids.by_ref().take(limit) {
        last = Some(id);
        if let Some(stored) = packages::get(platform.kv(), id).await? {
            items.push(PackageJson::from(&stored.package));
        }
    }
    let next_cursor = ids.peek().and(last).map(|id| id.to_string());
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }))
}

async fn find<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: PackageId,
) -> Result<StoredPackage, Problem> {
    let found = packages::get(platform.kv(), id).await?;
    let found = found.filter(|stored| request.may_touch(&stored.package.product_key));
    found.ok_or_else(|| Problem::not_found("package"))
}

/// `GET /v1/packages/{package_id}`
pub(crate) async fn get<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: PackageId,
) -> Result<Response, Problem> {
    Ok(respond::json(StatusCode::OK, &PackageJson::from(&find(platform, request, id).await?.package)))
}

/// `GET /v1/packages/{package_id}/download_url`
pub(crate) async fn download_url<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: PackageId,
) -> Result<Response, Problem> {
    let package = find(platform, request, id).await?.package;
    let key = ota_http::variable(platform.variable("url_signing_key").await)?;
    let base = ota_http::variable(platform.variable("public_base_url").await)?;
    let (key, now) = (key.as_bytes(), platform.now());
    let files = (1..).zip(&package.files).map(|(number, file)| FileUrlJson {
        name: file.name.clone(),
        url: download::issue_file(&base, key, id, number, now),
    });
    let answer = UrlJson {
        url: package.files.is_empty().then(|| download::issue(&base, key, id, now)),
        files: files.collect(),
        expires_at: download::expires_at(now).0,
    };
    Ok(respond::json(StatusCode::OK, &answer))
}

/// `DELETE /v1/packages/{package_id}`: refused while a batch of it has not ended.
pub(crate) async fn remove<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: PackageId,
) -> Result<Response, Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let found = packages::get_to_delete(kv, id).await?;
    let found = found.filter(|stored| request.may_touch(&stored.package.product_key));
    let stored = found.ok_or_else(|| Problem::not_found("package"))?;
    // A deletion that has begun goes on to its end: nobody finds the package any more, and a batch that was made just then is
    // ended by the dispatcher.
    if !stored.deleted && is_in_use(kv, id).await? {
        return Err(Problem::of(&PackageError::InUse));
    }
    // The place in the catalogue goes last: as long as it is there, the request can be made again and does the rest.
    packages::delete(kv, id, now).await?;
    // Whoever lists the bytes as an upload without a package has them collected by the clock, in small steps.
    let since = ota_core::time::Timestamp(0);
    let bytes = stored.files().into_iter().map(|file| {
        let chunks_max = file.size.div_ceil(blobs::CHUNK_BYTES as u64);
        work::OpenUpload { id: file.blob, since, chunks_max, taken_by: None }
    });
    if !work::add_uploads(kv, &bytes.collect::<Vec<_>>(), now).await? {
        return Err(too_many_uploads());
    }
    packages::unlist(kv, id, now).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// Tells whether a batch of a package has not ended.
async fn is_in_use(kv: &impl Kv, id: PackageId) -> Result<bool, Problem> {
    let open = work::open_batches(kv).await?;
    let mut cursor = None;
    loop {
        let (ids, next) = log::read(kv, &keys::package_batches(id), cursor, log::PAGE_LEN).await?;
        for batch in ids.into_iter().map(ota_core::ids::BatchId).filter(|batch| open.contains(*batch)) {
            if batches::get(kv, batch).await?.is_some_and(|stored| !stored.batch.status.is_terminal()) {
                return Ok(true);
            }
        }
        cursor = next;
        if cursor.is_none() {
            return Ok(false);
        }
    }
}
