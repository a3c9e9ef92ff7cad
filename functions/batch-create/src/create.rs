//! Making batches.

use bytes::Bytes;
use http::StatusCode;
use ota_core::batch::{Batch, BatchFields, BatchKind, Lane, NewBatch, ScheduleFields, TargetFields};
use ota_core::error::{Faults, ValueError};
use ota_core::ids::{BatchId, PackageId};
use ota_core::product::{ConflictPolicy, ProductSettings};
use ota_core::time::Timestamp;
use ota_http::json::{Document, Fields};
use ota_http::{Problem, Request, Response, idempotency, json};
use ota_platform::{Platform, nudge};
use ota_store::batches::{self, StoredBatch};
use ota_store::{lanes, packages, settings, targets, work};

use crate::{list, query};

/// Shards that a creating request gives their tasks itself; the dispatcher does the rest. It covers fleets of some
/// thousand devices, and bounds what the request costs for larger ones.
const EXPAND_SHARDS_MAX: u32 = 64;

/// What a request says beside the batch itself.
struct Names<'a> {
    package_id: Option<&'a str>,
    device_list: Option<&'a str>,
}

fn read<'a>(fields: &mut Fields<'a>, faults: &mut Faults) -> (Names<'a>, BatchFields<'a>) {
    let package_id = fields.text("package_id", faults);
    let mut device_list = None;
    let target = fields.object("target", faults, |target, faults| {
        device_list = target.text("device_list", faults);
        TargetFields {
            selection: target.text("selection", faults),
            devices: target.texts("devices", faults),
            listed: None,
            gray_percent: target.text("gray_percent", faults),
            regions: target.objects("regions", faults, |region, faults| {
                (region.text("province", faults), region.text("city", faults))
            }),
        }
    });
    let schedule = fields.object("schedule", faults, |schedule, faults| ScheduleFields {
        start_at: schedule.number("start_at", faults),
        end_at: schedule.number("end_at", faults),
        hard_stop: schedule.flag("hard_stop", faults),
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
    let batch = BatchFields {
        product_key: fields.text("product_key", faults),
        mode: fields.text("mode", faults),
        new_reports_only: fields.flag("new_reports_only", faults),
        schedule,
        push: fields.flag("push", faults),
        needs_confirmation: fields.flag("needs_confirmation", faults),
        multi_module: fields.flag("multi_module", faults),
        target: target.unwrap_or_default(),
        download_protocol: fields.text("download_protocol", faults),
        source_versions: fields.texts("source_versions", faults).unwrap_or_default(),
        push_per_minute_max: fields.number("push_per_minute_max", faults),
        timeout_minutes: fields.number("timeout_minutes", faults),
        retry: retry.flatten(),
        overwrite: fields.flag("overwrite", faults),
        tags: json::tags(fields, faults),
    };
    (Names { package_id, device_list }, batch)
}

/// `POST /v1/batches`
pub(crate) async fn create<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&["dry_run"])?;
    let document = request.json().await?;
    let identity = idempotency::identify(request, "batch", document.bytes(), platform.random())?;
    let (kv, now) = (platform.kv(), platform.now());
    let id = BatchId(identity.id);
    if identity.may_exist
        && let Some(existing) = batches::get(kv, id).await?
    {
        identity.same_as(existing.fingerprint)?;
        return query::answer(platform, StatusCode::CREATED, &existing).await;
    }
    let (batch, product) = check(platform, request, &document, id, now).await?;
    let stored = StoredBatch::new(batch, identity.fingerprint);
    request.about.names([id]);
    make(platform, &stored, &product, now).await?;
    batches::expand(kv, id, EXPAND_SHARDS_MAX, now).await?;
    nudge::batch(platform, id);
    let made = batches::get(kv, id).await?.unwrap_or(stored);
    query::answer(platform, StatusCode::CREATED, &made).await
}

/// Checks a request for a batch, and returns the batch it asks for with the settings of its product. Writes nothing.
pub(crate) async fn check<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    document: &Document,
    id: BatchId,
    now: Timestamp,
) -> Result<(Batch, ProductSettings), Problem> {
    let kv = platform.kv();
    let ((names, mut fields), mut reading) = document.read(read);
    let package = match names.package_id.map(str::parse::<PackageId>) {
        Some(Ok(package)) => packages::get(kv, package).await?,
        _ => None,
    };
    let package = package.map(|stored| stored.package);
    let Some(package) = package.filter(|package| request.may_touch(&package.product_key)) else {
        match names.package_id {
            None => reading.add("/package_id", &ValueError::Missing),
            Some(_) => reading.add("/package_id", &ValueError::Malformed { expected: "the id of a package" }),
        }
        json::join(reading, NewBatch::faults_without_package(&fields, now).into_result())?;
        return Err(Problem::not_found("package"));
    };
    if let Some(upload) = names.device_list {
        let listed = list::read(platform, upload, &package.product_key, &mut reading).await?;
        // A list that cannot be used has its faults told above; the others are looked for all the same.
        fields.target.listed = Some(listed.unwrap_or_default());
    }
    let (terms, product) = settings::terms(kv, &package.product_key).await?.unwrap_or_default();
    let new = json::join(reading, NewBatch::check(&fields, &package, &terms, now))?;
    let batch = Batch::new(id, BatchKind::Upgrade, &package, new, now);
    targets::check(kv, &batch, "/target", now).await?.map_err(Problem::from)?;
    Ok((batch, product))
}

/// The lane that a batch needs, if it needs one.
pub(crate) fn lane(batch: &Batch, product: &ProductSettings) -> Option<Lane> {
    let needs_one = batch.mode.is_dynamic() || product.conflict_policy == ConflictPolicy::SourceVersion;
    needs_one.then(|| Lane {
        batch_id: batch.id,
        package_id: batch.package_id,
        module: batch.module.clone(),
        sources: batch.sources().to_vec(),
        is_dynamic: batch.mode.is_dynamic(),
    })
}

/// The problem of a service that looks after as many batches as it can.
pub(crate) fn too_many() -> Problem {
    Problem::new("batch.too-many", format!("{} batches have not ended", work::OPEN_BATCHES_MAX))
}

/// Lists a batch as open, takes its lane if it needs one, and writes its record.
async fn make<P: Platform>(
    platform: &P,
    stored: &StoredBatch,
    product: &ProductSettings,
    now: Timestamp,
) -> Result<(), Problem> {
    let (kv, batch) = (platform.kv(), &stored.batch);
    if let Some(lane) = lane(batch, product) {
        // A lane belongs to a batch that is open, and is taken away otherwise.
        if !work::add_new_batch(kv, batch.id, now).await? {
            return Err(too_many());
        }
        let taken = lanes::take(kv, &batch.product_key, &lane, product.conflict_policy, now).await?;
        if let Err(refused) = taken {
            work::remove_batch(kv, batch.id, now).await?;
            return Err(Problem::of(&refused));
        }
    }
    batches::create(kv, stored, now).await?.ok_or_else(too_many)?;
    Ok(())
}
