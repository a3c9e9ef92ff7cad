//! The engine of tests: memory, a clock moved by hand, published messages kept, requests answered by the test.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::BodyExt;
use ota_core::time::Timestamp;
use ota_store::memory::MemoryKv;

use crate::{Broker, FetchBody, Message, Platform, PlatformError, whole};

/// Where the functions reach each other.
const INTERNAL: &str = "http://internal.test";

/// A request that a function made to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The path.
    pub path: String,
    /// The token it bears.
    pub token: String,
    /// The trace it belongs to, as its header says.
    pub trace: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Posted {
    fn of(parts: &http::request::Parts, body: &Bytes) -> Self {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let token = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        Self {
            path: parts.uri.path().to_owned(),
            token: token.unwrap_or_default().to_owned(),
            trace: header("traceparent").map(str::to_owned),
            body: body.to_vec(),
        }
    }
}
/// What answers the requests that functions make to other servers.
pub type Server = Rc<dyn Fn(http::Request<Bytes>) -> Result<http::Response<Bytes>, PlatformError>>;

/// The engine of tests. Clones are the same engine.
#[derive(Clone)]
pub struct FakePlatform(Rc<Inner>);

struct Inner {
    kv: MemoryKv,
    now: Cell<u64>,
    random: Cell<u64>,
    variables: RefCell<BTreeMap<String, String>>,
    published: RefCell<Vec<Message>>,
    posted: RefCell<Vec<Posted>>,
    server: RefCell<Option<Server>>,
    broker_down: Cell<bool>,
    message_bytes_max: Cell<usize>,
    log: RefCell<Vec<String>>,
}

impl FakePlatform {
    /// Makes an engine with an empty store, at the moment `now`.
    pub fn new(now: Timestamp) -> Self {
        Self::with_kv(MemoryKv::new(), now)
    }

    /// Makes an engine over a store.
    pub fn with_kv(kv: MemoryKv, now: Timestamp) -> Self {
        let variables = [
            ("api_token", "api-token"),
            ("internal_token", "internal-token"),
            ("url_signing_key", "url-signing-key"),
            ("secrets_key", "secrets-key-of-more-than-32-characters"),
            ("access_key_id", "access-key-id"),
            ("access_key_secret", "access-key-secret"),
            ("public_base_url", "http://ota.test"),
            ("internal_base_url", INTERNAL),
            ("blob_store", "key-value"),
            ("mqtt_address", "mqtt://broker.test:1883"),
            ("mqtt_username", "service"),
            ("mqtt_password", "service-password"),
        ];
        Self(Rc::new(Inner {
            kv,
            now: Cell::new(now.0),
            random: Cell::new(1),
            variables: RefCell::new(variables.map(|(k, v)| (k.into(), v.into())).into()),
            published: RefCell::default(),
            posted: RefCell::default(),
            server: RefCell::default(),
            broker_down: Cell::new(false),
            message_bytes_max: Cell::new(usize::MAX),
            log: RefCell::default(),
        }))
    }

    /// Moves the clock.
    pub fn advance_ms(&self, ms: u64) {
        self.0.now.set(self.0.now.get() + ms);
    }

    /// Sets a variable.
    pub fn set_variable(&self, name: &str, value: &str) {
        self.0.variables.borrow_mut().insert(name.into(), value.into());
    }

    /// Returns and forgets the published messages.
    pub fn take_published(&self) -> Vec<Message> {
        self.0.published.take()
    }

    /// Returns and forgets the requests made.
    pub fn take_posted(&self) -> Vec<Posted> {
        self.0.posted.take()
    }

    /// Sets what answers requests to other servers; without it there is none to be reached.
    pub fn set_server(
        &self,
        server: impl Fn(http::Request<Bytes>) -> Result<http::Response<Bytes>, PlatformError> + 'static,
    ) {
        *self.0.server.borrow_mut() = Some(Rc::new(server));
    }

    /// Takes the broker down, or up again.
    pub fn set_broker_down(&self, down: bool) {
        self.0.broker_down.set(down);
    }

    /// Lets the broker break the connection on a message whose payload is longer.
    pub fn set_message_bytes_max(&self, bytes: usize) {
        self.0.message_bytes_max.set(bytes);
    }

    /// Returns the log's lines so far.
    pub fn log_lines(&self) -> Vec<String> {
        self.0.log.borrow().clone()
    }
}

impl Platform for FakePlatform {
    type Kv = MemoryKv;

    fn kv(&self) -> &MemoryKv {
        &self.0.kv
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.0.now.get())
    }

    fn random(&self) -> [u8; 16] {
        let n = self.0.random.get();
        self.0.random.set(n + 1);
        // Spread over all bytes, so that ids cut short still differ.
        u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
    }

    async fn variable(&self, name: &str) -> Result<String, PlatformError> {
        let found = self.0.variables.borrow().get(name).cloned();
        found.ok_or_else(|| PlatformError::Variable { name: name.into(), why: "not set".into() })
    }

    async fn publish(&self, _: &Broker, messages: &[Message]) -> Result<usize, PlatformError> {
        if self.0.broker_down.get() {
            return Err(PlatformError::Broker("down on purpose".into()));
        }
        let in_time = Message::in_time(messages, self.now());
        let short = |message: &&Message| message.payload.len() <= self.0.message_bytes_max.get();
        let taken = in_time.iter().take_while(short).count();
        self.0.published.borrow_mut().extend_from_slice(&in_time[..taken]);
        Ok(taken)
    }

    async fn fetch(
        &self,
        request: http::Request<FetchBody>,
    ) -> Result<http::Response<FetchBody>, PlatformError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|error| PlatformError::Fetch(error.to_string()))?.to_bytes();
        if parts.uri.to_string().starts_with(INTERNAL) {
            self.0.posted.borrow_mut().push(Posted::of(&parts, &body));
            return Ok(http::Response::new(whole(Vec::new())));
        }
        let server = self.0.server.borrow().clone();
        let server = server.ok_or_else(|| PlatformError::Fetch("no server is set".into()))?;
        Ok(server(http::Request::from_parts(parts, body))?.map(whole))
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(task);
    }

    async fn sleep(&self, _: u64) {
        tokio::task::yield_now().await;
    }

    fn log(&self, line: &str) {
        self.0.log.borrow_mut().push(line.into());
    }
}
