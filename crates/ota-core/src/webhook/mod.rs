//! Webhooks: whoever is told of events by requests to a URL.
//!
//! A webhook is a subscription: which events it is told, where, and the secret that its requests are signed with. Its
//! [`queue`] is how far it has come in the list of events, and what is on its way. An event is delivered at least once;
//! its id tells a repeated one. Requests are CloudEvents ([`cloud_event`]) with the headers of the Standard Webhooks
//! specification ([`secret`]).

pub mod cloud_event;
pub mod queue;
pub mod retry;
pub mod rules;
pub mod secret;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use self::queue::{Answered, Delivery, DeliveryStatus, Outcome, Queue, What};
pub use self::rules::{ChangeFields, NewWebhook, WebhookChange, WebhookFields};
pub use self::secret::{SealedSecret, Secret};

use crate::error::Coded;
use crate::event::{Event, EventKind};
use crate::ids::{ProductKey, WebhookId};
use crate::limits;
use crate::time::Timestamp;

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Where its requests go.
    pub url: String,
    /// What it is told of; never empty.
    pub event_types: Vec<EventKind>,
    /// The product whose events it is told; `None` for all.
    pub product_key: Option<ProductKey>,
    /// A note for people.
    pub description: String,
    /// Why it is told nothing now.
    pub disabled: Option<Disabled>,
    /// What its requests are signed with.
    pub secret: SealedSecret,
    /// What they are signed with besides, and until when: the secret before.
    pub previous_secret: Option<(SealedSecret, Timestamp)>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Why a webhook is told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disabled {
    /// Somebody said so.
    ByOperator,
    /// The receiver answered 410: it is gone.
    Gone,
}

impl Disabled {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::ByOperator, Self::Gone];

    /// Returns the word used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByOperator => "operator",
            Self::Gone => "gone",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// Why a request about a webhook is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookError {
    /// There are as many as there may be.
    TooMany,
    /// As much waits for it as may wait.
    QueueFull,
    /// The list of events has forgotten the event.
    EventForgotten,
    /// Its secret does not open: another secret of the installation sealed it, or it was altered.
    Sealed,
}

impl Coded for WebhookError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooMany => "webhook.too-many",
            Self::QueueFull => "webhook.queue-full",
            Self::EventForgotten => "webhook.event-forgotten",
            Self::Sealed => "webhook.secret-sealed",
        }
    }
}

impl fmt::Display for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "there are {} webhooks already", limits::WEBHOOKS_MAX),
            Self::QueueFull => {
                write!(f, "{} deliveries wait for this webhook already", limits::WEBHOOK_PENDING_MAX)
            }
            Self::EventForgotten => write!(f, "the event is no longer in the list of events"),
            Self::Sealed => write!(
                f,
                "the webhook's secret cannot be opened: the variable secrets_key is not the one it was sealed with, or \
                 what is stored was altered; a new secret helps"
            ),
        }
    }
}

impl core::error::Error for WebhookError {}

impl Webhook {
    /// Tells whether this webhook is told of an event.
    pub fn wants(&self, event: &Event) -> bool {
        self.event_types.contains(&event.kind)
            && self.product_key.as_ref().is_none_or(|key| *key == event.product_key)
    }

    /// Replaces the secret; the one before signs beside it for a while. One that was before that no longer counts.
    pub fn rotate(&mut self, new: SealedSecret, now: Timestamp) {
        let before = core::mem::replace(&mut self.secret, new);
        self.previous_secret = Some((before, now.plus_ms(limits::WEBHOOK_SECRET_OVERLAP_MS)));
    }

    /// Returns what a request of this moment is signed with, the newest first.
    pub fn secrets(&self, now: Timestamp) -> Vec<&SealedSecret> {
        let before = self.previous_secret.as_ref().filter(|(_, until)| now < *until);
        core::iter::once(&self.secret).chain(before.map(|(secret, _)| secret)).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use alloc::vec;

    use super::*;
    use crate::batch::tests_world::version;
    use crate::ids::{DeviceName, DeviceRef, ModuleName};

    pub(crate) fn webhook() -> Webhook {
        Webhook {
            id: WebhookId([7; 16]),
            url: "https://example.com/hook".into(),
            event_types: EventKind::ALL.to_vec(),
            product_key: None,
            description: String::new(),
            disabled: None,
            secret: SealedSecret(vec![1]),
            previous_secret: None,
            created_at: Timestamp(1),
        }
    }

    pub(crate) fn event(product: &str) -> Event {
        let device = DeviceRef {
            product_key: ProductKey::new(product).unwrap(),
            device_name: DeviceName::new("lamp").unwrap(),
        };
        Event::version_changed(&device, &ModuleName::default_module(), &version("1.0"), Timestamp(5))
    }

    #[test]
    fn a_webhook_is_told_of_its_types_and_its_product_only() {
        let only = |kinds: &[EventKind], product: Option<&str>| Webhook {
            event_types: kinds.to_vec(),
            product_key: product.map(|key| ProductKey::new(key).unwrap()),
            ..webhook()
        };
        assert!(webhook().wants(&event("a1lamp")));
        assert!(only(&[EventKind::VersionChanged], Some("a1lamp")).wants(&event("a1lamp")));
        assert!(!only(&[EventKind::TaskEnded, EventKind::BatchStatus], None).wants(&event("a1lamp")));
        assert!(!only(&EventKind::ALL, Some("a1bulb")).wants(&event("a1lamp")));
    }

    #[test]
    fn a_replaced_secret_signs_for_a_day_beside_the_new_one() {
        let secret = |n: u8| SealedSecret(vec![n]);
        let mut webhook = webhook();
        let now = Timestamp(1_000);
        assert_eq!(webhook.secrets(now), [&secret(1)]);
        webhook.rotate(secret(2), now);
        let end = now.plus_ms(limits::WEBHOOK_SECRET_OVERLAP_MS);
        assert_eq!(webhook.secrets(Timestamp(end.0 - 1)), [&secret(2), &secret(1)]);
        assert_eq!(webhook.secrets(end), [&secret(2)]);
        webhook.rotate(secret(3), now);
        assert_eq!(webhook.secrets(now), [&secret(3), &secret(2)], "never three");
    }

    #[test]
    fn reasons_read_back() {
        for reason in Disabled::ALL {
            assert_eq!(Disabled::parse(reason.as_str()), Some(reason));
        }
    }
}
