//! Making and canceling batches.

use bytes::Bytes;
use http::StatusCode;
use ota_core::batch::{
    Batch, BatchError, BatchEvent, BatchFields, BatchKind, BatchStatus, CancelOptions, NewBatch, TargetFields,
};
use ota_core::error::{Faults, ValueError};
use ota_core::ids::{BatchId, PackageId};
use ota_core::package::Package;
use ota_core::task::TaskPolicy;
use ota_core::time::Timestamp;
use ota_http::json::Fields;
use ota_http::{Problem, Request, Response, idempotency, json};
use ota_platform::{Platform, nudge};
use ota_store::batches::{self, StoredBatch};
use ota_store::{packages, targets, work};

use crate::query;

/// Shards that a creating request gives their tasks itself; the dispatcher does the rest. It covers fleets of some
/// thousand devices, and bounds what the request costs for larger ones.
const EXPAND_SHARDS_MAX: u32 = 64;

fn read<'a>(fields: &mut Fields<'a>, faults: &mut Faults) -> (Option<&'a str>, BatchFields<'a>) {
    let package_id = fields.text("package_id", faults);
    let target = fields.object("target", faults, |target, faults| TargetFields {
        selection: target.text("selection", faults),
        devices: target.texts("devices", faults),
    });
    let retry = fields.object("retry", faults, |retry, faults| {
        let after = retry.number::<u16>("after_minutes", faults);
        let count = retry.number::<u8>("count_max", faults);
        if after.is_none() {
            faults.add("/retry/after_minutes", &ValueError::Missing);
        }
        if count.is_none() {
            faults.add("/retry/count_max", &ValueError::Missing);
        }
        after.zip(count)
    });
    let tags = fields.objects("tags", faults, |tag, faults| {
        (tag.text("key", faults).unwrap_or_default(), tag.text("value", faults).unwrap_or_default())
    });
    let batch = BatchFields {
        target: target.unwrap_or_default(),
        download_protocol: fields.text("download_protocol", faults),
        source_versions: fields.texts("source_versions", faults).unwrap_or_default(),
        push_per_minute_max: fields.number("push_per_minute_max", faults),
        timeout_minutes: fields.number("timeout_minutes", faults),
        retry: retry.flatten(),
        overwrite: fields.flag("overwrite", faults),
        tags: tags.unwrap_or_default(),
    };
    (package_id, batch)
}

/// `POST /v1/batches`
pub(crate) async fn create<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let ((package_id, fields), mut reading) = document.read(read);
    let identity = idempotency::identify(&request.headers, "batch", document.bytes(), platform.random())?;
    let (kv, now) = (platform.kv(), platform.now());
    let id = BatchId(identity.id);
    if identity.may_exist
        && let Some(existing) = batches::get(kv, id).await?
    {
        identity.same_as(existing.fingerprint)?;
        return query::answer(platform, StatusCode::CREATED, &existing).await;
    }
    let package = match package_id.map(str::parse::<PackageId>) {
        Some(Ok(package)) => packages::get(kv, package).await?,
        _ => None,
    };
    let Some(package) = package.map(|stored| stored.package) else {
        match package_id {
            None => reading.add("/package_id", &ValueError::Missing),
            Some(_) => reading.add("/package_id", &ValueError::Malformed { expected: "the id of a package" }),
        }
        json::join(reading, NewBatch::faults_without_package(&fields).into_result())?;
        return Err(Problem::not_found("package"));
    };
    let new = json::join(reading, NewBatch::check(&fields, &package))?;
    let stored = StoredBatch::new(batch(&package, id, new, now), identity.fingerprint);
    targets::check(kv, &stored.batch, "/target", now).await?.map_err(Problem::from)?;
    let too_many =
        || Problem::new("batch.too-many", format!("{} batches have not ended", work::OPEN_BATCHES_MAX));
    batches::create(kv, &stored, now).await?.ok_or_else(too_many)?;
    batches::expand(kv, id, EXPAND_SHARDS_MAX, now).await?;
    nudge::batch(platform, id);
    let made = batches::get(kv, id).await?.unwrap_or(stored);
    query::answer(platform, StatusCode::CREATED, &made).await
}

fn batch(package: &Package, id: BatchId, new: NewBatch, now: Timestamp) -> Batch {
    Batch {
        id,
        kind: BatchKind::Upgrade,
        target: new.target,
        package_id: package.id,
        product_key: package.product_key.clone(),
        module: package.module.clone(),
        package_kind: package.kind.clone(),
        download: new.download,
        source_versions: new.source_versions,
        policy: TaskPolicy {
            target_version: package.target_version.clone(),
            timeout_minutes: new.timeout_minutes,
            retry: new.retry,
            forgive_source_version: false,
        },
        push_per_minute_max: new.push_per_minute_max,
        overwrite: new.overwrite,
        tags: new.tags,
        status: BatchStatus::Planned.after(BatchEvent::Started),
        cancel: None,
        created_at: now,
        started_at: Some(now),
        ended_at: None,
    }
}

/// `POST /v1/batches/{batch_id}/cancel`: notes which tasks to end; the dispatcher ends them shard by shard, at once for
/// a small fleet. Devices are not told, because their protocol has no word for it.
pub(crate) async fn cancel<P, B>(
    platform: &P,
    request: &mut Request<B>,
    id: BatchId,
) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let (options, reading) = document.read(|fields, faults| CancelOptions {
        queued: fields.flag("queued", faults).unwrap_or(false),
        notified: fields.flag("notified", faults).unwrap_or(false),
        in_progress: fields.flag("in_progress", faults).unwrap_or(false),
    });
    json::join(reading, Ok(()))?;
    if options.is_empty() {
        return Err(Problem::of(&BatchError::CancelNothing));
    }
    let now = platform.now();
    let canceled = batches::change(platform.kv(), id, now, |stored| {
        let batch = &mut stored.batch;
        if batch.status.is_terminal() {
            return (false, Err(BatchError::Ended { status: batch.status.as_str() }));
        }
        batch.cancel = Some(batch.cancel.unwrap_or_default().with(options, now));
        (true, Ok(stored.clone()))
    });
    match canceled.await?.ok_or_else(|| Problem::not_found("batch"))? {
        Ok(stored) => {
            nudge::batch(platform, id);
            query::answer(platform, StatusCode::ACCEPTED, &stored).await
        }
        Err(refused) => Err(Problem::of(&refused)),
    }
}
