//! When a delivery that failed is tried again.

use crate::ids::{EventId, WebhookId};
use crate::limits;
use crate::time::Timestamp;

/// Returns when a delivery is tried again whose `tries`-th try has failed at `now`; `None` when it is given up.
///
/// The waits grow, and are stretched a little by the ids, so that what failed together does not come back together. A
/// receiver may ask for a longer wait, up to [`limits::WEBHOOK_RETRY_AFTER_MS_MAX`], but not for a shorter one.
pub fn next_try(
    tries: u32,
    webhook: WebhookId,
    event: EventId,
    asked_ms: Option<u64>,
    now: Timestamp,
) -> Option<Timestamp> {
    let index = usize::try_from(tries.checked_sub(1)?).ok()?;
    let wait = u64::from(*limits::WEBHOOK_RETRY_AFTER_SECONDS.get(index)?) * 1_000;
    let stretch = wait * limits::WEBHOOK_JITTER_PERCENT * chance(tries, webhook, event) / (100 * CHANCES);
    let asked = asked_ms.unwrap_or(0).min(limits::WEBHOOK_RETRY_AFTER_MS_MAX);
    Some(now.plus_ms((wait + stretch).max(asked)))
}

/// How many values [`chance`] takes.
const CHANCES: u64 = 1_000;

/// Returns a number from 0 to 999 that looks random and follows from the ids (FNV-1a).
fn chance(tries: u32, webhook: WebhookId, event: EventId) -> u64 {
    let bytes = webhook.0.into_iter().chain(event.0).chain([tries as u8]);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // The upper bits are mixed best.
    (hash >> 32) % CHANCES
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn waits(event: u8) -> Vec<u64> {
        let next = |tries| next_try(tries, WebhookId([1; 16]), EventId([event; 16]), None, Timestamp(0));
        (1..).map_while(|tries| next(tries).map(|at| at.0)).collect()
    }

    #[test]
    fn the_waits_grow_from_seconds_to_a_day_and_then_end() {
        let waits = waits(0);
        assert_eq!(waits.len(), limits::WEBHOOK_RETRY_AFTER_SECONDS.len());
        for (wait, seconds) in waits.iter().zip(limits::WEBHOOK_RETRY_AFTER_SECONDS) {
            let least = u64::from(seconds) * 1_000;
            assert!((least..=least * 6 / 5).contains(wait), "{wait} of {seconds} s");
        }
    }

    #[test]
    fn what_failed_together_does_not_come_back_together() {
        let mut fourth: Vec<u64> = (0..100).map(|event| waits(event)[3]).collect();
        fourth.sort_unstable();
        assert!(fourth[99] - fourth[0] > 60_000, "spread over more than a minute of ten");
        fourth.dedup();
        assert!(fourth.len() > 80, "{} different waits", fourth.len());
        assert_eq!(waits(3), waits(3), "and yet it follows from the ids");
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_wait_but_not_for_ever() {
        let next = |tries, asked| {
            next_try(tries, WebhookId([1; 16]), EventId([2; 16]), Some(asked), Timestamp(7)).unwrap().0
        };
        assert_eq!(next(1, 90_000), 90_007);
        assert!(next(4, 1_000) >= 600_007, "a shorter one does not count");
        assert_eq!(next(1, u64::MAX), 7 + limits::WEBHOOK_RETRY_AFTER_MS_MAX);
        assert_eq!(next_try(10, WebhookId([1; 16]), EventId([2; 16]), Some(5), Timestamp(7)), None);
        assert_eq!(
            next_try(0, WebhookId([1; 16]), EventId([2; 16]), None, Timestamp(7)),
            None,
            "nothing has failed"
        );
    }
}
