//! A client of the vendor's cloud API, as its own software development kits are: it signs by the vendor's page on
//! signatures, and knows nothing of this service's code.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use ota_core::cloud::render_utc;
use ota_core::time::Timestamp;
use serde_json::Value;
use sha1::Sha1;

use crate::{Answer, Call, World};

/// A client with an access key.
#[derive(Clone)]
pub struct Cloud {
    world: World,
    id: String,
    secret: String,
}

/// The parameters of a request.
pub type Pairs = Vec<(String, String)>;

impl World {
    /// Returns a client with the service's access key.
    pub fn cloud(&self) -> Cloud {
        self.cloud_with("access-key-id", "access-key-secret")
    }

    /// Returns a client with another access key.
    pub fn cloud_with(&self, id: &str, secret: &str) -> Cloud {
        Cloud { world: self.clone(), id: id.to_owned(), secret: secret.to_owned() }
    }
}

impl Cloud {
    /// Returns a signed request; `parameters` adds to the common ones, or says otherwise.
    pub fn signed(&self, method: &str, action: &str, parameters: &[(&str, &str)]) -> Pairs {
        let nonce = self.world.next("nonce");
        sign(method, action, (&self.id, &self.secret), Timestamp(self.world.now_ms()), &nonce, parameters)
    }

    /// Sends a request as it is, with its parameters in the query.
    pub fn send(&self, pairs: &Pairs) -> Answer {
        let answer = self.world.send(&Call::get(format!("/cloud-api/?{}", query(pairs))));
        self.world.settle();
        answer
    }

    /// Makes a request with its parameters in the query.
    pub fn call(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        self.send(&self.signed("GET", action, parameters))
    }

    /// Makes a request with its parameters in a form.
    pub fn post(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        let form = query(&self.signed("POST", action, parameters));
        let call = Call::new("POST", "/cloud-api/").bytes(form);
        let answer = self.world.send(&call.header("content-type", "application/x-www-form-urlencoded"));
        self.world.settle();
        answer
    }

    /// Makes a request that must succeed, and returns the answer.
    ///
    /// # Panics
    /// With the answer if it does not.
    #[track_caller]
    pub fn ask(&self, action: &str, parameters: &[(&str, &str)]) -> Value {
        let told = self.post(action, parameters).expect(200).json();
        assert_eq!(told["Success"], true, "{action}: {told}");
        told
    }

    /// Makes a request that its operation must refuse, and returns the code without what most codes begin with.
    ///
    /// # Panics
    /// With the answer if it does not.
    #[track_caller]
    pub fn refusal(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let told = self.post(action, parameters).expect(200).json();
        assert_eq!(told["Success"], false, "{action}: {told}");
        let code = told["Code"].as_str().unwrap_or_default();
        code.strip_prefix("iot.firmware.").unwrap_or(code).to_owned()
    }
}

/// Returns a signed request of an access key (its id and secret) at a time; `parameters` adds to the common ones, or
/// says otherwise.
///
/// # Panics
/// Never: a key may be of any length.
pub fn sign(
    method: &str,
    action: &str,
    (id, secret): (&str, &str),
    at: Timestamp,
    nonce: &str,
    parameters: &[(&str, &str)],
) -> Pairs {
    let time = render_utc(at);
    let common = [
        ("Action", action),
        ("Version", "2018-01-20"),
        ("Format", "JSON"),
        ("RegionId", "cn-shanghai"),
        ("AccessKeyId", id),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("SignatureNonce", nonce),
        // The API's times have no milliseconds.
        ("Timestamp", &format!("{}Z", &time[..19])),
    ];
    let said = |name: &str| parameters.iter().any(|(other, _)| *other == name);
    let common = common.into_iter().filter(|(name, _)| !said(name));
    let mut pairs: Pairs =
        common.chain(parameters.iter().copied()).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    pairs.sort();
    let text = format!("{method}&{}&{}", encoded("/"), encoded(&query(&pairs)));
    let key = format!("{}&", secret);
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(key.as_bytes()).expect("any key will do");
    mac.update(text.as_bytes());
    pairs.push(("Signature".to_owned(), STANDARD.encode(mac.finalize().into_bytes())));
    pairs
}

/// Writes parameters as a query, or a form.
pub fn query(pairs: &Pairs) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}
