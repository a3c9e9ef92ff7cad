//! A list of ids that only grows: a head with the newest ones, and sealed pages of older ones.

use ota_core::time::Timestamp;

use crate::kv::Kv;
use crate::transact::{Change, StoreError, load, update};
use crate::{keys, pages};

/// Ids of one page.
pub const PAGE_LEN: usize = 500;

/// The head of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogHead {
    /// How many full pages lie under keys of their own.
    pub sealed: u32,
    /// The newest ids, oldest first.
    pub tail: Vec<[u8; 16]>,
}

/// Where a walk from the newest id to the oldest goes on: the page, and how many ids of it are still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogCursor {
    /// The page's number.
    pub page: u32,
    /// Ids of that page not yet seen, all older than the ones seen.
    pub left: u32,
}

/// Adds an id to the log under `key`. Adding one of the newest again changes nothing.
///
/// # Errors
/// The store's.
pub async fn append(kv: &impl Kv, key: &str, id: [u8; 16], now: Timestamp) -> Result<(), StoreError> {
    loop {
        let full = update(kv, key, now, |head: Option<LogHead>| {
            let mut head = head.unwrap_or_default();
            if head.tail.contains(&id) {
                Change::Keep(None)
            } else if head.tail.len() >= PAGE_LEN {
                Change::Keep(Some(head))
            } else {
                head.tail.push(id);
                Change::Put(head, None)
            }
        });
        let Some(full) = full.await? else { return Ok(()) };
        let next = LogHead { sealed: full.sealed + 1, tail: Vec::new() };
        pages::seal(kv, (key, &full), (&keys::log_page(key, full.sealed), &full), &next, now).await?;
    }
}

/// Returns how many ids there are.
///
/// # Errors
/// The store's.
pub async fn count(kv: &impl Kv, key: &str) -> Result<u64, StoreError> {
    let head = load::<LogHead>(kv, key).await?.unwrap_or_default();
    Ok(u64::from(head.sealed) * PAGE_LEN as u64 + head.tail.len() as u64)
}

/// Returns up to `limit` ids, newest first, and where to go on.
///
/// # Errors
/// The store's.
pub async fn read(
    kv: &impl Kv,
    key: &str,
    cursor: Option<LogCursor>,
    limit: usize,
) -> Result<(Vec<[u8; 16]>, Option<LogCursor>), StoreError> {
    let Some(head) = load::<LogHead>(kv, key).await? else { return Ok((Vec::new(), None)) };
    let newest = LogCursor { page: head.sealed, left: head.tail.len() as u32 };
    // A cursor that no walk has led to begins at the newest.
    let mut at = cursor.filter(|cursor| cursor.page <= head.sealed).unwrap_or(newest);
    let mut ids = Vec::new();
    loop {
        let page = if at.page == head.sealed {
            Some(head.clone())
        } else {
            load::<LogHead>(kv, &keys::log_page(key, at.page)).await?
        };
        let tail = page.map(|page| page.tail).unwrap_or_default();
        let end = tail.len().min(at.left as usize);
        let start = end.saturating_sub(limit - ids.len());
        ids.extend(tail[start..end].iter().rev());
        if start > 0 {
            return Ok((ids, Some(LogCursor { page: at.page, left: start as u32 })));
        }
        if at.page == 0 {
            return Ok((ids, None));
        }
        at = LogCursor { page: at.page - 1, left: PAGE_LEN as u32 };
        if ids.len() >= limit {
            return Ok((ids, Some(at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryKv;
    use crate::testing::block_on;

    fn id(n: u32) -> [u8; 16] {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        id
    }

    #[test]
    fn a_walk_sees_every_id_once_from_the_newest_to_the_oldest() {
        let kv = MemoryKv::new();
        let count = 1_203;
        for n in 0..count {
            block_on(append(&kv, "catalog/batches", id(n), Timestamp(1))).unwrap();
            block_on(append(&kv, "catalog/batches", id(n), Timestamp(1))).unwrap();
        }
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let (ids, next) = block_on(read(&kv, "catalog/batches", cursor, 97)).unwrap();
            assert!(ids.len() <= 97);
            seen.extend(ids);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..count).rev().map(id).collect::<Vec<_>>());
        assert_eq!(block_on(super::count(&kv, "catalog/batches")).unwrap(), u64::from(count));
    }

    #[test]
    fn a_cursor_that_no_walk_has_led_to_ends_as_well() {
        let kv = MemoryKv::new();
        block_on(append(&kv, "x", id(1), Timestamp(1))).unwrap();
        for (page, left) in [(0, 0), (0, u32::MAX), (1, 5), (u32::MAX, u32::MAX)] {
            let (ids, next) = block_on(read(&kv, "x", Some(LogCursor { page, left }), 10)).unwrap();
            assert!(ids.len() <= 1 && next.is_none(), "{page}.{left}");
        }
    }

    #[test]
    fn a_log_that_was_never_written_is_empty() {
        assert_eq!(block_on(read(&MemoryKv::new(), "x", None, 10)).unwrap(), (Vec::new(), None));
    }
}
