//! The audit log: who has changed what. The newest entries in one value, older ones in sealed pages, the oldest forgotten.
//!
//! A change is in the log before it is in the store: [`begin`] lists it as one whose outcome is open, and it is written
//! nothing before that. [`end`] tells the outcome. Whatever happens in between, the function's death too, the log has it;
//! what ended so stays open, which is to say that the change may have been made or not. This costs two swaps of one value
//! rather than one; operators are few and slow, and a log that misses what went wrong is none.
//!
//! What is open lies apart from the entries, so that a sealed page never changes, and a request that turns out to change
//! nothing never costs the log an older entry.

use ota_core::access::AuditEntry;
use ota_core::limits;
use ota_core::time::Timestamp;

use crate::kv::Kv;
use crate::transact::{Change, StoreError, TRIES_MAX, load, update};
use crate::{keys, pages};

/// Entries of one page: some 16 KB.
pub const PAGE_LEN: usize = 64;
/// Sealed pages that are kept: the newest ten thousand entries.
pub const PAGES_MAX: u64 = 160;
/// Changes whose outcome is open at once. Beyond that, and after a day, the oldest is listed as it is: its function has
/// died.
pub const OPEN_MAX: usize = 64;
/// How long a change may be open: longer than any request lives, uploads too.
const OPEN_LIFE_MS: u64 = DAY_MS;
/// The time within which refused attempts are counted.
const DAY_MS: u64 = 24 * 60 * 60_000;
/// The status of an attempt that was refused for want of permission.
const FORBIDDEN: u16 = 403;

/// A page of the log; the one under [`keys::AUDIT`] is the one being filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// How many pages there were before it.
    pub number: u64,
    /// Its entries, in the order in which their requests ended.
    pub entries: Vec<AuditEntry>,
    /// Changes whose outcome is open, in the order in which they began. Only the page being filled has some.
    pub open: Vec<AuditEntry>,
}

impl AuditPage {
    fn first(&self) -> u64 {
        self.number * PAGE_LEN as u64
    }
}

/// Lists a change that is about to be made, its outcome open. Listing it again changes nothing.
///
/// # Errors
/// The store's. The change must not be made then.
pub async fn begin(kv: &impl Kv, entry: &AuditEntry, now: Timestamp) -> Result<(), StoreError> {
    change(kv, now, |page| {
        if page.open.iter().any(|open| open.request == entry.request) {
            return false;
        }
        let is_over = |oldest: &AuditEntry| now.ms_since(oldest.at) > OPEN_LIFE_MS;
        // One at a time, for which the page has room; as each that comes takes one away, there are never too many.
        if page.open.len() >= OPEN_MAX || page.open.first().is_some_and(is_over) {
            let oldest = page.open.remove(0);
            page.entries.push(oldest);
        }
        page.open.push(entry.clone());
        true
    })
    .await
}

/// Lists a change with its outcome.
///
/// # Errors
/// The store's. The change stays listed as open then.
pub async fn end(kv: &impl Kv, entry: &AuditEntry, now: Timestamp) -> Result<(), StoreError> {
    change(kv, now, |page| {
        page.open.retain(|open| open.request != entry.request);
        // It may have been open for so long that it was listed without its outcome.
        match page.entries.iter_mut().find(|known| known.request == entry.request) {
            Some(known) => known.clone_from(entry),
            None => page.entries.push(entry.clone()),
        }
        true
    })
    .await
}

/// Lists an attempt that was refused for want of permission; of one caller only a few a day, as long as they are among the
/// newest entries.
///
/// # Errors
/// The store's.
pub async fn refused(kv: &impl Kv, entry: &AuditEntry, now: Timestamp) -> Result<(), StoreError> {
    let entry = AuditEntry { status: Some(FORBIDDEN), ..entry.clone() };
    let is_alike = |known: &&AuditEntry| {
        known.status == Some(FORBIDDEN)
            && (&known.actor, known.token) == (&entry.actor, entry.token)
            && now.ms_since(known.at) < DAY_MS
    };
    change(kv, now, |page| {
        let listed = page.entries.iter().filter(is_alike).count() < limits::AUDIT_REFUSED_PER_DAY_MAX;
        if listed {
            page.entries.push(entry.clone());
        }
        listed
    })
    .await
}

/// Changes the page being filled, which has room for one entry more. `edit` may run several times, and says whether it has
/// changed anything.
async fn change(
    kv: &impl Kv,
    now: Timestamp,
    mut edit: impl FnMut(&mut AuditPage) -> bool,
) -> Result<(), StoreError> {
    for _ in 0..TRIES_MAX {
        let full = update(kv, keys::AUDIT, now, |page: Option<AuditPage>| {
            let mut page = page.unwrap_or_default();
            if page.entries.len() >= PAGE_LEN {
                Change::Keep(Some(page))
            } else if edit(&mut page) {
                Change::Put(page, None)
            } else {
                Change::Keep(None)
            }
        });
        let Some(full) = full.await? else { return Ok(()) };
        let page_key = keys::audit_page(full.number);
        let page = AuditPage { open: Vec::new(), ..full.clone() };
        let next = AuditPage { number: full.number + 1, entries: Vec::new(), open: full.open.clone() };
        pages::seal(kv, (keys::AUDIT, &full), (&page_key, &page), &next, now).await?;
        if let Some(old) = full.number.checked_sub(PAGES_MAX) {
            kv.delete(&keys::audit_page(old)).await?;
        }
    }
    Err(StoreError::Contention { key: keys::AUDIT.to_owned() })
}

/// Returns up to `limit` of the entries that are wanted, the newest first, and where to go on. `before` is the number of
/// an entry: only older ones are looked at, at most `look_max` of them. What is open comes first, if there is no `before`.
///
/// # Errors
/// The store's.
pub async fn read(
    kv: &impl Kv,
    before: Option<u64>,
    (limit, look_max): (usize, usize),
    wanted: impl Fn(&AuditEntry) -> bool,
) -> Result<(Vec<AuditEntry>, Option<u64>), StoreError> {
    let head: AuditPage = load(kv, keys::AUDIT).await?.unwrap_or_default();
    let newest = head.first() + head.entries.len() as u64;
    let oldest = head.number.saturating_sub(PAGES_MAX) * PAGE_LEN as u64;
    let open = head.open.iter().rev().filter(|entry| before.is_none() && wanted(entry));
    let mut found: Vec<AuditEntry> = open.take(limit).cloned().collect();
    let mut at = before.unwrap_or(newest).min(newest);
    let last = at.saturating_sub(look_max as u64).max(oldest);
    while at > last && found.len() < limit {
        let number = (at - 1) / PAGE_LEN as u64;
        let page = if number == head.number {
            head.clone()
        } else {
            load(kv, &keys::audit_page(number)).await?.unwrap_or(AuditPage { number, ..AuditPage::default() })
        };
        let first = page.first();
        let older = (first..).zip(page.entries).filter(|(number, _)| *number < at);
        let older: Vec<(u64, AuditEntry)> = older.collect();
        let mut next = first.max(last);
        for (number, entry) in older.into_iter().rev().take_while(|(number, _)| *number >= last) {
            if found.len() == limit {
                next = number + 1;
                break;
            }
            if wanted(&entry) {
                found.push(entry);
            }
        }
        at = next;
    }
    Ok((found, (at > oldest).then_some(at)))
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
