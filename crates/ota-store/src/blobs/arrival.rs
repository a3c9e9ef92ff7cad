//! A file that arrives in several requests: how much of it is there, and who is writing.

use ota_core::digest::{DigestAlgorithm, Digests};
use ota_core::ids::UploadId;
use ota_core::limits;
use ota_core::package::PackageError;
use ota_core::time::Timestamp;

use super::{Blob, CHUNK_BYTES, Pieces, Place, Stored};
use crate::keys;
use crate::kv::Kv;
use crate::record::to_bytes;
use crate::transact::{Change, StoreError, load, update};

/// A file of which a part may be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The upload.
    pub id: UploadId,
    /// The name it is to have.
    pub file_name: String,
    /// What the client said of it, as the client wrote it.
    pub metadata: String,
    /// Bytes that are to come.
    pub size: u64,
    /// Bytes that are there.
    pub offset: u64,
    /// How far the digests are computed: the state of each after `offset` bytes. Empty before the first byte.
    pub hashing: Hashing,
    /// What the digests must be, as far as the client told.
    pub expected: Expected,
    /// Whether somebody is writing, or was when it died.
    pub writing: bool,
    /// Who wrote what is there.
    pub pieces: Pieces,
    /// Who wrote the chunk in which `offset` lies. It may be another than `pieces` tell, because who is about to write that
    /// chunk again is named there already.
    pub tail_writer: u32,
    /// The parts in a bucket, if that is where the file goes.
    pub parts: Option<Parts>,
    /// When it began.
    pub created_at: Timestamp,
}

/// Digests that are half computed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashing {
    /// The state of the MD5.
    pub md5: Vec<u8>,
    /// The state of the SHA-256.
    pub sha256: Vec<u8>,
}

/// Digests that a client told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The MD5.
    pub md5: Option<[u8; 16]>,
    /// The SHA-256.
    pub sha256: Option<[u8; 32]>,
}

impl Expected {
    /// Tells whether a file with these digests is the one that was told of.
    pub fn fits(&self, digests: &Digests) -> bool {
        self.md5.is_none_or(|md5| md5 == digests.md5) && self.sha256.is_none_or(|sha| sha == digests.sha256)
    }

    /// Returns the fault of a file that does not fit, with the digest it has in place of the one that was told.
    pub fn mismatch(&self, digests: &Digests) -> PackageError {
        let sha256 = self.sha256.is_some_and(|sha256| sha256 != digests.sha256);
        let algorithm = if sha256 { DigestAlgorithm::Sha256 } else { DigestAlgorithm::Md5 };
        PackageError::DigestMismatch { actual: digests.hex(algorithm) }
    }
}

/// The parts of a file in a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// What the bucket calls the upload.
    pub upload: String,
    /// What it called each part, in order. All have the same size but the last.
    pub etags: Vec<String>,
    /// The first chunk and the one behind the last that waited in the store for the part they have become, and are to be
    /// removed.
    pub leftover: (u64, u64),
}

/// Why a writer may not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such file that is still arriving.
    Unknown,
    /// It is complete, with this many bytes.
    Complete(u64),
    /// Its time is over.
    Expired,
    /// This many bytes are there, not as many as the writer thinks.
    Offset(u64),
    /// Too many writers have died.
    Writers,
}

impl Arrival {
    /// Returns when it is collected unless it is complete by then.
    pub fn expires_at(&self) -> Timestamp {
        self.created_at.plus_minutes(limits::UPLOAD_ARRIVAL_MINUTES)
    }

    /// Returns the file, which is complete.
    pub fn into_blob(self, digests: Digests, now: Timestamp) -> Blob {
        Blob {
            id: self.id,
            file_name: self.file_name,
            size: self.size,
            chunk_bytes: CHUNK_BYTES as u32,
            digests,
            created_at: now,
            place: if self.parts.is_some() { Place::Bucket } else { Place::Chunks },
            pieces: self.pieces,
        }
    }
}

/// Notes a file that is going to arrive.
///
/// # Errors
/// The store's.
pub async fn announce(kv: &impl Kv, arrival: &Arrival) -> Result<(), StoreError> {
    // The id is random: nobody else writes here.
    Ok(kv.set(&keys::blob(arrival.id), &to_bytes(&Stored::Arriving(Box::new(arrival.clone())), 1)).await?)
}

/// Lets somebody write from `offset` on, in place of whoever was writing.
///
/// # Errors
/// The store's. The inner result tells why it may not be.
pub async fn begin(
    kv: &impl Kv,
    id: UploadId,
    offset: u64,
    now: Timestamp,
) -> Result<Result<Arrival, Refused>, StoreError> {
    update(kv, &keys::blob(id), now, |stored: Option<Stored>| {
        let mut arrival = match stored {
            Some(Stored::Arriving(arrival)) => arrival,
            Some(Stored::Complete(blob)) => return Change::Keep(Err(Refused::Complete(blob.size))),
            Some(Stored::Gone(_)) | None => return Change::Keep(Err(Refused::Unknown)),
        };
        if now >= arrival.expires_at() {
            return Change::Keep(Err(Refused::Expired));
        }
        if arrival.offset != offset {
            return Change::Keep(Err(Refused::Offset(arrival.offset)));
        }
        // Nobody has said that the writing ended: who wrote may be dead, or slow.
        if arrival.writing && !arrival.pieces.follow(offset / CHUNK_BYTES as u64) {
            return Change::Keep(Err(Refused::Writers));
        }
        arrival.writing = true;
        Change::Put(Stored::Arriving(arrival.clone()), Ok(*arrival))
    })
    .await
}

/// Notes what a writer has achieved, by letting `change` say what the file has become. `None` when somebody else has taken
/// the writer's place, or the file has been given up: then nothing is noted, and the writer must end.
///
/// # Errors
/// The store's.
pub async fn note(
    kv: &impl Kv,
    id: UploadId,
    writer: u32,
    now: Timestamp,
    change: impl Fn(Arrival) -> Stored,
) -> Result<Option<Stored>, StoreError> {
    update(kv, &keys::blob(id), now, |stored: Option<Stored>| match stored {
        Some(Stored::Arriving(arrival)) if arrival.writing && arrival.pieces.writer() == writer => {
            let changed = change(*arrival);
            Change::Put(changed.clone(), Some(changed))
        }
        _ => Change::Keep(None),
    })
    .await
}

/// Tells whether this writer still has its place.
///
/// # Errors
/// The store's.
pub async fn is_writer(kv: &impl Kv, id: UploadId, writer: u32) -> Result<bool, StoreError> {
    let stored: Option<Stored> = load(kv, &keys::blob(id)).await?;
    Ok(matches!(stored, Some(Stored::Arriving(a)) if a.writing && a.pieces.writer() == writer))
}

/// Declares a file complete all of whose bytes are there, and returns it; again if it was before. `None` when it was given up.
///
/// # Errors
/// The store's.
pub async fn completed(
    kv: &impl Kv,
    id: UploadId,
    digests: &Digests,
    now: Timestamp,
) -> Result<Option<Blob>, StoreError> {
    update(kv, &keys::blob(id), now, |stored: Option<Stored>| match stored {
        Some(Stored::Arriving(arrival)) if arrival.offset == arrival.size => {
            let blob = arrival.into_blob(digests.clone(), now);
            Change::Put(Stored::Complete(blob.clone()), Some(blob))
        }
        Some(Stored::Complete(blob)) => Change::Keep(Some(blob)),
        _ => Change::Keep(None),
    })
    .await
}
