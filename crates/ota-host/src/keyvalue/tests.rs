use super::*;
use crate::metrics::KeyValueCounts;

fn open(path: &Path, mode: KeyValueMode) -> Arc<KeyValueStore> {
    Arc::new(KeyValueStore::open(path, mode, Arc::default()).unwrap())
}

fn store() -> Arc<str> {
    Arc::from("default")
}

#[tokio::test]
async fn what_is_written_is_read_and_survives_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kv.db");
    let kv = open(&path, KeyValueMode::Correct);
    kv.set(&store(), "a".into(), b"1".to_vec()).await.unwrap();
    kv.set_many(&store(), vec![("b".into(), b"2".to_vec()), ("c".into(), vec![])]).await.unwrap();
    kv.delete(&store(), vec!["a".into(), "never".into()]).await.unwrap();
    drop(kv);

    let kv = open(&path, KeyValueMode::Correct);
    assert_eq!(kv.get("default", "a").unwrap(), None);
    assert_eq!(kv.get("default", "b").unwrap(), Some(b"2".to_vec()));
    assert_eq!(kv.get("other", "b").unwrap(), None);
    assert!(kv.exists("default", "c").unwrap());
    let found = kv.get_many("default", vec!["a".into(), "b".into()]).unwrap();
    assert_eq!(found, [("b".to_owned(), b"2".to_vec())]);
    assert_eq!(kv.keys("default").unwrap(), ["b", "c"]);
}

#[tokio::test]
async fn the_layout_is_spins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kv.db");
    let kv = open(&path, KeyValueMode::Correct);
    assert_eq!(kv.increment(&store(), "n".into(), -2).await.unwrap(), -2);
    let other = Connection::open(&path).unwrap();
    let row = other.query_row("SELECT store, key, value FROM spin_key_value", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Vec<u8>>(2)?))
    });
    assert_eq!(row.unwrap(), ("default".to_owned(), "n".to_owned(), (-2i64).to_le_bytes().to_vec()));
}

#[tokio::test]
async fn counters_count_and_refuse_what_is_no_counter() {
    let folder = tempfile::tempdir().unwrap();
    let kv = open(&folder.path().join("kv.db"), KeyValueMode::Correct);
    assert_eq!(kv.increment(&store(), "n".into(), 0).await.unwrap(), 0);
    assert!(!kv.exists("default", "n").unwrap());
    assert_eq!(kv.increment(&store(), "n".into(), i64::MAX).await.unwrap(), i64::MAX);
    let overflow = kv.increment(&store(), "n".into(), 1).await;
    assert!(matches!(overflow, Err(KeyValueError::CounterOverflow { .. })), "{overflow:?}");
    kv.set(&store(), "text".into(), b"abc".to_vec()).await.unwrap();
    let refused = kv.increment(&store(), "text".into(), 1).await;
    assert!(matches!(refused, Err(KeyValueError::NotACounter { bytes: 3, .. })), "{refused:?}");
    assert_eq!(kv.increment(&store(), "n".into(), -1).await.unwrap(), i64::MAX - 1);
}

#[tokio::test]
async fn long_keys_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let kv = open(&folder.path().join("kv.db"), KeyValueMode::Correct);
    let key = "k".repeat(KEY_BYTES_MAX + 1);
    assert!(matches!(kv.get("default", &key), Err(KeyValueError::KeyTooLong { .. })));
    let set = kv.set(&store(), key, vec![]).await;
    assert!(matches!(set, Err(KeyValueError::KeyTooLong { bytes }) if bytes == KEY_BYTES_MAX + 1));
    kv.set(&store(), "k".repeat(KEY_BYTES_MAX), vec![]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_writers_racing_for_one_key_none_loses_a_write() {
    const WRITERS: u64 = 8;
    const WRITES: u64 = 40;
    let folder = tempfile::tempdir().unwrap();
    let kv = open(&folder.path().join("kv.db"), KeyValueMode::Correct);
    let tasks: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(count_up(kv.clone(), WRITES))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(kv.get("default", "hot").unwrap(), Some((WRITERS * WRITES).to_le_bytes().to_vec()));
}

async fn count_up(kv: Arc<KeyValueStore>, times: u64) {
    let mut left = times;
    while left > 0 {
        let before = kv.get("default", "hot").unwrap();
        let count = before.as_deref().map_or(0, |b| u64::from_le_bytes(b.try_into().unwrap()));
        let after = (count + 1).to_le_bytes().to_vec();
        if kv.swap(&store(), "hot".into(), before, after).await.unwrap() == Swap::Swapped {
            left -= 1;
        }
    }
}

/// Lets eight writers create one absent key at once; returns how many were told that they did.
async fn creators_told_they_won(mode: KeyValueMode) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let kv = open(&folder.path().join("kv.db"), mode);
    let create = |writer: u8| {
        let kv = kv.clone();
        tokio::spawn(async move { kv.swap(&store(), "new".into(), None, vec![writer]).await.unwrap() })
    };
    let tasks: Vec<_> = (0..8).map(create).collect();
    let mut won = 0;
    for task in tasks {
        won += usize::from(task.await.unwrap() == Swap::Swapped);
    }
    won
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_creators_racing_for_an_absent_key_one_wins() {
    assert_eq!(creators_told_they_won(KeyValueMode::Correct).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_spins_quirks_every_creator_wins() {
    assert_eq!(creators_told_they_won(KeyValueMode::SpinQuirks).await, 8);
}

#[tokio::test]
async fn one_failing_write_does_not_fail_those_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let kv = open(&folder.path().join("kv.db"), KeyValueMode::Correct);
    kv.set(&store(), "text".into(), b"abc".to_vec()).await.unwrap();
    let default = store();
    let (a, b, c) = tokio::join!(
        kv.set(&default, "a".into(), vec![1]),
        kv.increment(&default, "text".into(), 1),
        kv.set(&default, "c".into(), vec![3]),
    );
    assert!(a.is_ok() && b.is_err() && c.is_ok());
    assert_eq!(kv.keys("default").unwrap().len(), 3);
}

#[tokio::test]
async fn operations_are_counted_by_kind() {
    let folder = tempfile::tempdir().unwrap();
    let kv = open(&folder.path().join("kv.db"), KeyValueMode::Correct);
    let before = kv.metrics().key_value();
    kv.get("default", "a").unwrap();
    kv.set_many(&store(), vec![("a".into(), vec![]), ("b".into(), vec![])]).await.unwrap();
    kv.swap(&store(), "a".into(), Some(vec![9]), vec![]).await.unwrap();
    kv.increment(&store(), "n".into(), 1).await.unwrap();
    let counts = kv.metrics().key_value().since(before);
    assert_eq!(counts, KeyValueCounts { reads: 1, writes: 2, swaps: 1, increments: 1 });
}

#[tokio::test]
async fn what_is_kept_in_memory_is_what_the_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kv.db");
    let kv = open(&path, KeyValueMode::Correct);
    let store = store();
    kv.set(&store, "a".into(), b"1".to_vec()).await.unwrap();
    assert_eq!(kv.get("default", "a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(kv.swap(&store, "a".into(), Some(b"0".to_vec()), b"2".to_vec()).await.unwrap(), Swap::Stale);
    assert_eq!(kv.get("default", "a").unwrap(), Some(b"1".to_vec()));
    let swapped = kv.swap(&store, "a".into(), Some(b"1".to_vec()), b"2".to_vec()).await.unwrap();
    assert_eq!((swapped, kv.get("default", "a").unwrap()), (Swap::Swapped, Some(b"2".to_vec())));
    assert_eq!(kv.increment(&store, "n".into(), 3).await.unwrap(), 3);
    assert_eq!(kv.get("default", "n").unwrap(), Some(3i64.to_le_bytes().to_vec()));
    // Of several pairs one cannot be stored, and so none is.
    let other = Connection::open(&path).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON spin_key_value WHEN NEW.key = 'n'
         BEGIN SELECT RAISE(FAIL, 'no'); END";
    other.execute_batch(refuse).unwrap();
    let pairs = vec![("a".to_owned(), b"3".to_vec()), ("n".to_owned(), b"4".to_vec())];
    assert!(kv.set_many(&store, pairs).await.is_err());
    assert_eq!(kv.get("default", "a").unwrap(), Some(b"2".to_vec()));
    kv.delete(&store, vec!["a".into()]).await.unwrap();
    assert_eq!(kv.get("default", "a").unwrap(), None);
}

#[tokio::test]
async fn a_store_is_open_in_one_host_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kv.db");
    let kv = open(&path, KeyValueMode::Correct);
    let second = KeyValueStore::open(&path, KeyValueMode::Correct, Arc::default());
    assert!(matches!(second, Err(KeyValueError::Lock(_))), "{second:?}");
    drop(kv);
    open(&path, KeyValueMode::Correct);
}
