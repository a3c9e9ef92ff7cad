//! A receiver of webhooks: another server, that a story can let fail.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use bytes::Bytes;
use ota_platform::PlatformError;
use serde_json::{Value, json};

use crate::{Answer, Call, World};

/// A request that was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Where it went.
    pub url: String,
    /// Its headers.
    pub headers: http::HeaderMap,
    /// Its body.
    pub body: String,
    /// What it was answered with; 0 if it was not.
    pub status: u16,
}

/// What a receiver answers with; an error is no answer.
pub type Reply = Result<http::Response<Bytes>, PlatformError>;
type Replies = Rc<dyn Fn(&Received) -> Reply>;

/// All receivers of a story. Clones are the same.
#[derive(Clone)]
pub struct Receiver(Rc<Inner>);

struct Inner {
    received: RefCell<Vec<Received>>,
    replies: RefCell<Replies>,
}

/// Makes a reply with nothing but a status.
pub fn reply(status: u16) -> Reply {
    Ok(http::Response::builder().status(status).body(Bytes::new()).expect("a status"))
}

impl Received {
    /// Returns a header's text, empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns the event.
    ///
    /// # Panics
    /// If the body is none.
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }

    /// Returns the event's id, by which a receiver knows a repeated one.
    pub fn id(&self) -> String {
        self.header("webhook-id").to_owned()
    }
}

impl World {
    /// Sets up receivers at every URL, which take what they are sent.
    pub fn receiver(&self) -> Receiver {
        let inner =
            Inner { received: RefCell::default(), replies: RefCell::new(Rc::new(|_: &Received| reply(204))) };
        let receiver = Receiver(Rc::new(inner));
        let told = receiver.clone();
        self.engine().set_server(move |request| told.take(&request));
        receiver
    }

    /// Asks for a webhook at `https://hooks.test/`; `more` adds to the request, or says otherwise.
    pub fn try_webhook(&self, more: &Value) -> Answer {
        let mut body = json!({"url": "https://hooks.test/"});
        for (field, value) in more.as_object().into_iter().flatten() {
            body[field] = value.clone();
        }
        self.send(&Call::post("/v1/webhooks", &body).key(&self.next("webhook")))
    }

    /// Makes a webhook; returns its id and its secret.
    #[track_caller]
    pub fn webhook(&self, more: &Value) -> (String, String) {
        let made = self.try_webhook(more).expect(201);
        (made.text_of("webhook_id"), made.text_of("secret"))
    }

    /// Returns what became of a webhook's events, newest first: those that stand so, or all.
    #[track_caller]
    pub fn deliveries(&self, webhook: &str, status: &str) -> Vec<Value> {
        let query = if status.is_empty() { String::new() } else { format!("?status={status}") };
        self.list(&format!("/v1/webhooks/{webhook}/deliveries{query}"), 200)
    }
}

impl Receiver {
    fn take(&self, request: &http::Request<Bytes>) -> Reply {
        let mut received = Received {
            url: request.uri().to_string(),
            headers: request.headers().clone(),
            body: String::from_utf8(request.body().to_vec()).expect("the body is text"),
            status: 0,
        };
        let replies = self.0.replies.borrow().clone();
        let reply = replies(&received);
        received.status = reply.as_ref().map_or(0, |reply| reply.status().as_u16());
        self.0.received.borrow_mut().push(received);
        reply
    }

    /// From now on answers like this.
    pub fn answer(&self, replies: impl Fn(&Received) -> Reply + 'static) {
        *self.0.replies.borrow_mut() = Rc::new(replies);
    }

    /// Returns and forgets what was received.
    pub fn received(&self) -> Vec<Received> {
        self.0.received.take()
    }

    /// Returns the ids of the events that were taken so far.
    pub fn taken(&self) -> BTreeSet<String> {
        let received = self.0.received.borrow();
        received.iter().filter(|one| (200..300).contains(&one.status)).map(Received::id).collect()
    }
}
