//! The nonces that signed requests have used: each is taken once (R177).
//!
//! They lie in a fixed number of values, by their hash. A nonce is remembered as long as its request would be let in for its
//! age, and whoever takes another one of the same value throws the older ones away; so the list neither grows without end
//! nor needs a clock of its own.

use ota_core::cloud::Nonce;
use ota_core::limits::{CLOUD_NONCE_VALUES, CLOUD_NONCES_PER_VALUE_MAX};
use ota_core::time::Timestamp;

use crate::keys;
use crate::kv::Kv;
use crate::transact::{Change, StoreError, update};

/// Used nonces of one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nonces(pub Vec<Nonce>);

/// What became of the wish to use a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Taken {
    /// It is the caller's, and nobody else's from now on.
    First,
    /// It was used before.
    Used,
    /// More nonces are remembered than fit; some of them are forgotten within half an hour.
    Full,
}

/// Takes a nonce.
///
/// # Errors
/// The store's. Whether the nonce is used then is not known, so the caller signs anew.
pub async fn take(kv: &impl Kv, nonce: &Nonce, now: Timestamp) -> Result<Taken, StoreError> {
    let key = keys::nonces(nonce.hash[0] % CLOUD_NONCE_VALUES);
    update(kv, &key, now, |used: Option<Nonces>| {
        let mut used = used.unwrap_or_default();
        if used.0.iter().any(|known| known.hash == nonce.hash) {
            return Change::Keep(Taken::Used);
        }
        used.0.retain(|known| known.until >= now);
        if used.0.len() >= CLOUD_NONCES_PER_VALUE_MAX {
            return Change::Keep(Taken::Full);
        }
        used.0.push(*nonce);
        Change::Put(used, Taken::First)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryKv;
    use crate::testing::block_on;
    use crate::transact::load;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn nonce(n: u32, until: u64) -> Nonce {
        let mut hash = [0; 16];
        hash[4..8].copy_from_slice(&n.to_be_bytes());
        Nonce { hash, until: Timestamp(until) }
    }

    fn taken(kv: &MemoryKv, nonce: Nonce, now: u64) -> Taken {
        block_on(take(kv, &nonce, Timestamp(now))).unwrap()
    }

    #[test]
    fn r177_a_nonce_is_taken_once() {
        let kv = MemoryKv::new();
        assert_eq!(taken(&kv, nonce(1, 2_000_000), NOW.0), Taken::First);
        assert_eq!(taken(&kv, nonce(1, 2_000_000), NOW.0), Taken::Used);
        assert_eq!(
            taken(&kv, nonce(1, 2_500_000), 2_000_000),
            Taken::Used,
            "whatever the request's time says"
        );
        assert_eq!(taken(&kv, nonce(2, 2_000_000), NOW.0), Taken::First);
    }

    #[test]
    fn used_nonces_are_forgotten_when_their_requests_are_too_old() {
        let kv = MemoryKv::new();
        for n in 0..10 {
            assert_eq!(taken(&kv, nonce(n, 2_000_000), NOW.0), Taken::First);
        }
        assert_eq!(taken(&kv, nonce(10, 3_000_000), 2_000_001), Taken::First);
        let kept: Nonces = block_on(load(&kv, &keys::nonces(0))).unwrap().unwrap();
        assert_eq!(kept.0, [nonce(10, 3_000_000)]);
    }

    #[test]
    fn more_nonces_than_fit_are_refused_and_the_value_stays_small() {
        let kv = MemoryKv::new();
        let full = (0..CLOUD_NONCES_PER_VALUE_MAX as u32).map(|n| nonce(n, u64::MAX)).collect();
        let bytes = crate::record::to_bytes(&Nonces(full), 1);
        assert!(bytes.len() < 256 * 1024, "{}", bytes.len());
        block_on(kv.set(&keys::nonces(0), &bytes)).unwrap();
        assert_eq!(taken(&kv, nonce(u32::MAX, u64::MAX), NOW.0), Taken::Full);
    }
}
