//! How far webhooks have come. Who is told where is an operator's to know; how it goes is anybody's.

use ota_core::access::Caller;
use ota_core::webhook::{Queue, Webhook};
use ota_store::{Kv, StoreError, events, webhooks};

use crate::exposition::Exposition;
use crate::families::{self, Family};

/// Tells of the webhooks whose events the caller may see: there are so few that each is looked at.
pub(crate) async fn tell(kv: &impl Kv, caller: &Caller, text: &mut Exposition) -> Result<(), StoreError> {
    let end = events::span(kv).await?.end;
    let mut seen: Vec<(Webhook, Queue)> = Vec::new();
    for stored in webhooks::all(kv).await?.0 {
        let webhook = stored.webhook;
        let may_see = webhook.product_key.as_ref().map_or(!caller.is_bound(), |key| caller.may_touch(key));
        if !stored.deleted
            && may_see
            && let Some(queue) = webhooks::queue(kv, webhook.id).await?
        {
            seen.push((webhook, queue));
        }
    }
    let mut each = |family: &Family, number: &dyn Fn(&Webhook, &Queue) -> u64| {
        let samples = seen.iter().map(|(webhook, queue)| ([webhook.id.to_string()], number(webhook, queue)));
        text.add(family, samples);
    };
    each(&families::WEBHOOK_ENABLED, &|webhook, _| u64::from(webhook.disabled.is_none()));
    each(&families::WEBHOOK_BEHIND, &|_, queue| end.saturating_sub(queue.cursor));
    each(&families::WEBHOOK_DELIVERED, &|_, queue| queue.delivered);
    each(&families::WEBHOOK_LOST, &|_, queue| queue.dropped + queue.missed);
    let deliveries = seen.iter().flat_map(|(webhook, queue)| {
        ["pending", "dead"].map(|status| ([webhook.id.to_string(), status.to_owned()], queue.count(status)))
    });
    text.add(&families::WEBHOOK_DELIVERIES, deliveries);
    Ok(())
}
