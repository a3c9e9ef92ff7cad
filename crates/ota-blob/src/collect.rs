//! Removing files.

use ota_core::ids::UploadId;
use ota_http::Problem;
use ota_platform::Platform;
use ota_store::blobs::{self, Place};
use ota_store::work::{self, OpenUpload};

use crate::bucket::Bucket;

/// Gives a file up: nobody finds it any more, and the clock removes its bytes.
///
/// # Errors
/// The store's.
pub async fn discard<P: Platform>(platform: &P, id: UploadId) -> Result<(), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    blobs::give_up(kv, id, now).await?;
    work::shrink_upload(kv, id, u64::MAX, now).await?;
    Ok(())
}

/// Removes the bytes of a listed file, at most some `left` of its chunks, from the end, and notes how far that came. Returns how
/// many keys were asked to go, and whether nothing is left.
///
/// # Errors
/// The store's and the bucket's.
pub async fn collect<P: Platform>(
    platform: &P,
    upload: &OpenUpload,
    left: u64,
) -> Result<(u64, bool), Problem> {
    let (kv, now, id) = (platform.kv(), platform.now(), upload.id);
    let remains = blobs::give_up(kv, id, now).await?;
    let mut chunks = upload.chunks_max;
    if remains.place == Place::Bucket {
        Bucket::open(platform).await?.remove(platform, id, remains.upload.as_deref()).await?;
        if remains.upload.is_none() {
            chunks = 0;
        }
    }
    let first = chunks - chunks.min(left);
    let removed = blobs::remove_chunks(kv, id, &remains.pieces, first..chunks).await?;
    if first > 0 {
        work::shrink_upload(kv, id, first, now).await?;
        return Ok((removed, false));
    }
    blobs::forget(kv, id).await?;
    work::remove_upload(kv, id, now).await?;
    Ok((removed, true))
}
