//! How things end: a walk, a batch, a trial, an upload nobody made a package of.

use ota_core::batch::{Batch, BatchEvent, BatchKind, BatchStatus, CancelOptions, Point};
use ota_core::event::Event;
use ota_core::ids::BatchId;
use ota_core::limits::UPLOAD_ARRIVAL_MINUTES;
use ota_core::package::VerificationEvent;
use ota_core::time::Timestamp;
use ota_http::Problem;
use ota_platform::Platform;
use ota_platform::line::Line;
use ota_store::batches::{self, StoredBatch, Sweep};
use ota_store::blobs::{self, Stored};
use ota_store::{events, lanes, packages, work};

use crate::handle::Report;

/// How long a listed batch may be without its record: its maker died, or is slower than any request lives.
const WITHOUT_RECORD_MS: u64 = 10 * 60 * 1000;
/// Chunks that one tick removes.
const REMOVE_CHUNKS_MAX: u64 = 1_024;
/// How long after the last moment its package could have been made an upload is collected. A request that is just making
/// the package has taken the upload off the list by then.
const COLLECT_GRACE_MS: u64 = 60_000;

/// Takes a batch off the list that never came to be.
pub(crate) async fn without_record<P: Platform>(
    platform: &P,
    id: BatchId,
    listed_at: Timestamp,
) -> Result<(), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    if now.ms_since(listed_at) > WITHOUT_RECORD_MS && work::give_up_batch(kv, id, listed_at, now).await? {
        batches::forget(kv, id).await?;
    }
    Ok(())
}

/// Starts a planned batch whose time has come (R92).
pub(crate) async fn start<P: Platform>(platform: &P, stored: &StoredBatch) -> Result<(), Problem> {
    let now = platform.now();
    if stored.batch.status != BatchStatus::Planned || stored.batch.policy.window.is_ahead(now) {
        return Ok(());
    }
    batches::change(platform.kv(), stored.batch.id, now, |stored| {
        let batch = &mut stored.batch;
        if batch.status != BatchStatus::Planned {
            return (false, ());
        }
        batch.status = batch.status.after(BatchEvent::Started);
        batch.started_at = Some(now);
        (true, ())
    })
    .await?;
    Ok(())
}

/// Ends a batch whose package is gone: it was deleted while the batch was being made, and nobody can be told of it.
pub(crate) async fn without_package<P: Platform>(platform: &P, batch: &Batch) -> Result<(), Problem> {
    let now = platform.now();
    batches::change(platform.kv(), batch.id, now, |stored| {
        let batch = &mut stored.batch;
        batch.cancel = Some(batch.cancel.unwrap_or_default().with(CancelOptions::ALL, now));
        if batch.mode.is_dynamic() && batch.strategy_canceled_at.is_none() {
            batch.strategy_canceled_at = Some(now);
            batch.status = batch.status.after(BatchEvent::StrategyCanceled);
            batch.ended_at = Some(now);
        }
        (true, ())
    })
    .await?;
    Line::of("Batch").with("batch", batch.id).with("outcome", "its package is gone").write(platform);
    Ok(())
}

/// Lists the events of the statuses that a batch has had since it was last announced (R172): before that is noted, so that
/// a crash announces one twice rather than never.
pub(crate) async fn announce<P: Platform>(platform: &P, id: BatchId) -> Result<(), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let Some(stored) = batches::get(kv, id).await? else { return Ok(()) };
    let announced = rank(stored.announced);
    let news: Vec<Event> = life(&stored.batch)
        .into_iter()
        .filter(|(status, _)| rank(Some(*status)) > announced)
        .map(|(status, at)| Event::batch_status(&Batch { status, ..stored.batch.clone() }, at))
        .collect();
    if news.is_empty() {
        return Ok(());
    }
    events::append(kv, news, now).await?;
    let status = Some(stored.batch.status);
    batches::change(kv, id, now, |stored| {
        let later = rank(status) > rank(stored.announced);
        if later {
            stored.announced = status;
        }
        (later, ())
    })
    .await?;
    Ok(())
}

/// The statuses a batch has had, and since when, up to the present one.
fn life(batch: &Batch) -> Vec<(BatchStatus, Timestamp)> {
    let planned = batch.policy.window.opens_at.map(|_| (BatchStatus::Planned, batch.created_at));
    let began = batch.started_at.map(|at| (BatchStatus::InProgress, at));
    let ended =
        batch.status.is_terminal().then(|| (batch.status, batch.ended_at.unwrap_or(batch.created_at)));
    [planned, began, ended].into_iter().flatten().collect()
}

/// How far a status is in the life of a batch; 0 is before the first.
fn rank(status: Option<BatchStatus>) -> u8 {
    match status {
        None => 0,
        Some(BatchStatus::Planned) => 1,
        Some(BatchStatus::InProgress) => 2,
        Some(BatchStatus::Completed | BatchStatus::Canceled) => 3,
    }
}

/// Notes how far a walk came, and ends the batch when nothing is left to do. Returns whether another walk right away may
/// end it: every task has ended, and the walk before had not counted the same.
///
/// Two walks that agree are asked for, because a task may end behind the walk's back in a shard that has moved. The
/// second must begin after the first has ended, and after a task was queued again, as `walked` tells.
pub(crate) async fn note<P: Platform>(
    platform: &P,
    walked: &StoredBatch,
    sweep: Sweep,
    complete: bool,
) -> Result<bool, Problem> {
    let now = platform.now();
    let batch = &walked.batch;
    let noted = batches::change(platform.kv(), batch.id, now, |stored| {
        if stored.drained {
            return (false, (false, Some(stored.clone())));
        }
        if stored.walks != walked.walks {
            return (false, (true, None));
        }
        if !complete {
            stored.sweep = sweep;
            return (true, (false, None));
        }
        let same = stored.counts == sweep.counts && stored.sweep.after_expansion;
        let all_ended = sweep.after_expansion && sweep.counts.active() == 0 && sweep.unrecorded == 0;
        if stored.counts != sweep.counts {
            stored.progressed_at = now;
        }
        stored.counts = sweep.counts;
        stored.counted_at = now;
        stored.walks = stored.walks.wrapping_add(1);
        // The flag is kept for the next walk to compare with; the rest starts anew.
        stored.sweep = Sweep { after_expansion: sweep.after_expansion, ..Sweep::default() };
        // Devices may still come to a dynamic batch: it does not end by itself (R113). A walk that began before its strategy was
        // canceled has left the shards open to them, so that one may have joined behind it.
        let takes = |batch: &Batch| batch.mode.is_dynamic() && batch.takes_devices();
        let (open, was_open) = (takes(&stored.batch), takes(batch));
        if stored.is_reopening(now) {
            return (true, (false, None));
        }
        if !(all_ended && same) || was_open {
            return (true, (all_ended && !open, None));
        }
        // A cancel may come before the first device has its task.
        let canceled =
            stored.batch.cancel.is_some() && (sweep.counts.canceled > 0 || sweep.counts.total() == 0);
        stored.batch.status = stored.batch.status.after(BatchEvent::AllTasksEnded { canceled });
        // A re-upgrade does not make an ended batch end later (T20).
        stored.batch.ended_at.get_or_insert(now);
        stored.drained = true;
        (true, (false, Some(stored.clone())))
    });
    let noted = noted.await?;
    if complete && let Some((_, ended)) = &noted {
        let point = Point { at: now, counts: sweep.counts };
        let noted = batches::note_history(platform.kv(), batch.id, point, ended.is_some()).await;
        if let Err(error) = noted {
            // A picture that lacks a point holds no batch up.
            let line = Line::of("History").with("batch", batch.id).with("outcome", "failed");
            line.with("error", error).write(platform);
        }
    }
    match noted {
        Some((_, Some(stored))) => {
            ended(platform, &stored).await?;
            Ok(false)
        }
        Some((again, None)) => Ok(again),
        None => Ok(false),
    }
}

/// Draws the consequences of a batch's end; done again if the process died before they were.
pub(crate) async fn ended<P: Platform>(platform: &P, stored: &StoredBatch) -> Result<(), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let batch = &stored.batch;
    if batch.kind == BatchKind::Verify {
        let counts = &stored.counts;
        let all_succeeded = counts.total() > 0 && counts.succeeded == counts.total();
        let event = VerificationEvent::Ended { all_succeeded };
        if let Some(Err(refused)) = packages::verification(kv, batch.package_id, batch.id, event, now).await?
        {
            let line = Line::of("Verification").with("package", batch.package_id).with("batch", batch.id);
            line.with("outcome", "refused").with("error", refused).write(platform);
        }
    }
    lanes::release(kv, &batch.product_key, batch.id, now).await?;
    announce(platform, batch.id).await?;
    work::remove_batch(kv, batch.id, now).await?;
    // Somebody who wants a task of it tried again may have opened it meanwhile, when it was still on the list.
    if batches::get_without_names(kv, batch.id).await?.is_some_and(|stored| !stored.drained) {
        work::add_batch(kv, batch.id, now).await?;
    }
    Ok(())
}

/// Collects uploads that have not become packages in time, and the bytes of deleted packages, some chunks at a time.
pub(crate) async fn uploads<P: Platform>(platform: &P, report: &mut Report) -> Result<(), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let mut left = REMOVE_CHUNKS_MAX;
    for upload in work::open_uploads(kv).await?.0 {
        if left == 0 {
            break;
        }
        let over = match blobs::find(kv, upload.id).await? {
            Some(Stored::Complete(blob)) => blob.expires_at().max(upload.since).plus_ms(COLLECT_GRACE_MS),
            Some(Stored::Arriving(arrival)) if upload.since > Timestamp(0) => {
                arrival.expires_at().plus_ms(COLLECT_GRACE_MS)
            }
            Some(Stored::Arriving(_) | Stored::Gone(_)) => now,
            // Still arriving in one request, or cut off; or complete once, and half removed.
            None => upload.since.plus_minutes(UPLOAD_ARRIVAL_MINUTES),
        };
        if now < over {
            continue;
        }
        if let Some(package) = upload.taken_by
            && packages::is_listed(kv, package).await?
        {
            // Its maker died right after it was made.
            work::remove_upload(kv, upload.id, now).await?;
            continue;
        }
        let (removed, all) = ota_blob::collect(platform, &upload, left).await?;
        left = left.saturating_sub(removed);
        report.collected += u32::from(all);
    }
    Ok(())
}
