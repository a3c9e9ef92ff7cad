//! Signed download URLs: short, good for one file of one package until a moment.

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

/// Issues a URL of a package of one file that lives for [`limits::URL_LIFE_MS`] from `now`.
///
/// Device SDKs keep the path and query in 256 bytes and the whole URL in 512, so all of it is short: 82 bytes behind the
/// base, and 3 more with the number of a file.
pub fn issue(base: &str, key: &[u8], package: PackageId, now: Timestamp) -> String {
    issue_for(base, key, package, None, now)
}

/// Issues a URL of one file of a package of several, by its number from 1 on (R31).
pub fn issue_file(base: &str, key: &[u8], package: PackageId, file: u8, now: Timestamp) -> String {
    issue_for(base, key, package, Some(file), now)
}

fn issue_for(base: &str, key: &[u8], package: PackageId, file: Option<u8>, now: Timestamp) -> String {
    let expires = now.plus_ms(limits::URL_LIFE_MS).seconds();
    let (base, s) = (base.trim_end_matches('/'), signature(key, package, file, expires));
    let file = file.map_or(String::new(), |file| format!("/{file}"));
    format!("{base}/d/{package}{file}?e={expires:x}&s={s}")
}

/// Reads the number of a file in a URL's path. A number has one spelling.
pub fn parse_file(text: &str) -> Option<u8> {
    text.parse().ok().filter(|file: &u8| *file > 0 && format!("{file}") == text)
}

/// Returns until when a URL issued at `now` lives.
pub fn expires_at(now: Timestamp) -> Timestamp {
    Timestamp(now.plus_ms(limits::URL_LIFE_MS).seconds() * 1000)
}

/// Checks the `e` and `s` of a URL of a package, or of one of its files.
///
/// # Errors
/// An altered or an expired URL; an altered one is never told to be expired.
pub fn check(
    key: &[u8],
    package: PackageId,
    file: Option<u8>,
    e: &str,
    s: &str,
    now: Timestamp,
) -> Result<(), UrlError> {
    let expires = u64::from_str_radix(e, 16).map_err(|_| UrlError::Signature)?;
    let expected = signature(key, package, file, expires);
    if !bool::from(expected.as_bytes().ct_eq(s.as_bytes())) || format!("{expires:x}") != e {
        return Err(UrlError::Signature);
    }
    if now.seconds() >= expires { Err(UrlError::Expired) } else { Ok(()) }
}

/// The first half of an HMAC-SHA-256 in hexadecimal: 128 bits nobody guesses in a day. What is signed is a byte longer
/// with the number of a file, so that no URL of a package is one of a file.
fn signature(key: &[u8], package: PackageId, file: Option<u8>, expires: u64) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(&package.0);
    mac.update(&expires.to_be_bytes());
    if let Some(file) = file {
        mac.update(&[file]);
    }
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
        assert_eq!(check(b"key", PACKAGE, None, &e, &s, NOW), Ok(()));
        assert_eq!(check(b"key", PACKAGE, None, &e, &s, NOW.plus_ms(DAY_MS - 1)), Ok(()));
        assert_eq!(check(b"key", PACKAGE, None, &e, &s, NOW.plus_ms(DAY_MS)), Err(UrlError::Expired));
        assert_eq!(check(b"key", PackageId([1; 16]), None, &e, &s, NOW), Err(UrlError::Signature));
        assert_eq!(check(b"other", PACKAGE, None, &e, &s, NOW), Err(UrlError::Signature));
        assert_eq!(check(b"key", PACKAGE, None, "ffffffff", &s, NOW), Err(UrlError::Signature));
        assert_eq!(check(b"key", PACKAGE, None, &format!("0{e}"), &s, NOW), Err(UrlError::Signature));
        assert_eq!(check(b"key", PACKAGE, None, &e, &s[1..], NOW), Err(UrlError::Signature));
    }

    #[test]
    fn r31_a_url_opens_its_own_file_only() {
        let (e, s) = parts(&issue_file("http://ota.test", b"key", PACKAGE, 2, NOW));
        assert_eq!(check(b"key", PACKAGE, Some(2), &e, &s, NOW), Ok(()));
        assert_eq!(check(b"key", PACKAGE, Some(2), &e, &s, NOW.plus_ms(DAY_MS)), Err(UrlError::Expired));
        for other in [None, Some(1), Some(20)] {
            assert_eq!(check(b"key", PACKAGE, other, &e, &s, NOW), Err(UrlError::Signature), "{other:?}");
        }
        let (e, s) = parts(&issue("http://ota.test", b"key", PACKAGE, NOW));
        assert_eq!(check(b"key", PACKAGE, Some(1), &e, &s, NOW), Err(UrlError::Signature));
    }

    #[test]
    fn a_files_number_has_one_spelling() {
        assert_eq!(["1", "20"].map(parse_file), [Some(1), Some(20)]);
        for other in ["", "0", "01", "+1", "-1", "1 ", "256", "x"] {
            assert_eq!(parse_file(other), None, "{other}");
        }
    }

    #[test]
    fn a_url_fits_the_buffers_of_device_sdks() {
        let url = issue("http://ota.example.com/", b"key", PACKAGE, NOW);
        assert!(url.starts_with("http://ota.example.com/d/cdcd"));
        assert!(url.len() - "http://ota.example.com".len() <= 82);
        let longest = issue_file("http://ota.example.com", b"key", PACKAGE, u8::MAX, NOW);
        assert!(longest.len() - "http://ota.example.com".len() < limits::URL_PATH_LEN_MAX);
    }
}
