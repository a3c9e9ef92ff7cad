//! A webhook's secret, and the headers of the Standard Webhooks specification that are made with it.
//!
//! Signing needs the secret itself, so it rests sealed, bound to its webhook ([`SecretsKey::for_webhooks`]); whoever made
//! the webhook is told it once.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::WebhookError;
use crate::ids::WebhookId;
use crate::security::{NONCE_BYTES, SecretsKey};
use crate::time::Timestamp;

/// What a secret is told with in front, so that people and scanners know it for one.
const PREFIX: &str = "whsec_";

/// A secret in clear. It is never shown: there is no `Debug`.
pub struct Secret(Zeroizing<Vec<u8>>);

/// A secret as it rests: a nonce, and the secret encrypted with XChaCha20-Poly1305.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(pub Vec<u8>);

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret")
    }
}

impl Secret {
    /// Makes a secret of 32 random bytes; the specification asks for 24 to 64.
    pub fn new(random: [[u8; 16]; 2]) -> Self {
        Self(Zeroizing::new(random.as_flattened().to_vec()))
    }

    /// Returns the secret as it is told: `whsec_` and base64.
    pub fn tell(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.0.as_slice()))
    }

    /// Encrypts the secret for its webhook.
    pub fn seal(&self, key: &SecretsKey, webhook: WebhookId, random: [[u8; 16]; 2]) -> SealedSecret {
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&random.as_flattened()[..NONCE_BYTES]);
        let sealed = key.seal(nonce, &self.0, &webhook.0);
        SealedSecret(sealed.expect("32 bytes are not too long for the cipher"))
    }

    /// Returns a signature of a message (`v1,` and the base64 of an HMAC-SHA-256), as one of those in
    /// `webhook-signature`.
    fn sign(&self, id: &str, at: Timestamp, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of an HMAC may have any length");
        mac.update(format!("{id}.{}.{body}", at.seconds()).as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl SealedSecret {
    /// Decrypts the secret of this webhook.
    ///
    /// # Errors
    /// [`WebhookError::Sealed`].
    pub fn open(&self, key: &SecretsKey, webhook: WebhookId) -> Result<Secret, WebhookError> {
        key.open(&self.0, &webhook.0).map(Secret).ok_or(WebhookError::Sealed)
    }
}

/// Returns the value of `webhook-signature`: one signature by each secret, with spaces between.
pub fn signatures(secrets: &[Secret], id: &str, at: Timestamp, body: &str) -> String {
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(id, at, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// The vector of the reference libraries of the Standard Webhooks specification.
    const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const AT: Timestamp = Timestamp(1_649_367_553_000);
    const BODY: &str = r#"{"email":"test@example.com","username":"test_user"}"#;

    fn published() -> Secret {
        Secret(Zeroizing::new(STANDARD.decode("C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap()))
    }

    fn key(text: &str) -> SecretsKey {
        SecretsKey::for_webhooks(text).unwrap()
    }

    const TEXT: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn the_published_vector_is_signed_as_published() {
        let expected = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
        assert_eq!(signatures(&[published()], ID, AT, BODY), expected);
    }

    #[test]
    fn each_secret_signs() {
        let two = signatures(&[published(), Secret::new([[1; 16]; 2])], ID, AT, BODY);
        let (first, second) = two.split_once(' ').unwrap();
        assert_eq!(first, signatures(&[published()], ID, AT, BODY));
        assert_eq!(second, signatures(&[Secret::new([[1; 16]; 2])], ID, AT, BODY));
        assert_ne!(first, second);
    }

    #[test]
    fn a_secret_is_told_as_the_specification_asks() {
        let told = Secret::new([[0; 16], [255; 16]]).tell();
        assert_eq!(told, "whsec_AAAAAAAAAAAAAAAAAAAAAP////////////////////8=");
    }

    #[test]
    fn a_sealed_secret_opens_for_its_webhook_and_under_its_key_only() {
        let (webhook, secret) = (WebhookId([1; 16]), Secret::new([[2; 16], [3; 16]]));
        let sealed = secret.seal(&key(TEXT), webhook, [[4; 16], [5; 16]]);
        assert_eq!(sealed.open(&key(TEXT), webhook).ok().unwrap().tell(), secret.tell());
        assert!(!sealed.0.windows(8).any(|window| window == [2; 8]), "it rests encrypted");
        let refused = |sealed: &SealedSecret, key: &SecretsKey, id: u8| {
            sealed.open(key, WebhookId([id; 16])).err() == Some(WebhookError::Sealed)
        };
        assert!(refused(&sealed, &key(TEXT), 9));
        assert!(refused(&sealed, &key(&TEXT.replace('0', "1")), 1));
        assert!(refused(&sealed, &SecretsKey::new(TEXT).unwrap(), 1), "a key pair's key is another");
        let mut altered = sealed.clone();
        altered.0[30] ^= 1;
        assert!(refused(&altered, &key(TEXT), 1) && refused(&SealedSecret(vec![1; 3]), &key(TEXT), 1));
        assert_eq!(format!("{sealed:?}"), "SealedSecret");
    }
}
