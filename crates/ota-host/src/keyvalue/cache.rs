//! What was read and written last, in memory. A report of a device is a read and a write of a value that another device has
//! written a moment ago, and after every commit SQLite's own connections read all of their pages anew.
//!
//! A value comes here when it was read, or when it is on disk and before its writer is answered: so nobody reads what a lost power
//! could take back, and nobody who was answered reads what was there before. The file has no other writer ([`super::lock`]).

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;

/// Bytes of all keys and values.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longer values are pieces of files, which are read once for each download and would leave room for nothing else.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// A key that was written, and its new value; none if it was removed.
pub(super) type Written = (String, Option<Vec<u8>>);

/// How many commits there were when a value was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Commits(u64);

/// The values.
#[derive(Debug)]
pub(super) struct Cache(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    values: LruCache<String, Vec<u8>>,
    bytes: usize,
    commits: Commits,
}

/// Names a key of a store.
pub(super) fn name(store: &str, key: &str) -> String {
    // No label of a store has this character.
    [store, "\0", key].concat()
}

impl Cache {
    pub(super) fn new() -> Self {
        let values = LruCache::new_unbounded();
        Self(Mutex::new(Kept { values, bytes: 0, commits: Commits(0) }))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the value under a name, or what to say when it is brought from the file.
    pub(super) fn get(&self, name: &str) -> Result<Vec<u8>, Commits> {
        let mut kept = self.lock();
        let commits = kept.commits;
        kept.values.get(name).cloned().ok_or(commits)
    }

    /// Keeps a value that was looked for at `since` and then found in the file; not if there was a commit since, which may have
    /// written another.
    pub(super) fn found(&self, name: String, value: &[u8], since: Commits) {
        if value.len() > VALUE_BYTES_MAX {
            return;
        }
        let mut kept = self.lock();
        if kept.commits == since {
            kept.put(name, value.to_vec());
        }
    }

    /// Takes over what was just committed.
    pub(super) fn committed(&self, written: Vec<Written>) {
        let mut kept = self.lock();
        kept.commits.0 += 1;
        for (name, value) in written {
            match value {
                Some(value) => kept.put(name, value),
                None => kept.remove(&name),
            }
        }
    }

    /// Forgets everything, when it is not known what the file holds.
    pub(super) fn clear(&self) {
        let mut kept = self.lock();
        kept.commits.0 += 1;
        kept.values.clear();
        kept.bytes = 0;
    }
}

impl Kept {
    fn put(&mut self, name: String, value: Vec<u8>) {
        self.remove(&name);
        if value.len() > VALUE_BYTES_MAX {
            return;
        }
        self.bytes += name.len() + value.len();
        self.values.insert(name, value);
        while self.bytes > BYTES_MAX
            && let Some((name, value)) = self.values.remove_lru()
        {
            self.bytes -= name.len() + value.len();
        }
    }

    fn remove(&mut self, name: &str) {
        if let Some(value) = self.values.remove(name) {
            self.bytes -= name.len() + value.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_before_a_commit_is_not_kept_after_it() {
        let cache = Cache::new();
        let since = cache.get("a").unwrap_err();
        cache.committed(vec![("a".into(), Some(b"new".to_vec()))]);
        cache.found("a".into(), b"old", since);
        assert_eq!(cache.get("a").unwrap(), b"new");
        cache.committed(vec![("a".into(), None)]);
        let since = cache.get("a").unwrap_err();
        cache.found("a".into(), b"found", since);
        assert_eq!(cache.get("a").unwrap(), b"found");
        cache.clear();
        cache.found("a".into(), b"found", since);
        assert!(cache.get("a").is_err());
    }

    #[test]
    fn the_values_that_were_used_last_are_kept_and_long_ones_are_not() {
        let cache = Cache::new();
        let value = vec![0; VALUE_BYTES_MAX];
        let many = BYTES_MAX / VALUE_BYTES_MAX + 10;
        cache.committed(vec![("first".into(), Some(value.clone()))]);
        for n in 0..many {
            cache.committed(vec![(n.to_string(), Some(value.clone()))]);
            assert!(cache.get("first").is_ok(), "used all the time");
        }
        assert!(cache.get("0").is_err());
        assert!(cache.get(&(many - 1).to_string()).is_ok());
        assert!(cache.lock().bytes <= BYTES_MAX);
        // A value that becomes too long is not told as it was.
        cache.committed(vec![("first".into(), Some(vec![0; VALUE_BYTES_MAX + 1]))]);
        assert!(cache.get("first").is_err());
        let kept = cache.lock();
        assert_eq!(
            kept.bytes,
            kept.values.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
        );
    }
}
