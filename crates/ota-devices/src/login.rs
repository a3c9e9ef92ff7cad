//! How a device proves who it is: an HMAC with its secret over what it says of itself.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;

/// Which HMAC a device signs with (`signmethod`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignMethod {
    Md5,
    Sha1,
    Sha256,
}

impl SignMethod {
    /// Returns the text of `signmethod`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "hmacmd5",
            Self::Sha1 => "hmacsha1",
            Self::Sha256 => "hmacsha256",
        }
    }
}

/// What a device presents to the broker.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Who it says it is, and how it has made its password.
    pub client_id: String,
    /// Its name and its product's key.
    pub username: String,
    /// The HMAC with its secret.
    pub password: String,
}

/// Returns the password in lower-case hexadecimal digits.
///
/// What is signed is every parameter's name and value, ordered by name, with nothing between them.
pub(crate) fn password(
    method: SignMethod,
    secret: &str,
    client_id: &str,
    device_name: &str,
    product_key: &str,
    timestamp: Option<&str>,
) -> String {
    let mut content = format!("clientId{client_id}deviceName{device_name}productKey{product_key}");
    if let Some(timestamp) = timestamp {
        content.push_str("timestamp");
        content.push_str(timestamp);
    }
    match method {
        SignMethod::Md5 => hmac::<Hmac<Md5>>(secret, &content),
        SignMethod::Sha1 => hmac::<Hmac<Sha1>>(secret, &content),
        SignMethod::Sha256 => hmac::<Hmac<Sha256>>(secret, &content),
    }
}

fn hmac<M: Mac + KeyInit>(secret: &str, content: &str) -> String {
    let mut mac =
        <M as KeyInit>::new_from_slice(secret.as_bytes()).expect("an HMAC takes a key of any length");
    mac.update(content.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_those_of_the_documents() {
        let of = |method| password(method, "secret", "12345", "device", "pk", Some("789")).to_uppercase();
        assert_eq!(of(SignMethod::Md5), "14B198324FE55E1D3C88F2E705E201EE");
        assert_eq!(of(SignMethod::Sha1), "FAFD82A3D602B37FB0FA8B7892F24A477F851A14");
        let sha256 = "6074A46A91B1EBB2CC4EA42790AD0E80202C9843859FC292E57C4EB19FAD9E57";
        assert_eq!(of(SignMethod::Sha256), sha256);
    }
}
