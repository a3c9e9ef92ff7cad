//! A device: a small state machine that hears of upgrades or does not, and tells the truth or does not.

use serde_json::{Value, json};

use crate::dice::Dice;

/// The version that devices leave the factory with.
pub(crate) const FIRST_VERSION: &str = "1.0.0";
/// A version that no package leads to.
const STRAY_VERSION: &str = "0.9.0";

/// What a device is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Character {
    /// Does what it is told.
    Obedient,
    /// Fails often, comes back in the old version, goes offline.
    Clumsy,
    /// Says what is not so.
    Liar,
}

/// An upgrade that a device was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) version: String,
    pub(crate) url: String,
}

/// A device. What it says is put on its way by the world.
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) secret: String,
    /// What it runs.
    pub(crate) version: String,
    pub(crate) character: Character,
    /// The broker's number of its connection.
    pub(crate) session: Option<u64>,
    pub(crate) told: Option<Told>,
    pub(crate) is_deleted: bool,
    /// Whether a login is under way.
    pub(crate) is_connecting: bool,
    progress: u64,
}

/// What a device does next.
pub(crate) enum Act {
    Connect,
    Disconnect,
    /// Says something: what follows the topic's beginning, and the payload.
    Say(Word),
    /// Ends its connection and comes back; the image has been written, or not.
    Reboot,
    Download(Told),
    Nothing,
}

/// What a device says.
pub(crate) enum Word {
    Version(String),
    Progress(Value),
    Ask,
    AskAsBefore,
    Garbage(Vec<u8>),
}

impl Word {
    /// Returns the topic and the payload.
    pub(crate) fn message(&self, product: &str, name: &str) -> (String, Vec<u8>) {
        let topic = |verb: &str| format!("/ota/device/{verb}/{product}/{name}");
        match self {
            Self::Version(version) => {
                (topic("inform"), json!({"id": "1", "params": {"version": version}}).to_string().into())
            }
            Self::Progress(params) => {
                (topic("progress"), json!({"id": "1", "params": params}).to_string().into())
            }
            Self::Ask => (
                format!("/sys/{product}/{name}/thing/ota/firmware/get"),
                json!({"id": "7", "params": {}}).to_string().into(),
            ),
            Self::AskAsBefore => (topic("request"), json!({"id": "8", "params": {}}).to_string().into()),
            Self::Garbage(bytes) => (topic("progress"), bytes.clone()),
        }
    }
}

impl Device {
    pub(crate) fn new(name: String, secret: String, character: Character) -> Self {
        Self {
            name,
            secret,
            version: FIRST_VERSION.to_owned(),
            character,
            session: None,
            told: None,
            is_deleted: false,
            is_connecting: false,
            progress: 0,
        }
    }

    /// Hears what the broker sends.
    pub(crate) fn hear(&mut self, topic: &str, payload: &[u8]) {
        let told: Value = serde_json::from_slice(payload).unwrap_or_default();
        let is_notice = topic.contains("/upgrade/") || topic.ends_with("/firmware/get_reply");
        let data = &told["data"];
        if let (true, Some(version)) = (is_notice, data["version"].as_str()) {
            let url = data["url"].as_str().unwrap_or_default();
            self.told = Some(Told { version: version.to_owned(), url: url.to_owned() });
            self.progress = 0;
        }
    }

    /// Decides what to do next.
    pub(crate) fn act(&mut self, dice: &mut Dice) -> Act {
        if self.is_deleted || self.is_connecting {
            return Act::Nothing;
        }
        if self.session.is_none() {
            return if dice.permille(600) { Act::Connect } else { Act::Nothing };
        }
        let luck = dice.below(1_000);
        match self.character {
            Character::Liar if luck < 350 => self.lie(dice),
            Character::Clumsy if luck < 250 => self.stumble(dice),
            _ if luck > 960 => Act::Disconnect,
            _ if luck > 900 => Act::Say(Word::Version(self.version.clone())),
            _ if luck > 870 => Act::Say(Word::Ask),
            _ if luck > 860 => Act::Say(Word::AskAsBefore),
            _ => self.go_on(dice),
        }
    }

    /// Goes on with the upgrade it was told of.
    pub(crate) fn go_on(&mut self, dice: &mut Dice) -> Act {
        let Some(told) = self.told.clone() else { return Act::Nothing };
        if told.version == self.version {
            self.told = None;
            return Act::Say(Word::Version(self.version.clone()));
        }
        if self.progress == 0 && dice.permille(300) {
            self.progress = 1;
            return Act::Download(told);
        }
        if self.progress >= 100 {
            self.version = told.version;
            self.told = None;
            self.progress = 0;
            return Act::Reboot;
        }
        self.progress = (self.progress + dice.within(10, 60)).min(100);
        let step = json!({"step": self.progress.to_string(), "desc": ""});
        Act::Say(Word::Progress(step))
    }

    fn stumble(&mut self, dice: &mut Dice) -> Act {
        match dice.below(5) {
            0 => Act::Disconnect,
            // The image does not start, and the device comes back with the old one.
            1 => Act::Reboot,
            2 => {
                self.version = FIRST_VERSION.to_owned();
                Act::Reboot
            }
            _ => {
                let step = dice.within(1, 4);
                Act::Say(Word::Progress(json!({"step": format!("-{step}"), "desc": "it did not work"})))
            }
        }
    }

    fn lie(&mut self, dice: &mut Dice) -> Act {
        match dice.below(7) {
            0 => Act::Say(Word::Version(STRAY_VERSION.to_owned())),
            1 => Act::Say(Word::Version(FIRST_VERSION.to_owned())),
            // It tells that it has what it was told to get.
            2 => match &self.told {
                Some(told) => Act::Say(Word::Version(told.version.clone())),
                None => Act::Say(Word::Version("1.1.0".to_owned())),
            },
            3 => Act::Say(Word::Progress(json!({"step": dice.within(0, 120), "desc": "so it says"}))),
            4 => Act::Say(Word::Progress(json!({"step": -(dice.within(1, 9) as i64), "desc": "so it says"}))),
            5 => Act::Say(Word::Garbage(b"{\"id\":1,\"params\":{\"step\":".to_vec())),
            _ => Act::Say(Word::Progress(json!({"step": "far", "module": "mcu"}))),
        }
    }
}
