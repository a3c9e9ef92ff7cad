//! How the counts of a batch went, apart from the batch, whose record is written at every step.

use ota_core::batch::{History, Point};
use ota_core::ids::BatchId;

use crate::keys;
use crate::kv::Kv;
use crate::transact::{Change, StoreError, load, update};

/// Returns the history of a batch; one that is older than histories has none.
///
/// # Errors
/// The store's.
pub async fn history(kv: &impl Kv, id: BatchId) -> Result<History, StoreError> {
    Ok(load(kv, &keys::history(id)).await?.unwrap_or_default())
}

/// Notes how the tasks of a batch stand, if it is time to: one read, and one swap at most once a minute. Whether the batch
/// has `ended` with that, [`History::note`] asks. A batch that was made without a history gets none.
///
/// # Errors
/// The store's.
pub async fn note_history(kv: &impl Kv, id: BatchId, point: Point, ended: bool) -> Result<(), StoreError> {
    update(kv, &keys::history(id), point.at, |history: Option<History>| {
        let Some(mut history) = history else { return Change::Keep(()) };
        if history.note(point, ended) { Change::Put(history, ()) } else { Change::Keep(()) }
    })
    .await
}
