//! Signatures: who may make a request, once (R177).
//!
//! Whoever has the access key's secret signs the method and all parameters but the signature itself. The path is signed as
//! `/`, wherever the service is mounted, because that is what every client signs.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{GatewayError, Parameters, parse_utc};
use crate::limits;
use crate::time::Timestamp;

/// The version of the API.
const VERSION: &str = "2018-01-20";
/// What RFC 3986 leaves as it is.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// An access key. There is no `Debug`, so that no secret gets into a log.
#[derive(Clone, Copy)]
pub struct AccessKey<'a> {
    /// Its id, which requests name.
    pub id: &'a str,
    /// Its secret, which they are signed with.
    pub secret: &'a str,
}

/// What makes a request one that can be made once only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// What is remembered of it.
    pub hash: [u8; 16],
    /// How long it must be remembered: afterwards the request is refused for its age.
    pub until: Timestamp,
}

/// Encodes a name or value as it is signed: everything but letters, digits, `-`, `_`, `.` and `~`.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, &ENCODED).to_string()
}

/// Returns the signature of a request's parameters, in base64.
pub fn sign(secret: &str, method: &str, parameters: &Parameters) -> String {
    let signed = parameters.iter().filter(|(name, _)| *name != "Signature");
    // The parameters come sorted by name.
    let pairs: Vec<String> =
        signed.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let text = format!("{method}&%2F&{}", encode(&pairs.join("&")));
    let key = format!("{secret}&");
    let mut mac =
        <Hmac<Sha1> as KeyInit>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Lets a request in, or says why not: its common parameters, its age, its signature. The nonce it returns must not have
/// been used before; whoever keeps the used ones checks that last, so that strangers cannot fill their list.
///
/// # Errors
/// The first of the reasons, in that order.
pub fn authenticate(
    key: AccessKey<'_>,
    method: &str,
    parameters: &Parameters,
    now: Timestamp,
) -> Result<Nonce, GatewayError> {
    let needed = ["Action", "Version", "AccessKeyId", "Timestamp"];
    let missing: Vec<&'static str> =
        needed.into_iter().filter(|name| parameters.get(name).is_none()).collect();
    if !missing.is_empty() {
        return Err(GatewayError::Missing { names: missing });
    }
    let said = |name: &str| parameters.get(name).unwrap_or_default();
    if said("Version") != VERSION {
        return Err(GatewayError::UnknownVersion);
    }
    let nonce = said("SignatureNonce");
    let complete = said("SignatureMethod") == "HMAC-SHA1"
        && said("SignatureVersion") == "1.0"
        && !nonce.is_empty()
        && nonce.chars().count() <= limits::CLOUD_NONCE_LEN_MAX
        && !said("Signature").is_empty();
    if !complete {
        return Err(GatewayError::IncompleteSignature);
    }
    let at = parse_utc(said("Timestamp")).ok_or(GatewayError::TimestampForm)?;
    let skew = limits::CLOUD_CLOCK_SKEW_MS;
    if now.ms_since(at) > skew || at.ms_since(now) > skew {
        return Err(GatewayError::TimestampExpired);
    }
    // An empty key is a service without one: nobody is let in by leaving it out.
    let known: bool = said("AccessKeyId").as_bytes().ct_eq(key.id.as_bytes()).into();
    if !known || key.id.is_empty() || key.secret.is_empty() {
        return Err(GatewayError::UnknownAccessKey);
    }
    let right = sign(key.secret, method, parameters);
    let same: bool = right.as_bytes().ct_eq(said("Signature").as_bytes()).into();
    if !same {
        return Err(GatewayError::SignatureMismatch);
    }
    let mut hash = [0; 16];
    let digest = Sha256::digest(format!("{}&{}", encode(key.id), encode(nonce)).as_bytes());
    hash.copy_from_slice(&digest[..16]);
    Ok(Nonce { hash, until: at.plus_ms(skew) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: AccessKey<'_> = AccessKey { id: "testid", secret: "testsecret" };
    const NOW: Timestamp = Timestamp(1_506_937_181_000);

    /// The request of the vendor's signature page.
    const PUBLISHED: &str = "Action=Pub&MessageContent=aGVsbG93b3JsZA%3D&Timestamp=2017-10-02T09%3A39%3A41Z\
        &SignatureVersion=1.0&ServiceCode=iot&Format=XML&Qos=0\
        &SignatureNonce=0715a395-aedf-4a41-bab7-746b43d38d88&Version=2017-04-20&AccessKeyId=testid\
        &SignatureMethod=HMAC-SHA1&RegionId=cn-shanghai&ProductKey=12345abcdeZ\
        &TopicFullName=%2FproductKey%2Ftestdevice%2Fget";

    fn read(text: &str) -> Parameters {
        Parameters::parse(&[text]).ok().unwrap()
    }

    /// A request of this API, signed.
    fn signed(change: impl Fn(String) -> String) -> Parameters {
        let text = change(PUBLISHED.replace("2017-04-20", "2018-01-20"));
        let signature = encode(&sign(KEY.secret, "GET", &read(&text)));
        read(&format!("{text}&Signature={signature}"))
    }

    fn refused(parameters: &Parameters, now: Timestamp) -> Option<GatewayError> {
        authenticate(KEY, "GET", parameters, now).err()
    }

    #[test]
    fn r177_the_published_request_has_the_published_signature() {
        let published = "Y9eWn4nF8QPh3c4zAFkM/k/u7eA=";
        assert_eq!(sign("testsecret", "GET", &read(PUBLISHED)), published);
        // The signature itself is not signed, and the order in which parameters come does not matter.
        let mut pairs: Vec<&str> = PUBLISHED.split('&').collect();
        pairs.reverse();
        pairs.push("Signature=x");
        assert_eq!(sign("testsecret", "GET", &read(&pairs.join("&"))), published);
        assert_ne!(sign("testsecret", "POST", &read(PUBLISHED)), published);
        assert_ne!(sign("testsecreT", "GET", &read(PUBLISHED)), published);
    }

    #[test]
    fn r177_everything_but_the_unreserved_is_encoded() {
        assert_eq!(encode("a-Z_0.9~"), "a-Z_0.9~");
        assert_eq!(encode(" *+/=&灯"), "%20%2A%2B%2F%3D%26%E7%81%AF");
    }

    #[test]
    fn r177_a_parameter_that_is_altered_added_or_left_out_is_noticed() {
        let good = signed(|text| text);
        assert_eq!(refused(&good, NOW), None);
        let text: Vec<String> =
            good.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let mismatch = Some(GatewayError::SignatureMismatch);
        let altered = text.join("&").replace("Qos=0", "Qos=1");
        assert_eq!(refused(&read(&altered), NOW), mismatch);
        assert_eq!(refused(&read(&format!("{}&More=1", text.join("&"))), NOW), mismatch);
        assert_eq!(refused(&read(&text.join("&").replace("&Qos=0", "")), NOW), mismatch);
        assert_eq!(authenticate(KEY, "POST", &good, NOW).err(), mismatch);
        let other = AccessKey { secret: "testsecreT", ..KEY };
        assert_eq!(authenticate(other, "GET", &good, NOW).err(), mismatch);
    }

    #[test]
    fn r177_a_request_is_good_for_15_minutes_either_way() {
        let good = signed(|text| text);
        let skew = limits::CLOUD_CLOCK_SKEW_MS;
        for (now, expected) in [
            (NOW.0 - skew, None),
            (NOW.0 + skew, None),
            (NOW.0 - skew - 1, Some(GatewayError::TimestampExpired)),
            (NOW.0 + skew + 1, Some(GatewayError::TimestampExpired)),
        ] {
            assert_eq!(refused(&good, Timestamp(now)), expected, "{now}");
        }
        let nonce = authenticate(KEY, "GET", &good, NOW).ok().unwrap();
        assert_eq!(nonce.until, Timestamp(NOW.0 + skew), "a nonce is kept as long as its request is good");
    }

    #[test]
    fn r177_other_ways_to_sign_and_an_empty_key_let_nobody_in() {
        let incomplete = Some(GatewayError::IncompleteSignature);
        for (from, to) in [
            ("HMAC-SHA1", "HMAC-SHA256"),
            ("SignatureVersion=1.0", "SignatureVersion=2.0"),
            ("SignatureNonce=0715a395-aedf-4a41-bab7-746b43d38d88", "SignatureNonce="),
        ] {
            assert_eq!(refused(&signed(|text| text.replace(from, to)), NOW), incomplete, "{to}");
        }
        let long = "n".repeat(limits::CLOUD_NONCE_LEN_MAX + 1);
        let long = signed(|text| text.replace("0715a395-aedf-4a41-bab7-746b43d38d88", &long));
        assert_eq!(refused(&long, NOW), incomplete);
        let unknown = Some(GatewayError::UnknownAccessKey);
        assert_eq!(refused(&signed(|text| text.replace("testid", "other")), NOW), unknown);
        let good = signed(|text| text);
        for key in [AccessKey { id: "", ..KEY }, AccessKey { secret: "", ..KEY }] {
            assert_eq!(authenticate(key, "GET", &good, NOW).err(), unknown);
        }
        let form = signed(|text| text.replace("09%3A39%3A41Z", "09%3A39Z"));
        assert_eq!(refused(&form, NOW), Some(GatewayError::TimestampForm));
        assert_eq!(refused(&read(PUBLISHED), NOW), Some(GatewayError::UnknownVersion));
    }

    #[test]
    fn r178_all_missing_parameters_are_told_and_the_first_is_the_code() {
        let told = refused(&read("Action=Pub"), NOW).unwrap();
        assert_eq!(told.code(), "MissingVersion");
        assert_eq!(told.to_string(), "mandatory for this action: Version, AccessKeyId, Timestamp");
    }
}
