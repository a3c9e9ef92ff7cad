//! One after the other: what happens to the sessions of one client.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::seats::Seatholder;

/// Enough that two clients seldom wait for each other, for what takes microseconds anyway.
const LANES: usize = 64;

/// Lets the comings and goings of one client happen one at a time, so that an old session's `offline` cannot slip
/// in behind a new session's `online`.
pub(crate) struct Turns {
    lanes: Vec<Arc<Mutex<()>>>,
    hasher: RandomState,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { lanes: (0..LANES).map(|_| Arc::default()).collect(), hasher: RandomState::new() }
    }

    /// Waits for this client's turn, which lasts until the guard is dropped. Nobody may wait for a second turn
    /// while holding one.
    pub(crate) async fn wait(&self, holder: &Seatholder) -> OwnedMutexGuard<()> {
        let lane = self.hasher.hash_one(holder) % LANES as u64;
        // The remainder is below the number of lanes, which is far below `usize::MAX`.
        self.lanes[usize::try_from(lane).unwrap_or(0)].clone().lock_owned().await
    }
}
