//! A dry run over a fleet, some shards at a time. It writes nothing.

use ota_core::batch::{Batch, DryRun, TargetSelection};
use ota_core::ids::DeviceName;
use ota_core::time::Timestamp;

use crate::keys;
use crate::kv::Kv;
use crate::shard::{Shard, hash, locate};
use crate::shards::{self, Shape};
use crate::transact::StoreError;

/// Shards of one part: some ten thousand devices. They are held at once, and come to some 5 MB.
const PART_SHARDS_MAX: usize = 256;
/// How far a fleet may have grown since a dry run began, so that what has come of a part's shards stays some hundreds.
const GROWTH_MAX: u32 = 2;

/// Where a dry run goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DryRunCursor {
    /// How many shards the fleet had when it began.
    pub shards: u32,
    /// The next of its places.
    pub next: u32,
    /// Devices seen so far that a gray rollout takes its share of.
    pub eligible: u64,
    /// Devices so far that would get a task.
    pub devices: u64,
}

/// A part of a dry run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRunPart {
    /// What was found in this part.
    pub found: DryRun,
    /// Where to go on, and what was found so far.
    pub cursor: DryRunCursor,
    /// Whether this was the last part.
    pub done: bool,
}

/// Finds out what a batch that is not made would do to the devices of some shards, by the rules that expansion goes by.
/// `None` if the fleet is not the one that the cursor is of.
///
/// A device is looked for under the place it had when the dry run began, in that shard and in those that were split off from
/// it since: so each is seen once, however the fleet grows between two parts.
///
/// # Errors
/// The store's; [`StoreError::Contention`] while a shard is being split off, because its devices are on their way.
pub async fn dry_run(
    kv: &impl Kv,
    batch: &Batch,
    from: Option<DryRunCursor>,
    now: Timestamp,
) -> Result<Option<DryRunPart>, StoreError> {
    let product = &batch.product_key;
    let Some(shape) = shards::shape(kv, product).await? else { return Ok(None) };
    let busy = || StoreError::Contention { key: keys::fleet(product) };
    if shape.is_splitting() {
        return Err(busy());
    }
    let mut cursor = from.unwrap_or(DryRunCursor { shards: shape.shards, ..DryRunCursor::default() });
    if !is_of(&cursor, shape) {
        return Ok(None);
    }
    let places = places(batch, cursor.shards);
    let first = places.len().min(cursor.next as usize);
    let last = places.len().min(first + PART_SHARDS_MAX);
    let part = places.get(first..last).unwrap_or_default();
    let grown = (cursor.shards..shape.shards)
        .filter(|shard| part.binary_search(&locate(u64::from(*shard), cursor.shards)).is_ok());
    let mut found: Vec<(u32, Shard)> = Vec::new();
    for at in part.iter().copied().chain(grown) {
        found.push((at, shards::load_shard(kv, product, at).await?.unwrap_or_default()));
    }
    if shards::shape(kv, product).await? != Some(shape) {
        return Err(busy());
    }
    let chosen = choose(batch, &found, &mut cursor)?;
    let mut run = DryRun::default();
    for (at, shard) in &found {
        for device in shard.devices().map_err(shards::corrupt(product, *at))? {
            run.reach(&chosen, &device, &shard.briefs, now);
        }
    }
    cursor.devices = cursor.devices.saturating_add(run.devices);
    cursor.next = last as u32;
    Ok(Some(DryRunPart { found: run, cursor, done: last >= places.len() }))
}

/// Tells whether a cursor can be one of a fleet of this shape.
fn is_of(cursor: &DryRunCursor, shape: Shape) -> bool {
    (1..=shape.shards).contains(&cursor.shards) && shape.shards <= cursor.shards.saturating_mul(GROWTH_MAX)
}

/// The shards that a batch's devices were in when the fleet had so many, sorted.
fn places(batch: &Batch, shards: u32) -> Vec<u32> {
    match &batch.target {
        TargetSelection::Specific { devices, .. } => {
            let mut places: Vec<u32> = devices.iter().map(|name| locate(hash(name), shards)).collect();
            places.sort_unstable();
            places.dedup();
            places
        }
        _ => (0..shards).collect(),
    }
}

/// Chooses the devices of a gray rollout in one part; of any other batch there is nothing to choose.
fn choose(batch: &Batch, found: &[(u32, Shard)], cursor: &mut DryRunCursor) -> Result<Batch, StoreError> {
    if !matches!(batch.target, TargetSelection::Gray { .. }) {
        return Ok(batch.clone());
    }
    let mut eligible: Vec<DeviceName> = Vec::new();
    for (at, shard) in found {
        let devices = shard.devices().map_err(shards::corrupt(&batch.product_key, *at))?;
        eligible.extend(devices.into_iter().filter(|d| batch.is_eligible(d)).map(|device| device.name));
    }
    let chosen = batch.clone().with_share(&eligible.iter().collect::<Vec<_>>(), cursor.eligible);
    cursor.eligible = cursor.eligible.saturating_add(eligible.len() as u64);
    Ok(chosen)
}
