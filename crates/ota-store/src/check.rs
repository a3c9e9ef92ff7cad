//! The start-up check: does the store keep the promises that everything else rests on?

use std::fmt;

use crate::keys::CHECK;
use crate::kv::{Kv, KvError, Swap};

/// A promise the store broke.
#[derive(Debug)]
pub enum BrokenPromise {
    /// The engine failed outright.
    Failed(KvError),
    /// It answered, and wrongly.
    Broken(&'static str),
}

impl fmt::Display for BrokenPromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Broken(promise) => write!(f, "the store broke its promise: {promise}"),
        }
    }
}

impl std::error::Error for BrokenPromise {}

impl From<KvError> for BrokenPromise {
    fn from(error: KvError) -> Self {
        Self::Failed(error)
    }
}

/// Tries the store on scratch keys made of `nonce`, and removes what it wrote.
///
/// # Errors
/// Which promise is broken. A service must not serve on such a store.
pub async fn check(kv: &impl Kv, nonce: &str) -> Result<(), BrokenPromise> {
    let key = format!("{CHECK}/{nonce}");
    let counter = format!("{CHECK}/{nonce}/count");
    let outcome = check_keys(kv, &key, &counter).await;
    kv.delete(&key).await?;
    kv.delete(&counter).await?;
    outcome
}

async fn check_keys(kv: &impl Kv, key: &str, counter: &str) -> Result<(), BrokenPromise> {
    let promise = |kept: bool, promise| if kept { Ok(()) } else { Err(BrokenPromise::Broken(promise)) };
    promise(kv.get(key).await?.is_none(), "a key that was never written is absent")?;
    kv.set(key, b"a").await?;
    promise(kv.get(key).await?.as_deref() == Some(b"a"), "a written value is read back")?;
    // Two who read the same state: exactly one may swap.
    let (first, one) = kv.read(key).await?;
    let (second, two) = kv.read(key).await?;
    promise(first == second && first.as_deref() == Some(b"a"), "a read for a swap sees the value")?;
    promise(kv.swap(one, b"b").await? == Swap::Swapped, "a swap without rivals is made")?;
    promise(kv.swap(two, b"c").await? == Swap::Stale, "a swap that comes too late is refused")?;
    promise(kv.get(key).await?.as_deref() == Some(b"b"), "a refused swap writes nothing")?;
    promise(kv.increment(counter, 1).await? == 1, "a counter starts from 0")?;
    promise(kv.increment(counter, 2).await? == 3, "a counter adds up")?;
    promise(kv.increment(counter, 0).await? == 3, "a counter is read by adding 0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Fault, MemoryKv};
    use crate::testing::block_on;

    #[test]
    fn a_good_store_passes_and_nothing_is_left_behind() {
        let kv = MemoryKv::new();
        assert!(block_on(check(&kv, "n")).is_ok());
        assert_eq!(kv.dump(), []);
    }

    #[test]
    fn a_store_whose_swaps_are_always_stale_is_refused() {
        let kv = MemoryKv::new();
        kv.set_faults(|_, operation| (operation == "swap").then_some(Fault::Stale));
        let broken = block_on(check(&kv, "n")).unwrap_err().to_string();
        assert!(broken.contains("a swap without rivals is made"), "{broken}");
    }
}
