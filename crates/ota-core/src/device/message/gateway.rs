//! What a gateway says for the devices behind it (R168): that they come online over its connection, or leave.
//!
//! The topics are the gateway's own, `/ext/session/{product key}/{device name}/combine/…`; the devices stand in the
//! payload. Unlike a report each of these has a reply, so a fault of the payload is told to the gateway, by number:
//!
//! | Code | Meaning |
//! |---|---|
//! | 200 | Done. |
//! | 460 | A parameter is missing or wrong, or there are more devices than one message may name. |
//! | 520 | Logout: the device is not behind this gateway, so it has no session there. |
//! | 6100 | There is no such device. |
//! | 6287 | The sign is not made with the device's secret. |
//! | 6401 | The device is not behind this gateway. |
//!
//! The vendor has four more that cannot occur here: 428, since a gateway has no more sub-devices than may be online; 429,
//! since the broker slows a gateway down rather than refuse it; 521 and 522, since no trace of a deleted device is kept,
//! and none can be disabled.
//!
//! A message that names several devices is taken as a whole: if one of them is refused, none is logged in or out, and
//! the reply names those that were refused.

mod form;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Serialize;

use self::form::{Envelope, IdOnly, Own, Params};
use super::json::Scalar;
use super::{MessageError, MessageId, read_id, without_padding};
use crate::device::DeviceSecret;
use crate::device::auth::{SignMethod, SignedLogin};
use crate::device::push::EchoedId;
use crate::error::check_len;
use crate::ids::{DeviceName, DeviceRef, ProductKey};
use crate::limits;

/// What a gateway asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// The devices come online over the gateway's connection.
    Login,
    /// They go offline.
    Logout,
}

/// A request of a gateway.
#[derive(Debug)]
pub struct GatewayRequest {
    /// The gateway whose topic it came on, and over whose connection, since the broker lets nobody else publish there.
    pub gateway: DeviceRef,
    /// What it asks for.
    pub verb: Verb,
    /// Whether it came in the form for several devices, which is answered in that form.
    pub is_batch: bool,
    /// To be echoed.
    pub id: MessageId,
    /// The devices in question, or why they cannot even be looked up.
    pub members: Result<Vec<Member>, Refusal>,
}

/// A device that a request names.
#[derive(Debug)]
pub struct Member {
    /// Which.
    pub device: DeviceRef,
    /// The proof that the gateway knows its secret; none in a logout, which needs none.
    pub login: Option<SignedLogin>,
}

/// Why a device is not logged in or out; the numbers are explained at the top of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 460.
    Parameter,
    /// 520.
    NoSession,
    /// 6100.
    Unknown,
    /// 6287.
    Sign,
    /// 6401.
    NotBehind,
}

impl Refusal {
    /// Returns the vendor's number.
    pub const fn code(self) -> u16 {
        match self {
            Self::Parameter => 460,
            Self::NoSession => 520,
            Self::Unknown => 6100,
            Self::Sign => 6287,
            Self::NotBehind => 6401,
        }
    }

    /// Returns the words that go with the number.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Parameter => "request parameter error",
            Self::NoSession => "device no session",
            Self::Unknown => "device not found",
            Self::Sign => "invalid sign",
            Self::NotBehind => "topological relation not exist",
        }
    }
}

impl Member {
    /// Decides about this device: `secret` is its secret if it is there, `behind` the gateway it stands behind.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(
        &self,
        gateway: &DeviceRef,
        behind: Option<&DeviceRef>,
        secret: Option<&DeviceSecret>,
    ) -> Result<(), Refusal> {
        let is_behind = behind == Some(gateway);
        let Some(login) = &self.login else {
            return if is_behind { Ok(()) } else { Err(Refusal::NoSession) };
        };
        let secret = secret.ok_or(Refusal::Unknown)?;
        if !is_behind {
            return Err(Refusal::NotBehind);
        }
        if login.verify(secret.reveal()) { Ok(()) } else { Err(Refusal::Sign) }
    }
}

/// Tells whether a topic is one for [`parse`].
pub fn is_for_gateways(topic: &str) -> bool {
    topic.starts_with("/ext/session/")
}

/// Reads a gateway's request from its topic and payload. What is wrong with the payload is in the request.
///
/// # Errors
/// [`MessageError::UnknownTopic`] or [`MessageError::Device`]: there is nobody to answer.
pub fn parse(topic: &str, payload: &[u8]) -> Result<GatewayRequest, MessageError> {
    let (gateway, verb, is_batch) = parse_topic(topic)?;
    let payload =
        if payload.len() > limits::DEVICE_MESSAGE_BYTES_MAX { &[] } else { without_padding(payload) };
    let (id, members) = match serde_json::from_slice(payload) {
        Ok(Envelope { id, params }) => (read_id(id), read_members(params, verb, is_batch)),
        Err(_) => {
            // A gateway finds its request by the id, so that is read even where the rest makes no sense.
            let only: Option<IdOnly<'_>> = serde_json::from_slice(payload).ok();
            (only.map_or(MessageId::Absent, |only| read_id(only.id)), Err(Refusal::Parameter))
        }
    };
    Ok(GatewayRequest { gateway, verb, is_batch, id, members })
}

fn parse_topic(topic: &str) -> Result<(DeviceRef, Verb, bool), MessageError> {
    let mut levels = topic.strip_prefix("/ext/session/").ok_or(MessageError::UnknownTopic)?.split('/');
    let (Some(product_key), Some(device_name), Some("combine"), Some(verb), None) =
        (levels.next(), levels.next(), levels.next(), levels.next(), levels.next())
    else {
        return Err(MessageError::UnknownTopic);
    };
    let (verb, is_batch) = match verb {
        "login" => (Verb::Login, false),
        "batch_login" => (Verb::Login, true),
        "logout" => (Verb::Logout, false),
        "batch_logout" => (Verb::Logout, true),
        _ => return Err(MessageError::UnknownTopic),
    };
    let fault = |fault| MessageError::Device { fault };
    let product_key = ProductKey::new(product_key).map_err(fault)?;
    let device_name = DeviceName::new(device_name).map_err(fault)?;
    Ok((DeviceRef { product_key, device_name }, verb, is_batch))
}

/// Reads the devices in whichever of the forms they come: the vendor's pages have an object for one, an object with a
/// `deviceList` to log several in, and a bare list to log several out.
fn read_members(params: Params<'_>, verb: Verb, is_batch: bool) -> Result<Vec<Member>, Refusal> {
    let sign_method = params.own.sign_method;
    let listed = match params.own.device_list.or(params.bare) {
        Some(listed) if is_batch => listed,
        None if !is_batch => {
            // Only a list has a method in common for all its members.
            let own = Own { sign_method, device_list: None, ..params.own };
            return Ok(Vec::from([read_member(&own, None, verb)?]));
        }
        _ => return Err(Refusal::Parameter),
    };
    if listed.items.is_empty() || listed.is_too_long {
        return Err(Refusal::Parameter);
    }
    let common = read_text(&sign_method)?;
    let mut members: Vec<Member> = Vec::with_capacity(listed.items.len());
    for own in &listed.items {
        let member = read_member(own, common, verb)?;
        // Named twice, a device is meant once.
        if !members.iter().any(|known| known.device == member.device) {
            members.push(member);
        }
    }
    Ok(members)
}

fn read_member(own: &Own<'_>, common_method: Option<&str>, verb: Verb) -> Result<Member, Refusal> {
    let product_key = ProductKey::new(required(&own.product_key)?).map_err(|_| Refusal::Parameter)?;
    let device_name = DeviceName::new(required(&own.device_name)?).map_err(|_| Refusal::Parameter)?;
    let device = DeviceRef { product_key, device_name };
    let login = match verb {
        Verb::Logout => None,
        Verb::Login => {
            let client_id = required(&own.client_id)?;
            check_len(client_id, 1, limits::SUB_DEVICE_CLIENT_ID_LEN_MAX).map_err(|_| Refusal::Parameter)?;
            let method = match read_text(&own.sign_method)?.or(common_method) {
                Some(name) => SignMethod::parse(name).ok_or(Refusal::Parameter)?,
                None => SignMethod::default(),
            };
            let timestamp = match &own.timestamp {
                Scalar::Absent => None,
                Scalar::Text(text) => Some(text.as_ref().to_owned()),
                // Signed as it is written, which for a whole number can be in one way only.
                Scalar::Integer(number) => Some(format!("{number}")),
                Scalar::Other => return Err(Refusal::Parameter),
            };
            let sign = required(&own.sign)?;
            Some(SignedLogin::of_sub_device(client_id, &device, timestamp.as_deref(), method, sign))
        }
    };
    Ok(Member { device, login })
}

fn required<'a>(value: &'a Scalar<'_>) -> Result<&'a str, Refusal> {
    read_text(value)?.filter(|text| !text.is_empty()).ok_or(Refusal::Parameter)
}

fn read_text<'a>(value: &'a Scalar<'_>) -> Result<Option<&'a str>, Refusal> {
    match value {
        Scalar::Absent => Ok(None),
        Scalar::Text(text) => Ok(Some(text)),
        Scalar::Integer(_) | Scalar::Other => Err(Refusal::Parameter),
    }
}

/// Returns the topic that a request is answered on.
pub fn reply_topic(request: &GatewayRequest) -> String {
    let DeviceRef { product_key, device_name } = &request.gateway;
    let batch = if request.is_batch { "batch_" } else { "" };
    let verb = match request.verb {
        Verb::Login => "login",
        Verb::Logout => "logout",
    };
    format!("/ext/session/{product_key}/{device_name}/combine/{batch}{verb}_reply")
}

/// Renders the answer to a request: `refusal` is why it is refused, if it is; `devices` those that it is about.
///
/// One device is answered with an object and several with a list, because shipped SDKs read the reply into that form.
pub fn render_reply(request: &GatewayRequest, refusal: Option<Refusal>, devices: &[DeviceRef]) -> String {
    let (code, message) = refusal.map_or((200, "success"), |refusal| (refusal.code(), refusal.message()));
    let data = match devices {
        [device] if !request.is_batch => ReplyData::One(Named::from(device)),
        [] if !request.is_batch => ReplyData::None {},
        devices => ReplyData::Several(devices.iter().map(Named::from).collect()),
    };
    to_text(&Reply { id: EchoedId(&request.id), code, data, message })
}

/// Returns the topic on which the broker is told which sub-devices a gateway's connection carries.
pub fn attachment_topic(gateway: &DeviceRef) -> String {
    format!("/overair/sub-device/{}/{}", gateway.product_key, gateway.device_name)
}

/// Renders what the broker is told: from now on the gateway's connection carries these devices, or no longer does.
pub fn render_attachment(verb: Verb, devices: &[DeviceRef]) -> String {
    let named = devices.iter().map(Named::from).collect();
    to_text(&match verb {
        Verb::Login => Attachment::Attach(named),
        Verb::Logout => Attachment::Detach(named),
    })
}

fn to_text(message: &impl Serialize) -> String {
    serde_json::to_string(message)
        .expect("texts and numbers under names that are texts can always be written")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    product_key: String,
    device_name: String,
}

impl From<&DeviceRef> for Named {
    fn from(device: &DeviceRef) -> Self {
        Self { product_key: device.product_key.to_string(), device_name: device.device_name.to_string() }
    }
}

// The order of the fields below is the order on the wire.

#[derive(Serialize)]
struct Reply<'a> {
    id: EchoedId<'a>,
    code: u16,
    data: ReplyData,
    message: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ReplyData {
    None {},
    One(Named),
    Several(Vec<Named>),
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Attachment {
    Attach(Vec<Named>),
    Detach(Vec<Named>),
}

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
