//! The one thread that writes, and its group commit.
//!
//! While one commit waits for the disk, further writes queue up; they share the next commit, and so its one flush.
//! That makes a durable write (`synchronous=FULL`) about as cheap as a volatile one under load. Inside the
//! transaction each write is a statement or a savepoint of its own, so one that fails does not fail the others.
//!
//! A fast disk makes that worse: it commits two or three writes at a time, each with all that a commit costs. So when several have
//! shared a commit, the next waits a moment for company, as PostgreSQL's `commit_delay` does.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::cache::{self, Cache, Written};
use super::{KeyValueError, KeyValueMode, Swap, connect};

/// Writes in one commit. Bounds how long the first of them waits for the last.
const COMMIT_WRITES_MAX: usize = 512;

/// Writes that share a commit when there is so much to do that the next commit waits for company.
const COMPANY_MIN: usize = 2;

/// How long it waits: less than a commit takes on most disks.
const COMPANY_WAIT: Duration = Duration::from_micros(700);

/// Pages of the log before it is copied into the file: 16 MiB, so that a busy store is not forever copying.
const CHECKPOINT_PAGES: i64 = 4096;

type Outcome<T> = Result<T, KeyValueError>;
type Reply<T> = oneshot::Sender<Outcome<T>>;

/// A write and where its outcome goes.
pub(super) enum Write {
    Set { pairs: Vec<(String, Vec<u8>)>, reply: Reply<()> },
    Delete { keys: Vec<String>, reply: Reply<()> },
    Increment { key: String, delta: i64, reply: Reply<i64> },
    Swap { key: String, expected: Option<Vec<u8>>, value: Vec<u8>, reply: Reply<Swap> },
}

/// A write that was carried out but not yet committed.
enum Done {
    Unit(Reply<()>, Outcome<()>),
    Number(Reply<i64>, Outcome<i64>),
    Swap(Reply<Swap>, Outcome<Swap>),
}

impl Done {
    /// Answers. A failed commit fails what seemed to succeed. Nobody may be waiting any more, which is fine.
    fn answer(self, commit: &Outcome<()>) {
        fn outcome<T>(outcome: Outcome<T>, commit: &Outcome<()>) -> Outcome<T> {
            commit.clone().and(outcome)
        }
        match self {
            Done::Unit(reply, result) => drop(reply.send(outcome(result, commit))),
            Done::Number(reply, result) => drop(reply.send(outcome(result, commit))),
            Done::Swap(reply, result) => drop(reply.send(outcome(result, commit))),
        }
    }
}

/// Writes on their way to the thread. A plain list: the thread takes all of it at once, and only who adds the first
/// has to wake it. It has no bound of its own, since each sender waits for its answer: it is no longer than there are
/// requests in flight.
#[derive(Default)]
struct Queue {
    writes: Mutex<Vec<(Arc<str>, Write)>>,
    closed: AtomicBool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Vec<(Arc<str>, Write)>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the queue when the thread ends, even by a panic: nobody may wait for an answer that cannot come.
struct CloseAtEnd(Arc<Queue>);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.lock().clear();
    }
}

/// The way to the writing thread, which ends when this is dropped.
pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("waiting", &self.queue.lock().len()).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread. Answers are given from within `runtime`: waking each waiting task from outside of it
    /// would cost a system call each, for all that share a commit.
    pub(super) fn start(
        connection: Connection,
        mode: KeyValueMode,
        cache: Arc<Cache>,
        runtime: Handle,
    ) -> std::io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let close_at_end = CloseAtEnd(queue.clone());
        let thread = std::thread::Builder::new()
            .name("key-value-writer".to_owned())
            .spawn(move || write_until_closed(connection, mode, &cache, &runtime, &close_at_end.0))?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Queues a write and waits until it is on disk.
    pub(super) async fn send<T>(
        &self,
        store: &Arc<str>,
        write: impl FnOnce(Reply<T>) -> Write,
    ) -> Outcome<T> {
        let (reply, outcome) = oneshot::channel();
        let is_first = {
            let mut writes = self.queue.lock();
            // Looked at under the lock, as it is set before the list is cleared for the last time.
            if self.queue.closed.load(Ordering::SeqCst) {
                return Err(KeyValueError::Closed);
            }
            writes.push((store.clone(), write(reply)));
            writes.len() == 1
        };
        if let (true, Some(thread)) = (is_first, &self.thread) {
            thread.thread().unpark();
        }
        outcome.await.map_err(|_| KeyValueError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.closed.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            drop(thread.join());
        }
    }
}

/// Opens the writing connection and makes the table, in Spin's layout.
pub(super) fn open(path: &Path) -> Outcome<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.execute(
        "CREATE TABLE IF NOT EXISTS spin_key_value (
             store TEXT NOT NULL,
             key   TEXT NOT NULL,
             value BLOB NOT NULL,
             PRIMARY KEY (store, key)
         )",
        [],
    )?;
    Ok(connection)
}

fn write_until_closed(
    mut connection: Connection,
    mode: KeyValueMode,
    cache: &Cache,
    runtime: &Handle,
    queue: &Queue,
) {
    let mut shared = 0;
    loop {
        if shared >= COMPANY_MIN && !queue.closed.load(Ordering::SeqCst) {
            std::thread::sleep(COMPANY_WAIT);
        }
        let mut writes = std::mem::take(&mut *queue.lock());
        shared = writes.len();
        if writes.is_empty() {
            if queue.closed.load(Ordering::SeqCst) {
                return;
            }
            std::thread::park();
        }
        while !writes.is_empty() {
            let together = writes.drain(..writes.len().min(COMMIT_WRITES_MAX));
            let (done, committed) = write_together(&mut connection, mode, cache, together);
            runtime.spawn(async move { done.into_iter().for_each(|done| done.answer(&committed)) });
        }
    }
}

fn write_together(
    connection: &mut Connection,
    mode: KeyValueMode,
    cache: &Cache,
    batch: impl Iterator<Item = (Arc<str>, Write)>,
) -> (Vec<Done>, Outcome<()>) {
    let begun = connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([]));
    let (mut done, mut written) = (Vec::new(), Vec::new());
    for (store, write) in batch {
        done.push(perform(connection, mode, &store, write, &mut written));
    }
    let committed = match begun {
        Ok(_) => commit(connection),
        Err(error) => Err(error.into()),
    };
    match &committed {
        Ok(()) => cache.committed(written),
        Err(error) => {
            cache.clear();
            tracing::error!(%error, writes = done.len(), "a key-value commit failed");
        }
    }
    (done, committed)
}

fn commit(connection: &Connection) -> Outcome<()> {
    // A full disk or the like ends the whole transaction; there is nothing left to commit then.
    if connection.is_autocommit() {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT),
            Some("the transaction was rolled back by an earlier failure in it".to_owned()),
        )
        .into());
    }
    let result = connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    result.map(drop).map_err(|error| {
        if let Err(error) = connection.execute_batch("ROLLBACK") {
            tracing::error!(%error, "a failed key-value commit could not be rolled back");
        }
        error.into()
    })
}

/// Carries out a write, and notes in `written` what it has changed.
fn perform(
    connection: &mut Connection,
    mode: KeyValueMode,
    store: &str,
    write: Write,
    written: &mut Vec<Written>,
) -> Done {
    // Outside a transaction every statement would commit by itself, and be answered as failed.
    let open = || if connection.is_autocommit() { Err(KeyValueError::Closed) } else { Ok(()) };
    match write {
        Write::Set { pairs, reply } => {
            let result = open()
                .and_then(|()| all_or_none(connection, pairs.len(), || set_all(connection, store, &pairs)));
            if result.is_ok() {
                written.extend(pairs.into_iter().map(|(key, value)| (cache::name(store, &key), Some(value))));
            }
            Done::Unit(reply, result)
        }
        Write::Delete { keys, reply } => {
            let result = open()
                .and_then(|()| all_or_none(connection, keys.len(), || delete_all(connection, store, &keys)));
            if result.is_ok() {
                written.extend(keys.iter().map(|key| (cache::name(store, key), None)));
            }
            Done::Unit(reply, result)
        }
        Write::Increment { key, delta, reply } => {
            let name = cache::name(store, &key);
            let result = open().and_then(|()| increment(connection, store, key, delta));
            if let Ok(after) = result
                && delta != 0
            {
                written.push((name, Some(after.to_le_bytes().to_vec())));
            }
            Done::Number(reply, result)
        }
        Write::Swap { key, expected, value, reply } => {
            let result =
                open().and_then(|()| swap(connection, mode, store, &key, expected.as_deref(), &value));
            if matches!(result, Ok(Swap::Swapped)) {
                written.push((cache::name(store, &key), Some(value)));
            }
            Done::Swap(reply, result)
        }
    }
}

/// Runs several statements as one: a failure undoes those before it, and no others in the transaction.
fn all_or_none(connection: &Connection, statements: usize, run: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    if statements <= 1 {
        return run();
    }
    connection.execute_batch("SAVEPOINT several")?;
    let result = run();
    if result.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK TO several")?;
    }
    if !connection.is_autocommit() {
        connection.execute_batch("RELEASE several")?;
    }
    result
}

const UPSERT: &str = "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
     ON CONFLICT (store, key) DO UPDATE SET value = excluded.value";

fn set_all(connection: &Connection, store: &str, pairs: &[(String, Vec<u8>)]) -> Outcome<()> {
    let mut statement = connection.prepare_cached(UPSERT)?;
    for (key, value) in pairs {
        statement.execute(params![store, key, value])?;
    }
    Ok(())
}

fn delete_all(connection: &Connection, store: &str, keys: &[String]) -> Outcome<()> {
    let mut statement =
        connection.prepare_cached("DELETE FROM spin_key_value WHERE store = ?1 AND key = ?2")?;
    for key in keys {
        statement.execute([store, key])?;
    }
    Ok(())
}

fn increment(connection: &Connection, store: &str, key: String, delta: i64) -> Outcome<i64> {
    let mut select =
        connection.prepare_cached("SELECT value FROM spin_key_value WHERE store = ?1 AND key = ?2")?;
    let stored: Option<Vec<u8>> =
        select.query_row([store, &key], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec())).optional()?;
    let before = match stored {
        None => 0,
        Some(bytes) => match <[u8; 8]>::try_from(bytes.as_slice()) {
            Ok(bytes) => i64::from_le_bytes(bytes),
            Err(_) => return Err(KeyValueError::NotACounter { key, bytes: bytes.len() }),
        },
    };
    let Some(after) = before.checked_add(delta) else { return Err(KeyValueError::CounterOverflow { key }) };
    // Reading a counter is `increment(key, 0)`, which need not cost a write.
    if delta != 0 {
        connection.prepare_cached(UPSERT)?.execute(params![store, key, after.to_le_bytes()])?;
    }
    Ok(after)
}

fn swap(
    connection: &Connection,
    mode: KeyValueMode,
    store: &str,
    key: &str,
    expected: Option<&[u8]>,
    value: &[u8],
) -> Outcome<Swap> {
    let changed = match (expected, mode) {
        (Some(expected), _) => connection
            .prepare_cached(
                "UPDATE spin_key_value SET value = ?4 WHERE store = ?1 AND key = ?2 AND value = ?3",
            )?
            .execute(params![store, key, expected, value])?,
        (None, KeyValueMode::Correct) => connection
            .prepare_cached(
                "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![store, key, value])?,
        (None, KeyValueMode::SpinQuirks) => {
            connection.prepare_cached(UPSERT)?.execute(params![store, key, value])?
        }
    };
    Ok(if changed == 1 { Swap::Swapped } else { Swap::Stale })
}
