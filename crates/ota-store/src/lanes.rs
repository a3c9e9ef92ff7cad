//! The claims of the running batches of a product ([`ota_core::batch::Lane`]), in one value.

use ota_core::batch::{BatchError, Lane, refusal};
use ota_core::ids::{BatchId, ProductKey};
use ota_core::limits;
use ota_core::product::ConflictPolicy;
use ota_core::time::Timestamp;

use crate::batches;
use crate::keys;
use crate::kv::Kv;
use crate::transact::{Change, StoreError, load, update};
use crate::work;

/// The claims of one product's batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lanes(pub Vec<Lane>);

/// Takes a lane for a new batch, which is listed as open already. A claim whose batch is over, or never came to be, is
/// taken away first.
///
/// # Errors
/// The store's; the inner one when a running batch stands in the way (R61, R63).
pub async fn take(
    kv: &impl Kv,
    product: &ProductKey,
    lane: &Lane,
    policy: ConflictPolicy,
    now: Timestamp,
) -> Result<Result<(), BatchError>, StoreError> {
    let key = keys::lanes(product);
    // Each round but the last takes a dead claim away, and there are only so many.
    for _ in 0..=limits::LANES_MAX {
        let taken = update(kv, &key, now, |lanes: Option<Lanes>| {
            let mut lanes = lanes.unwrap_or_default();
            if lanes.0.contains(lane) {
                return Change::Keep(Ok(()));
            }
            if let Some(refused) = refusal(lane, &lanes.0, policy) {
                return Change::Keep(Err(refused));
            }
            if lanes.0.len() >= limits::LANES_MAX {
                return Change::Keep(Err(BatchError::TooManyLanes));
            }
            lanes.0.push(lane.clone());
            Change::Put(lanes, Ok(()))
        });
        let refused = match taken.await? {
            Ok(()) => return Ok(Ok(())),
            Err(refused) => refused,
        };
        let (BatchError::DynamicExists { batch_id } | BatchError::Conflict { batch_id }) = refused else {
            return Ok(Err(refused));
        };
        if is_alive(kv, batch_id).await? {
            return Ok(Err(refused));
        }
        release(kv, product, batch_id, now).await?;
    }
    Ok(Err(BatchError::TooManyLanes))
}

/// Tells what would stand in the way of a new batch's lane, and takes none.
///
/// # Errors
/// The store's; the inner one is that of [`take`].
pub async fn check(
    kv: &impl Kv,
    product: &ProductKey,
    lane: &Lane,
    policy: ConflictPolicy,
) -> Result<Result<(), BatchError>, StoreError> {
    let mut lanes = load::<Lanes>(kv, &keys::lanes(product)).await?.unwrap_or_default();
    while let Some(refused) = refusal(lane, &lanes.0, policy) {
        let (BatchError::DynamicExists { batch_id } | BatchError::Conflict { batch_id }) = refused else {
            return Ok(Err(refused));
        };
        if is_alive(kv, batch_id).await? {
            return Ok(Err(refused));
        }
        lanes.0.retain(|dead| dead.batch_id != batch_id);
    }
    Ok(if lanes.0.len() >= limits::LANES_MAX { Err(BatchError::TooManyLanes) } else { Ok(()) })
}

/// Tells whether a batch with a claim still runs, or is just being made.
async fn is_alive(kv: &impl Kv, id: BatchId) -> Result<bool, StoreError> {
    match batches::get(kv, id).await? {
        Some(stored) => Ok(!stored.batch.status.is_terminal()),
        None => Ok(work::open_batches(kv).await?.contains(id)),
    }
}

/// Gives a batch's lane back.
///
/// # Errors
/// The store's.
pub async fn release(
    kv: &impl Kv,
    product: &ProductKey,
    id: BatchId,
    now: Timestamp,
) -> Result<(), StoreError> {
    update(kv, &keys::lanes(product), now, |lanes: Option<Lanes>| match lanes {
        Some(mut lanes) if lanes.0.iter().any(|lane| lane.batch_id == id) => {
            lanes.0.retain(|lane| lane.batch_id != id);
            Change::Put(lanes, ())
        }
        _ => Change::Keep(()),
    })
    .await
}
