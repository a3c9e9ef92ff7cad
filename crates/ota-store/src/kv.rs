//! The port: what a store must do, in the terms that all engines share.

use std::fmt;

/// A key-value store with a compare-and-swap on one key.
///
/// What an adapter promises (the contract suite in `tests/contract` holds it to each point):
/// - A write that was acknowledged is seen by every later read, also after the engine restarts.
/// - Of several swaps with tokens from the same state of an existing key, exactly one is [`Swap::Swapped`].
/// - [`Kv::increment`] is atomic and starts from 0.
///
/// What it does not promise: a swap from an **absent** key may succeed for two callers at once (one engine upserts), so
/// nothing is ever claimed that way; see [`crate::claim`].
#[allow(async_fn_in_trait, reason = "guests run on one thread; nothing here needs to be Send")]
pub trait Kv {
    /// What a swap is compared against.
    type Token;

    /// Returns the value of `key`.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError>;

    /// Writes `key`, whatever it was.
    async fn set(&self, key: &str, value: &[u8]) -> Result<(), KvError>;

    /// Removes `key`; a key that is not there is fine.
    async fn delete(&self, key: &str) -> Result<(), KvError>;

    /// Returns the value of `key` with a token to swap it.
    async fn read(&self, key: &str) -> Result<(Option<Vec<u8>>, Self::Token), KvError>;

    /// Writes `value` if the key is as it was when the token was taken.
    async fn swap(&self, token: Self::Token, value: &[u8]) -> Result<Swap, KvError>;

    /// Adds `delta` to the counter `key` and returns the sum. Counters live under keys of their own: a key that is
    /// incremented is never written or read in another way.
    async fn increment(&self, key: &str, delta: i64) -> Result<i64, KvError>;
}

/// How a swap ended. Losing a race is an ordinary outcome, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Swap {
    /// The value is written.
    Swapped,
    /// Somebody else wrote in between; nothing is written.
    Stale,
}

/// The engine could not do what was asked. Whether a failed write was applied is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvError(pub String);

impl fmt::Display for KvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key-value store: {}", self.0)
    }
}

impl std::error::Error for KvError {}

impl<K: Kv> Kv for &K {
    type Token = K::Token;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        (**self).get(key).await
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), KvError> {
        (**self).set(key, value).await
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        (**self).delete(key).await
    }

    async fn read(&self, key: &str) -> Result<(Option<Vec<u8>>, Self::Token), KvError> {
        (**self).read(key).await
    }

    async fn swap(&self, token: Self::Token, value: &[u8]) -> Result<Swap, KvError> {
        (**self).swap(token, value).await
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, KvError> {
        (**self).increment(key, delta).await
    }
}
