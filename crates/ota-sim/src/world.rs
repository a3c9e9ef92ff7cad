//! The scheduler: it holds everything that is under way and chooses what goes on next.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::FutureExt;
use ota_core::device::auth::{SignMethod, password};
use ota_core::ids::{DeviceName, DeviceRef, ProductKey};
use ota_store::memory::MemoryKv;
use serde_json::json;

use crate::call::{self, Answer, Call};
use crate::device::{Act, Character, Device, Word};
use crate::engine::{Gate, Shared, SimEngine, Verdict, Waiting, What};
use crate::operator::Operator;
use crate::plant::Plant;
use crate::weather::Weather;

/// When every run begins.
const START_MS: u64 = 1_700_000_000_000;
/// How often the dispatcher's clock ticks.
pub(crate) const TICK_MS: u64 = 5_000;
/// Requests under way at once.
const RUNNING_MAX: usize = 10;
/// Processes that requests are spread over; each may die by itself.
const PROCESSES: u64 = 2;
/// How long a request may take. Engines end a request that takes longer, and claims rely on it (`ota_store::claim`).
const REQUEST_LIFE_MS: u64 = 50_000;
/// How often a message of a device is posted before it is given up, as the bridge does.
const POSTS_MAX: u32 = 5;
/// Steps of one request without end would be a fault of the simulation.
const DRAIN_STEPS_MAX: u64 = 200_000;

/// A message on its way from a device, or from the broker about one, to the service.
#[derive(Clone)]
pub(crate) struct Up {
    topic: String,
    payload: Vec<u8>,
    posts: u32,
}

/// A message on its way from the service to a device.
pub(crate) struct Down {
    device: String,
    topic: String,
    payload: Vec<u8>,
}

/// What a request is for.
pub(crate) enum Purpose {
    /// An operator's wish, by its number.
    Wish(usize),
    Message(Up),
    Tick,
    Nudge,
    Login {
        device: String,
        /// Whether it must succeed: the device was registered before, and nobody wants it gone.
        must: bool,
    },
    Download {
        version: String,
    },
    /// A question of the simulation itself, whose answer is put aside.
    Question,
}

impl Purpose {
    fn name(&self) -> &'static str {
        match self {
            Self::Wish(_) => "operator",
            Self::Message(_) => "message",
            Self::Tick => "tick",
            Self::Nudge => "nudge",
            Self::Login { .. } => "login",
            Self::Download { .. } => "download",
            Self::Question => "question",
        }
    }
}

/// Whether a part of a request asks to be polled again.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A request under way.
struct Running {
    process: u64,
    purpose: Option<Purpose>,
    call: Call,
    gate: Rc<Gate>,
    main: Option<Pin<Box<dyn Future<Output = Answer>>>>,
    began: u64,
}

impl Running {
    /// Lets it go on until it stops at a gate again; returns its answer if it has one now.
    fn poll(&mut self) -> Option<Answer> {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let mut answer = None;
        // The parts of a request wake each other: what sends a body, and what reads it.
        while woken.0.swap(false, Ordering::Relaxed) {
            if let Some(main) = &mut self.main
                && let Poll::Ready(told) = main.as_mut().poll(&mut context)
            {
                (answer, self.main) = (Some(told), None);
            }
            let mut tasks = self.gate.spawned.take();
            tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
            let mut more = self.gate.spawned.borrow_mut();
            // What was begun just now has not been polled yet.
            woken.0.fetch_or(!more.is_empty(), Ordering::Relaxed);
            tasks.append(&mut more);
            *more = tasks;
        }
        answer
    }

    fn is_over(&self) -> bool {
        self.main.is_none() && self.gate.spawned.borrow().is_empty()
    }
}

/// What a run has come to so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Processes and requests that died, and machines that fell asleep.
    pub(crate) crashes: u64,
    pub(crate) refused: u64,
    pub(crate) requests: u64,
    pub(crate) ticks: u64,
}

/// Everything.
pub(crate) struct World {
    pub(crate) shared: Rc<Shared>,
    pub(crate) devices: Vec<Device>,
    pub(crate) operator: Operator,
    pub(crate) up: Vec<Up>,
    pub(crate) down: Vec<Down>,
    pub(crate) tally: Tally,
    pub(crate) weather: Weather,
    pub(crate) answer: Option<Answer>,
    running: Vec<Running>,
    next_request: u64,
    next_session: u64,
    next_tick: u64,
    set_backs: u64,
}

impl World {
    pub(crate) fn new(seed: u64, print: bool, plant: Option<Plant>) -> Self {
        // The two kinds of store that the service runs on, by turns.
        let store = if seed.is_multiple_of(2) { MemoryKv::new() } else { MemoryKv::with_spin_quirks() };
        let shared = Rc::new(Shared::new(store, seed, START_MS, print, plant));
        let weather = Weather::new(&mut shared.dice.borrow_mut());
        shared.receiver_fails.set(weather.receiver_fails);
        shared.note(&format!("seed {seed}: {weather:?}"));
        let operator = Operator::new(&mut shared.dice.borrow_mut());
        Self {
            shared,
            devices: Vec::new(),
            operator,
            up: Vec::new(),
            down: Vec::new(),
            tally: Tally::default(),
            weather,
            answer: None,
            running: Vec::new(),
            next_request: 1,
            next_session: 1,
            next_tick: 0,
            set_backs: 0,
        }
    }

    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.shared.dice.borrow_mut().below(bound)
    }

    pub(crate) fn permille(&self, times: u64) -> bool {
        self.shared.dice.borrow_mut().permille(times)
    }

    pub(crate) fn index(&self, len: usize) -> Option<usize> {
        self.shared.dice.borrow_mut().index(len)
    }

    pub(crate) fn clock(&self) -> u64 {
        self.shared.clock.get()
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.shared.watch.borrow().violation.is_some()
    }

    /// Counts one step, and lets a moment pass.
    fn begin_step(&self, ms: u64) {
        self.shared.step.set(self.shared.step.get() + 1);
        self.shared.advance(ms);
        self.shared.watch.borrow_mut().moment = self.shared.moment.get();
    }

    /// Lets one thing happen.
    pub(crate) fn step(&mut self) {
        let ms = self.below(5);
        self.begin_step(ms);
        self.take_what_was_asked();
        let busy = self.running.len() >= RUNNING_MAX;
        match self.below(1_000) {
            luck if luck < self.weather.crash => self.crash_process(),
            luck if luck < 640 || busy => self.go_on(),
            luck if luck < 740 => self.act_as_device(),
            luck if luck < 820 => self.post_message(),
            luck if luck < 870 => self.bring_message(),
            luck if luck < 930 => self.act_as_operator(),
            luck if luck < 970 => self.tick_now_and_then(),
            _ => self.let_time_pass(),
        }
    }

    // Requests.

    /// Begins a request.
    pub(crate) fn begin(&mut self, purpose: Purpose, call: Call) {
        let number = self.next_request;
        self.next_request += 1;
        self.tally.requests += 1;
        let is_dispatch = call.uri.starts_with("/internal/dispatch");
        let gate = Rc::new(Gate::new(number, is_dispatch, self.shared.moment.get()));
        let process = self.below(PROCESSES);
        self.shared.note(&format!("#{number} begins in process {process}: {} {call}", purpose.name()));
        let engine = SimEngine::new(&self.shared, &gate);
        let mut running = Running {
            process,
            purpose: Some(purpose),
            call: call.clone(),
            gate,
            main: Some(Box::pin(call::make(engine, call))),
            began: self.clock(),
        };
        let answer = running.poll();
        self.running.push(running);
        self.after_poll(self.running.len() - 1, answer);
    }

    fn after_poll(&mut self, at: usize, answer: Option<Answer>) {
        if let Some(answer) = answer {
            let purpose = self.running[at].purpose.take();
            let gate = Rc::clone(&self.running[at].gate);
            let call = self.running[at].call.to_string();
            self.shared.note(&format!("#{} is answered {}", gate.request, answer.status));
            self.shared.watch.borrow_mut().answered(&gate, &call, answer.status, &answer.text());
            if self.running[at].is_over() {
                self.running.remove(at);
            }
            let unheard = self.permille(self.weather.unheard);
            if unheard {
                self.shared.note(&format!("#{}: nobody hears the answer", gate.request));
            }
            if let Some(purpose) = purpose {
                self.hear(purpose, (!unheard).then_some(answer));
            }
        } else if self.running[at].is_over() {
            self.running.remove(at);
        }
    }

    /// What may go on: a request, and one of its operations.
    fn ready(&self) -> Vec<(usize, Rc<Waiting>)> {
        let moment = self.shared.moment.get();
        let mut ready = Vec::new();
        for (at, running) in self.running.iter().enumerate() {
            for waiting in running.gate.waiting.borrow().iter() {
                if !matches!(waiting.what, What::Sleep { until } if until > moment) {
                    ready.push((at, Rc::clone(waiting)));
                }
            }
        }
        ready
    }

    /// Lets one operation of one request go on, well or badly.
    fn go_on(&mut self) {
        let ready = self.ready();
        let Some(chosen) = self.index(ready.len()) else { return };
        let (at, waiting) = &ready[chosen];
        let verdict = self.verdict(&waiting.what);
        match verdict {
            Some(verdict) => self.decide(*at, waiting, verdict),
            None => {
                let number = self.running[*at].gate.request;
                self.shared.note(&format!("#{number} dies before {}", waiting.what));
                self.die(*at);
            }
        }
    }

    /// Chooses how an operation goes on; `None` is that its request dies before it.
    fn verdict(&self, what: &What) -> Option<Verdict> {
        let weather = self.weather;
        if matches!(what, What::Sleep { .. }) {
            return Some(Verdict::Go);
        }
        let luck = self.below(1_000);
        let (refuse, lose) = (weather.refuse, weather.refuse + weather.lose_answer);
        let (before, after) = (lose + weather.die_before, lose + weather.die_before + weather.die_after);
        match luck {
            luck if luck < refuse => Some(Verdict::Refuse),
            luck if luck < lose && what.is_change() => Some(Verdict::LoseAnswer),
            luck if luck >= lose && luck < before => None,
            luck if luck >= before && luck < after && what.is_change() => Some(Verdict::DieAfter),
            _ => Some(Verdict::Go),
        }
    }

    fn decide(&mut self, at: usize, waiting: &Rc<Waiting>, verdict: Verdict) {
        let gate = Rc::clone(&self.running[at].gate);
        let outcome = match verdict {
            Verdict::Go => "",
            Verdict::Refuse => ": refused",
            Verdict::LoseAnswer => ": done, the answer is lost",
            Verdict::DieAfter => ": done, and it dies",
        };
        self.shared.note(&format!("#{} {}{outcome}", gate.request, waiting.what));
        if verdict != Verdict::Go {
            gate.is_hurt.set(true);
            self.tally.refused += u64::from(verdict != Verdict::DieAfter);
        }
        waiting.decide(verdict);
        let answer = self.running[at].poll();
        if verdict == Verdict::DieAfter {
            self.die(at);
        } else {
            self.after_poll(at, answer);
        }
    }

    /// A request dies: nobody hears of it any more.
    fn die(&mut self, at: usize) {
        self.tally.crashes += 1;
        let dead = self.running.remove(at);
        if let Some(purpose) = dead.purpose {
            self.hear(purpose, None);
        }
    }

    fn crash_process(&mut self) {
        let process = self.below(PROCESSES);
        self.shared.note(&format!("process {process} dies"));
        self.tally.crashes += 1;
        let (dead, alive): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running).into_iter().partition(|running| running.process == process);
        self.running = alive;
        if self.shared.plant == Some(Plant::TornCrash) {
            self.shared.tear().now_or_never().expect("the memory never waits");
        }
        for purpose in dead.into_iter().filter_map(|running| running.purpose) {
            self.hear(purpose, None);
        }
    }

    /// Ends requests that take longer than any engine lets them.
    fn end_old_requests(&mut self) {
        let oldest = self.clock().saturating_sub(REQUEST_LIFE_MS);
        while let Some(at) = self.running.iter().position(|running| running.began < oldest) {
            let number = self.running[at].gate.request;
            self.shared.note(&format!("#{number} has taken too long"));
            self.die(at);
        }
    }

    /// Lets everything that is under way come to its end, without any fault.
    pub(crate) fn drain(&mut self) {
        for _ in 0..DRAIN_STEPS_MAX {
            self.take_what_was_asked();
            if self.running.is_empty() || self.is_broken() {
                return;
            }
            self.begin_step(1);
            match self.ready().first() {
                Some((at, waiting)) => self.decide(*at, &Rc::clone(waiting), Verdict::Go),
                None => self.shared.advance(1_000),
            }
        }
        panic!("the requests under way never come to an end");
    }

    /// Makes a request of the simulation's own, and lets everything come to its end.
    pub(crate) fn ask(&mut self, call: Call) -> Answer {
        self.answer = None;
        self.begin(Purpose::Question, call);
        self.drain();
        let nothing = Answer { status: 0, body: Vec::new(), is_cut: true };
        self.answer.take().unwrap_or(nothing)
    }

    /// Tells whoever asked what was answered; nothing if the answer was lost.
    fn hear(&mut self, purpose: Purpose, answer: Option<Answer>) {
        match purpose {
            Purpose::Wish(wish) => self.hear_of_wish(wish, answer),
            Purpose::Message(up) => {
                let is_taken = answer.is_some_and(|answer| answer.status < 500);
                if !is_taken && up.posts < POSTS_MAX {
                    self.up.push(up);
                }
            }
            Purpose::Login { device, must } => self.hear_of_login(&device, must, answer),
            Purpose::Download { version } => {
                if let Some(answer) = answer.filter(|answer| answer.status == 200 && !answer.is_cut) {
                    let whole = answer.body == crate::operator::image(&version);
                    self.shared.watch.borrow_mut().check("invariant_downloads_are_whole", whole, || {
                        format!("{version}: {} bytes", answer.body.len())
                    });
                }
            }
            Purpose::Question => self.answer = answer,
            Purpose::Tick | Purpose::Nudge => {}
        }
    }

    // The broker.

    /// Takes over what functions have published, and what they have asked of the dispatcher.
    fn take_what_was_asked(&mut self) {
        for message in self.shared.taken.take() {
            let device = message.topic.split('/').find_map(|level| {
                self.devices.iter().find(|device| device.name == level && device.session.is_some())
            });
            if let Some(device) = device {
                let device = device.name.clone();
                self.down.push(Down { device, topic: message.topic, payload: message.payload });
            }
        }
        for (path, body) in self.shared.nudges.take() {
            self.begin(Purpose::Nudge, Call::bytes(path, body));
        }
    }

    fn post_message(&mut self) {
        let overtakes = self.permille(self.weather.reorder);
        let at = if overtakes { self.index(self.up.len()) } else { (!self.up.is_empty()).then_some(0) };
        let Some(at) = at else { return };
        let up = self.up.remove(at);
        if self.permille(self.weather.lose_message) {
            self.shared.note(&format!("lost on the way: {}", up.topic));
            return;
        }
        if self.permille(self.weather.repeat_message) {
            self.up.push(Up { posts: 0, ..up.clone() });
        }
        self.post(up);
    }

    pub(crate) fn post(&mut self, up: Up) {
        let uri = format!("/internal/device-messages?topic={}", up.topic);
        let call = Call::bytes(uri, up.payload.clone());
        self.begin(Purpose::Message(Up { posts: up.posts + 1, ..up }), call);
    }

    fn bring_message(&mut self) {
        let overtakes = self.permille(self.weather.reorder);
        let at = if overtakes { self.index(self.down.len()) } else { (!self.down.is_empty()).then_some(0) };
        let Some(at) = at else { return };
        let down = self.down.remove(at);
        if self.permille(self.weather.lose_message) {
            self.shared.note(&format!("lost on the way: {}", down.topic));
            return;
        }
        if self.permille(self.weather.repeat_message) {
            let Down { device, topic, payload } = &down;
            self.down.push(Down { device: device.clone(), topic: topic.clone(), payload: payload.clone() });
        }
        self.bring(&down);
    }

    pub(crate) fn bring(&mut self, down: &Down) {
        let device = self.devices.iter_mut().find(|device| device.name == down.device);
        if let Some(device) = device.filter(|device| device.session.is_some()) {
            device.hear(&down.topic, &down.payload);
            self.shared.note(&format!("{} hears {}", down.device, down.topic));
        }
    }

    /// Puts the broker's word of a connection on its way.
    fn presence(&mut self, name: &str, status: &str, session: u64) {
        let Some(product) = self.operator.product.clone() else { return };
        let payload = json!({"status": status, "session": format!("s{session}"), "at": self.clock()});
        self.up.push(Up {
            topic: format!("/overair/presence/{product}/{name}"),
            payload: payload.to_string().into_bytes(),
            posts: 0,
        });
    }

    // Devices.

    fn act_as_device(&mut self) {
        let Some(at) = self.index(self.devices.len()) else { return };
        let act = self.devices[at].act(&mut self.shared.dice.borrow_mut());
        self.perform(at, act);
    }

    pub(crate) fn perform(&mut self, at: usize, act: Act) {
        match act {
            Act::Connect => self.log_in(at),
            Act::Disconnect => self.disconnect(at),
            Act::Say(word) => self.say(at, &word),
            Act::Reboot => {
                self.disconnect(at);
                self.connect(at);
                let version = self.devices[at].version.clone();
                self.say(at, &Word::Version(version));
            }
            Act::Download(told) => {
                if !told.url.is_empty() {
                    let call = Call::get(told.url.trim_start_matches("http://ota.test"));
                    self.begin(Purpose::Download { version: told.version }, call);
                }
            }
            Act::Nothing => {}
        }
    }

    pub(crate) fn say(&mut self, at: usize, word: &Word) {
        let Some(product) = self.operator.product.clone() else { return };
        let name = self.devices[at].name.clone();
        if let Word::Version(version) = word {
            let mut watch = self.shared.watch.borrow_mut();
            watch.ledger.said.entry(name.clone()).or_default().insert(version.clone());
        }
        let (topic, payload) = word.message(&product, &name);
        self.shared.note(&format!("{name} says {topic} {}", String::from_utf8_lossy(&payload)));
        self.up.push(Up { topic, payload, posts: 0 });
    }

    pub(crate) fn disconnect(&mut self, at: usize) {
        let name = self.devices[at].name.clone();
        if let Some(session) = self.devices[at].session.take() {
            self.shared.note(&format!("{name} loses its connection s{session}"));
            self.presence(&name, "offline", session);
        }
    }

    pub(crate) fn connect(&mut self, at: usize) {
        let (name, session) = (self.devices[at].name.clone(), self.next_session);
        self.next_session += 1;
        self.devices[at].session = Some(session);
        self.shared.note(&format!("{name} has the connection s{session}"));
        self.presence(&name, "online", session);
    }

    /// Asks the broker for a connection, which asks the service.
    fn log_in(&mut self, at: usize) {
        let Some(product) = self.operator.product.clone() else { return };
        let device = &mut self.devices[at];
        device.is_connecting = true;
        let names = ProductKey::new(&product).ok().zip(DeviceName::new(&device.name).ok());
        let (product_key, device_name) = names.expect("the service has taken these names");
        let identity = DeviceRef { product_key, device_name };
        let said = json!({
            "client_id": "c|securemode=3,signmethod=hmacsha256|",
            "username": format!("{}&{product}", device.name),
            "password": password("c", &identity, None, SignMethod::HmacSha256, &device.secret),
        });
        let name = device.name.clone();
        let must = !self.shared.watch.borrow().ledger.deleting.contains(&name);
        let call = Call::post("/internal/device-auth/login", &said);
        self.begin(Purpose::Login { device: name, must }, call);
    }

    fn hear_of_login(&mut self, name: &str, must: bool, answer: Option<Answer>) {
        let Some(at) = self.devices.iter().position(|device| device.name == name) else { return };
        self.devices[at].is_connecting = false;
        let Some(answer) = answer else { return };
        let wanted = must && !self.shared.watch.borrow().ledger.deleting.contains(name);
        self.shared.watch.borrow_mut().check(
            "invariant_a_registered_device_may_log_in",
            answer.status != 403 || !wanted,
            || format!("{name} is refused: {}", answer.text()),
        );
        if answer.status == 200 && !self.devices[at].is_deleted {
            self.connect(at);
            let version = self.devices[at].version.clone();
            if self.permille(900) {
                self.say(at, &Word::Version(version));
            }
        }
    }

    /// Adds a device that the service has registered.
    pub(crate) fn add_device(&mut self, name: &str, secret: &str) {
        if self.devices.iter().any(|device| device.name == name) {
            return;
        }
        let character = match self.below(10) {
            0..=4 => Character::Obedient,
            5..=7 => Character::Clumsy,
            _ => Character::Liar,
        };
        self.devices.push(Device::new(name.to_owned(), secret.to_owned(), character));
    }

    // The clock.

    fn tick_now_and_then(&mut self) {
        let due = self.clock() >= self.next_tick;
        if due || self.permille(100) {
            self.next_tick = self.clock() + TICK_MS;
            self.tick();
        }
    }

    pub(crate) fn tick(&mut self) {
        self.tally.ticks += 1;
        self.begin(Purpose::Tick, Call::bytes("/internal/dispatch/tick", Vec::new()));
    }

    fn let_time_pass(&mut self) {
        let ms = if self.permille(self.weather.sleep) {
            // Everything was asleep: what was under way has lost its connections.
            let ms = self.shared.dice.borrow_mut().within(60_000, 3 * 3_600_000);
            self.shared.note(&format!("the machine sleeps for {ms} ms"));
            ms
        } else if self.permille(self.weather.stall * 10) {
            self.shared.dice.borrow_mut().within(4_000, 70_000)
        } else {
            self.shared.dice.borrow_mut().within(100, 3_000)
        };
        self.shared.advance(ms);
        self.shared.note(&format!("{ms} ms pass"));
        self.end_old_requests();
        // At most twice, and never made up for at once: clocks are slewed forward, not stepped.
        if self.set_backs < 2 && self.permille(self.weather.set_back * 10) {
            self.set_backs += 1;
            let back = self.shared.dice.borrow_mut().within(1, 4_000);
            self.shared.clock.set(self.clock() - back);
            self.shared.watch.borrow_mut().ledger.set_back = true;
            self.shared.note(&format!("the clock is set back by {back} ms"));
        }
    }
}
