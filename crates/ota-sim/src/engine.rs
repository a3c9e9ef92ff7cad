//! The engine that handlers run on here. Each operation of the store and each effect stops at a gate, and goes on when
//! the scheduler says so, and as it says.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::BodyExt;
use ota_core::time::Timestamp;
use ota_platform::{Broker, FetchBody, Message, Platform, PlatformError, whole};
use ota_store::memory::{MemoryKv, MemoryToken};
use ota_store::{Kv, KvError, Swap};

use crate::dice::Dice;
use crate::plant::Plant;
use crate::trace::Trace;
use crate::watch::Watch;

/// Where the functions reach each other.
const INTERNAL: &str = "http://internal.test";
/// How many reads, or counts, in a thousand a planted fault spoils.
const SPOILED_PERMILLE: u64 = 100;

/// Something a request does beside its answer.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// What all requests share: the world outside of the functions.
pub(crate) struct Shared {
    pub(crate) store: MemoryKv,
    /// What every clock of the service shows.
    pub(crate) clock: Cell<u64>,
    /// How much time has truly passed.
    pub(crate) moment: Cell<u64>,
    pub(crate) step: Cell<u64>,
    pub(crate) operations: Cell<u64>,
    pub(crate) dice: RefCell<Dice>,
    pub(crate) trace: RefCell<Trace>,
    pub(crate) watch: RefCell<Watch>,
    /// What the broker has taken and not sent on.
    pub(crate) taken: RefCell<Vec<Message>>,
    /// Requests that functions have made of the dispatcher: paths and bodies.
    pub(crate) nudges: RefCell<Vec<(String, Vec<u8>)>>,
    /// How often in a thousand a receiver of webhooks does not take what it is sent.
    pub(crate) receiver_fails: Cell<u64>,
    pub(crate) plant: Option<Plant>,
    random: Cell<u64>,
    /// What each key held before its last write, for planted faults.
    previous: RefCell<BTreeMap<String, Option<Vec<u8>>>>,
    last_write: RefCell<Option<String>>,
}

impl Shared {
    pub(crate) fn new(store: MemoryKv, seed: u64, now: u64, print: bool, plant: Option<Plant>) -> Self {
        Self {
            store: store.clone(),
            clock: Cell::new(now),
            moment: Cell::new(0),
            step: Cell::new(0),
            operations: Cell::new(0),
            dice: RefCell::new(Dice::new(seed)),
            trace: RefCell::new(Trace::new(print)),
            watch: RefCell::new(Watch::new(store)),
            taken: RefCell::default(),
            nudges: RefCell::default(),
            receiver_fails: Cell::new(0),
            plant,
            random: Cell::new(1),
            previous: RefCell::default(),
            last_write: RefCell::default(),
        }
    }

    /// Notes what has happened.
    pub(crate) fn note(&self, what: &str) {
        self.trace.borrow_mut().note(self.step.get(), self.moment.get(), what);
    }

    /// Moves the time and the clocks.
    pub(crate) fn advance(&self, ms: u64) {
        self.moment.set(self.moment.get() + ms);
        self.clock.set(self.clock.get() + ms);
    }

    fn wrote(&self, key: &str, before: Option<Vec<u8>>) {
        let after = self.store.peek(key);
        self.watch.borrow_mut().wrote(key, before.as_deref(), after.as_deref());
        if self.plant.is_some() {
            self.previous.borrow_mut().insert(key.to_owned(), before);
            *self.last_write.borrow_mut() = Some(key.to_owned());
        }
    }

    /// Takes back the last write, which was acknowledged.
    pub(crate) async fn tear(&self) {
        let Some(key) = self.last_write.borrow_mut().take() else { return };
        let before = self.previous.borrow().get(&key).cloned().flatten();
        let torn = match &before {
            Some(bytes) => self.store.set(&key, bytes).await,
            None => self.store.delete(&key).await,
        };
        torn.expect("the memory fails only on demand");
    }

    fn spoils(&self, plant: Plant) -> bool {
        self.plant == Some(plant) && self.dice.borrow_mut().permille(SPOILED_PERMILLE)
    }
}

/// How an operation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is done, and answered.
    Go,
    /// It is not done, and fails.
    Refuse,
    /// It is done, and fails.
    LoseAnswer,
    /// It is done, and its process dies before it hears of that.
    DieAfter,
}

/// What waits at a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Store { operation: &'static str, key: String },
    Publish { messages: usize },
    Fetch { url: String },
    Sleep { until: u64 },
}

impl What {
    /// Tells whether it leaves anything behind.
    pub(crate) fn is_change(&self) -> bool {
        !matches!(self, Self::Store { operation: "get" | "read", .. } | Self::Sleep { .. })
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store { operation, key } => write!(f, "{operation} {key}"),
            Self::Publish { messages } => write!(f, "publish {messages}"),
            Self::Fetch { url } => write!(f, "fetch {url}"),
            Self::Sleep { until } => write!(f, "sleep until {until}"),
        }
    }
}

/// One operation at a gate.
pub(crate) struct Waiting {
    pub(crate) what: What,
    verdict: Cell<Option<Verdict>>,
    waker: RefCell<Option<Waker>>,
}

impl Waiting {
    /// Lets it go on.
    pub(crate) fn decide(&self, verdict: Verdict) {
        self.verdict.set(Some(verdict));
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// The gate of one request.
pub(crate) struct Gate {
    /// Its number.
    pub(crate) request: u64,
    /// Whether it is one of the dispatcher's, whose pushes the rate bounds.
    pub(crate) is_dispatch: bool,
    /// When it began, in true time.
    pub(crate) began: u64,
    pub(crate) waiting: RefCell<Vec<Rc<Waiting>>>,
    pub(crate) spawned: RefCell<Vec<Task>>,
    /// Whether anything was let go wrong in it.
    pub(crate) is_hurt: Cell<bool>,
}

struct Passing<'a> {
    gate: &'a Gate,
    waiting: Rc<Waiting>,
}

impl Future for Passing<'_> {
    type Output = Verdict;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Verdict> {
        match self.waiting.verdict.get() {
            Some(verdict) => Poll::Ready(verdict),
            None => {
                *self.waiting.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.gate.waiting.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.waiting));
    }
}

impl Gate {
    pub(crate) fn new(request: u64, is_dispatch: bool, began: u64) -> Self {
        Self {
            request,
            is_dispatch,
            began,
            waiting: RefCell::default(),
            spawned: RefCell::default(),
            is_hurt: Cell::new(false),
        }
    }

    async fn pass(&self, what: What) -> Verdict {
        let waiting = Rc::new(Waiting { what, verdict: Cell::new(None), waker: RefCell::new(None) });
        self.waiting.borrow_mut().push(Rc::clone(&waiting));
        Passing { gate: self, waiting }.await
    }
}

/// The engine as one request sees it. Clones are the same request.
#[derive(Clone)]
pub(crate) struct SimEngine {
    kv: SimKv,
}

/// The store as one request sees it.
#[derive(Clone)]
pub(crate) struct SimKv {
    shared: Rc<Shared>,
    gate: Rc<Gate>,
}

impl SimEngine {
    pub(crate) fn new(shared: &Rc<Shared>, gate: &Rc<Gate>) -> Self {
        Self { kv: SimKv { shared: Rc::clone(shared), gate: Rc::clone(gate) } }
    }
}

fn refused(what: &str) -> KvError {
    KvError(format!("{what}: refused by the simulation"))
}

impl SimKv {
    /// Stops at the gate; returns whether the answer is to be lost.
    async fn stop(&self, operation: &'static str, key: &str) -> Result<Verdict, KvError> {
        let verdict = self.gate.pass(What::Store { operation, key: key.to_owned() }).await;
        self.shared.operations.set(self.shared.operations.get() + 1);
        match verdict {
            Verdict::Refuse => Err(refused(operation)),
            other => Ok(other),
        }
    }

    async fn end<T>(&self, verdict: Verdict, done: T) -> Result<T, KvError> {
        match verdict {
            Verdict::Go => Ok(done),
            Verdict::Refuse | Verdict::LoseAnswer => Err(refused("the answer")),
            Verdict::DieAfter => std::future::pending().await,
        }
    }
}

impl Kv for SimKv {
    type Token = MemoryToken;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let verdict = self.stop("get", key).await?;
        let mut value = self.shared.store.get(key).await?;
        if self.shared.spoils(Plant::StaleReads)
            && let Some(previous) = self.shared.previous.borrow().get(key)
        {
            value = previous.clone();
        }
        self.end(verdict, value).await
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), KvError> {
        let verdict = self.stop("set", key).await?;
        let before = self.shared.store.peek(key);
        self.shared.store.set(key, value).await?;
        self.shared.wrote(key, before);
        self.end(verdict, ()).await
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        let verdict = self.stop("delete", key).await?;
        let before = self.shared.store.peek(key);
        self.shared.store.delete(key).await?;
        self.shared.wrote(key, before);
        self.end(verdict, ()).await
    }

    async fn read(&self, key: &str) -> Result<(Option<Vec<u8>>, MemoryToken), KvError> {
        let verdict = self.stop("read", key).await?;
        let read = self.shared.store.read(key).await?;
        self.end(verdict, read).await
    }

    async fn swap(&self, token: MemoryToken, value: &[u8]) -> Result<Swap, KvError> {
        let key = token.key().to_owned();
        let verdict = self.stop("swap", &key).await?;
        let before = self.shared.store.peek(&key);
        let mut swap = self.shared.store.swap(token, value).await?;
        if swap == Swap::Stale && self.shared.plant == Some(Plant::LostUpdate) {
            self.shared.store.set(&key, value).await?;
            swap = Swap::Swapped;
        }
        if swap == Swap::Swapped {
            self.shared.wrote(&key, before);
        }
        self.end(verdict, swap).await
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, KvError> {
        let verdict = self.stop("increment", key).await?;
        let sum = self.shared.store.increment(key, delta).await?;
        if self.shared.spoils(Plant::LostIncrement) {
            self.shared.store.increment(key, -delta).await?;
        }
        self.end(verdict, sum).await
    }
}

impl Platform for SimEngine {
    type Kv = SimKv;

    fn kv(&self) -> &SimKv {
        &self.kv
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.kv.shared.clock.get())
    }

    fn random(&self) -> [u8; 16] {
        let random = &self.kv.shared.random;
        random.set(random.get() + 1);
        // Spread over all bytes, so that ids cut short still differ.
        u128::from(random.get()).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
    }

    async fn variable(&self, name: &str) -> Result<String, PlatformError> {
        let value = match name {
            "api_token" => "api-token",
            "internal_token" => "internal-token",
            "url_signing_key" => "url-signing-key",
            "secrets_key" => "secrets-key-of-more-than-32-characters",
            "public_base_url" => "http://ota.test",
            "internal_base_url" => INTERNAL,
            "blob_store" => "key-value",
            "mqtt_address" => "mqtt://broker.test:1883",
            "mqtt_username" => "service",
            "mqtt_password" => "service-password",
            _ => return Err(PlatformError::Variable { name: name.into(), why: "not set".into() }),
        };
        Ok(value.to_owned())
    }

    async fn publish(&self, _: &Broker, messages: &[Message]) -> Result<usize, PlatformError> {
        let SimKv { shared, gate } = &self.kv;
        let verdict = gate.pass(What::Publish { messages: messages.len() }).await;
        let lost = || PlatformError::Broker("the connection is lost in the simulation".into());
        if verdict == Verdict::Refuse {
            return Err(lost());
        }
        // Those that time has made late on the way are not sent.
        let in_time = Message::in_time(messages, Timestamp(shared.clock.get())).len();
        // A connection that breaks has brought some of the messages.
        let taken = match verdict {
            Verdict::Go => in_time,
            _ => usize::try_from(shared.dice.borrow_mut().within(0, in_time as u64)).unwrap_or(in_time),
        };
        let times = if shared.plant == Some(Plant::DoublePublish) { 2 } else { 1 };
        for message in messages[..taken].iter().flat_map(|message| std::iter::repeat_n(message, times)) {
            shared.taken.borrow_mut().push(message.clone());
            let (moment, clock) = (shared.moment.get(), shared.clock.get());
            shared.watch.borrow_mut().published(gate, message, moment, clock);
        }
        match verdict {
            Verdict::Go | Verdict::Refuse => Ok(taken),
            // The broker has said of some of them that it has them.
            Verdict::LoseAnswer => {
                let told = shared.dice.borrow_mut().within(0, taken as u64);
                Ok(usize::try_from(told).unwrap_or(taken))
            }
            Verdict::DieAfter => std::future::pending().await,
        }
    }

    async fn fetch(
        &self,
        request: http::Request<FetchBody>,
    ) -> Result<http::Response<FetchBody>, PlatformError> {
        let SimKv { shared, gate } = &self.kv;
        let (parts, body) = request.into_parts();
        let body: Bytes =
            body.collect().await.map_err(|error| PlatformError::Fetch(error.to_string()))?.to_bytes();
        let verdict = gate.pass(What::Fetch { url: parts.uri.to_string() }).await;
        let lost = || PlatformError::Fetch("the connection is lost in the simulation".into());
        if verdict == Verdict::Refuse {
            return Err(lost());
        }
        let answer = if parts.uri.to_string().starts_with(INTERNAL) {
            // Whoever nudges waits for no more than that somebody has heard it.
            shared.nudges.borrow_mut().push((parts.uri.path().to_owned(), body.to_vec()));
            http::Response::new(whole(Vec::new()))
        } else {
            let fails = shared.dice.borrow_mut().permille(shared.receiver_fails.get());
            if !fails {
                let id = parts.headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
                shared.watch.borrow_mut().received(id);
            }
            let mut answer = http::Response::new(whole(Vec::new()));
            *answer.status_mut() =
                if fails { http::StatusCode::BAD_GATEWAY } else { http::StatusCode::NO_CONTENT };
            answer
        };
        match verdict {
            Verdict::Go | Verdict::Refuse => Ok(answer),
            Verdict::LoseAnswer => Err(lost()),
            Verdict::DieAfter => std::future::pending().await,
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.kv.gate.spawned.borrow_mut().push(Box::pin(task));
    }

    async fn sleep(&self, ms: u64) {
        let until = self.kv.shared.moment.get().saturating_add(ms);
        self.kv.gate.pass(What::Sleep { until }).await;
    }

    fn log(&self, _: &str) {}
}
