//! The service as a whole, its clock, and its broker.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use futures::FutureExt;
use http_body_util::BodyExt;
use ota_core::time::Timestamp;
use ota_platform::Platform;
use ota_platform::fake::FakePlatform;
use ota_store::memory::{MemoryKv, Operations};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::device::{Device, DeviceState};
use crate::observer::Observer;
use crate::{Answer, Call, seconds};

/// When every story begins.
pub const START_MS: u64 = 1_700_000_000_000;
/// The operator's token.
pub const API_TOKEN: &str = "api-token";
/// The functions' own token.
pub const INTERNAL_TOKEN: &str = "internal-token";

/// How often the cron trigger fires.
const TICK_MS: u64 = seconds(5);
/// How often a device that waits for something repeats itself, and a caller who was told to come again comes again. Longer
/// than a claim whose owner died is held.
const PATIENCE_MS: u64 = seconds(61);
/// How often a caller comes again.
const TRIES_MAX: u32 = 12;
/// Rounds of nudges, each perhaps made by the one before.
const SETTLE_ROUNDS_MAX: u32 = 100;
/// Turns that tasks spawned by a request are given to end.
const SPAWNED_TURNS: u32 = 32;

/// A message that the service published to a device.
#[derive(Clone, Debug)]
pub struct Push {
    /// When.
    pub at_ms: u64,
    /// The topic.
    pub topic: String,
    /// The payload; `null` when it is a block of a file.
    pub payload: Value,
    /// The payload's bytes.
    pub bytes: Vec<u8>,
    /// Whether the device was there to hear it.
    pub heard: bool,
}

/// The service, its store, its clock and its devices. Clones are the same world.
#[derive(Clone)]
pub struct World(pub(crate) Rc<Inner>);

pub(crate) struct Inner {
    runtime: Runtime,
    local: LocalSet,
    pub(crate) engine: FakePlatform,
    pub(crate) product: RefCell<(String, String)>,
    pub(crate) devices: RefCell<BTreeMap<String, Rc<DeviceState>>>,
    pub(crate) published: RefCell<Vec<Push>>,
    pub(crate) counter: Cell<u64>,
    pub(crate) patient: Cell<bool>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Makes an empty world.
    pub fn new() -> Self {
        Self::on(MemoryKv::new())
    }

    /// Makes an empty world on a store.
    pub fn on(kv: MemoryKv) -> Self {
        let runtime =
            Builder::new_current_thread().build().expect("a runtime without a driver always starts");
        Self(Rc::new(Inner {
            runtime,
            local: LocalSet::new(),
            engine: FakePlatform::with_kv(kv, Timestamp(START_MS)),
            product: RefCell::default(),
            devices: RefCell::default(),
            published: RefCell::default(),
            counter: Cell::new(0),
            patient: Cell::new(false),
        }))
    }

    /// Makes a product, whose devices the story is about from now on.
    #[must_use]
    pub fn product(self, name: &str) -> Self {
        let made = self.send(&Call::post("/v1/products", &json!({"name": name})).key(&self.next("product")));
        let key = made.expect(201).text_of("product_key");
        *self.0.product.borrow_mut() = (name.to_owned(), key);
        self
    }

    /// Registers `count` devices, and connects them on version 1.0.0.
    #[must_use]
    pub fn devices(self, count: usize) -> Self {
        for device in self.register(count) {
            device.connect("1.0.0");
        }
        self.settle();
        self
    }

    /// Registers `count` devices that have never connected.
    pub fn register(&self, count: usize) -> Vec<Device> {
        let product = self.product_name();
        let known = self.0.devices.borrow().len();
        let names: Vec<String> = (known + 1..=known + count).map(|n| format!("{product}-{n}")).collect();
        let mut devices = Vec::with_capacity(count);
        for names in names.chunks(1_000) {
            let listed: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            let uri = format!("/v1/products/{}/devices", self.product_key());
            let made = self.send(&Call::post(uri, &json!({"devices": listed}))).expect(201).json();
            for (name, told) in names.iter().zip(made["devices"].as_array().into_iter().flatten()) {
                let state = DeviceState::new(name, told["secret"].as_str().unwrap_or_default());
                self.0.devices.borrow_mut().insert(name.clone(), Rc::new(state));
                devices.push(self.device(name));
            }
        }
        devices
    }

    /// Returns a registered device.
    ///
    /// # Panics
    /// If there is none of this name.
    #[track_caller]
    pub fn device(&self, name: &str) -> Device {
        let state = self.0.devices.borrow().get(name).cloned();
        Device::new(self.clone(), state.unwrap_or_else(|| panic!("the story has no device {name}")))
    }

    /// Returns all registered devices, by name.
    pub fn all_devices(&self) -> Vec<Device> {
        self.0.devices.borrow().values().map(|state| Device::new(self.clone(), Rc::clone(state))).collect()
    }

    /// Returns the product's key.
    pub fn product_key(&self) -> String {
        self.0.product.borrow().1.clone()
    }

    /// Returns the product's name.
    pub fn product_name(&self) -> String {
        self.0.product.borrow().0.clone()
    }

    /// Returns the engine, for its store, its broker and its log.
    pub fn engine(&self) -> &FakePlatform {
        &self.0.engine
    }

    /// Returns the store.
    pub fn kv(&self) -> &MemoryKv {
        self.0.engine.kv()
    }

    /// Returns the time.
    pub fn now_ms(&self) -> u64 {
        self.0.engine.now().0
    }

    /// Returns a text that was not returned before.
    pub fn next(&self, noun: &str) -> String {
        self.0.counter.set(self.0.counter.get() + 1);
        format!("{noun}-{}", self.0.counter.get())
    }

    // Time.

    /// Moves the clock, and nothing else.
    pub fn advance(&self, ms: u64) {
        self.0.engine.advance_ms(ms);
    }

    /// Fires the cron trigger once, and returns what the dispatcher did.
    pub fn tick(&self) -> Value {
        let answer = self.send_once(&Call::new("POST", "/internal/dispatch/tick"));
        if self.0.patient.get() && answer.status != 200 {
            return Value::Null;
        }
        answer.expect(200).json()
    }

    /// Delivers what the functions have asked of the dispatcher, until nobody asks any more.
    ///
    /// # Panics
    /// If that does not come to an end.
    pub fn settle(&self) {
        for _ in 0..SETTLE_ROUNDS_MAX {
            let asked = self.0.engine.take_posted();
            if asked.is_empty() {
                return;
            }
            for asked in asked {
                let mut call = Call::new("POST", asked.path).token(Some(&asked.token)).bytes(asked.body);
                if let Some(trace) = asked.trace {
                    call = call.header("traceparent", trace);
                }
                let answer = self.send_once(&call);
                assert!(self.0.patient.get() || answer.status == 200, "{answer:?}");
            }
        }
        panic!("the functions never stop asking the dispatcher");
    }

    /// Lets time pass with the cron trigger firing as it does.
    pub fn run(&self, ms: u64) {
        let end = self.now_ms() + ms;
        self.settle();
        while self.now_ms() < end {
            self.advance(TICK_MS.min(end - self.now_ms()));
            self.tick();
            self.settle();
        }
    }

    /// From now on requests that the service could not perform are made again after a while, as good callers do, and
    /// lost device messages are nobody's surprise. For stories about a store that fails.
    pub fn be_patient(&self) {
        self.0.patient.set(true);
    }

    // Requests.

    /// Sends a request to the function it belongs to.
    pub fn send(&self, call: &Call) -> Answer {
        let mut answer = self.send_once(call);
        let mut tries = 1;
        while self.0.patient.get() && answer.status >= 500 && tries < TRIES_MAX {
            self.advance(PATIENCE_MS);
            answer = self.send_once(call);
            tries += 1;
        }
        answer
    }

    /// Sends a request once, however patient the world is.
    pub fn send_once(&self, call: &Call) -> Answer {
        let engine = self.0.engine.clone();
        let request = call.request();
        let answer = self.block_on(async move {
            let response = ::gateway::handle(&engine, request).await;
            let (parts, mut body) = response.into_parts();
            let (mut bytes, mut cut) = (Vec::new(), false);
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(frame) => bytes.extend(frame.into_data().unwrap_or_default()),
                    Err(_) => cut = true,
                }
            }
            for _ in 0..SPAWNED_TURNS {
                tokio::task::yield_now().await;
            }
            Answer { status: parts.status.as_u16(), headers: parts.headers, body: bytes, cut }
        });
        self.collect();
        call.check_documented(&answer);
        answer
    }

    /// Runs something that asks the store directly.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.local.block_on(&self.0.runtime, future)
    }

    /// Gets a thing that must be there.
    #[track_caller]
    pub fn get(&self, uri: impl Into<String>) -> Value {
        self.send(&Call::get(uri)).expect(200).json()
    }

    /// Returns all items of a list, asked for `limit` at a time.
    ///
    /// # Panics
    /// If a page is longer than asked for, or the pages never end.
    #[track_caller]
    pub fn list(&self, uri: &str, limit: usize) -> Vec<Value> {
        let join = if uri.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        for _ in 0..10_000 {
            let page = self.get(format!("{uri}{join}limit={limit}{cursor}"));
            let listed = page["items"].as_array().expect("a list has items");
            assert!(listed.len() <= limit, "{} items of at most {limit}", listed.len());
            items.extend(listed.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
        panic!("the list {uri} never ends");
    }

    // The broker.

    /// Hears what was published, as the broker does: a device that is not there misses it.
    fn collect(&self) {
        let devices = self.0.devices.borrow();
        for message in self.0.engine.take_published() {
            let heard = devices.values().any(|device| {
                device.is_online() && message.topic.split('/').any(|level| level == device.name)
            });
            let payload = if message.topic.ends_with("/thing/file/download_reply") {
                Value::Null
            } else {
                serde_json::from_slice(&message.payload).expect("devices are sent JSON, but for blocks")
            };
            let (at_ms, bytes) = (self.now_ms(), message.payload);
            let push = Push { at_ms, topic: message.topic, payload, bytes, heard };
            self.0.published.borrow_mut().push(push);
        }
    }

    /// Returns all that was published so far.
    pub fn published(&self) -> Vec<Push> {
        self.0.published.borrow().clone()
    }

    // The store.

    /// Returns how many operations on the store `act` made.
    pub fn operations(&self, act: impl FnOnce()) -> Operations {
        let before = self.kv().operations();
        act();
        self.kv().operations().since(before)
    }

    /// Lets somebody else make a request right before the store's operation number `at` from now on. It takes the place
    /// of the store's faults. The cell tells the status of the answer once the moment has come.
    pub fn interrupt(&self, at: u64, rival: Call) -> Rc<Cell<Option<u16>>> {
        self.interrupt_after(at, 0, rival)
    }

    /// As [`Self::interrupt`], with time passing before the rival's request: the interrupted one has stalled.
    pub fn interrupt_after(&self, at: u64, ms: u64, rival: Call) -> Rc<Cell<Option<u16>>> {
        let answered = Rc::new(Cell::new(None));
        interrupt(&self.0.engine, vec![(at, ms, rival)], Rc::clone(&answered));
        answered
    }

    /// As [`Self::interrupt`], with a rival that is itself interrupted, right before the operation number `behind` from where it
    /// begins: three requests, each inside the one before. The cell tells how the innermost was answered.
    pub fn interrupt_twice(&self, at: u64, rival: Call, behind: u64, inner: Call) -> Rc<Cell<Option<u16>>> {
        let answered = Rc::new(Cell::new(None));
        interrupt(&self.0.engine, vec![(behind, 0, inner), (at, 0, rival)], Rc::clone(&answered));
        answered
    }

    /// Watches the store's operations by key.
    pub fn observe(&self) -> Observer {
        Observer::new(self.kv().clone())
    }
}

/// Makes the last of `rivals` interrupt whatever comes, the last but one interrupt that one, and so on. Each has the number of the
/// operation that it comes before and the milliseconds that pass until it does.
fn interrupt(engine: &FakePlatform, mut rivals: Vec<(u64, u64, Call)>, answered: Rc<Cell<Option<u16>>>) {
    let Some((at, ms, rival)) = rivals.pop() else { return };
    let (mut seen, mut rest) = (0, Some(rivals));
    let inside = engine.clone();
    engine.kv().set_faults(move |_, _| {
        seen += 1;
        if let Some(rest) = rest.take_if(|_| seen == at) {
            let innermost = rest.is_empty();
            inside.advance_ms(ms);
            interrupt(&inside, rest, Rc::clone(&answered));
            // Memory never makes anybody wait, so one turn is all a handler needs.
            let response = ::gateway::handle(&inside, rival.request()).now_or_never();
            let status = response.expect("a handler over memory is ready at once").status().as_u16();
            if innermost {
                answered.set(Some(status));
            }
        }
        None
    });
}
