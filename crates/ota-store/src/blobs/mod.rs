//! An uploaded file: its bytes, and one record that says how much of it is there.
//!
//! The bytes are chunks in the store, or an object in a bucket (`ota-blob` knows how to reach both). A file that comes in
//! one request has its record when it is complete; one that may come in several, from the beginning ([`Arrival`]).
//!
//! A chunk's key is made of its file's id and its place. Chunks are not shared between files: taking one away could
//! then never be made safe against another file that is just about to use it, with one key at a time
//! (`docs/adr/0004-chunks-belong-to-one-file.md`).

mod arrival;
mod pieces;

use std::ops::Range;

use ota_core::digest::Digests;
use ota_core::ids::UploadId;
use ota_core::limits;
use ota_core::time::Timestamp;

use crate::keys;
use crate::kv::Kv;
use crate::record::{Corrupt, to_bytes};
use crate::transact::{Change, StoreError, load, update};

pub use self::arrival::{
    Arrival, Expected, Hashing, Parts, Refused, announce, begin, completed, is_writer, note,
};
pub use self::pieces::{Pieces, UNNOTED_CHUNKS_MAX, WRITERS_MAX};

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
    /// Where its bytes are.
    pub place: Place,
    /// Who wrote which of its chunks.
    pub pieces: Pieces,
}

/// Where the bytes of a file are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In chunks in the store.
    #[default]
    Chunks,
    /// An object in the bucket.
    Bucket,
}

impl Place {
    /// Returns the stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chunks => "chunks",
            Self::Bucket => "bucket",
        }
    }

    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Chunks, Self::Bucket].into_iter().find(|place| place.as_str() == text)
    }
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is on its way.
    Arriving(Box<Arrival>),
    /// All of it is there.
    Complete(Blob),
    /// It is being removed: nobody finds it any more, and this tells where its bytes are.
    Gone(Remains),
}

/// What has to be removed of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// Where its bytes are.
    pub place: Place,
    /// What the bucket calls the upload, if it was not complete.
    pub upload: Option<String>,
    /// Who wrote which of its chunks.
    pub pieces: Pieces,
}

impl Stored {
    /// Returns where its bytes are.
    pub fn remains(self) -> Remains {
        match self {
            Self::Arriving(arrival) => Remains {
                place: if arrival.parts.is_some() { Place::Bucket } else { Place::Chunks },
                upload: arrival.parts.map(|parts| parts.upload),
                pieces: arrival.pieces,
            },
            Self::Complete(blob) => Remains { place: blob.place, upload: None, pieces: blob.pieces },
            Self::Gone(remains) => remains,
        }
    }
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
pub async fn put_chunk(
    kv: &impl Kv,
    id: UploadId,
    writer: u32,
    index: u64,
    bytes: &[u8],
) -> Result<(), StoreError> {
    Ok(kv.set(&keys::chunk(id, writer, index), bytes).await?)
}

/// Returns one chunk; `None` when it is not there.
///
/// # Errors
/// The store's.
pub async fn get_chunk(
    kv: &impl Kv,
    id: UploadId,
    pieces: &Pieces,
    index: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    get_written(kv, id, pieces.writer_of(index), index).await
}

/// Returns one chunk as a certain writer has stored it; `None` when it is not there.
///
/// # Errors
/// The store's.
pub async fn get_written(
    kv: &impl Kv,
    id: UploadId,
    writer: u32,
    index: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(kv.get(&keys::chunk(id, writer, index)).await?)
}

/// Returns the bytes `range` of a file in the store, of which no more chunks are read than they lie in.
///
/// # Errors
/// The store's; a chunk that is missing or short.
pub async fn read(
    kv: &impl Kv,
    id: UploadId,
    pieces: &Pieces,
    range: Range<u64>,
) -> Result<Vec<u8>, StoreError> {
    let size = CHUNK_BYTES as u64;
    // Exactly as much as is needed: a vector that grows takes twice that for a while.
    let mut bytes = Vec::with_capacity(usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0));
    let mut at = range.start;
    while at < range.end {
        let index = at / size;
        let (from, to) = ((at % size) as usize, (range.end - index * size).min(size) as usize);
        let chunk = get_chunk(kv, id, pieces, index).await?;
        let part = chunk.as_ref().and_then(|chunk| chunk.get(from..to)).ok_or_else(|| {
            let source = Corrupt("the chunk is missing or short".into());
            StoreError::Corrupt { key: keys::chunk(id, pieces.writer_of(index), index), source }
        })?;
        bytes.extend_from_slice(part);
        at = (index + 1) * size;
    }
    Ok(bytes)
}

/// Declares a file complete that came in one request.
///
/// # Errors
/// The store's.
pub async fn complete(kv: &impl Kv, blob: &Blob) -> Result<(), StoreError> {
    Ok(kv.set(&keys::blob(blob.id), &to_bytes(&Stored::Complete(blob.clone()), 1)).await?)
}

/// Notes what has to be removed of a file that came in one request and is not wanted.
///
/// # Errors
/// The store's.
pub async fn leave(kv: &impl Kv, id: UploadId, remains: &Remains) -> Result<(), StoreError> {
    Ok(kv.set(&keys::blob(id), &to_bytes(&Stored::Gone(remains.clone()), 1)).await?)
}

/// Returns what is known of a file.
///
/// # Errors
/// The store's.
pub async fn find(kv: &impl Kv, id: UploadId) -> Result<Option<Stored>, StoreError> {
    load(kv, &keys::blob(id)).await
}

/// Returns a file if it is complete.
///
/// # Errors
/// The store's.
pub async fn get(kv: &impl Kv, id: UploadId) -> Result<Option<Blob>, StoreError> {
    Ok(find(kv, id).await?.and_then(|stored| match stored {
        Stored::Complete(blob) => Some(blob),
        Stored::Arriving(_) | Stored::Gone(_) => None,
    }))
}

/// Gives a file up, so that nobody finds a file with holes while its bytes are removed, and returns what has to be removed.
/// A file without a record has come in one request, which was cut off.
///
/// # Errors
/// The store's.
pub async fn give_up(kv: &impl Kv, id: UploadId, now: Timestamp) -> Result<Remains, StoreError> {
    update(kv, &keys::blob(id), now, |stored: Option<Stored>| match stored {
        None => Change::Keep(Remains::default()),
        Some(Stored::Gone(remains)) => Change::Keep(remains),
        Some(stored) => {
            let remains = stored.remains();
            Change::Put(Stored::Gone(remains.clone()), remains)
        }
    })
    .await
}

/// Removes the chunks `range` of a file, by whomever they were written, and returns how many keys were asked to go.
///
/// # Errors
/// The store's.
pub async fn remove_chunks(
    kv: &impl Kv,
    id: UploadId,
    pieces: &Pieces,
    range: Range<u64>,
) -> Result<u64, StoreError> {
    let mut removed = 0;
    for index in range {
        for writer in pieces.writers_near(index) {
            kv.delete(&keys::chunk(id, writer, index)).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Forgets a file whose bytes are gone.
///
/// # Errors
/// The store's.
pub async fn forget(kv: &impl Kv, id: UploadId) -> Result<(), StoreError> {
    Ok(kv.delete(&keys::blob(id)).await?)
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
            block_on(put_chunk(&kv, ID, 0, index, chunk)).unwrap();
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
            let part = block_on(read(&kv, ID, &Pieces::default(), range.clone())).unwrap();
            assert_eq!(part, bytes[range.start as usize..range.end as usize], "{range:?}");
            assert_eq!(kv.operations().since(before).reads, reads, "{range:?}");
        }
    }

    #[test]
    fn a_missing_or_short_chunk_is_told_and_never_read_over() {
        let (kv, bytes) = stored();
        let end = bytes.len() as u64;
        assert!(block_on(read(&kv, ID, &Pieces::default(), end - 1..end + 1)).is_err());
        block_on(kv.delete(&keys::chunk(ID, 0, 1))).unwrap();
        assert!(matches!(
            block_on(read(&kv, ID, &Pieces::default(), 0..end)),
            Err(StoreError::Corrupt { .. })
        ));
    }
}
