//! Webhooks: all of them in one value, so that their number has a bound and the dispatcher reads one value a tick; and the
//! queue of each in one of its own, which changes with every delivery.
//!
//! A queue is made before its webhook is listed. A webhook is marked as deleted first, then its queue goes, then the mark;
//! whoever finds the mark does the rest. Nobody makes a queue that is not there: one that a dispatcher was just working on
//! would come back.

use ota_core::ids::WebhookId;
use ota_core::limits;
use ota_core::time::Timestamp;
use ota_core::webhook::{Disabled, Queue, Webhook};

use crate::claim::{self, Claim};
use crate::keys;
use crate::kv::Kv;
use crate::record::to_bytes;
use crate::transact::{Change, StoreError, load, update};

/// A webhook, and what it was asked for with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// What the request said, so that the same idempotency key with other words is noticed.
    pub fingerprint: [u8; 16],
    /// Whether it is deleted, and only its queue is left to be removed.
    pub deleted: bool,
}

/// All webhooks, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhooks(pub Vec<StoredWebhook>);

/// Returns all webhooks, also the deleted ones whose queue is still there.
///
/// # Errors
/// The store's.
pub async fn all(kv: &impl Kv) -> Result<Webhooks, StoreError> {
    Ok(load(kv, keys::WEBHOOKS).await?.unwrap_or_default())
}

/// Returns a webhook.
///
/// # Errors
/// The store's.
pub async fn get(kv: &impl Kv, id: WebhookId) -> Result<Option<StoredWebhook>, StoreError> {
    let all = all(kv).await?.0;
    Ok(all.into_iter().find(|stored| stored.webhook.id == id && !stored.deleted))
}

/// Makes a webhook that is told the events from number `from` on, if there is none of its id. Returns the one there is;
/// `None` if there are too many.
///
/// # Errors
/// The store's.
pub async fn create(
    kv: &impl Kv,
    new: &StoredWebhook,
    from: u64,
    now: Timestamp,
) -> Result<Option<StoredWebhook>, StoreError> {
    let id = new.webhook.id;
    let all = all(kv).await?.0;
    match all.iter().find(|stored| stored.webhook.id == id) {
        Some(existing) if existing.deleted => finish_deletion(kv, id, now).await?,
        Some(existing) => return Ok(Some(existing.clone())),
        None if all.len() >= limits::WEBHOOKS_MAX => return Ok(None),
        None => {}
    }
    // Whoever died between this and the next step left an empty queue, and comes again with the same id or never.
    let key = keys::webhook_queue(id);
    match claim::take(kv, &key, now).await? {
        Claim::Won => kv.set(&key, &to_bytes(&Queue::new(from), 1)).await?,
        Claim::Exists => {}
        Claim::Pending => return Err(StoreError::Contention { key }),
    }
    update(kv, keys::WEBHOOKS, now, |all: Option<Webhooks>| {
        let mut all = all.unwrap_or_default();
        if let Some(existing) = all.0.iter().find(|stored| stored.webhook.id == id) {
            let existing = existing.clone();
            Change::Keep(Some(existing))
        } else if all.0.len() >= limits::WEBHOOKS_MAX {
            Change::Keep(None)
        } else {
            all.0.push(new.clone());
            Change::Put(all, Some(new.clone()))
        }
    })
    .await
}

/// Changes a webhook by `change`, which tells whether it did, and returns it; `None` if there is none.
///
/// # Errors
/// The store's.
pub async fn change(
    kv: &impl Kv,
    id: WebhookId,
    now: Timestamp,
    mut change: impl FnMut(&mut Webhook) -> bool,
) -> Result<Option<Webhook>, StoreError> {
    update(kv, keys::WEBHOOKS, now, |all: Option<Webhooks>| {
        let mut all = all.unwrap_or_default();
        let found = all.0.iter_mut().find(|stored| stored.webhook.id == id && !stored.deleted);
        let Some(stored) = found else { return Change::Keep(None) };
        let changed = change(&mut stored.webhook);
        let after = Some(stored.webhook.clone());
        if changed { Change::Put(all, after) } else { Change::Keep(after) }
    })
    .await
}

/// Disables a webhook whose receiver at `url` said that it is gone; `false` if it has another receiver by now.
///
/// # Errors
/// The store's.
pub async fn gone(kv: &impl Kv, id: WebhookId, url: &str, now: Timestamp) -> Result<bool, StoreError> {
    let after = change(kv, id, now, |webhook| {
        let is_it = webhook.url == url && webhook.disabled.is_none();
        if is_it {
            webhook.disabled = Some(Disabled::Gone);
        }
        is_it
    });
    Ok(after.await?.is_some_and(|webhook| webhook.disabled == Some(Disabled::Gone)))
}

/// Deletes a webhook and its queue; `false` if there is none.
///
/// # Errors
/// The store's.
pub async fn delete(kv: &impl Kv, id: WebhookId, now: Timestamp) -> Result<bool, StoreError> {
    let marked = update(kv, keys::WEBHOOKS, now, |all: Option<Webhooks>| {
        let mut all = all.unwrap_or_default();
        match all.0.iter_mut().find(|stored| stored.webhook.id == id && !stored.deleted) {
            Some(stored) => {
                stored.deleted = true;
                Change::Put(all, true)
            }
            None => Change::Keep(false),
        }
    });
    if !marked.await? {
        return Ok(false);
    }
    finish_deletion(kv, id, now).await?;
    Ok(true)
}

/// Removes what is left of a webhook that is marked as deleted.
///
/// # Errors
/// The store's.
pub async fn finish_deletion(kv: &impl Kv, id: WebhookId, now: Timestamp) -> Result<(), StoreError> {
    kv.delete(&keys::webhook_queue(id)).await?;
    update(kv, keys::WEBHOOKS, now, |all: Option<Webhooks>| {
        let mut all = all.unwrap_or_default();
        let before = all.0.len();
        all.0.retain(|stored| stored.webhook.id != id || !stored.deleted);
        if all.0.len() == before { Change::Keep(()) } else { Change::Put(all, ()) }
    })
    .await
}

/// Returns a webhook's queue.
///
/// # Errors
/// The store's.
pub async fn queue(kv: &impl Kv, id: WebhookId) -> Result<Option<Queue>, StoreError> {
    load(kv, &keys::webhook_queue(id)).await
}

/// Changes a webhook's queue by `change`, and returns what that said; `None` if there is no queue.
///
/// # Errors
/// The store's.
pub async fn change_queue<T>(
    kv: &impl Kv,
    id: WebhookId,
    now: Timestamp,
    mut change: impl FnMut(&mut Queue) -> T,
) -> Result<Option<T>, StoreError> {
    update(kv, &keys::webhook_queue(id), now, |queue: Option<Queue>| {
        let Some(mut queue) = queue else { return Change::Keep(None) };
        let before = queue.clone();
        let answer = Some(change(&mut queue));
        if queue == before { Change::Keep(answer) } else { Change::Put(queue, answer) }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Fault, MemoryKv};
    use crate::testing::block_on;
    use ota_core::event::EventKind;
    use ota_core::ids::{EventId, ProductKey};
    use ota_core::webhook::{Answered, Outcome, SealedSecret};

    const NOW: Timestamp = Timestamp(1_000);

    fn stored(id: u8) -> StoredWebhook {
        let webhook = Webhook {
            id: WebhookId([id; 16]),
            url: "https://example.com/hook".to_owned(),
            event_types: EventKind::ALL.to_vec(),
            product_key: None,
            description: String::new(),
            disabled: None,
            secret: SealedSecret(vec![id; 70]),
            previous_secret: None,
            created_at: NOW,
        };
        StoredWebhook { webhook, fingerprint: [3; 16], deleted: false }
    }

    fn made(kv: &MemoryKv, id: u8) -> Option<StoredWebhook> {
        block_on(create(kv, &stored(id), 5, NOW)).unwrap()
    }

    fn keys_left(kv: &MemoryKv) -> Vec<String> {
        kv.dump().into_iter().map(|(key, _)| key).filter(|key| key.starts_with("webhook/")).collect()
    }

    #[test]
    fn a_webhook_rests_as_it_was_with_all_that_it_may_have() {
        let kv = MemoryKv::new();
        assert_eq!(made(&kv, 1), Some(stored(1)));
        let full = |webhook: &mut Webhook| {
            webhook.event_types = vec![EventKind::BatchStatus];
            webhook.product_key = Some(ProductKey::new("a1lamp").unwrap());
            webhook.description = "ours".to_owned();
            webhook.disabled = Some(Disabled::Gone);
            webhook.rotate(SealedSecret(vec![9; 3]), NOW);
            true
        };
        let after = block_on(change(&kv, WebhookId([1; 16]), NOW, full)).unwrap();
        let mut expected = stored(1);
        full(&mut expected.webhook);
        assert_eq!(after, Some(expected.webhook.clone()));
        assert_eq!(block_on(get(&kv, WebhookId([1; 16]))).unwrap(), Some(expected));
        assert_eq!(block_on(change(&kv, WebhookId([2; 16]), NOW, full)).unwrap(), None);
    }

    #[test]
    fn a_queue_rests_as_it_was_in_every_status() {
        let kv = MemoryKv::new();
        made(&kv, 1);
        let id = WebhookId([1; 16]);
        assert_eq!(block_on(queue(&kv, id)).unwrap(), Some(Queue::new(5)));
        let fill = |queue: &mut Queue| {
            for n in 0..3 {
                queue.test(EventId([n; 16]), NOW).unwrap();
            }
            let taken = Outcome::Answered(Answered { status: 204, retry_after_ms: None });
            queue.settle(id, EventId([0; 16]), &taken, NOW);
            for _ in 0..10 {
                queue.settle(id, EventId([1; 16]), &Outcome::Unanswered("timeout".to_owned()), NOW);
            }
            (queue.missed, queue.dropped) = (7, 8);
            assert!(queue.take_turn(NOW));
            queue.clone()
        };
        let expected = block_on(change_queue(&kv, id, NOW, fill)).unwrap();
        assert_eq!(block_on(queue(&kv, id)).unwrap(), expected);
        assert_eq!(block_on(change_queue(&kv, WebhookId([2; 16]), NOW, |_| ())).unwrap(), None);
        assert_eq!(keys_left(&kv).len(), 1, "no queue is made by changing it");
    }

    #[test]
    fn a_full_queue_stays_below_what_a_value_may_have() {
        let kv = MemoryKv::new();
        made(&kv, 1);
        let id = WebhookId([1; 16]);
        let numbered = |n: usize| EventId((n as u128).to_be_bytes());
        let long = Outcome::Unanswered("x".repeat(limits::WEBHOOK_ERROR_LEN_MAX));
        let fill = |queue: &mut Queue| {
            for n in 0..limits::WEBHOOK_DEAD_MAX + limits::WEBHOOK_PENDING_MAX {
                queue.test(numbered(n), Timestamp(1_700_000_000_000)).unwrap();
                let tries = if n < limits::WEBHOOK_DEAD_MAX { 10 } else { 1 };
                for _ in 0..tries {
                    queue.settle(id, numbered(n), &long, Timestamp(1_700_000_000_000));
                }
            }
            (queue.count("pending"), queue.count("dead"))
        };
        let counts = block_on(change_queue(&kv, id, NOW, fill)).unwrap();
        assert_eq!(counts, Some((1_000, 500)));
        let bytes = kv.dump().into_iter().find(|(key, _)| key.starts_with("webhook/")).unwrap().1;
        // What tests do not have, and the last hundred that arrived, add some 25 bytes for each of 1,600.
        assert!(bytes.len() + 1_600 * 25 < 256 * 1024, "{} bytes", bytes.len());
    }

    #[test]
    fn there_are_no_more_than_the_limit_and_asking_again_makes_no_second() {
        let kv = MemoryKv::new();
        for id in 0..limits::WEBHOOKS_MAX {
            assert!(made(&kv, id as u8).is_some());
        }
        assert_eq!(made(&kv, 255), None);
        assert_eq!(made(&kv, 1), Some(stored(1)));
        assert!(block_on(delete(&kv, WebhookId([1; 16]), NOW)).unwrap());
        assert!(!block_on(delete(&kv, WebhookId([1; 16]), NOW)).unwrap());
        assert!(made(&kv, 255).is_some());
    }

    #[test]
    fn a_deletion_that_dies_anywhere_is_finished_by_the_next_who_finds_it() {
        for at in 1.. {
            let kv = MemoryKv::new();
            made(&kv, 1);
            let mut seen = 0;
            kv.set_faults(move |_, _| {
                seen += 1;
                (seen == at).then_some(Fault::AnswerLost)
            });
            let deleted = block_on(delete(&kv, WebhookId([1; 16]), NOW));
            kv.clear_faults();
            let left = block_on(all(&kv)).unwrap().0;
            if left.iter().any(|stored| stored.deleted) {
                assert_eq!(block_on(get(&kv, WebhookId([1; 16]))).unwrap(), None, "{at}");
                block_on(finish_deletion(&kv, WebhookId([1; 16]), NOW)).unwrap();
            }
            let is_there = block_on(get(&kv, WebhookId([1; 16]))).unwrap().is_some();
            assert_eq!(keys_left(&kv).len(), usize::from(is_there), "{at}");
            if deleted.is_ok() {
                assert!(at > 4, "a deletion has only {at} operations");
                return;
            }
        }
    }
}
