//! An uploaded file: chunks, then one record that says it is complete.
//!
//! A chunk's key is made of its file's id and its place. Chunks are not shared between files: taking one away could
//! then never be made safe against another file that is just about to use it, with one key at a time
//! (`docs/adr/0004-chunks-belong-to-one-file.md`).

use ota_core::digest::Digests;
use ota_core::ids::UploadId;
use ota_core::limits;
use ota_core::time::Timestamp;

use crate::keys;
use crate::kv::Kv;
use crate::record::to_bytes;
use crate::transact::{StoreError, load};

/// Bytes of a chunk: the largest value that every engine takes.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// A complete uploaded file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The upload it came by.
    pub id: UploadId,
    /// The name it came with.
    pub file_name: String,
    /// Its bytes.
    pub size: u64,
    /// Bytes of every chunk but the last.
    pub chunk_bytes: u32,
    /// Its digests.
    pub digests: Digests,
    /// When it was complete.
    pub created_at: Timestamp,
}

impl Blob {
    /// Returns when the upload is collected unless it has become a package.
    pub fn expires_at(&self) -> Timestamp {
        self.created_at.plus_minutes(limits::UPLOAD_LIFE_MINUTES)
    }

    /// Returns how many chunks it has.
    pub fn chunks(&self) -> u64 {
        self.size.div_ceil(u64::from(self.chunk_bytes.max(1)))
    }
}

/// Stores one chunk of a file that is being uploaded.
///
/// # Errors
/// The store's.
pub async fn put_chunk(kv: &impl Kv, id: UploadId, index: u64, bytes: &[u8]) -> Result<(), StoreError> {
    Ok(kv.set(&keys::chunk(id, index), bytes).await?)
}

/// Returns one chunk; `None` when it is not there.
///
/// # Errors
/// The store's.
pub async fn get_chunk(kv: &impl Kv, id: UploadId, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(kv.get(&keys::chunk(id, index)).await?)
}

/// Declares an upload complete.
///
/// # Errors
/// The store's.
pub async fn complete(kv: &impl Kv, blob: &Blob) -> Result<(), StoreError> {
    Ok(kv.set(&keys::blob(blob.id), &to_bytes(blob, 1)).await?)
}

/// Returns a complete file.
///
/// # Errors
/// The store's.
pub async fn get(kv: &impl Kv, id: UploadId) -> Result<Option<Blob>, StoreError> {
    load(kv, &keys::blob(id)).await
}

/// Removes chunks `first..last` of a file and returns how many keys were asked to go. The record goes first, so that
/// nobody finds a file with holes.
///
/// # Errors
/// The store's.
pub async fn remove(kv: &impl Kv, id: UploadId, first: u64, last: u64) -> Result<u64, StoreError> {
    kv.delete(&keys::blob(id)).await?;
    for index in first..last {
        kv.delete(&keys::chunk(id, index)).await?;
    }
    Ok(last.saturating_sub(first))
}
