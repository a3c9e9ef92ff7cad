//! The webhooks, and the queue of one.

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};
use ota_core::event::EventKind;
use ota_core::ids::{EventId, ProductKey, WebhookId};
use ota_core::time::Timestamp;
use ota_core::webhook::{Delivery, DeliveryStatus, Disabled, Queue, SealedSecret, Webhook, What};

use super::{Corrupt, Record, read_body, state, write_body};
use crate::webhooks::{StoredWebhook, Webhooks};

#[derive(Encode, Decode)]
struct WebhookRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[b(1)]
    url: &'a str,
    #[b(2)]
    event_types: Vec<&'a str>,
    #[b(3)]
    product_key: Option<&'a str>,
    #[b(4)]
    description: &'a str,
    #[b(5)]
    disabled: Option<&'a str>,
    #[n(6)]
    secret: ByteVec,
    #[n(7)]
    previous_secret: Option<ByteVec>,
    /// Present with the secret before.
    #[n(8)]
    previous_until: Option<u64>,
    #[n(9)]
    created_at: u64,
    #[cbor(n(10), with = "minicbor::bytes")]
    fingerprint: [u8; 16],
    #[n(11)]
    deleted: bool,
}

#[derive(Encode, Decode)]
struct WebhooksRecord<'a> {
    #[b(0)]
    webhooks: Vec<WebhookRecord<'a>>,
}

#[derive(Encode, Decode)]
struct DeliveryRecord<'a> {
    #[n(0)]
    event_id: ByteArray<16>,
    /// Absent of a test, as is the kind.
    #[n(1)]
    number: Option<u64>,
    #[b(2)]
    kind: Option<&'a str>,
    #[b(3)]
    status: &'a str,
    /// When it is due, or arrived.
    #[n(4)]
    at: Option<u64>,
    #[n(5)]
    tries: u32,
    #[n(6)]
    created_at: u64,
    #[n(7)]
    last_status: Option<u16>,
    #[b(8)]
    last_error: Option<&'a str>,
}

#[derive(Encode, Decode)]
struct QueueRecord<'a> {
    #[n(0)]
    cursor: u64,
    #[n(1)]
    turn_until: u64,
    #[b(2)]
    deliveries: Vec<DeliveryRecord<'a>>,
    #[n(3)]
    delivered: u64,
    #[n(4)]
    dropped: u64,
    #[n(5)]
    missed: u64,
}

impl<'a> From<&'a StoredWebhook> for WebhookRecord<'a> {
    fn from(stored: &'a StoredWebhook) -> Self {
        let webhook = &stored.webhook;
        let previous = webhook.previous_secret.as_ref();
        Self {
            id: webhook.id.0,
            url: &webhook.url,
            event_types: webhook.event_types.iter().map(|kind| kind.as_str()).collect(),
            product_key: webhook.product_key.as_ref().map(ProductKey::as_str),
            description: &webhook.description,
            disabled: webhook.disabled.map(Disabled::as_str),
            secret: webhook.secret.0.clone().into(),
            previous_secret: previous.map(|(secret, _)| secret.0.clone().into()),
            previous_until: previous.map(|(_, until)| until.0),
            created_at: webhook.created_at.0,
            fingerprint: stored.fingerprint,
            deleted: stored.deleted,
        }
    }
}

impl TryFrom<WebhookRecord<'_>> for StoredWebhook {
    type Error = Corrupt;

    fn try_from(record: WebhookRecord<'_>) -> Result<Self, Corrupt> {
        let kinds = record.event_types.into_iter().map(|name| state(EventKind::parse(name), name));
        let disabled = record.disabled.map(|word| state(Disabled::parse(word), word)).transpose()?;
        let previous = record.previous_secret.zip(record.previous_until);
        let webhook = Webhook {
            id: WebhookId(record.id),
            url: record.url.to_owned(),
            event_types: kinds.collect::<Result<_, _>>()?,
            product_key: record.product_key.map(ProductKey::new).transpose()?,
            description: record.description.to_owned(),
            disabled,
            secret: SealedSecret(record.secret.into()),
            previous_secret: previous.map(|(secret, until)| (SealedSecret(secret.into()), Timestamp(until))),
            created_at: Timestamp(record.created_at),
        };
        Ok(Self { webhook, fingerprint: record.fingerprint, deleted: record.deleted })
    }
}

impl Record for Webhooks {
    fn write(&self, out: &mut Vec<u8>) {
        write_body(&WebhooksRecord { webhooks: self.0.iter().map(WebhookRecord::from).collect() }, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: WebhooksRecord<'_> = read_body(&bytes)?;
        let webhooks = record.webhooks.into_iter().map(StoredWebhook::try_from);
        Ok(Self(webhooks.collect::<Result<_, _>>()?))
    }
}

impl<'a> From<&'a Delivery> for DeliveryRecord<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        let (number, kind) = match delivery.what {
            What::Listed { number, kind } => (Some(number), Some(kind.as_str())),
            What::Test => (None, None),
        };
        let at = match delivery.status {
            DeliveryStatus::Pending { next_at: at } | DeliveryStatus::Delivered { at } => Some(at.0),
            DeliveryStatus::Dead => None,
        };
        Self {
            event_id: delivery.event_id.0.into(),
            number,
            kind,
            status: delivery.status.as_str(),
            at,
            tries: delivery.tries,
            created_at: delivery.created_at.0,
            last_status: delivery.last_status,
            last_error: delivery.last_error.as_deref(),
        }
    }
}

impl TryFrom<DeliveryRecord<'_>> for Delivery {
    type Error = Corrupt;

    fn try_from(record: DeliveryRecord<'_>) -> Result<Self, Corrupt> {
        let what = match (record.number, record.kind) {
            (Some(number), Some(kind)) => What::Listed { number, kind: state(EventKind::parse(kind), kind)? },
            _ => What::Test,
        };
        let status = match (record.status, record.at.map(Timestamp)) {
            ("pending", Some(next_at)) => Some(DeliveryStatus::Pending { next_at }),
            ("delivered", Some(at)) => Some(DeliveryStatus::Delivered { at }),
            ("dead", None) => Some(DeliveryStatus::Dead),
            _ => None,
        };
        Ok(Self {
            event_id: EventId(record.event_id.into()),
            what,
            status: state(status, record.status)?,
            tries: record.tries,
            created_at: Timestamp(record.created_at),
            last_status: record.last_status,
            last_error: record.last_error.map(str::to_owned),
        })
    }
}

impl Record for Queue {
    fn write(&self, out: &mut Vec<u8>) {
        let record = QueueRecord {
            cursor: self.cursor,
            turn_until: self.turn_until.0,
            deliveries: self.deliveries.iter().map(DeliveryRecord::from).collect(),
            delivered: self.delivered,
            dropped: self.dropped,
            missed: self.missed,
        };
        write_body(&record, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: QueueRecord<'_> = read_body(&bytes)?;
        let deliveries = record.deliveries.into_iter().map(Delivery::try_from);
        Ok(Self {
            cursor: record.cursor,
            turn_until: Timestamp(record.turn_until),
            deliveries: deliveries.collect::<Result<_, _>>()?,
            delivered: record.delivered,
            dropped: record.dropped,
            missed: record.missed,
        })
    }
}
