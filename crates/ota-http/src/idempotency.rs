//! The `Idempotency-Key` header (IETF draft): a request sent twice makes one thing.
//!
//! The new thing's id is made from the key, so a repeated request meets the record of the first. The record keeps a
//! fingerprint of the request, so that the same key with other words is noticed. A key is its caller's own: two tokens
//! that use the same one make two things, and learn nothing of each other.

use http::HeaderMap;
use ota_core::access::Caller;
use ota_core::error::{Faults, ValueError};
use ota_core::limits;
use sha2::{Digest, Sha256};

use crate::{Problem, Request};

/// What a creating request is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The id of the thing to make.
    pub id: [u8; 16],
    /// What the request says.
    pub fingerprint: [u8; 16],
    /// Whether the id came from a key, so that the thing may exist already.
    pub may_exist: bool,
}

/// Identifies a request that makes a `noun`: by its key, or by `random` when it has none.
///
/// # Errors
/// A key that is empty, too long or not visible ASCII.
pub fn identify<B>(
    request: &Request<B>,
    noun: &str,
    said: &[u8],
    random: [u8; 16],
) -> Result<Identity, Problem> {
    of_caller(&request.headers, &request.caller, noun, said, random)
}

fn of_caller(
    headers: &HeaderMap,
    caller: &Caller,
    noun: &str,
    said: &[u8],
    random: [u8; 16],
) -> Result<Identity, Problem> {
    let fingerprint = digest(&[b"request", noun.as_bytes(), said]);
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(Identity { id: random, fingerprint, may_exist: false });
    };
    let key = key.as_bytes();
    if key.is_empty() || key.len() > limits::IDEMPOTENCY_KEY_LEN_MAX || !key.iter().all(u8::is_ascii_graphic)
    {
        let mut faults = Faults::new();
        let expected = "1 to 128 visible ASCII characters";
        faults.add("header:Idempotency-Key", &ValueError::Malformed { expected });
        return Err(faults.into());
    }
    let mut parts = vec![b"key".as_slice(), noun.as_bytes(), key];
    parts.extend(caller.token.as_ref().map(|id| id.0.as_slice()));
    Ok(Identity { id: digest(&parts), fingerprint, may_exist: true })
}

impl Identity {
    /// Refuses a thing that the same key made from other words.
    ///
    /// # Errors
    /// `request.idempotency-key-reused`.
    pub fn same_as(&self, fingerprint: [u8; 16]) -> Result<(), Problem> {
        if self.fingerprint == fingerprint {
            return Ok(());
        }
        Err(reused())
    }
}

/// The problem of a key that was used for another request.
pub fn reused() -> Problem {
    Problem::new("request.idempotency-key-reused", "this Idempotency-Key was used for another request")
}

/// The first 16 bytes of the SHA-256 of the parts, each with its length.
fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use ota_core::ids::TokenId;

    fn with_key(key: &str, noun: &str, request: &[u8]) -> Result<Identity, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", key.parse().unwrap());
        of_caller(&headers, &Caller::root(), noun, request, [0; 16])
    }

    #[test]
    fn the_same_key_makes_the_same_id_for_one_noun_only() {
        let one = with_key("k", "batch", b"a").unwrap();
        assert_eq!(with_key("k", "batch", b"a").unwrap(), one);
        assert_ne!(with_key("k", "package", b"a").unwrap().id, one.id);
        assert_ne!(with_key("l", "batch", b"a").unwrap().id, one.id);
    }

    #[test]
    fn other_words_under_the_same_key_are_noticed() {
        let one = with_key("k", "batch", b"a").unwrap();
        assert!(one.same_as(with_key("k", "batch", b"b").unwrap().fingerprint).is_err());
    }

    #[test]
    fn a_key_is_its_callers_own() {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", "k".parse().unwrap());
        let id = |n: u8| {
            let caller = Caller { token: Some(TokenId([n; 16])), ..Caller::root() };
            of_caller(&headers, &caller, "batch", b"a", [0; 16]).unwrap().id
        };
        assert_eq!(id(1), id(1));
        assert_ne!(id(1), id(2));
        assert_ne!(id(1), with_key("k", "batch", b"a").unwrap().id);
    }

    #[test]
    fn a_key_that_is_no_key_is_refused() {
        assert!(with_key("", "batch", b"").is_err());
        assert!(with_key("a b", "batch", b"").is_err());
        assert!(with_key(&"k".repeat(129), "batch", b"").is_err());
    }
}
