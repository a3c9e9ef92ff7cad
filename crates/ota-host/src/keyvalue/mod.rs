//! The key-value store: SQLite in Spin's own table layout, so that either can open a file the other wrote.
//!
//! Reads run where they are asked for: what was used last is in memory (`cache`), and the rest comes from one of a few reading
//! connections in some microseconds, less than handing it to another thread takes. Writes go to one writing thread, which commits
//! what has piled up in one transaction (`writer`); an acknowledged write is on disk.

mod cache;
pub(crate) mod guest;
mod lock;
mod writer;

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use self::cache::Cache;
use self::writer::{Write, Writer};
use crate::metrics::Metrics;

/// Longer keys are refused: DynamoDB's partition keys end at 2 KiB and NATS subjects earlier, and a key is a name.
pub const KEY_BYTES_MAX: usize = 1024;

/// How long to wait for another process that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Reading connections. Each holds its own page cache, and more than the cores cannot read at once.
const READERS_MAX: usize = 8;

/// What a swap from an absent key does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyValueMode {
    /// Inserts only if the key is still absent: of several creators one wins.
    #[default]
    Correct,
    /// Writes whatever is there, as Spin's SQLite store does: every creator is told that it won.
    SpinQuirks,
}

/// How a swap ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The new value is stored.
    Swapped,
    /// The value was no longer the expected one; nothing changed.
    Stale,
}

/// Why an operation failed.
#[derive(Clone, Debug)]
pub enum KeyValueError {
    /// The key is longer than [`KEY_BYTES_MAX`].
    KeyTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The value under the key is not the 8 bytes of a counter.
    NotACounter {
        /// The key.
        key: String,
        /// The length of its value.
        bytes: usize,
    },
    /// The counter would leave the range of 64 bits.
    CounterOverflow {
        /// The key.
        key: String,
    },
    /// SQLite failed. Shared, since one failed commit fails every write in it.
    Sqlite(Arc<rusqlite::Error>),
    /// The store cannot be this host's alone; why.
    Lock(String),
    /// The store is shutting down.
    Closed,
}

impl fmt::Display for KeyValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyTooLong { bytes } => write!(f, "a key of {bytes} bytes is longer than {KEY_BYTES_MAX}"),
            Self::NotACounter { key, bytes } => write!(f, "`{key}` holds {bytes} bytes, which is no counter"),
            Self::CounterOverflow { key } => write!(f, "counter `{key}` would overflow"),
            Self::Sqlite(error) => write!(f, "{error}"),
            Self::Lock(why) => write!(f, "it cannot be locked: {why}"),
            Self::Closed => f.write_str("the store is closed"),
        }
    }
}

impl std::error::Error for KeyValueError {}

impl From<rusqlite::Error> for KeyValueError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

/// An open store file.
#[derive(Debug)]
pub struct KeyValueStore {
    cache: Arc<Cache>,
    readers: Vec<Mutex<Connection>>,
    next_reader: AtomicUsize,
    writer: Writer,
    metrics: Arc<Metrics>,
    /// Given back last.
    _lock: File,
}

impl KeyValueStore {
    /// Opens the file, making it if there is none.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime, in which writes are answered.
    pub fn open(path: &Path, mode: KeyValueMode, metrics: Arc<Metrics>) -> Result<Self, KeyValueError> {
        let lock = lock::take(path)?;
        let cache = Arc::new(Cache::new());
        // The writer first: it makes the table and turns the file to write-ahead logging.
        let writer =
            Writer::start(writer::open(path)?, mode, cache.clone(), tokio::runtime::Handle::current())
                .map_err(|_| KeyValueError::Closed)?;
        let readers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, READERS_MAX);
        let readers =
            (0..readers).map(|_| Ok(Mutex::new(open_reader(path)?))).collect::<Result<_, KeyValueError>>()?;
        Ok(Self { cache, readers, next_reader: AtomicUsize::new(0), writer, metrics, _lock: lock })
    }

    /// Counts of the operations so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns a free reading connection, or waits for one.
    fn reader(&self) -> MutexGuard<'_, Connection> {
        let start = self.next_reader.fetch_add(1, Ordering::Relaxed);
        for at in 0..self.readers.len() {
            match self.readers[(start + at) % self.readers.len()].try_lock() {
                Ok(reader) => return reader,
                // A reader has no state that a panic could leave half changed.
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.readers[start % self.readers.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the value under a key.
    pub fn get(&self, store: &str, key: &str) -> Result<Option<Vec<u8>>, KeyValueError> {
        self.metrics.reads.add(1);
        self.peek(store, key)
    }

    /// Reads without being counted.
    fn peek(&self, store: &str, key: &str) -> Result<Option<Vec<u8>>, KeyValueError> {
        check_key(key)?;
        let name = cache::name(store, key);
        let since = match self.cache.get(&name) {
            Ok(value) => return Ok(Some(value)),
            Err(since) => since,
        };
        let reader = self.reader();
        let mut statement =
            reader.prepare_cached("SELECT value FROM spin_key_value WHERE store = ?1 AND key = ?2")?;
        let value =
            statement.query_row([store, key], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec())).optional()?;
        if let Some(value) = &value {
            self.cache.found(name, value, since);
        }
        Ok(value)
    }

    /// Whether there is a value under a key.
    pub fn exists(&self, store: &str, key: &str) -> Result<bool, KeyValueError> {
        check_key(key)?;
        self.metrics.reads.add(1);
        let reader = self.reader();
        let mut statement =
            reader.prepare_cached("SELECT 1 FROM spin_key_value WHERE store = ?1 AND key = ?2")?;
        Ok(statement.exists([store, key])?)
    }

    /// Returns the values under several keys, absent ones left out, as in Spin.
    pub fn get_many(&self, store: &str, keys: Vec<String>) -> Result<Vec<(String, Vec<u8>)>, KeyValueError> {
        let mut found = Vec::new();
        for key in keys {
            found.extend(self.get(store, &key)?.map(|value| (key, value)));
        }
        Ok(found)
    }

    /// Lists all keys.
    pub fn keys(&self, store: &str) -> Result<Vec<String>, KeyValueError> {
        self.metrics.reads.add(1);
        let reader = self.reader();
        let mut statement = reader.prepare_cached("SELECT key FROM spin_key_value WHERE store = ?1")?;
        let keys = statement.query_map([store], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(keys)
    }

    /// Stores a value.
    pub async fn set(&self, store: &Arc<str>, key: String, value: Vec<u8>) -> Result<(), KeyValueError> {
        check_key(&key)?;
        self.metrics.writes.add(1);
        self.writer.send(store, |reply| Write::Set { pairs: vec![(key, value)], reply }).await
    }

    /// Stores several values, all or none.
    pub async fn set_many(
        &self,
        store: &Arc<str>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), KeyValueError> {
        pairs.iter().try_for_each(|(key, _)| check_key(key))?;
        self.metrics.writes.add(pairs.len());
        self.writer.send(store, |reply| Write::Set { pairs, reply }).await
    }

    /// Removes keys, all or none. A key that is not there is as good as removed.
    pub async fn delete(&self, store: &Arc<str>, keys: Vec<String>) -> Result<(), KeyValueError> {
        keys.iter().try_for_each(|key| check_key(key))?;
        self.metrics.writes.add(keys.len());
        self.writer.send(store, |reply| Write::Delete { keys, reply }).await
    }

    /// Adds to a counter, which starts at 0, and returns its new value.
    pub async fn increment(&self, store: &Arc<str>, key: String, delta: i64) -> Result<i64, KeyValueError> {
        check_key(&key)?;
        self.metrics.increments.add(1);
        self.writer.send(store, |reply| Write::Increment { key, delta, reply }).await
    }

    /// Stores a value if the present one is still `expected`; `None` expects an absent key.
    pub async fn swap(
        &self,
        store: &Arc<str>,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<Swap, KeyValueError> {
        check_key(&key)?;
        self.metrics.swaps.add(1);
        self.writer.send(store, |reply| Write::Swap { key, expected, value, reply }).await
    }
}

fn check_key(key: &str) -> Result<(), KeyValueError> {
    if key.len() > KEY_BYTES_MAX { Err(KeyValueError::KeyTooLong { bytes: key.len() }) } else { Ok(()) }
}

/// Opens a connection with what all connections share.
fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, KeyValueError> {
    // No SQLite mutex: each connection belongs to one thread at a time already.
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -8 * 1024)?;
    // No memory mapping: SQLite drops it whenever another connection has committed.
    Ok(connection)
}

fn open_reader(path: &Path) -> Result<Connection, KeyValueError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

#[cfg(test)]
mod tests;
