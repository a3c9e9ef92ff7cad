//! Signed download URLs: short, good for one package until a moment.

use alloc::format;
use alloc::string::String;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::ids::PackageId;
use crate::limits;
use crate::time::Timestamp;

/// Why a URL opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// Its time is over (R160).
    Expired,
    /// It was not issued like this.
    Signature,
}

/// Issues a URL that lives for [`limits::URL_LIFE_MS`] from `now`.
///
/// Device SDKs keep the path and query in 256 bytes and the whole URL in 512, so all of it is short: 82 bytes behind the
/// base.
pub fn issue(base: &str, key: &[u8], package: PackageId, now: Timestamp) -> String {
    let expires = now.plus_ms(limits::URL_LIFE_MS).seconds();
    format!("{}/d/{package}?e={expires:x}&s={}", base.trim_end_matches('/'), signature(key, package, expires))
}

/// Returns until when a URL issued at `now` lives.
pub fn expires_at(now: Timestamp) -> Timestamp {
    Timestamp(now.plus_ms(limits::URL_LIFE_MS).seconds() * 1000)
}

/// Checks the `e` and `s` of a URL.
///
/// # Errors
/// An altered or an expired URL; an altered one is never told to be expired.
pub fn check(key: &[u8], package: PackageId, e: &str, s: &str, now: Timestamp) -> Result<(), UrlError> {
    let expires = u64::from_str_radix(e, 16).map_err(|_| UrlError::Signature)?;
    let expected = signature(key, package, expires);
    if !bool::from(expected.as_bytes().ct_eq(s.as_bytes())) || format!("{expires:x}") != e {
        return Err(UrlError::Signature);
    }
    if now.seconds() >= expires { Err(UrlError::Expired) } else { Ok(()) }
}

/// The first half of an HMAC-SHA-256 in hexadecimal: 128 bits nobody guesses in a day.
fn signature(key: &[u8], package: PackageId, expires: u64) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(&package.0);
    mac.update(&expires.to_be_bytes());
    hex::encode(&mac.finalize().into_bytes()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const PACKAGE: PackageId = PackageId([0xcd; 16]);
    const NOW: Timestamp = Timestamp(1_700_000_000_000);
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;

    fn parts(url: &str) -> (String, String) {
        let query: Vec<&str> = url.split(['?', '&']).collect();
        (query[1][2..].into(), query[2][2..].into())
    }

    #[test]
    fn r160_a_url_lives_24_hours_and_an_altered_one_never() {
        let (e, s) = parts(&issue("http://ota.test", b"key", PACKAGE, NOW));
        assert_eq!(check(b"key", PACKAGE, &e, &s, NOW), Ok(()));
        assert_eq!(check(b"key", PACKAGE, &e, &s, NOW.plus_ms(DAY_MS - 1)), Ok(()));
        assert_eq!(check(b"key", PACKAGE, &e, &s, NOW.plus_ms(DAY_MS)), Err(UrlError::Expired));
        assert_eq!(check(b"key", PackageId([1; 16]), &e, &s, NOW), Err(UrlError::Signature));
        assert_eq!(check(b"other", PACKAGE, &e, &s, NOW), Err(UrlError::Signature));
        assert_eq!(check(b"key", PACKAGE, "ffffffff", &s, NOW), Err(UrlError::Signature));
        assert_eq!(check(b"key", PACKAGE, &format!("0{e}"), &s, NOW), Err(UrlError::Signature));
        assert_eq!(check(b"key", PACKAGE, &e, &s[1..], NOW), Err(UrlError::Signature));
    }

    #[test]
    fn a_url_fits_the_buffers_of_device_sdks() {
        let url = issue("http://ota.example.com/", b"key", PACKAGE, NOW);
        assert!(url.starts_with("http://ota.example.com/d/cdcd"));
        assert!(url.len() - "http://ota.example.com".len() <= 82);
    }
}
