//! What the service sends to a device, read as strictly as the strictest shipped device reads it.
//!
//! A lenient reader would hide what breaks in the field. So a message that some shipped SDK would choke on is a
//! complaint here, even where this reader could make sense of it.

use serde_json::Value;

/// Where a message came from: the two kinds differ in the JSON type of `code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `/ota/device/upgrade/..`: pushed.
    Push,
    /// `../thing/ota/firmware/get_reply`: asked for.
    Reply,
}

/// A message of the service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Received {
    /// The message's id.
    pub(crate) id: Value,
    /// The upgrade, unless there is none.
    pub(crate) upgrade: Option<Upgrade>,
}

/// Which digest `sign` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    Md5,
    Sha256,
}

/// An upgrade as a device is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upgrade {
    pub(crate) version: String,
    pub(crate) url: String,
    pub(crate) size: u64,
    pub(crate) digest: Digest,
    pub(crate) sign: String,
    pub(crate) md5: String,
}

/// Why a message is not good enough for every shipped device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Complaint(String);

fn complain<T>(text: impl Into<String>) -> Result<T, Complaint> {
    Err(Complaint(text.into()))
}

/// Reads a message.
pub(crate) fn read(source: Source, payload: &[u8]) -> Result<Received, Complaint> {
    let Ok(text) = std::str::from_utf8(payload) else { return complain("the message is not UTF-8") };
    let message: Value = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) => return complain(format!("the message is not JSON: {error}")),
    };
    // Written anew without spaces and needless escapes it must be as long as it came.
    if message.to_string().len() != text.len() {
        return complain("the JSON is not compact, or escapes what needs none: the C SDK cannot read it");
    }
    let id = message["id"].clone();
    match source {
        Source::Push if message["code"] != "1000" => return complain("`code` is not the string \"1000\""),
        Source::Push if !id.is_u64() => return complain("`id` is not a number"),
        Source::Reply if message["code"] != 200 => return complain("`code` is not the number 200"),
        Source::Push | Source::Reply => {}
    }
    if message["message"] != "success" {
        return complain("`message` is not \"success\"");
    }
    match &message["data"] {
        Value::Object(data) if data.is_empty() && source == Source::Reply => {
            Ok(Received { id, upgrade: None })
        }
        data @ Value::Object(_) => {
            let upgrade = upgrade(data)?;
            read_flat(text, data)?;
            Ok(Received { id, upgrade: Some(upgrade) })
        }
        _ => complain("`data` is not an object"),
    }
}

fn upgrade(data: &Value) -> Result<Upgrade, Complaint> {
    let word = |key: &str| match &data[key] {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        _ => complain(format!("`data.{key}` is not a text")),
    };
    let Some(size) = data["size"].as_u64().filter(|size| *size > 0) else {
        return complain("`data.size` is not a positive number");
    };
    let (digest, digits) = match data["signMethod"].as_str() {
        Some("SHA256") => (Digest::Sha256, 64),
        Some("Md5") => (Digest::Md5, 32),
        _ => return complain("`data.signMethod` is spelled neither `SHA256` nor `Md5`"),
    };
    let (sign, md5) = (word("sign")?, word("md5")?);
    if !is_lower_hex(&sign, digits) || !is_lower_hex(&md5, 32) {
        return complain(
            "`data.sign` or `data.md5` is not made of lower-case hexadecimal digits of its length",
        );
    }
    let url = word("url")?;
    let after_scheme = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let Some((host, path)) = after_scheme.and_then(|rest| rest.split_once('/')) else {
        return complain("`data.url` is not an http URL with a path");
    };
    // The buffers of the SDKs.
    if host.len() >= 128 || path.len() + 1 >= 256 {
        return complain("the host or the path of `data.url` is longer than devices have room for");
    }
    Ok(Upgrade { version: word("version")?, url, size, digest, sign, md5 })
}

/// Reads the message as the C SDK does: the first place in the text where a key's name occurs is the key.
fn read_flat(text: &str, data: &Value) -> Result<(), Complaint> {
    for key in ["version", "size", "url", "sign", "signMethod"] {
        let first = text.split_once(&format!("\"{key}\":")).map(|(_, rest)| rest);
        let value =
            first.and_then(|rest| serde_json::Deserializer::from_str(rest).into_iter::<Value>().next());
        if !matches!(&value, Some(Ok(value)) if *value == data[key]) {
            return complain(format!("something before `data.{key}` is taken for it by the C SDK"));
        }
    }
    for absent in ["module", "dProtocol", "streamId", "files"] {
        if data.get(absent).is_none() && text.contains(&format!("\"{absent}\":")) {
            return complain(format!("a key `{absent}` is taken for one of `data` by the C SDK"));
        }
    }
    Ok(())
}

fn is_lower_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"code":"1000","data":{"size":300000,"version":"2.0.0","isDiff":0,"sign":"SIGN","signMethod":"SHA256","md5":"MD5","url":"http://host/d/x?e=1&s=2","extData":{"k":"v"}},"id":1795355887,"message":"success"}"#;

    fn good() -> String {
        GOOD.replace("SIGN", &"ab".repeat(32)).replace("MD5", &"cd".repeat(16))
    }

    fn complaint(text: &str) -> String {
        read(Source::Push, text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_good_push_is_read() {
        let received = read(Source::Push, good().as_bytes()).unwrap();
        let upgrade = received.upgrade.unwrap();
        assert_eq!((upgrade.version.as_str(), upgrade.size), ("2.0.0", 300_000));
        assert_eq!(upgrade.digest, Digest::Sha256);
        assert_eq!(upgrade.url, "http://host/d/x?e=1&s=2");
    }

    #[test]
    fn a_reply_has_a_number_for_its_code_and_may_hold_nothing() {
        let nothing = br#"{"id":"7","code":200,"data":{},"message":"success"}"#;
        let received = read(Source::Reply, nothing).unwrap();
        assert_eq!(received, Received { id: "7".into(), upgrade: None });
        assert!(read(Source::Push, nothing).is_err());
        assert!(read(Source::Reply, good().as_bytes()).is_err());
        let reply = good().replace("\"1000\"", "200");
        assert!(read(Source::Reply, reply.as_bytes()).unwrap().upgrade.is_some());
    }

    #[test]
    fn what_would_break_a_shipped_device_is_a_complaint() {
        let good = good();
        for (from, to, about) in [
            ("\"1000\"", "1000", "code"),
            ("1795355887", "\"1795355887\"", "id"),
            ("\"success\"", "\"ok\"", "message"),
            ("SHA256", "sha256", "signMethod"),
            ("\"md5\"", "\"md4\"", "md5"),
            ("abab", "ABAB", "lower-case"),
            ("300000", "\"300000\"", "size"),
            ("\"size\":", "\"size\": ", "compact"),
            ("http://", "http:\\/\\/", "compact"),
            ("http://host/", "mqtt://host/", "url"),
        ] {
            let text = complaint(&good.replacen(from, to, 1));
            assert!(text.contains(about), "{from} -> {to}: {text}");
        }
        assert!(complaint("nonsense").contains("JSON"));
    }

    #[test]
    fn a_tag_that_shadows_a_key_is_a_complaint() {
        let first = good().replacen(r#""data":{"#, r#""data":{"extData":{"version":"9.9"},"#, 1);
        let first = first.replacen(r#","extData":{"k":"v"}"#, "", 1);
        assert!(complaint(&first).contains("data.version"));
        let module = good().replacen(r#"{"k":"v"}"#, r#"{"module":"v"}"#, 1);
        assert!(complaint(&module).contains("module"));
    }
}
