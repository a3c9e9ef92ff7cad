//! The store as JetStream keeps a bucket: every write has a revision of its own, a counter is 8 bytes, big end first, and a
//! condition is looked at in the moment of the write.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The largest value: what a server takes in one message by default.
const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// A bucket.
pub(crate) struct Store {
    entries: Mutex<Entries>,
    latency: Duration,
}

#[derive(Default)]
struct Entries {
    values: BTreeMap<String, Entry>,
    revision: u64,
}

/// A value, and the revision that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) value: Vec<u8>,
    pub(crate) revision: u64,
}

/// Why the store refuses something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not a key that JetStream takes.
    Key,
    /// A value that no message has room for.
    TooLarge,
    /// The sum has no room in a counter.
    Overflow,
}

impl Store {
    /// Makes an empty one; every operation takes up to `latency` before it is done and as long after.
    pub(crate) fn new(latency: Duration) -> Self {
        Self { entries: Mutex::default(), latency }
    }

    /// Does something to the entries at one moment, somewhere within the time that the operation takes.
    async fn at_once<T>(&self, key: &str, work: impl FnOnce(&mut Entries) -> T) -> Result<T, Refusal> {
        check_key(key)?;
        self.wait().await;
        let outcome = work(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner));
        self.wait().await;
        Ok(outcome)
    }

    async fn wait(&self) {
        if self.latency.is_zero() {
            return;
        }
        let mut byte = [0];
        // Without randomness there is no wait, which is a latency too.
        let _ = getrandom::fill(&mut byte);
        tokio::time::sleep(self.latency * u32::from(byte[0]) / u32::from(u8::MAX)).await;
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Entry>, Refusal> {
        self.at_once(key, |entries| entries.values.get(key).cloned()).await
    }

    /// Writes a value, if what is there is as `may` wants it. Returns what is there if it is not.
    pub(crate) async fn put(
        &self,
        key: &str,
        value: Vec<u8>,
        may: impl FnOnce(Option<&Entry>) -> bool,
    ) -> Result<Result<(), Option<Entry>>, Refusal> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        let put = |entries: &mut Entries| {
            let there = entries.values.get(key);
            if !may(there) {
                return Err(there.cloned());
            }
            entries.write(key, value);
            Ok(())
        };
        self.at_once(key, put).await
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<(), Refusal> {
        self.at_once(key, |entries| drop(entries.values.remove(key))).await
    }

    /// Returns the keys that begin with `prefix`.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.values.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    pub(crate) async fn increment(&self, key: &str, delta: i64) -> Result<i64, Refusal> {
        let increment = |entries: &mut Entries| {
            // What is no counter counts as 0, as the backend has it.
            let there = entries.values.get(key).and_then(|entry| entry.value.first_chunk().copied());
            let sum = there.map_or(0, i64::from_be_bytes).checked_add(delta).ok_or(Refusal::Overflow)?;
            entries.write(key, sum.to_be_bytes().to_vec());
            Ok(sum)
        };
        self.at_once(key, increment).await?
    }
}

impl Entries {
    fn write(&mut self, key: &str, value: Vec<u8>) {
        self.revision += 1;
        self.values.insert(key.to_owned(), Entry { value, revision: self.revision });
    }
}

/// A key is made of these characters, and neither begins nor ends with a dot.
fn check_key(key: &str) -> Result<(), Refusal> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_' | '=' | '.');
    let is_key = !key.is_empty() && !key.starts_with('.') && !key.ends_with('.') && key.chars().all(is_good);
    if is_key { Ok(()) } else { Err(Refusal::Key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_is_looked_at_in_the_moment_of_the_write() {
        let store = Store::new(Duration::ZERO);
        let absent = |there: Option<&Entry>| there.is_none();
        assert_eq!(store.put("a", vec![1], absent).await, Ok(Ok(())));
        let first = store.get("a").await.unwrap().unwrap();
        assert_eq!(store.put("a", vec![2], absent).await, Ok(Err(Some(first.clone()))));
        assert_eq!(store.put("a", vec![1], |_| true).await, Ok(Ok(())));
        let second = store.get("a").await.unwrap().unwrap();
        assert_eq!(first.value, second.value);
        assert_ne!(first.revision, second.revision, "the same value written again is another revision");
    }

    #[tokio::test]
    async fn what_jetstream_refuses_is_refused() {
        let store = Store::new(Duration::ZERO);
        for key in ["", ".a", "a.", "a b", "a:b", "ä"] {
            assert_eq!(store.get(key).await, Err(Refusal::Key), "{key}");
        }
        let large = vec![0; VALUE_BYTES_MAX + 1];
        assert_eq!(store.put("a", large, |_| true).await, Err(Refusal::TooLarge));
        assert_eq!(store.increment("n", i64::MAX).await, Ok(i64::MAX));
        assert_eq!(store.increment("n", 1).await, Err(Refusal::Overflow));
    }
}
