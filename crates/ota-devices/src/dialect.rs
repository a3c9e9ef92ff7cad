//! How each shipped SDK says what it has to say.
//!
//! The protocol is one; its spellings are many, and a service has to take all of them. Each spelling here was seen on
//! the wire or read in the source of the SDK it is named after.

use std::time::{SystemTime, UNIX_EPOCH};

use rumqttc::QoS;
use serde_json::json;

use crate::login::{Login, SignMethod, password};

/// Which device software a simulated device speaks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// The C Link SDK 4.2: ids are numbers, everything is QoS 0.
    CLink,
    /// iotkit-embedded 3.2: informs at QoS 1, says every percentage twice, keeps its session.
    Iotkit,
    /// The Python SDK: HMAC-SHA1 in lower case, spaces in its JSON, the same id in every message.
    Python,
    /// The Rust crate `aiot`: `"module": null`.
    Aiot,
    /// AliOS Things: a NUL byte after the JSON.
    AliOs,
    /// QuecPython: steps are numbers, the module is always named.
    Quec,
}

/// The message a device sends: where to, how surely, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) qos: QoS,
    pub(crate) payload: Vec<u8>,
}

/// The year 2050: what the C SDKs say instead of the time.
const FAR_FUTURE: &str = "2524608000000";

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::CLink, Self::Iotkit, Self::Python, Self::Aiot, Self::AliOs, Self::Quec];

    /// Returns what the device presents to the broker. `connection` counts its connections: the client id of some
    /// SDKs changes with each.
    pub fn login(self, product_key: &str, name: &str, secret: &str, connection: u32) -> Login {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let dotted = format!("{product_key}.{name}");
        let (id, method, timestamp, tail) = match self {
            Self::CLink => (
                dotted,
                SignMethod::Sha256,
                Some(FAR_FUTURE),
                format!(
                    "timestamp={FAR_FUTURE},_ss=1,_v=sdk-c-4.2.0,securemode=3,signmethod=hmacsha256,ext=3,\
                     _conn=tcp_{connection}"
                ),
            ),
            Self::Iotkit | Self::AliOs => (
                dotted,
                SignMethod::Sha256,
                Some(FAR_FUTURE),
                format!(
                    "timestamp={FAR_FUTURE},_v=sdk-c-3.2.0,securemode=3,signmethod=hmacsha256,lan=C,gw=0,ext=0"
                ),
            ),
            Self::Python => (
                format!("{product_key}&{name}"),
                SignMethod::Sha1,
                Some(now.as_str()),
                format!("securemode=3,signmethod=hmacsha1,ext=1,_ss=1,lan=Python,_v=1.2.13,timestamp={now}"),
            ),
            Self::Aiot => (
                dotted,
                SignMethod::Sha256,
                Some(FAR_FUTURE),
                format!(
                    "timestamp={FAR_FUTURE},_ss=1,_v=sdk-rust-0.10.0,securemode=2,signmethod=hmacsha256,ext=3,"
                ),
            ),
            // A device without a clock.
            Self::Quec => {
                (name.to_owned(), SignMethod::Md5, None, "securemode=3,signmethod=hmacmd5".to_owned())
            }
        };
        debug_assert!(tail.contains(method.as_str()), "the client id names the method that signs");
        let lower = password(method, secret, &id, name, product_key, timestamp);
        let password = match self {
            Self::Python | Self::Quec => lower,
            Self::CLink | Self::Iotkit | Self::Aiot | Self::AliOs => lower.to_uppercase(),
        };
        Login { client_id: format!("{id}|{tail}|"), username: format!("{name}&{product_key}"), password }
    }

    /// Returns the keep-alive the SDK asks for, in seconds.
    pub(crate) const fn keep_alive_seconds(self) -> u64 {
        match self {
            Self::CLink => 1200,
            Self::Iotkit | Self::AliOs => 120,
            Self::Python | Self::Aiot | Self::Quec => 60,
        }
    }

    /// Tells whether the SDK asks for a session that begins anew.
    pub(crate) const fn clean_session(self) -> bool {
        !matches!(self, Self::Iotkit)
    }

    /// Tells whether the SDK asks on the topic of old, which is answered like a push.
    pub(crate) const fn asks_on_old_topic(self) -> bool {
        matches!(self, Self::Iotkit | Self::AliOs)
    }

    /// Says which version the device runs.
    pub(crate) fn inform(self, product_key: &str, name: &str, id: u32, version: &str) -> Message {
        let payload = match self {
            Self::CLink => format!(r#"{{"id":{id}, "params":{{"version":"{version}"}}}}"#),
            Self::Iotkit => format!(r#"{{"id":"{id}","params":{{"version":"{version}"}}}}"#),
            Self::Python => format!(r#"{{"id": 1, "params": {{"version": "{version}"}}}}"#),
            Self::Aiot => {
                format!(r#"{{"id":"{id}","version":"1.0","params":{{"version":"{version}","module":null}}}}"#)
            }
            Self::AliOs => format!("{{\"id\":0,\"params\":{{\"version\":\"{version}\"}}}}\0"),
            Self::Quec => {
                format!(r#"{{"id": "{id}", "params": {{"version": "{version}", "module": "default"}}}}"#)
            }
        };
        let qos = match self {
            Self::Iotkit | Self::AliOs | Self::Quec => QoS::AtLeastOnce,
            Self::CLink | Self::Python | Self::Aiot => QoS::AtMostOnce,
        };
        let topic = format!("/ota/device/inform/{product_key}/{name}");
        Message { topic, qos, payload: payload.into_bytes() }
    }

    /// Says how far the upgrade is, or how it failed: step -4 to 100. Most SDKs do so once, one twice.
    pub(crate) fn progress(
        self,
        product_key: &str,
        name: &str,
        id: u32,
        step: i8,
        desc: &str,
    ) -> Vec<Message> {
        let text = json!(desc);
        let payloads = match self {
            Self::CLink => vec![format!(r#"{{"id":{id}, "params":{{"step":"{step}","desc":{text}}}}}"#)],
            Self::Iotkit => {
                let second = if desc.is_empty() { json!("hello") } else { text.clone() };
                [text, second]
                    .map(|t| format!(r#"{{"id":0,"params":{{"step":"{step}","desc":{t}}}}}"#))
                    .into()
            }
            Self::Python => {
                vec![format!(
                    r#"{{"id": 1, "params": {{"step": "{step}", "desc": {text}, "module": "default"}}}}"#
                )]
            }
            Self::Aiot => {
                vec![format!(r#"{{"id":"{id}","params":{{"step":"{step}","desc":{text},"module":null}}}}"#)]
            }
            Self::AliOs => vec![format!("{{\"id\":0,\"params\":{{\"step\":\"{step}\",\"desc\":{text}}}}}\0")],
            Self::Quec => vec![format!(
                r#"{{"id": "{id}", "params": {{"step": {step}, "desc": {text}, "module": "default"}}}}"#
            )],
        };
        let qos = match self {
            Self::AliOs | Self::Quec => QoS::AtLeastOnce,
            Self::CLink | Self::Iotkit | Self::Python | Self::Aiot => QoS::AtMostOnce,
        };
        let topic = format!("/ota/device/progress/{product_key}/{name}");
        let message = |payload: String| Message { topic: topic.clone(), qos, payload: payload.into_bytes() };
        payloads.into_iter().map(message).collect()
    }

    /// Asks for an upgrade.
    pub(crate) fn ask(self, product_key: &str, name: &str, id: u32) -> Message {
        if self.asks_on_old_topic() {
            let topic = format!("/ota/device/request/{product_key}/{name}");
            let payload = format!(r#"{{"id":{id},"params":{{"version":""}}}}"#).into_bytes();
            return Message { topic, qos: QoS::AtLeastOnce, payload };
        }
        let (qos, payload) = match self {
            Self::Aiot => (QoS::AtMostOnce, format!(r#"{{"id":"{id}","params":{{"module":null}}}}"#)),
            Self::Quec => (
                QoS::AtLeastOnce,
                format!(
                    r#"{{"id": "{id}", "version": "1.0", "params": {{"module": "default"}}, "method": "thing.ota.firmware.get"}}"#
                ),
            ),
            Self::CLink | Self::Python | Self::Iotkit | Self::AliOs => {
                (QoS::AtMostOnce, format!(r#"{{"id":{id}, "params":{{}}}}"#))
            }
        };
        let topic = format!("/sys/{product_key}/{name}/thing/ota/firmware/get");
        Message { topic, qos, payload: payload.into_bytes() }
    }

    /// Returns the id that the answer to [`Dialect::ask`] must carry: the same, of the same JSON type.
    pub(crate) fn asked_id(self, id: u32) -> serde_json::Value {
        match self {
            Self::Aiot | Self::Quec => json!(id.to_string()),
            Self::CLink | Self::Python | Self::Iotkit | Self::AliOs => json!(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn read(message: &Message) -> Value {
        let text = std::str::from_utf8(&message.payload).unwrap().trim_end_matches('\0');
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_message_of_every_dialect_says_what_was_meant() {
        for dialect in Dialect::ALL {
            let inform = read(&dialect.inform("pk", "lamp-1", 1, "1.0.0"));
            assert_eq!(inform["params"]["version"], "1.0.0", "{dialect:?}");
            for message in dialect.progress("pk", "lamp-1", 2, -3, "a \"bad\" byte") {
                let said = read(&message);
                assert_eq!(said["params"]["step"].to_string().trim_matches('"'), "-3");
                assert_eq!(said["params"]["desc"], "a \"bad\" byte");
            }
            let asked = read(&dialect.ask("pk", "lamp-1", 7));
            assert_eq!(asked["id"], dialect.asked_id(7), "{dialect:?}");
        }
    }

    #[test]
    fn the_c_sdk_logs_in_as_it_does_in_the_field() {
        let login = Dialect::CLink.login("a1", "lamp-1", "secret", 3);
        let wanted = "a1.lamp-1|timestamp=2524608000000,_ss=1,_v=sdk-c-4.2.0,securemode=3,signmethod=hmacsha256,\
                      ext=3,_conn=tcp_3|";
        assert_eq!(login.client_id, wanted);
        assert_eq!(login.username, "lamp-1&a1");
        assert!(login.password.len() == 64 && !login.password.bytes().any(|b| b.is_ascii_lowercase()));
    }

    #[test]
    fn what_is_signed_is_the_id_before_the_bar_and_the_stated_time() {
        for dialect in Dialect::ALL {
            let login = dialect.login("a1", "lamp-1", "secret", 1);
            let (id, tail) = login.client_id.split_once('|').unwrap();
            let find = |key| tail.trim_end_matches('|').split(',').find_map(|pair| pair.strip_prefix(key));
            let method = match find("signmethod=") {
                Some("hmacsha256") => SignMethod::Sha256,
                Some("hmacsha1") => SignMethod::Sha1,
                other => {
                    assert_eq!(other, Some("hmacmd5"));
                    SignMethod::Md5
                }
            };
            let wanted = password(method, "secret", id, "lamp-1", "a1", find("timestamp="));
            assert!(login.password.eq_ignore_ascii_case(&wanted), "{dialect:?}");
            assert!(id.len() <= 64);
        }
    }
}
