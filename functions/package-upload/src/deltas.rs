//! Deltas to be made of two packages. The dispatcher makes them.

use bytes::Bytes;
use http::StatusCode;
use ota_core::delta::{Delta, DeltaError, DeltaFields, DeltaStatus, NewDelta};
use ota_core::error::ValueError;
use ota_core::ids::{DeltaId, PackageId};
use ota_core::package::{Package, PackageKind};
use ota_http::{Problem, Request, Response, idempotency, json, page, respond};
use ota_platform::Platform;
use ota_store::deltas::{self, StoredDelta};
use ota_store::log::{self, LogCursor};
use ota_store::packages::{self, PackageEntry};
use ota_store::{keys, products, settings};
use serde::Serialize;

#[derive(Serialize)]
struct DeltaJson {
    delta_id: String,
    status: &'static str,
    target_package_id: String,
    source_package_id: String,
    slice: &'static str,
    name: String,
    progress: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved_percent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<ReasonJson>,
    created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<u64>,
}

#[derive(Serialize)]
struct ReasonJson {
    code: String,
    description: &'static str,
}

impl From<&Delta> for DeltaJson {
    fn from(delta: &Delta) -> Self {
        let ready = delta.status == DeltaStatus::Ready;
        let reason = match &delta.status {
            DeltaStatus::Failed(failure) => {
                Some(ReasonJson { code: failure.code().to_owned(), description: failure.description() })
            }
            DeltaStatus::Making | DeltaStatus::Ready => None,
        };
        Self {
            delta_id: delta.id.to_string(),
            status: delta.status.as_str(),
            target_package_id: delta.target_package.to_string(),
            source_package_id: delta.source_package.to_string(),
            slice: delta.slice.as_str(),
            name: delta.name.clone(),
            progress: delta.progress_percent(),
            package_id: ready.then(|| delta.package_id().to_string()),
            size: ready.then_some(delta.bytes),
            saved_percent: delta.saved_percent(),
            reason,
            created_at: delta.created_at.0,
            ended_at: delta.ended_at.map(|at| at.0),
        }
    }
}

/// `POST /v1/deltas`
pub(crate) async fn create<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let ((target, source, slice, name), reading) = document.read(|fields, faults| {
        (
            fields.text("target_package_id", faults),
            fields.text("source_package_id", faults),
            fields.text("slice", faults),
            fields.text("name", faults),
        )
    });
    let identity = idempotency::identify(request, "delta", document.bytes(), platform.random())?;
    let (kv, now) = (platform.kv(), platform.now());
    let id = DeltaId(identity.id);
    if identity.may_exist
        && let Some(existing) = deltas::get(kv, id).await?
    {
        identity.same_as(existing.fingerprint)?;
        return Ok(respond::json(StatusCode::CREATED, &DeltaJson::from(&existing.delta)));
    }
    let target = find_package(platform, request, target).await?;
    let source = find_package(platform, request, source).await?;
    let product = match &target {
        Ok(target) => products::get(kv, &target.product_key).await?,
        Err(_) => None,
    };
    let fields = DeltaFields {
        target: target.as_ref().map_err(Clone::clone),
        source: source.as_ref().map_err(Clone::clone),
        slice,
        name,
    };
    let capable = product.as_ref().is_none_or(|product| product.settings.delta_capable);
    let limits = settings::get(kv).await?.package_limits;
    let checked = NewDelta::check(&fields, capable, limits);
    let new = json::join(reading, checked)?;
    let (Ok(target), Ok(source)) = (target, source) else { return Err(Problem::not_found("package")) };

    let delta = new.begin(id, &target, &source, now);
    // Looked at now, so that nobody waits for a package that cannot be; and once more when it is made.
    packages::catalog(kv)
        .await?
        .add(entry(&delta, &target, &source), limits.packages_max())
        .map_err(|refused| Problem::of(&refused))?;
    request.about.names([id]);
    let stored = StoredDelta { delta, fingerprint: identity.fingerprint };
    let made = deltas::create(kv, &stored, now).await?.ok_or_else(|| Problem::of(&DeltaError::TooMany))?;
    Ok(respond::json(StatusCode::CREATED, &DeltaJson::from(&made.delta)))
}

/// Tells whether the caller may touch the product that a delta belongs to, which is that of its packages. Their records
/// outlive them.
async fn is_visible<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    delta: &Delta,
) -> Result<bool, Problem> {
    if !request.caller.is_bound() {
        return Ok(true);
    }
    let target = packages::get_record(platform.kv(), delta.target_package).await?;
    Ok(target.is_some_and(|stored| request.may_touch(&stored.package.product_key)))
}

async fn find_package<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: Option<&str>,
) -> Result<Result<Package, ValueError>, Problem> {
    let unknown = ValueError::Malformed { expected: "the id of a package" };
    let Some(id) = id else { return Ok(Err(ValueError::Missing)) };
    let Ok(id) = id.parse::<PackageId>() else { return Ok(Err(unknown)) };
    let found = packages::get(platform.kv(), id).await?.map(|stored| stored.package);
    Ok(found.filter(|package| request.may_touch(&package.product_key)).ok_or(unknown))
}

/// What must be free among packages for the delta to become one.
fn entry(delta: &Delta, target: &Package, source: &Package) -> PackageEntry {
    let new = delta.package(target, source);
    let source_version = match &new.kind {
        PackageKind::Full => None,
        PackageKind::Delta { source_version } => Some(source_version.as_str().to_owned()),
    };
    PackageEntry {
        id: delta.package_id(),
        name: new.name,
        product_key: new.product_key.as_str().to_owned(),
        module: new.module.as_str().to_owned(),
        source_version,
        target_version: new.target_version.as_str().to_owned(),
    }
}

/// `GET /v1/deltas`: newest first.
pub(crate) async fn list<P: Platform, B>(platform: &P, request: &Request<B>) -> Result<Response, Problem> {
    request.only_query(&["limit", "cursor"])?;
    let limit = page::limit(request)?;
    let cursor = page::cursor(request, |text| {
        let (page, left) = text.split_once('.')?;
        Some(LogCursor { page: page.parse().ok()?, left: left.parse().ok()? })
    })?;
    let (ids, next) = log::read(platform.kv(), keys::DELTAS, cursor, limit).await?;
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        // A delta that is just being asked for is listed and has no record yet.
        if let Some(stored) = deltas::get(platform.kv(), DeltaId(id)).await?
            && is_visible(platform, request, &stored.delta).await?
        {
            items.push(DeltaJson::from(&stored.delta));
        }
    }
    let next_cursor = next.map(|cursor| format!("{}.{}", cursor.page, cursor.left));
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }))
}

/// `GET /v1/deltas/{delta_id}`
pub(crate) async fn get<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: DeltaId,
) -> Result<Response, Problem> {
    match deltas::get(platform.kv(), id).await? {
        Some(stored) if is_visible(platform, request, &stored.delta).await? => {
            Ok(respond::json(StatusCode::OK, &DeltaJson::from(&stored.delta)))
        }
        _ => Err(Problem::not_found("delta")),
    }
}
