//! Who may create a record.
//!
//! A swap from an absent key is no claim: one engine lets two writers both win it. A counter is: whoever increments
//! `claim/{key}` to 1 is the only one to create `key`. If that one dies before it has, the record stays absent; somebody
//! who finds it so notes the time, and after [`GRACE_MS`] the claim is given out once more.

use ota_core::time::Timestamp;

use crate::keys;
use crate::kv::{Kv, KvError};

/// How long the winner of a claim has to create its record. Far longer than any request lives.
pub const GRACE_MS: u64 = 60_000;

/// What a claim came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// The caller, and nobody else, creates the record.
    Won,
    /// The record exists by now.
    Exists,
    /// Somebody else has the claim and has not created the record yet.
    Pending,
}

/// Claims the creation of `key`, which the caller has found absent.
///
/// # Errors
/// The engine's.
pub async fn take(kv: &impl Kv, key: &str, now: Timestamp) -> Result<Claim, KvError> {
    if kv.increment(&keys::claim(key), 1).await? == 1 {
        return Ok(Claim::Won);
    }
    if kv.get(key).await?.is_some() {
        return Ok(Claim::Exists);
    }
    let lost = keys::claim_lost(key);
    let since = kv.get(&lost).await?.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
    match since {
        // A moment from the future (a clock that was set back) is as good as none.
        Some(since) if since <= now.0 && now.0 - since < GRACE_MS => Ok(Claim::Pending),
        Some(since) if since <= now.0 => {
            // Whoever comes next after this one's death waits for a grace of its own.
            kv.set(&lost, &now.0.to_be_bytes()).await?;
            let first = kv.increment(&keys::claim_again(key, since), 1).await? == 1;
            Ok(if first { Claim::Won } else { Claim::Pending })
        }
        _ => {
            kv.set(&lost, &now.0.to_be_bytes()).await?;
            Ok(Claim::Pending)
        }
    }
}
