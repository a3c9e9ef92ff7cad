//! Deltas that the service makes: one record each, and a list of those that are not done.
//!
//! The bytes of a delta go into the chunks of a file (see [`crate::blobs`]) as they are made, each chunk once it is full. What
//! is left over after a step lies under a key of that step alone, until the next step begins with it. So every key is only
//! ever written with the same bytes, however often a step is made and by however many dispatchers: what a step comes to
//! follows from where it begins. That a step is done is one swap of the delta's record.

use ota_core::delta::{Delta, DeltaEvent, DeltaStatus};
use ota_core::ids::{DeltaId, UploadId};
use ota_core::limits;
use ota_core::time::Timestamp;

use crate::claim::{self, Claim};
use crate::kv::Kv;
use crate::record::to_bytes;
use crate::transact::{Change, StoreError, load, update};
use crate::{keys, log};

/// A delta, and what it was asked for with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDelta {
    /// The delta.
    pub delta: Delta,
    /// What the request said, so that the same idempotency key with other words is noticed.
    pub fingerprint: [u8; 16],
}

impl StoredDelta {
    /// Returns the file that the delta's bytes go to. It follows from the delta's id, as the package's does.
    pub const fn blob(&self) -> UploadId {
        UploadId(self.delta.id.0)
    }
}

/// Deltas that are not done, oldest first, each with the moment it was listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenDeltas {
    /// The deltas.
    pub deltas: Vec<(DeltaId, Timestamp)>,
    /// Until when one dispatcher has the turn to make them. Nothing but economy depends on it: a step takes memory and
    /// time, and two that make the same one come to the same.
    pub turn_until: Timestamp,
}

/// Makes a delta: lists it, and stores its record if there is none. Returns the record there is; `None` if there are too
/// many to be made.
///
/// # Errors
/// The store's.
pub async fn create(
    kv: &impl Kv,
    stored: &StoredDelta,
    now: Timestamp,
) -> Result<Option<StoredDelta>, StoreError> {
    let id = stored.delta.id;
    // Whoever walks these lists passes over an id that has no record (yet).
    if !add(kv, id, now).await? {
        return Ok(None);
    }
    log::append(kv, keys::DELTAS, id.0, now).await?;
    let key = keys::delta(id);
    match claim::take(kv, &key, now).await? {
        Claim::Won => {
            kv.set(&key, &to_bytes(stored, 1)).await?;
            Ok(Some(stored.clone()))
        }
        Claim::Exists => get(kv, id).await,
        Claim::Pending => Err(StoreError::Contention { key }),
    }
}

/// Returns a delta.
///
/// # Errors
/// The store's.
pub async fn get(kv: &impl Kv, id: DeltaId) -> Result<Option<StoredDelta>, StoreError> {
    load(kv, &keys::delta(id)).await
}

/// Applies an event to a delta, and returns the delta after it; `None` if there is no such delta.
///
/// # Errors
/// The store's.
pub async fn apply(
    kv: &impl Kv,
    id: DeltaId,
    event: &DeltaEvent,
    now: Timestamp,
) -> Result<Option<StoredDelta>, StoreError> {
    update(kv, &keys::delta(id), now, |stored: Option<StoredDelta>| {
        let Some(mut stored) = stored else { return Change::Keep(None) };
        if stored.delta.apply(event, now) {
            let after = stored.clone();
            Change::Put(stored, Some(after))
        } else {
            Change::Keep(Some(stored))
        }
    })
    .await
}

/// Returns the deltas that are not done.
///
/// # Errors
/// The store's.
pub async fn open(kv: &impl Kv) -> Result<OpenDeltas, StoreError> {
    Ok(load(kv, keys::WORK_DELTAS).await?.unwrap_or_default())
}

/// Lists a delta; `false` if there are too many.
async fn add(kv: &impl Kv, id: DeltaId, now: Timestamp) -> Result<bool, StoreError> {
    update(kv, keys::WORK_DELTAS, now, |open: Option<OpenDeltas>| {
        let mut open = open.unwrap_or_default();
        if open.deltas.iter().any(|(listed, _)| *listed == id) {
            Change::Keep(true)
        } else if open.deltas.len() >= limits::OPEN_DELTAS_MAX {
            Change::Keep(false)
        } else {
            open.deltas.push((id, now));
            Change::Put(open, true)
        }
    })
    .await
}

/// Takes a delta off the list.
///
/// # Errors
/// The store's.
pub async fn remove(kv: &impl Kv, id: DeltaId, now: Timestamp) -> Result<(), StoreError> {
    update(kv, keys::WORK_DELTAS, now, |open: Option<OpenDeltas>| match open {
        Some(mut open) if open.deltas.iter().any(|(listed, _)| *listed == id) => {
            open.deltas.retain(|(listed, _)| *listed != id);
            Change::Put(open, ())
        }
        _ => Change::Keep(()),
    })
    .await
}

/// Takes the turn to make deltas; `None` when there is none to make, or another has the turn.
///
/// # Errors
/// The store's.
pub async fn take_turn(kv: &impl Kv, now: Timestamp) -> Result<Option<OpenDeltas>, StoreError> {
    // Most ticks end here, with one read.
    if open(kv).await?.deltas.is_empty() {
        return Ok(None);
    }
    update(kv, keys::WORK_DELTAS, now, |open: Option<OpenDeltas>| match open {
        // A turn from far in the future was taken before the clock was set back.
        Some(mut open) if open.turn_until <= now || open.turn_until > now.plus_ms(limits::DELTA_TURN_MS) => {
            open.turn_until = now.plus_ms(limits::DELTA_TURN_MS);
            Change::Put(open.clone(), Some(open))
        }
        _ => Change::Keep(None),
    })
    .await
}

/// Gives back a turn, unless it has passed to another.
///
/// # Errors
/// The store's.
pub async fn end_turn(kv: &impl Kv, turn: &OpenDeltas, now: Timestamp) -> Result<(), StoreError> {
    update(kv, keys::WORK_DELTAS, now, |open: Option<OpenDeltas>| match open {
        Some(open) if open.turn_until == turn.turn_until => {
            Change::Put(OpenDeltas { turn_until: Timestamp(0), ..open }, ())
        }
        _ => Change::Keep(()),
    })
    .await
}

/// Stores the bytes of a delta up to the end of its first `slices` slices that do not fill a chunk.
///
/// # Errors
/// The store's.
pub async fn put_tail(kv: &impl Kv, id: DeltaId, slices: u32, bytes: &[u8]) -> Result<(), StoreError> {
    Ok(kv.set(&keys::delta_tail(id, slices), bytes).await?)
}

/// Returns what [`put_tail`] stored.
///
/// # Errors
/// The store's.
pub async fn tail(kv: &impl Kv, id: DeltaId, slices: u32) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(kv.get(&keys::delta_tail(id, slices)).await?)
}

/// Removes what is left over from the steps of a delta that is done; one that is not still needs it.
///
/// # Errors
/// The store's.
pub async fn remove_tails(kv: &impl Kv, delta: &Delta) -> Result<(), StoreError> {
    if delta.status == DeltaStatus::Making {
        return Ok(());
    }
    for slices in delta.steps() {
        kv.delete(&keys::delta_tail(delta.id, slices)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryKv;
    use crate::testing::block_on;
    use ota_core::delta::{DeltaFailure, SliceSize};
    use ota_core::ids::PackageId;

    fn stored(id: u8) -> StoredDelta {
        let delta = Delta {
            id: DeltaId([id; 16]),
            target_package: PackageId([1; 16]),
            target_size: 5_000_000,
            source_package: PackageId([2; 16]),
            slice: SliceSize::Kib64,
            name: "spring".to_owned(),
            status: DeltaStatus::Making,
            slices_done: 0,
            bytes: 0,
            created_at: Timestamp(3),
            ended_at: None,
        };
        StoredDelta { delta, fingerprint: [4; 16] }
    }

    #[test]
    fn a_delta_rests_as_it_was_in_every_status() {
        let kv = MemoryKv::new();
        let made = DeltaEvent::Made { slices: 0..64, bytes: 9 };
        let failures = [
            DeltaFailure::NotSmaller,
            DeltaFailure::PackageDeleted,
            DeltaFailure::Refused { code: "package.name-taken".to_owned() },
        ];
        for (id, failure) in (1_u8..).zip(failures) {
            let stored = stored(id);
            assert_eq!(block_on(create(&kv, &stored, Timestamp(1))).unwrap(), Some(stored.clone()));
            for event in [made.clone(), DeltaEvent::Failed(failure)] {
                let mut expected = block_on(get(&kv, stored.delta.id)).unwrap().unwrap();
                assert!(expected.delta.apply(&event, Timestamp(8)));
                let after = block_on(apply(&kv, stored.delta.id, &event, Timestamp(8))).unwrap();
                assert_eq!(after.as_ref(), Some(&expected));
                assert_eq!(block_on(get(&kv, stored.delta.id)).unwrap(), Some(expected));
            }
        }
    }

    #[test]
    fn asking_again_does_not_begin_anew() {
        let kv = MemoryKv::new();
        block_on(create(&kv, &stored(1), Timestamp(1))).unwrap();
        let event = DeltaEvent::Made { slices: 0..64, bytes: 9 };
        let after = block_on(apply(&kv, DeltaId([1; 16]), &event, Timestamp(2))).unwrap();
        assert_eq!(block_on(create(&kv, &stored(1), Timestamp(3))).unwrap(), after);
        assert_eq!(block_on(open(&kv)).unwrap().deltas.len(), 1);
    }

    #[test]
    fn no_more_deltas_are_open_than_the_limit() {
        let kv = MemoryKv::new();
        for id in 0..limits::OPEN_DELTAS_MAX {
            assert!(block_on(create(&kv, &stored(id as u8), Timestamp(1))).unwrap().is_some());
        }
        assert_eq!(block_on(create(&kv, &stored(255), Timestamp(1))).unwrap(), None);
        block_on(remove(&kv, DeltaId([0; 16]), Timestamp(1))).unwrap();
        assert!(block_on(create(&kv, &stored(255), Timestamp(1))).unwrap().is_some());
    }

    #[test]
    fn one_dispatcher_has_the_turn_until_it_ends_it_or_time_does() {
        let kv = MemoryKv::new();
        assert_eq!(block_on(take_turn(&kv, Timestamp(1))).unwrap(), None, "there is nothing to make");
        block_on(create(&kv, &stored(1), Timestamp(1))).unwrap();
        let turn = block_on(take_turn(&kv, Timestamp(2))).unwrap().unwrap();
        assert_eq!(block_on(take_turn(&kv, Timestamp(3))).unwrap(), None);
        block_on(end_turn(&kv, &turn, Timestamp(4))).unwrap();
        block_on(take_turn(&kv, Timestamp(5))).unwrap().unwrap();
        assert_eq!(block_on(take_turn(&kv, Timestamp(60_004))).unwrap(), None);
        let late = block_on(take_turn(&kv, Timestamp(60_005))).unwrap();
        assert!(late.is_some(), "whoever had it is dead");
        block_on(end_turn(&kv, &turn, Timestamp(60_006))).unwrap();
        assert_eq!(
            block_on(take_turn(&kv, Timestamp(60_007))).unwrap(),
            None,
            "a turn is ended by its owner"
        );
    }
}
