//! `POST` and `GET /v1/packages/{package_id}/verification`

use bytes::Bytes;
use http::{Method, StatusCode};
use ota_core::batch::{
    Batch, BatchKind, TargetSelection, TaskCounts, VerificationFields, check_verification,
};
use ota_core::ids::{BatchId, PackageId};
use ota_core::package::{Package, PackageError, VerificationEvent, VerificationStatus};
use ota_core::product::VerificationMode;
use ota_core::time::Timestamp;
use ota_http::wire::{BatchJson, TaskJson};
use ota_http::{Problem, Request, Response, idempotency, json, respond};
use ota_platform::{Platform, nudge, serve};
use ota_store::batches::{self, StoredBatch};
use ota_store::{packages, settings, targets, work};
use serde::Serialize;

#[derive(Serialize)]
struct VerificationJson {
    package_id: String,
    status: &'static str,
    progress_percent: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<BatchJson>,
    tasks: Vec<TaskJson>,
}

/// Answers a request.
pub async fn handle<P, B>(platform: &P, request: http::Request<B>) -> Response
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    serve::operator(platform, request, route).await
}

async fn route<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let method = request.method.clone();
    let segments = request.segments.clone();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (&method, path.as_slice()) {
        (&Method::POST, ["v1", "packages", id, "verification"]) => {
            start(platform, request, package_id(id)?).await
        }
        (&Method::GET, ["v1", "packages", id, "verification"]) => {
            let package = find(platform, request, package_id(id)?).await?;
            answer(platform, StatusCode::OK, &package).await
        }
        _ => Err(Problem::no_route()),
    }
}

/// An id that no package can have is one that no package has.
fn package_id(text: &str) -> Result<PackageId, Problem> {
    text.parse().map_err(|_| Problem::not_found("package"))
}

async fn find<P: Platform, B>(platform: &P, request: &Request<B>, id: PackageId) -> Result<Package, Problem> {
    let found = packages::get(platform.kv(), id).await?.map(|stored| stored.package);
    let found = found.filter(|package| request.may_touch(&package.product_key));
    found.ok_or_else(|| Problem::not_found("package"))
}

async fn start<P, B>(platform: &P, request: &mut Request<B>, id: PackageId) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let (fields, reading) = document.read(|fields, faults| VerificationFields {
        product_key: fields.text("product_key", faults),
        devices: fields.texts("devices", faults).unwrap_or_default(),
        source_versions: fields.texts("source_versions", faults).unwrap_or_default(),
        timeout_minutes: fields.number("timeout_minutes", faults),
        push: fields.flag("push", faults),
        needs_confirmation: fields.flag("needs_confirmation", faults),
        download_protocol: fields.text("download_protocol", faults),
        tags: json::tags(fields, faults),
    });
    let (kv, now) = (platform.kv(), platform.now());
    let package = find(platform, request, id).await?;
    let (terms, product) = settings::terms(kv, &package.product_key).await?.unwrap_or_default();
    let new = json::join(reading, check_verification(&fields, &package, &terms))?;
    // The same key may try another package, so the package is part of what identifies the request.
    let said = [id.0.as_slice(), document.bytes()].concat();
    let identity = idempotency::identify(request, "verification", &said, platform.random())?;
    let batch_id = BatchId(identity.id);
    if identity.may_exist
        && let Some(existing) = batches::get(kv, batch_id).await?
    {
        identity.same_as(existing.fingerprint)?;
        return answer(platform, StatusCode::CREATED, &package).await;
    }
    let package = repaired(platform, package, batch_id, now).await?;
    let trial = Batch::new(batch_id, BatchKind::Verify, &package, new, now);
    let new = StoredBatch::new(trial, identity.fingerprint);
    targets::check(kv, &new.batch, "/devices", now).await?.map_err(Problem::from)?;

    if !work::add_new_batch(kv, batch_id, now).await? {
        return Err(too_many_open());
    }
    let legacy = product.verification_mode == VerificationMode::Legacy;
    let begun = packages::verification(kv, id, batch_id, VerificationEvent::Started { legacy }, now).await?;
    let package = match begun.ok_or_else(|| Problem::not_found("package"))? {
        Ok(package) => package,
        Err(refused) => {
            work::remove_batch(kv, batch_id, now).await?;
            return Err(Problem::of(&refused));
        }
    };
    batches::create(kv, &new, now).await?.ok_or_else(too_many_open)?;
    batches::expand(kv, batch_id, u32::MAX, now).await?;
    nudge::batch(platform, batch_id);
    answer(platform, StatusCode::CREATED, &package).await
}

fn too_many_open() -> Problem {
    Problem::new("batch.too-many", format!("{} batches have not ended", work::OPEN_BATCHES_MAX))
}

/// Frees a package from a trial whose maker died before the trial's batch had its record. The same request made again,
/// `wanted`, goes on with that trial.
async fn repaired<P: Platform>(
    platform: &P,
    package: Package,
    wanted: BatchId,
    now: Timestamp,
) -> Result<Package, Problem> {
    let (VerificationStatus::Verifying, Some(batch)) = (package.verification, package.verify_batch) else {
        return Ok(package);
    };
    if batch == wanted {
        return Ok(package);
    }
    let kv = platform.kv();
    if batches::get(kv, batch).await?.is_some() {
        return Err(Problem::of(&PackageError::Verification { status: package.verification }));
    }
    let open = work::open_batches(kv).await?;
    if let Some((_, since)) = open.0.iter().find(|(id, _)| *id == batch) {
        // Whoever is making it may go on right now.
        let in_making = now.ms_since(*since) < work::MAKING_MS;
        if in_making || !work::give_up_batch(kv, batch, *since, now).await? {
            return Err(Problem::of(&PackageError::Verification { status: package.verification }));
        }
    }
    let freed = packages::verification(kv, package.id, batch, VerificationEvent::Abandoned, now).await?;
    match freed.ok_or_else(|| Problem::not_found("package"))? {
        Ok(package) => Ok(package),
        Err(refused) => Err(Problem::of(&refused)),
    }
}

/// Tells how the trial stands, with each test device's task (R52).
async fn answer<P: Platform>(
    platform: &P,
    status: StatusCode,
    package: &Package,
) -> Result<Response, Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let stored = match package.verify_batch {
        Some(id) => batches::get(kv, id).await?,
        None => None,
    };
    let mut told = VerificationJson {
        package_id: package.id.to_string(),
        status: package.verification.as_str(),
        progress_percent: 0,
        batch: None,
        tasks: Vec::new(),
    };
    if let Some(stored) = stored {
        if let TargetSelection::Specific { devices, .. } = &stored.batch.target {
            for device in devices {
                if let Some((task, _)) = batches::task_of(kv, &stored.batch, device, now).await? {
                    told.tasks.push(TaskJson::listed(&stored.batch, &task));
                }
            }
        }
        let (counts, at) = batches::counts(kv, &stored, now).await?;
        told.progress_percent = progress(&counts);
        told.batch = Some(BatchJson::new(&stored, counts, at));
    }
    Ok(respond::json(status, &told))
}

/// The share of test devices that have ended (VerifyProgress, R53).
fn progress(counts: &TaskCounts) -> u32 {
    let ended = counts.total() - counts.active();
    (ended * 100).checked_div(counts.total()).unwrap_or(0)
}
