//! What the clock has to look after: batches that have not ended, uploads that are not packages yet.

use ota_core::ids::{BatchId, PackageId, UploadId};
use ota_core::time::Timestamp;

use crate::claim;
use crate::keys;
use crate::kv::Kv;
use crate::record::to_bytes;
use crate::transact::{Change, StoreError, load, update};

/// Batches that may be open at once. Their list is one value, and each costs a read in every tick.
pub const OPEN_BATCHES_MAX: usize = 2_000;
/// Uploads that may wait for their package at once.
pub const OPEN_UPLOADS_MAX: usize = 2_000;

/// How old the listing of a batch may be that is about to be made.
const RELIST_MS: u64 = 30_000;
/// How long after it was listed a batch without a record may still be in the making: by a request that found it listed
/// `RELIST_MS` ago, for as long as a request lives.
pub const MAKING_MS: u64 = RELIST_MS + claim::GRACE_MS;

/// How often it is noted that the dispatcher has come by: whoever wonders whether it still does can wait so long, and a tick
/// with nothing to do writes nothing else.
const NOTE_TICK_MS: u64 = 60_000;

/// A tick that has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastTick {
    /// When it did.
    pub at: Timestamp,
    /// How long it took.
    pub took_ms: u64,
}

/// Batches that have not ended, oldest first, each with the moment it was listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenBatches(pub Vec<(BatchId, Timestamp)>);

impl OpenBatches {
    /// Tells whether a batch is listed.
    pub fn contains(&self, id: BatchId) -> bool {
        self.0.iter().any(|(open, _)| *open == id)
    }
}

/// An upload that is not a package yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenUpload {
    /// The upload.
    pub id: UploadId,
    /// When it began.
    pub since: Timestamp,
    /// The most chunks it can have.
    pub chunks_max: u64,
    /// The package that is being made of it. If its maker dies, the clock finds out whether the package came to be.
    pub taken_by: Option<PackageId>,
}

/// Uploads that are not packages yet, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenUploads(pub Vec<OpenUpload>);

/// Returns the batches that have not ended.
///
/// # Errors
/// The store's.
pub async fn open_batches(kv: &impl Kv) -> Result<OpenBatches, StoreError> {
    Ok(load(kv, keys::WORK_BATCHES).await?.unwrap_or_default())
}

/// Returns the last tick that was noted.
///
/// # Errors
/// The store's.
pub async fn last_tick(kv: &impl Kv) -> Result<Option<LastTick>, StoreError> {
    load(kv, keys::WORK_TICK).await
}

/// Notes that a tick has come to its end, if the last note is old: one read, and one write a minute. Of two that end at once
/// either is as good as the other, so that nothing is compared.
///
/// # Errors
/// The store's.
pub async fn note_tick(kv: &impl Kv, tick: LastTick) -> Result<(), StoreError> {
    let last = last_tick(kv).await?;
    // A moment from the future, of a clock that was set back, is as good as none.
    let is_recent = last.is_some_and(|last| last.at <= tick.at && tick.at.ms_since(last.at) < NOTE_TICK_MS);
    if !is_recent {
        kv.set(keys::WORK_TICK, &to_bytes(&tick, 1)).await?;
    }
    Ok(())
}

/// Lists a batch; `false` if there are too many.
///
/// # Errors
/// The store's.
pub async fn add_batch(kv: &impl Kv, id: BatchId, now: Timestamp) -> Result<bool, StoreError> {
    list_batch(kv, id, now, None).await
}

/// Lists a batch that is about to be made; `false` if there are too many. Whoever made a beginning long ago and died is not
/// waited for for ever, so the moment it was listed is noted anew.
///
/// # Errors
/// The store's.
pub async fn add_new_batch(kv: &impl Kv, id: BatchId, now: Timestamp) -> Result<bool, StoreError> {
    list_batch(kv, id, now, Some(RELIST_MS)).await
}

async fn list_batch(
    kv: &impl Kv,
    id: BatchId,
    now: Timestamp,
    anew_after_ms: Option<u64>,
) -> Result<bool, StoreError> {
    update(kv, keys::WORK_BATCHES, now, |open: Option<OpenBatches>| {
        let mut open = open.unwrap_or_default();
        if let Some((_, since)) = open.0.iter_mut().find(|(other, _)| *other == id) {
            if anew_after_ms.is_none_or(|ms| now.ms_since(*since) < ms) {
                return Change::Keep(true);
            }
            *since = now;
            Change::Put(open, true)
        } else if open.0.len() >= OPEN_BATCHES_MAX {
            Change::Keep(false)
        } else {
            open.0.push((id, now));
            Change::Put(open, true)
        }
    })
    .await
}

/// Takes a batch off the list that seems never to come to be; `false` if somebody has noted it anew since `listed_at`, who is
/// making it.
///
/// # Errors
/// The store's.
pub async fn give_up_batch(
    kv: &impl Kv,
    id: BatchId,
    listed_at: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    update(kv, keys::WORK_BATCHES, now, |open: Option<OpenBatches>| match open {
        Some(mut open) if open.0.contains(&(id, listed_at)) => {
            open.0.retain(|(other, _)| *other != id);
            Change::Put(open, true)
        }
        Some(open) if open.contains(id) => Change::Keep(false),
        _ => Change::Keep(true),
    })
    .await
}

/// Takes a batch off the list.
///
/// # Errors
/// The store's.
pub async fn remove_batch(kv: &impl Kv, id: BatchId, now: Timestamp) -> Result<(), StoreError> {
    update(kv, keys::WORK_BATCHES, now, |open: Option<OpenBatches>| match open {
        Some(mut open) if open.contains(id) => {
            open.0.retain(|(other, _)| *other != id);
            Change::Put(open, ())
        }
        _ => Change::Keep(()),
    })
    .await
}

/// Returns the uploads that are not packages yet.
///
/// # Errors
/// The store's.
pub async fn open_uploads(kv: &impl Kv) -> Result<OpenUploads, StoreError> {
    Ok(load(kv, keys::WORK_UPLOADS).await?.unwrap_or_default())
}

/// Lists an upload, in place of what is listed of it; `false` if there are too many.
///
/// # Errors
/// The store's.
pub async fn add_upload(kv: &impl Kv, upload: OpenUpload, now: Timestamp) -> Result<bool, StoreError> {
    add_uploads(kv, &[upload], now).await
}

/// Lists uploads, in place of what is listed of them; `false` if there are too many, and then lists none.
///
/// # Errors
/// The store's.
pub async fn add_uploads(kv: &impl Kv, uploads: &[OpenUpload], now: Timestamp) -> Result<bool, StoreError> {
    update(kv, keys::WORK_UPLOADS, now, |open: Option<OpenUploads>| {
        let mut open = open.unwrap_or_default();
        open.0.retain(|listed| !uploads.iter().any(|upload| upload.id == listed.id));
        if open.0.len() + uploads.len() > OPEN_UPLOADS_MAX {
            return Change::Keep(false);
        }
        open.0.extend_from_slice(uploads);
        Change::Put(open, true)
    })
    .await
}

/// Takes listed uploads for a package, all or none; returns the place of the first that somebody else has or that is not
/// listed. The same package may take them again, so that a request whose first try died can be made again.
///
/// # Errors
/// The store's.
pub async fn take_uploads(
    kv: &impl Kv,
    ids: &[UploadId],
    package: PackageId,
    now: Timestamp,
) -> Result<Result<(), usize>, StoreError> {
    update(kv, keys::WORK_UPLOADS, now, |open: Option<OpenUploads>| {
        let mut open = open.unwrap_or_default();
        let mut changed = false;
        for (at, id) in ids.iter().enumerate() {
            match open.0.iter_mut().find(|upload| upload.id == *id) {
                Some(upload) if upload.taken_by.is_none() => {
                    upload.taken_by = Some(package);
                    changed = true;
                }
                Some(upload) if upload.taken_by == Some(package) => {}
                Some(_) | None => return Change::Keep(Err(at)),
            }
        }
        if changed { Change::Put(open, Ok(())) } else { Change::Keep(Ok(())) }
    })
    .await
}

/// Takes an upload off the list; returns whether it was listed.
///
/// # Errors
/// The store's.
pub async fn remove_upload(kv: &impl Kv, id: UploadId, now: Timestamp) -> Result<bool, StoreError> {
    remove_uploads(kv, &[id], now).await
}

/// Takes uploads off the list; returns whether any was listed.
///
/// # Errors
/// The store's.
pub async fn remove_uploads(kv: &impl Kv, ids: &[UploadId], now: Timestamp) -> Result<bool, StoreError> {
    update(kv, keys::WORK_UPLOADS, now, |open: Option<OpenUploads>| match open {
        Some(mut open) if open.0.iter().any(|upload| ids.contains(&upload.id)) => {
            open.0.retain(|upload| !ids.contains(&upload.id));
            Change::Put(open, true)
        }
        _ => Change::Keep(false),
    })
    .await
}

/// Notes that chunks from `chunks_max` on are removed.
///
/// # Errors
/// The store's.
pub async fn shrink_upload(
    kv: &impl Kv,
    id: UploadId,
    chunks_max: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    update(kv, keys::WORK_UPLOADS, now, |open: Option<OpenUploads>| {
        let Some(mut open) = open else { return Change::Keep(()) };
        let Some(upload) = open.0.iter_mut().find(|upload| upload.id == id) else { return Change::Keep(()) };
        // Half removed: it no longer has the age of a fresh upload.
        upload.chunks_max = upload.chunks_max.min(chunks_max);
        upload.since = Timestamp(0);
        Change::Put(open, ())
    })
    .await
}
