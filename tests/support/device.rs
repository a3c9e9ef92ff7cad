//! A device: it speaks the MQTT payloads of a real one, and hears what is published to it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::{Value, json};

use crate::{Block, Call, World};

/// A device of the story.
#[derive(Clone)]
pub struct Device {
    world: World,
    state: Rc<DeviceState>,
}

pub(crate) struct DeviceState {
    pub(crate) name: String,
    secret: String,
    version: RefCell<String>,
    session: Cell<Option<u64>>,
    /// Published messages looked at so far.
    heard: Cell<usize>,
    /// What it said last.
    last: RefCell<Option<(String, Value)>>,
}

impl DeviceState {
    pub(crate) fn new(name: &str, secret: &str) -> Self {
        Self {
            name: name.to_owned(),
            secret: secret.to_owned(),
            version: RefCell::default(),
            session: Cell::default(),
            heard: Cell::default(),
            last: RefCell::default(),
        }
    }

    pub(crate) fn is_online(&self) -> bool {
        self.session.get().is_some()
    }
}

/// What a device was told to upgrade to.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// The whole message.
    pub message: Value,
    /// The version.
    pub version: String,
    /// Where to download it.
    pub url: String,
    /// How long it is.
    pub size: u64,
}

impl Device {
    pub(crate) fn new(world: World, state: Rc<DeviceState>) -> Self {
        Self { world, state }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Returns its secret.
    pub fn secret(&self) -> &str {
        &self.state.secret
    }

    /// Returns the version it runs.
    pub fn version(&self) -> String {
        self.state.version.borrow().clone()
    }

    /// Tells whether it is connected.
    pub fn is_online(&self) -> bool {
        self.state.is_online()
    }

    // Speaking.

    /// Sends a payload on a topic, and returns the status it was answered with.
    pub fn say(&self, topic: &str, payload: &Value) -> u16 {
        *self.state.last.borrow_mut() = Some((topic.to_owned(), payload.clone()));
        let uri = format!("/internal/device-messages?topic={topic}");
        let answer = self.world.send_once(&Call::post(uri, payload));
        assert!(answer.status == 204 || self.world.0.patient.get(), "{answer:?}");
        answer.status
    }

    /// Sends bytes that are no well-formed JSON, perhaps, on a topic, and returns the status they were answered with.
    pub fn say_bytes(&self, topic: &str, payload: &[u8]) -> u16 {
        let uri = format!("/internal/device-messages?topic={topic}");
        self.world.send_once(&Call::new("POST", uri).bytes(payload)).status
    }

    /// Says once more what it said last.
    pub fn repeat(&self) {
        let last = self.state.last.borrow().clone();
        if let Some((topic, payload)) = last {
            self.say(&topic, &payload);
        }
    }

    /// Connects without a word about its version.
    pub fn connect_silently(&self) {
        self.world.0.counter.set(self.world.0.counter.get() + 1);
        let session = self.world.0.counter.get();
        self.state.session.set(Some(session));
        self.state.heard.set(self.world.0.published.borrow().len());
        self.presence("online", session);
    }

    /// Connects and tells its version, as devices do.
    pub fn connect(&self, version: &str) {
        self.connect_silently();
        self.report(version);
    }

    /// Loses its connection.
    pub fn disconnect(&self) {
        if let Some(session) = self.state.session.take() {
            self.presence("offline", session);
        }
    }

    /// Tells that the whole device runs `version`.
    pub fn report(&self, version: &str) {
        *self.state.version.borrow_mut() = version.to_owned();
        let (topic, payload) = self.version_report(version);
        self.say(&topic, &payload);
    }

    /// Returns the topic and payload of a report of a version.
    pub fn version_report(&self, version: &str) -> (String, Value) {
        (self.topic("inform"), json!({"id": "1", "params": {"version": version}}))
    }

    /// Tells that a module runs `version`.
    pub fn report_module(&self, module: &str, version: &str) {
        let params = json!({"version": version, "module": module});
        self.say(&self.topic("inform"), &json!({"id": "1", "params": params}));
    }

    /// Tells how far the upgrade is, or by -1 to -4 that it failed.
    pub fn progress(&self, step: i32, desc: &str) {
        // Shipped devices send the step as text.
        let params = json!({"step": step.to_string(), "desc": desc});
        self.say(&self.topic("progress"), &json!({"id": "1", "params": params}));
    }

    /// Tells how far the upgrade of a module is, or by -1 to -4 that it failed.
    pub fn progress_module(&self, module: &str, step: i32) {
        let params = json!({"step": step.to_string(), "desc": "", "module": module});
        self.say(&self.topic("progress"), &json!({"id": "1", "params": params}));
    }

    /// Asks for its upgrade, and returns the answer.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn ask(&self) -> Value {
        self.ask_in_words(&json!({}))
    }

    /// Asks for the upgrade of a module, and returns the answer.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn ask_module(&self, module: &str) -> Value {
        self.ask_in_words(&json!({"module": module}))
    }

    fn ask_in_words(&self, params: &Value) -> Value {
        let before = self.world.0.published.borrow().len();
        let topic = format!("/sys/{}/{}/thing/ota/firmware/get", self.world.product_key(), self.name());
        self.say(&topic, &json!({"id": "7", "params": params}));
        let published = self.world.0.published.borrow();
        let reply = published[before..].iter().find(|push| push.topic == format!("{topic}_reply"));
        reply.expect("who asks is answered").payload.clone()
    }

    /// Asks for bytes of a stream's file, in the words of the C SDK with their superfluous comma, and returns the answer.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    pub fn ask_block(&self, stream: u64, file: u64, size: i64, offset: u64) -> Block {
        let payload = format!(
            r#"{{"id":"5","version":"1.0","params":{{"fileToken":"default","fileInfo":{{"streamId":{stream},"fileId":{file},}},"fileBlock":{{"size":{size},"offset":{offset}}}}}}}"#
        );
        self.ask_block_in_words(payload.as_bytes())
    }

    /// Asks for a block in words of its own, and returns the answer.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    pub fn ask_block_in_words(&self, payload: &[u8]) -> Block {
        let before = self.world.0.published.borrow().len();
        let topic = format!("/sys/{}/{}/thing/file/download", self.world.product_key(), self.name());
        assert_eq!(self.say_bytes(&topic, payload), 204);
        let published = self.world.0.published.borrow();
        let reply = published[before..].iter().find(|push| push.topic == format!("{topic}_reply"));
        Block::parse(&reply.expect("who asks is answered").bytes)
    }

    /// Makes the upgrade it was told of: downloads, restarts into the new version.
    ///
    /// # Panics
    /// If it was told of none.
    #[track_caller]
    pub fn upgrade(&self) {
        assert!(self.obey(), "{} was told of no upgrade", self.name());
    }

    /// Makes the upgrade it was told of, if any; returns whether there was one.
    pub fn obey(&self) -> bool {
        let told = self.told();
        let Some(upgrade) = told.last().filter(|upgrade| upgrade.version != self.version()) else {
            return false;
        };
        self.progress(0, "");
        self.progress(100, "downloaded");
        self.restart(&upgrade.version);
        true
    }

    /// Restarts into a version.
    pub fn restart(&self, version: &str) {
        self.disconnect();
        self.connect(version);
    }

    // Hearing.

    /// Returns the upgrades it was told of since it was last asked, while it was there to hear.
    pub fn told(&self) -> Vec<Upgrade> {
        let published = self.world.0.published.borrow();
        let from = self.state.heard.replace(published.len());
        let topic = self.topic("upgrade");
        let heard = published[from..].iter().filter(|push| push.heard && push.topic == topic);
        heard.map(|push| Upgrade::from(&push.payload)).collect()
    }

    /// Returns the device as the operator sees it.
    pub fn get(&self) -> Value {
        self.world.get(format!("/v1/products/{}/devices/{}", self.world.product_key(), self.name()))
    }

    /// Lets the operator delete it; that it is gone already is as good.
    pub fn delete(&self) {
        let uri = format!("/v1/products/{}/devices/{}", self.world.product_key(), self.name());
        let answer = self.world.send(&Call::delete(uri));
        assert!(matches!(answer.status, 204 | 404), "{answer:?}");
        self.world.0.devices.borrow_mut().remove(self.name());
    }

    fn topic(&self, verb: &str) -> String {
        format!("/ota/device/{verb}/{}/{}", self.world.product_key(), self.name())
    }

    /// The broker's word about a connection, which is none of the device's own.
    fn presence(&self, status: &str, session: u64) {
        let topic = format!("/overair/presence/{}/{}", self.world.product_key(), self.name());
        let at = self.world.now_ms();
        self.say(&topic, &json!({"status": status, "session": format!("s{session}"), "at": at}));
    }
}

impl From<&Value> for Upgrade {
    fn from(message: &Value) -> Self {
        let data = &message["data"];
        let text = |field: &str| data[field].as_str().unwrap_or_default().to_owned();
        Self {
            version: text("version"),
            url: text("url"),
            size: data["size"].as_u64().unwrap_or_default(),
            message: message.clone(),
        }
    }
}
