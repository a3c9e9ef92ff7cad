//! An uploaded file: chunks, then one record that says it is complete.
//!
//! A chunk's key is made of its file's id and its place. Chunks are not shared between files: taking one away could
//! then never be made safe against another file that is just about to use it, with one key at a time
//! (`docs/adr/0004-chunks-belong-to-one-file.md`).

use std::ops::Range;

use ota_core::digest::Digests;
use ota_core::ids::UploadId;
use ota_core::limits;
use ota_core::time::Timestamp;

use crate::keys;
use crate::kv::Kv;
use crate::record::{Corrupt, to_bytes};
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

/// Returns the bytes `range` of a complete file, of which no more chunks are read than they lie in.
///
/// # Errors
/// The store's; a chunk that is missing or short.
pub async fn read(kv: &impl Kv, id: UploadId, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
    let size = CHUNK_BYTES as u64;
    let mut bytes = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let index = at / size;
        let (from, to) = ((at % size) as usize, (range.end - index * size).min(size) as usize);
        let chunk = get_chunk(kv, id, index).await?;
        let part = chunk.as_ref().and_then(|chunk| chunk.get(from..to)).ok_or_else(|| {
            let source = Corrupt("the chunk is missing or short".into());
            StoreError::Corrupt { key: keys::chunk(id, index), source }
        })?;
        bytes.extend_from_slice(part);
        at = (index + 1) * size;
    }
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryKv;
    use crate::testing::block_on;

    const ID: UploadId = UploadId([1; 16]);

    /// A file of two and a half chunks, whose every byte tells its place.
    fn stored() -> (MemoryKv, Vec<u8>) {
        let kv = MemoryKv::new();
        let bytes: Vec<u8> = (0..CHUNK_BYTES * 5 / 2).map(|n| (n / 7 + n % 251) as u8).collect();
        for (index, chunk) in (0..).zip(bytes.chunks(CHUNK_BYTES)) {
            block_on(put_chunk(&kv, ID, index, chunk)).unwrap();
        }
        (kv, bytes)
    }

    #[test]
    fn r163_a_part_of_a_file_is_read_from_the_chunks_it_lies_in() {
        let (kv, bytes) = stored();
        let chunk = CHUNK_BYTES as u64;
        let end = bytes.len() as u64;
        for (range, reads) in [
            (0..1, 1),
            (0..chunk, 1),
            (chunk - 1..chunk + 1, 2),
            (chunk..2 * chunk, 1),
            (end - 5..end, 1),
            (0..end, 3),
            (7..7, 0),
        ] {
            let before = kv.operations();
            let part = block_on(read(&kv, ID, range.clone())).unwrap();
            assert_eq!(part, bytes[range.start as usize..range.end as usize], "{range:?}");
            assert_eq!(kv.operations().since(before).reads, reads, "{range:?}");
        }
    }

    #[test]
    fn a_missing_or_short_chunk_is_told_and_never_read_over() {
        let (kv, bytes) = stored();
        let end = bytes.len() as u64;
        assert!(block_on(read(&kv, ID, end - 1..end + 1)).is_err());
        block_on(kv.delete(&keys::chunk(ID, 1))).unwrap();
        assert!(matches!(block_on(read(&kv, ID, 0..end)), Err(StoreError::Corrupt { .. })));
    }
}
