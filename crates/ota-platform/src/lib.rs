//! What a function needs of the engine it runs on.
//!
//! A handler is generic over [`Platform`]; only a function's entry file names an engine. `spin` is the adapter for Spin
//! and for the embedded host, which offers the same interfaces; `wasmcloud` the one for wasmCloud; `fake` the one for
//! tests. Requests come in by [`serve`].

pub mod audited;
#[cfg(feature = "fake")]
pub mod fake;
pub mod line;
pub mod notice;
pub mod nudge;
pub mod serve;
#[cfg(all(feature = "spin", target_arch = "wasm32"))]
pub mod spin;
pub mod tell;
pub mod traced;
#[cfg(all(any(feature = "spin", feature = "wasmcloud"), target_arch = "wasm32"))]
mod wasi;
#[cfg(all(feature = "wasmcloud", target_arch = "wasm32"))]
pub mod wasmcloud;

use std::fmt;
use std::future::Future;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use ota_core::time::Timestamp;
use ota_store::Kv;

/// The body of a request that a function makes, and of its answer. It streams both ways.
pub type FetchBody = UnsyncBoxBody<Bytes, anyhow::Error>;

/// Wraps the bytes of a body that are there as a whole.
pub fn whole(bytes: impl Into<Bytes>) -> FetchBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The engine, as a function sees it. Clones are the same engine.
#[allow(async_fn_in_trait, reason = "guests run on one thread; nothing here needs to be Send")]
pub trait Platform: Clone + 'static {
    /// The store.
    type Kv: Kv;

    /// Returns the store.
    fn kv(&self) -> &Self::Kv;

    /// Returns the time.
    fn now(&self) -> Timestamp;

    /// Returns random bytes that nobody can guess.
    fn random(&self) -> [u8; 16];

    /// Returns a variable of the application.
    async fn variable(&self, name: &str) -> Result<String, PlatformError>;

    /// Publishes messages to the broker, over one connection, in order. Returns how many the broker has taken: all, or
    /// those before the first that failed or was late.
    async fn publish(&self, broker: &Broker, messages: &[Message]) -> Result<usize, PlatformError>;

    /// Makes a request to any server that the manifest allows, and returns its answer once the head of it is there. A
    /// status that tells of a failure is an answer too.
    ///
    /// The URL must be absolute. Redirects are not followed.
    async fn fetch(
        &self,
        request: http::Request<FetchBody>,
    ) -> Result<http::Response<FetchBody>, PlatformError>;

    /// Posts a JSON body to one of the service's own functions and returns the answer's status.
    async fn post(&self, url: &str, token: &str, body: Vec<u8>) -> Result<u16, PlatformError> {
        let request = http::Request::post(url)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(whole(body))
            .map_err(|error| PlatformError::Fetch(error.to_string()))?;
        Ok(self.fetch(request).await?.status().as_u16())
    }

    /// Runs something after the answer is given. It may be cut off; nothing may depend on it.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);

    /// Waits a moment.
    async fn sleep(&self, ms: u64);

    /// Writes a line to the log.
    fn log(&self, line: &str);
}

/// The broker and the service's account there.
#[derive(Clone, PartialEq, Eq)]
pub struct Broker {
    /// `mqtt://host:port`.
    pub address: String,
    /// The service's user name.
    pub username: String,
    /// The service's password.
    pub password: String,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Broker {
    /// Reads the account from the application's variables.
    ///
    /// # Errors
    /// A variable that is not there.
    pub async fn from_variables(platform: &impl Platform) -> Result<Self, PlatformError> {
        Ok(Self {
            address: platform.variable("mqtt_address").await?,
            username: platform.variable("mqtt_username").await?,
            password: platform.variable("mqtt_password").await?,
        })
    }
}

/// A message to the broker; delivered at least once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The last moment to send it, looked at when the connection is there; it is late after that, and not sent any more.
    pub until: Option<Timestamp>,
}

impl Message {
    /// Makes a message that is never late.
    pub fn new(topic: String, payload: Vec<u8>) -> Self {
        Self { topic, payload, until: None }
    }

    /// Tells whether it is too late to send it.
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now > until)
    }

    /// Returns those before the first that is late.
    pub fn in_time(messages: &[Self], now: Timestamp) -> &[Self] {
        let late = messages.iter().position(|message| message.is_late(now));
        &messages[..late.unwrap_or(messages.len())]
    }
}

/// The engine could not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformError {
    /// A variable is not there or cannot be read.
    Variable {
        /// Its name.
        name: String,
        /// What the engine says.
        why: String,
    },
    /// The broker cannot be reached or has refused.
    Broker(String),
    /// A request of ours was not answered.
    Fetch(String),
}

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable { name, why } => write!(f, "variable {name}: {why}"),
            Self::Broker(why) => write!(f, "broker: {why}"),
            Self::Fetch(why) => write!(f, "request: {why}"),
        }
    }
}

impl std::error::Error for PlatformError {}
