//! What belongs to no product.

use std::collections::BTreeMap;

use ota_core::delta::{DeltaFailure, DeltaStatus};
use ota_core::ids::DeltaId;
use ota_store::{Kv, StoreError, deltas, events, keys, log, work};

use crate::exposition::{Exposition, Seconds};
use crate::families;

/// Deltas that one scrape looks at, the newest first: each costs a read.
const LOOK_DELTAS_MAX: usize = 20;

/// Tells how the service stands.
pub(crate) async fn tell(kv: &impl Kv, text: &mut Exposition) -> Result<(), StoreError> {
    text.number(&families::BATCHES_MADE, log::count(kv, keys::BATCHES).await?);
    text.number(&families::EVENTS, events::span(kv).await?.end);
    if let Some(tick) = work::last_tick(kv).await? {
        text.number(&families::LAST_TICK, Seconds::from(tick.at));
        text.number(&families::TICK_DURATION, Seconds(tick.took_ms));
    }
    text.number(&families::UPLOADS, work::open_uploads(kv).await?.0.len());
    text.number(&families::DELTAS_MAKING, deltas::open(kv).await?.deltas.len());
    let every = [DeltaStatus::Making, DeltaStatus::Ready, DeltaStatus::Failed(DeltaFailure::NotSmaller)];
    let mut recent: BTreeMap<&str, u32> = every.iter().map(|status| (status.as_str(), 0)).collect();
    let (ids, _) = log::read(kv, keys::DELTAS, None, LOOK_DELTAS_MAX).await?;
    for id in ids {
        if let Some(stored) = deltas::get(kv, DeltaId(id)).await? {
            *recent.entry(stored.delta.status.as_str()).or_default() += 1;
        }
    }
    text.add(&families::DELTAS_RECENT, recent.into_iter().map(|(status, n)| ([status.to_owned()], n)));
    Ok(())
}
