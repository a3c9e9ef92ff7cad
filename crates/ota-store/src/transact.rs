//! Read, decide, swap; and again a bounded number of times when somebody else was faster.

use std::fmt;

use ota_core::time::Timestamp;

use crate::claim::{self, Claim};
use crate::kv::{Kv, KvError, Swap};
use crate::record::{Corrupt, Record};

/// How often a change is tried against other writers. With dozens of devices in a value this many losses in a row mean
/// a store in trouble, not a busy one.
pub const TRIES_MAX: u32 = 40;

/// Why a change was not made.
#[derive(Debug)]
pub enum StoreError {
    /// The engine failed.
    Kv(KvError),
    /// A stored value cannot be read.
    Corrupt {
        /// Where.
        key: String,
        /// What is wrong.
        source: Corrupt,
    },
    /// Other writers were faster every time, or somebody else is just creating the record. Trying later helps.
    Contention {
        /// Where.
        key: String,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kv(_) => write!(f, "the store failed"),
            Self::Corrupt { key, .. } => write!(f, "the stored value of {key} cannot be read"),
            Self::Contention { key } => write!(f, "too many writers of {key}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Kv(error) => Some(error),
            Self::Corrupt { source, .. } => Some(source),
            Self::Contention { .. } => None,
        }
    }
}

impl From<KvError> for StoreError {
    fn from(error: KvError) -> Self {
        Self::Kv(error)
    }
}

/// What to do with a record, and what to answer.
pub enum Change<R, T> {
    /// Leave it.
    Keep(T),
    /// Store this in its place.
    Put(R, T),
}

/// Returns the record under `key`.
///
/// # Errors
/// The engine's, or an unreadable value.
pub async fn load<R: Record>(kv: &impl Kv, key: &str) -> Result<Option<R>, StoreError> {
    decode(key, kv.get(key).await?)
}

/// Reads the record under `key`, lets `decide` look at it, and stores what it wants stored; again if somebody else was
/// faster. `decide` may run several times. A record that is absent may be put too: it is claimed first.
///
/// # Errors
/// The engine's, an unreadable value, or [`StoreError::Contention`].
pub async fn update<R: Record, T>(
    kv: &impl Kv,
    key: &str,
    now: Timestamp,
    mut decide: impl FnMut(Option<R>) -> Change<R, T>,
) -> Result<T, StoreError> {
    for _ in 0..TRIES_MAX {
        let (bytes, token) = kv.read(key).await?;
        let revision = bytes.as_deref().map(crate::record::revision);
        match (decide(decode(key, bytes)?), revision) {
            (Change::Keep(answer), _) => return Ok(answer),
            (Change::Put(record, answer), Some(revision)) => {
                if kv.swap(token, &crate::record::to_bytes(&record, revision + 1)).await? == Swap::Swapped {
                    return Ok(answer);
                }
            }
            (Change::Put(record, answer), None) => match claim::take(kv, key, now).await? {
                Claim::Won => {
                    // Only the winner of a claim writes an absent key, so this swap has no rival.
                    if kv.swap(token, &crate::record::to_bytes(&record, 1)).await? == Swap::Swapped {
                        return Ok(answer);
                    }
                }
                // The winner's write comes any moment: look again.
                Claim::Exists | Claim::Pending => {}
            },
        }
    }
    Err(StoreError::Contention { key: key.to_owned() })
}

fn decode<R: Record>(key: &str, bytes: Option<Vec<u8>>) -> Result<Option<R>, StoreError> {
    bytes
        .map(|bytes| crate::record::from_bytes(bytes))
        .transpose()
        .map_err(|source| StoreError::Corrupt { key: key.to_owned(), source })
}
