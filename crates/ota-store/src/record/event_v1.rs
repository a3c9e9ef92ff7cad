//! What the outside is told of, and the pages of the list of it.

use minicbor::{Decode, Encode};
use ota_core::event::{Event, EventKind};
use ota_core::ids::ProductKey;
use ota_core::time::Timestamp;

use super::{Corrupt, Record, read_body, state, write_body};
use crate::events::EventPage;

/// The stored form of [`Event`].
#[derive(Encode, Decode)]
pub(crate) struct EventRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[b(1)]
    kind: &'a str,
    #[b(2)]
    product_key: &'a str,
    #[n(3)]
    at: u64,
    #[b(4)]
    topic: &'a str,
    #[b(5)]
    payload: &'a str,
}

impl<'a> From<&'a Event> for EventRecord<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            id: event.id,
            kind: event.kind.as_str(),
            product_key: event.product_key.as_str(),
            at: event.at.0,
            topic: &event.topic,
            payload: &event.payload,
        }
    }
}

impl TryFrom<EventRecord<'_>> for Event {
    type Error = Corrupt;

    fn try_from(record: EventRecord<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            id: record.id,
            kind: state(EventKind::parse(record.kind), record.kind)?,
            product_key: ProductKey::new(record.product_key)?,
            at: Timestamp(record.at),
            topic: record.topic.to_owned(),
            payload: record.payload.to_owned(),
        })
    }
}

#[derive(Encode, Decode)]
struct PageRecord<'a> {
    #[n(0)]
    number: u64,
    #[b(1)]
    events: Vec<EventRecord<'a>>,
}

impl Record for EventPage {
    fn write(&self, out: &mut Vec<u8>) {
        let events = self.events.iter().map(EventRecord::from).collect();
        write_body(&PageRecord { number: self.number, events }, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: PageRecord<'_> = read_body(&bytes)?;
        let events = record.events.into_iter().map(Event::try_from).collect::<Result<_, _>>()?;
        Ok(Self { number: record.number, events })
    }
}
