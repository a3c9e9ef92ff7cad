//! What devices send: MQTT topics and payloads become a [`DeviceMessage`].
//!
//! Devices in the field write JSON by hand, and no two of them alike: ids and steps as text or as numbers, `null` for
//! a module, a NUL behind the last brace. Whatever has one sensible meaning is read; the rest is a [`MessageError`],
//! which nobody but the log is told, because no such message has a reply.
//!
//! Deliberately missing: the id of a report. Ids start over at each boot, or never change, so they tell nothing.

pub mod gateway;
pub(super) mod json;

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use super::block::{self, BlockRequest};
use crate::error::{Coded, ValueError};
use crate::ids::{DeviceName, DeviceRef, ModuleName, ProductKey, Version};
use crate::limits;
use crate::time::Timestamp;
use json::{Envelope, Presence, Scalar};

/// Characters of an ignored step that are kept for the log.
const STEP_KEPT_LEN_MAX: usize = 32;
/// Characters of a session's id. The broker's own are shorter.
const SESSION_LEN_MAX: usize = 64;

/// The id of a request, to be echoed with the JSON type it came with (R169): devices compare it as they wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageId {
    /// A JSON string of at most [`limits::MESSAGE_ID_LEN_MAX`] characters.
    Text(String),
    /// A whole JSON number.
    Number(u64),
    /// None was given, or none that could be echoed.
    Absent,
}

/// What a progress report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Percent done, 0 to 100. Devices send 0 when the download begins, and may send 100 before they have checked
    /// the digest: success is the report of the new version.
    Percent(u8),
    /// The upgrade failed.
    Failed(DeviceFailure),
}

/// Which part of an upgrade failed, by the device's own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFailure {
    /// The upgrade as a whole (升级失败), -1.
    Upgrade,
    /// Downloading the package (下载失败), -2.
    Download,
    /// Checking the digest (校验失败), -3.
    Verify,
    /// Writing the flash (烧写失败), -4.
    Flash,
}

impl DeviceFailure {
    /// Every failure there is.
    pub const ALL: [Self; 4] = [Self::Upgrade, Self::Download, Self::Verify, Self::Flash];

    /// Returns the number that devices send as the step.
    pub const fn code(self) -> i8 {
        match self {
            Self::Upgrade => -1,
            Self::Download => -2,
            Self::Verify => -3,
            Self::Flash => -4,
        }
    }

    /// Returns the stable text used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade-failed",
            Self::Download => "download-failed",
            Self::Verify => "verify-failed",
            Self::Flash => "flash-failed",
        }
    }

    /// Reads the stable text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.as_str() == text)
    }
}

/// Where the answer to a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyChannel {
    /// `/sys/{pk}/{dn}/thing/ota/firmware/get_reply`, in the form of a reply.
    GetReply,
    /// `/ota/device/upgrade/{pk}/{dn}`, in the form of a push: the older request (R159).
    Upgrade,
}

/// One message from a device, or from the broker about a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceMessage {
    /// A module runs this version (`inform`).
    VersionReported {
        /// The module; `default` when the message names none (R156).
        module: ModuleName,
        /// The version it runs.
        version: Version,
    },
    /// An upgrade goes on, or has failed (`progress`).
    ProgressReported {
        /// The module; `default` when the message names none.
        module: ModuleName,
        /// How far, or which failure.
        step: Step,
        /// The device's words, cut to [`limits::TASK_DESC_LEN_MAX`] characters.
        desc: String,
    },
    /// The device asks whether there is an upgrade (`firmware/get`, or the older `request`).
    UpgradeRequested {
        /// The module; `default` when the message names none.
        module: ModuleName,
        /// To be echoed.
        id: MessageId,
        /// Where to answer.
        channel: ReplyChannel,
    },
    /// The device asks for a part of the file of its upgrade (`file/download`).
    BlockRequested(BlockRequest),
    /// The broker accepted the device's connection.
    CameOnline {
        /// The broker's id of the connection.
        session: String,
        /// When, by the broker's clock.
        at: Timestamp,
    },
    /// The device's connection ended.
    WentOffline {
        /// The broker's id of the connection.
        session: String,
        /// When, by the broker's clock.
        at: Timestamp,
    },
}

/// Why a message is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// The topic is none that devices report on.
    UnknownTopic,
    /// The topic names no possible device.
    Device {
        /// What is wrong with the product key or the device name.
        fault: ValueError,
    },
    /// The payload is longer than [`limits::DEVICE_MESSAGE_BYTES_MAX`].
    TooLarge {
        /// Bytes found.
        len: usize,
    },
    /// The payload is not the JSON object it should be.
    Malformed {
        /// The line of the fault, from 1.
        line: usize,
        /// The column of the fault, from 1; 0 where a line ends.
        column: usize,
    },
    /// `params.version` is missing or no version.
    Version {
        /// What is wrong with it.
        fault: ValueError,
    },
    /// `params.module` is no module name.
    Module {
        /// What is wrong with it.
        fault: ValueError,
    },
    /// `params.step` is above 100, below -4, or no whole number. Some devices send codes of their own there.
    StepIgnored {
        /// The step's beginning.
        step: String,
    },
    /// The broker's word about a connection lacks a part.
    Presence,
}

impl Coded for MessageError {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownTopic => "message.unknown-topic",
            Self::Device { .. } => "message.device",
            Self::TooLarge { .. } => "message.too-large",
            Self::Malformed { .. } => "message.malformed",
            Self::Version { .. } => "message.version",
            Self::Module { .. } => "message.module",
            Self::StepIgnored { .. } => "message.step-ignored",
            Self::Presence => "message.presence",
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTopic => write!(f, "devices do not report on this topic"),
            Self::Device { fault } => write!(f, "the topic's product key or device name {fault}"),
            Self::TooLarge { len } => {
                write!(f, "has {len} bytes, at most {} are read", limits::DEVICE_MESSAGE_BYTES_MAX)
            }
            Self::Malformed { line, column } => write!(f, "is not the expected JSON at {line}:{column}"),
            Self::Version { fault } => write!(f, "params.version: {fault}"),
            Self::Module { fault } => write!(f, "params.module: {fault}"),
            // Quoted with escapes: a device must not be able to write lines into the log.
            Self::StepIgnored { step } => {
                write!(f, "params.step: {step:?} is no whole number from -4 to 100")
            }
            Self::Presence => write!(f, "is not a status, a session and a time"),
        }
    }
}

impl core::error::Error for MessageError {}

/// Reads a message from its topic and payload.
///
/// # Errors
/// Why the message is to be ignored; no redelivery would cure it.
pub fn parse(topic: &str, payload: &[u8]) -> Result<(DeviceRef, DeviceMessage), MessageError> {
    let (kind, device) = parse_topic(topic)?;
    if payload.len() > limits::DEVICE_MESSAGE_BYTES_MAX {
        return Err(MessageError::TooLarge { len: payload.len() });
    }
    let payload = without_padding(payload);
    let message = match (read(kind, payload), core::str::from_utf8(payload)) {
        // JSON is UTF-8, but some firmware words its `desc` in GBK, and a failure must not get lost over its wording.
        (Err(MessageError::Malformed { .. }), Err(_)) => {
            read(kind, String::from_utf8_lossy(payload).as_bytes())?
        }
        (result, _) => result?,
    };
    Ok((device, message))
}

/// What the topic tells of a message.
#[derive(Clone, Copy)]
enum Kind {
    Inform,
    Progress,
    Get(ReplyChannel),
    Block,
    Presence,
}

fn parse_topic(topic: &str) -> Result<(Kind, DeviceRef), MessageError> {
    let (kind, product_key, device_name) = split_topic(topic).ok_or(MessageError::UnknownTopic)?;
    let fault = |fault| MessageError::Device { fault };
    let product_key = ProductKey::new(product_key).map_err(fault)?;
    let device_name = DeviceName::new(device_name).map_err(fault)?;
    Ok((kind, DeviceRef { product_key, device_name }))
}

fn split_topic(topic: &str) -> Option<(Kind, &str, &str)> {
    let (kind, device) = if let Some(rest) = topic.strip_prefix("/ota/device/") {
        let (verb, device) = rest.split_once('/')?;
        let kind = match verb {
            "inform" => Kind::Inform,
            "progress" => Kind::Progress,
            "request" => Kind::Get(ReplyChannel::Upgrade),
            _ => return None,
        };
        (kind, device)
    } else if let Some(rest) = topic.strip_prefix("/sys/") {
        match rest.strip_suffix("/thing/file/download") {
            Some(device) => (Kind::Block, device),
            None => (Kind::Get(ReplyChannel::GetReply), rest.strip_suffix("/thing/ota/firmware/get")?),
        }
    } else {
        (Kind::Presence, topic.strip_prefix("/overair/presence/")?)
    };
    let (product_key, device_name) = device.split_once('/')?;
    // A level more is another topic, not a bad name.
    (!device_name.contains('/')).then_some((kind, product_key, device_name))
}

/// Cuts what C programs leave behind the JSON: the string's NUL, and line ends.
fn without_padding(payload: &[u8]) -> &[u8] {
    let end = payload.iter().rposition(|b| !matches!(b, b'\0' | b' ' | b'\t' | b'\r' | b'\n'));
    payload.get(..end.map_or(0, |last| last + 1)).unwrap_or_default()
}

fn read(kind: Kind, payload: &[u8]) -> Result<DeviceMessage, MessageError> {
    match kind {
        Kind::Presence => return read_presence(payload),
        Kind::Block => return block::read(payload).map(DeviceMessage::BlockRequested),
        Kind::Inform | Kind::Progress | Kind::Get(_) => {}
    }
    let Envelope { id, params } = serde_json::from_slice(payload).map_err(malformed)?;
    let module = read_module(&params.module)?;
    Ok(match kind {
        Kind::Inform => DeviceMessage::VersionReported { module, version: read_version(&params.version)? },
        Kind::Progress => {
            let step = read_step(&params.step)?;
            let desc = params.desc.text().unwrap_or_default();
            DeviceMessage::ProgressReported { module, step, desc: beginning(desc, limits::TASK_DESC_LEN_MAX) }
        }
        Kind::Get(channel) => DeviceMessage::UpgradeRequested { module, id: read_id(id), channel },
        Kind::Block | Kind::Presence => return Err(MessageError::UnknownTopic),
    })
}

pub(super) fn malformed(error: serde_json::Error) -> MessageError {
    // Its text may quote the payload; where the fault is says enough.
    MessageError::Malformed { line: error.line(), column: error.column() }
}

fn read_presence(payload: &[u8]) -> Result<DeviceMessage, MessageError> {
    let Presence { status, session, at } = serde_json::from_slice(payload).map_err(malformed)?;
    let (Some(status), Some(session), Some(at)) = (status.text(), session.text(), at.unsigned()) else {
        return Err(MessageError::Presence);
    };
    if session.is_empty() || session.chars().count() > SESSION_LEN_MAX {
        return Err(MessageError::Presence);
    }
    let (session, at) = (session.to_owned(), Timestamp(at));
    match status {
        "online" => Ok(DeviceMessage::CameOnline { session, at }),
        "offline" => Ok(DeviceMessage::WentOffline { session, at }),
        _ => Err(MessageError::Presence),
    }
}

fn read_module(module: &Scalar<'_>) -> Result<ModuleName, MessageError> {
    match module {
        Scalar::Absent => Ok(ModuleName::default_module()),
        Scalar::Text(text) if text.is_empty() => Ok(ModuleName::default_module()),
        Scalar::Text(text) => ModuleName::new(text).map_err(|fault| MessageError::Module { fault }),
        Scalar::Integer(_) | Scalar::Other => {
            Err(MessageError::Module { fault: ValueError::Malformed { expected: "text" } })
        }
    }
}

fn read_version(version: &Scalar<'_>) -> Result<Version, MessageError> {
    let fault = |fault| MessageError::Version { fault };
    match version {
        Scalar::Absent => Err(fault(ValueError::Missing)),
        Scalar::Text(text) => Version::new(text).map_err(fault),
        // The number 1.10 would be the version 1.1: a number cannot be trusted to be what was meant.
        Scalar::Integer(_) | Scalar::Other => Err(fault(ValueError::Malformed { expected: "text" })),
    }
}

fn read_step(step: &Scalar<'_>) -> Result<Step, MessageError> {
    let number = match step {
        Scalar::Integer(number) => Some(*number),
        Scalar::Text(text) => whole_number(text),
        Scalar::Absent | Scalar::Other => None,
    };
    let percent = number.and_then(|n| u8::try_from(n).ok()).filter(|n| *n <= 100).map(Step::Percent);
    let failure =
        || DeviceFailure::ALL.into_iter().find(|f| number == Some(f.code().into())).map(Step::Failed);
    percent
        .or_else(failure)
        .ok_or_else(|| MessageError::StepIgnored { step: step.beginning(STEP_KEPT_LEN_MAX) })
}

/// Reads `50`, ` 50` and, as firmware written in a language without whole numbers sends it, `50.0`; but not `50.5`.
pub(super) fn whole_number(text: &str) -> Option<i128> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_whole = !fraction.is_empty() && fraction.bytes().all(|b| b == b'0');
    whole.parse().ok().filter(|_| is_whole)
}

pub(super) fn read_id(id: Scalar<'_>) -> MessageId {
    match id {
        Scalar::Text(text) if text.chars().count() <= limits::MESSAGE_ID_LEN_MAX => {
            MessageId::Text(text.into_owned())
        }
        Scalar::Integer(number) => u64::try_from(number).map_or(MessageId::Absent, MessageId::Number),
        Scalar::Text(_) | Scalar::Absent | Scalar::Other => MessageId::Absent,
    }
}

/// Returns the first `len_max` characters.
fn beginning(text: &str, len_max: usize) -> String {
    match text.char_indices().nth(len_max) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
