//! What a webhook is sent: a CloudEvent (version 1.0) in JSON, whose `data` is the vendor's forwarded message.

use alloc::format;
use alloc::string::{String, ToString};

use serde::Serialize;
use serde_json::value::RawValue;

use super::What;
use crate::cloud::render_utc;
use crate::event::{Event, EventKind};
use crate::ids::{EventId, WebhookId};
use crate::time::Timestamp;

/// The media type of the body.
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";
/// What every type of ours begins with.
const TYPE_PREFIX: &str = "dev.overair.";

#[derive(Serialize)]
struct CloudEvent<'a, D: Serialize> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: String,
    datacontenttype: &'static str,
    data: &'a D,
}

#[derive(Serialize)]
struct TestData {
    webhook_id: String,
}

/// Returns the `type` of a CloudEvent of this kind.
const fn full_type(kind: EventKind) -> &'static str {
    match kind {
        EventKind::TaskEnded => "dev.overair.task.finished",
        EventKind::VersionChanged => "dev.overair.version.changed",
        EventKind::BatchStatus => "dev.overair.batch.status",
    }
}

impl What {
    const fn full_type(self) -> &'static str {
        match self {
            Self::Listed { kind, .. } => full_type(kind),
            Self::Test => "dev.overair.webhook.test",
        }
    }

    /// Returns the type as the API tells it: without what all types begin with.
    pub fn type_name(self) -> &'static str {
        self.full_type().trim_start_matches(TYPE_PREFIX)
    }
}

/// Returns the name of a kind of events as the API of webhooks has it.
pub fn type_name(kind: EventKind) -> &'static str {
    full_type(kind).trim_start_matches(TYPE_PREFIX)
}

/// Reads [`type_name`] back.
pub fn parse_type(name: &str) -> Option<EventKind> {
    EventKind::ALL.into_iter().find(|kind| type_name(*kind) == name)
}

/// Renders an event. `None` if its payload is no JSON, which the events of this service always are.
pub fn render(event: &Event) -> Option<String> {
    let data = serde_json::from_str::<&RawValue>(&event.payload).ok()?;
    // A topic begins with the product's key and the device's name, or the key, the package's id and the batch's.
    let mut segments = event.topic.split('/').skip(2);
    let subject = match event.kind {
        EventKind::TaskEnded | EventKind::VersionChanged => {
            segments.next().map(|name| format!("devices/{name}"))
        }
        EventKind::BatchStatus => segments.nth(1).map(|id| format!("batches/{id}")),
    };
    Some(write(&CloudEvent {
        specversion: "1.0",
        id: EventId(event.id).to_string(),
        source: format!("/overair/products/{}", event.product_key),
        r#type: full_type(event.kind),
        subject,
        time: render_utc(event.at),
        datacontenttype: "application/json",
        data: &data,
    }))
}

/// Renders the event that somebody tries a webhook with.
pub fn render_test(id: EventId, webhook: WebhookId, at: Timestamp) -> String {
    let data = TestData { webhook_id: webhook.to_string() };
    write(&CloudEvent {
        specversion: "1.0",
        id: id.to_string(),
        source: format!("/overair/webhooks/{webhook}"),
        r#type: What::Test.full_type(),
        subject: None,
        time: render_utc(at),
        datacontenttype: "application/json",
        data: &data,
    })
}

fn write(event: &impl Serialize) -> String {
    serde_json::to_string(event).expect("texts and JSON can always be written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests_world::{LATER, batch};
    use crate::webhook::tests::event;

    #[test]
    fn r171_an_event_is_rendered_with_its_payload_as_it_is() {
        let event = event("a1lamp");
        let expected = format!(
            r#"{{"specversion":"1.0","id":"{}","source":"/overair/products/a1lamp","type":"dev.overair.version.changed","subject":"devices/lamp","time":"1970-01-01T00:00:00.005Z","datacontenttype":"application/json","data":{}}}"#,
            EventId(event.id),
            event.payload
        );
        assert_eq!(render(&event), Some(expected));
    }

    #[test]
    fn r172_a_batchs_status_has_the_batch_as_its_subject() {
        let body = render(&Event::batch_status(&batch(1), LATER)).unwrap();
        let id = "01010101010101010101010101010101";
        assert!(
            body.contains(&format!(r#""type":"dev.overair.batch.status","subject":"batches/{id}""#)),
            "{body}"
        );
    }

    #[test]
    fn a_test_says_that_it_is_one() {
        let body = render_test(EventId([1; 16]), WebhookId([2; 16]), Timestamp(0));
        assert!(
            body.contains(r#""type":"dev.overair.webhook.test","time":"1970-01-01T00:00:00.000Z""#),
            "{body}"
        );
        assert!(body.ends_with(r#""data":{"webhook_id":"02020202020202020202020202020202"}}"#), "{body}");
        assert_eq!(What::Test.type_name(), "webhook.test");
    }

    #[test]
    fn types_read_back() {
        for kind in EventKind::ALL {
            assert_eq!(parse_type(type_name(kind)), Some(kind));
        }
        assert_eq!(type_name(EventKind::TaskEnded), "task.finished");
        assert_eq!(parse_type("webhook.test"), None, "nobody subscribes to tests");
    }
}
