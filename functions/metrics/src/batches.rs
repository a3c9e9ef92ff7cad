//! What products have: packages, and batches that have something left to do.

use std::collections::BTreeMap;

use ota_core::access::Caller;
use ota_core::batch::{BatchStatus, TaskCounts};
use ota_core::ids::ProductKey;
use ota_core::time::Timestamp;
use ota_store::{Kv, StoreError, batches, packages, products, work};

use crate::exposition::{Exposition, Seconds};
use crate::families;

/// Batches that one scrape looks at, the oldest first: each costs a read. How many there are beyond is told.
const LOOK_BATCHES_MAX: usize = 200;

/// The batches of one product that have something left to do.
#[derive(Default)]
struct Open {
    by_status: BTreeMap<&'static str, u32>,
    tasks: TaskCounts,
    oldest_progress: Option<Timestamp>,
    oldest_walk: Option<Timestamp>,
}

impl Open {
    fn add(&mut self, stored: &batches::StoredBatch) {
        *self.by_status.entry(stored.batch.status.as_str()).or_default() += 1;
        self.tasks.merge(&stored.counts);
        let earlier = |known: Option<Timestamp>, at: Timestamp| Some(known.map_or(at, |known| known.min(at)));
        self.oldest_walk = earlier(self.oldest_walk, stored.counted_at);
        if stored.batch.status == BatchStatus::InProgress && stored.counts.active() > 0 {
            self.oldest_progress = earlier(self.oldest_progress, stored.progressed_at);
        }
    }
}

/// Tells what the products have that the caller may touch.
pub(crate) async fn tell(kv: &impl Kv, caller: &Caller, text: &mut Exposition) -> Result<(), StoreError> {
    let catalog = products::catalog(kv).await?.0;
    let seen: Vec<&(ProductKey, String)> =
        catalog.iter().filter(|(product, _)| caller.may_touch(product)).collect();
    text.add(
        &families::PRODUCT_INFO,
        seen.iter().map(|(product, name)| ([product.to_string(), name.clone()], 1)),
    );
    let mut count: BTreeMap<&str, u32> = seen.iter().map(|(product, _)| (product.as_str(), 0)).collect();
    for package in packages::catalog(kv).await?.0 {
        if let Some(count) = count.get_mut(package.product_key.as_str()) {
            *count += 1;
        }
    }
    text.add(&families::PACKAGES, count.iter().map(|(product, count)| ([(*product).to_owned()], *count)));

    let listed = work::open_batches(kv).await?.0;
    let mut open: BTreeMap<String, Open> =
        seen.iter().map(|(product, _)| (product.to_string(), Open::default())).collect();
    for (id, _) in listed.iter().take(LOOK_BATCHES_MAX) {
        // A batch that is just being made is listed and has no record yet.
        if let Some(stored) = batches::get_without_names(kv, *id).await?
            && let Some(open) = open.get_mut(stored.batch.product_key.as_str())
        {
            open.add(&stored);
        }
    }
    tell_open(&open, text);
    if !caller.is_bound() {
        text.number(&families::BATCHES_UNREAD, listed.len().saturating_sub(LOOK_BATCHES_MAX));
        text.number(&families::OPEN_BATCHES_LIMIT, work::OPEN_BATCHES_MAX);
    }
    Ok(())
}

/// Tells every status, also one that no batch has: what is not told cannot be compared with anything.
fn tell_open(open: &BTreeMap<String, Open>, text: &mut Exposition) {
    let statuses = [BatchStatus::Planned, BatchStatus::InProgress, BatchStatus::Canceled];
    let by_status = open.iter().flat_map(|(product, open)| {
        statuses.map(|status| {
            let status = status.as_str();
            ([product.clone(), status.to_owned()], open.by_status.get(status).copied().unwrap_or(0))
        })
    });
    text.add(&families::BATCHES, by_status);
    let tasks = open.iter().flat_map(|(product, open)| {
        let TaskCounts { unconfirmed, queued, notified, in_progress, succeeded, failed, canceled } =
            open.tasks;
        let counts = [
            ("unconfirmed", unconfirmed),
            ("queued", queued),
            ("notified", notified),
            ("in-progress", in_progress),
            ("succeeded", succeeded),
            ("failed", failed),
            ("canceled", canceled),
        ];
        counts.map(|(status, count)| ([product.clone(), status.to_owned()], count))
    });
    text.add(&families::BATCH_TASKS, tasks);
    let times = |of: fn(&Open) -> Option<Timestamp>| {
        open.iter().filter_map(move |(product, open)| Some(([product.clone()], Seconds::from(of(open)?))))
    };
    text.add(&families::OLDEST_PROGRESS, times(|open| open.oldest_progress));
    text.add(&families::OLDEST_WALK, times(|open| open.oldest_walk));
}
