//! Bearer tokens (RFC 6750): the application's own, and those that admins make.

use std::fmt::Display;

use http::{HeaderMap, header};
use ota_core::access::{Caller, TokenSecret};
use ota_core::time::Timestamp;
use ota_store::{Kv, tokens};
use subtle::ConstantTimeEq;

use crate::{Problem, variable};

fn refused() -> Problem {
    Problem::new("request.unauthorized", "this needs `Authorization: Bearer <token>`")
}

/// Returns the token that a request bears.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = given.and_then(|value| value.split_once(' ')).ok_or_else(refused)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(refused()) }
}

/// Tells whether a token is the expected one, in a time that tells nothing about it. An empty expectation is a service
/// without its secret: nobody is let in by leaving the token out.
fn is_same(token: &str, expected: &str) -> bool {
    let same: bool = token.as_bytes().ct_eq(expected.as_bytes()).into();
    same && !expected.is_empty()
}

/// Refuses a request that does not bear the token `expected`, in a time that tells nothing about it.
///
/// # Errors
/// `request.unauthorized`.
pub fn require_bearer(headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    if is_same(bearer(headers)?, expected) { Ok(()) } else { Err(refused()) }
}

/// Returns who makes a request of the operators' API: the bearer of `root`, the application's own token, which costs no
/// operation of the store, or of a token that was made, which costs one read.
///
/// # Errors
/// `service.variable`; `request.unauthorized`; the store's.
pub async fn caller<E: Display>(
    kv: &impl Kv,
    headers: &HeaderMap,
    root: Result<String, E>,
    now: Timestamp,
) -> Result<Caller, Problem> {
    let (root, token) = (variable(root)?, bearer(headers)?);
    if is_same(token, &root) {
        return Ok(Caller::root());
    }
    let (id, secret) = TokenSecret::parse(token).ok_or_else(refused)?;
    let stored = tokens::get(kv, id).await?.filter(|stored| stored.digest.is_of(&secret));
    let token = stored.ok_or_else(refused)?.token;
    if token.has_expired(now) {
        return Err(Problem { detail: "the token has expired".to_owned(), ..refused() });
    }
    Ok(Caller::from(&token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Option<&str>, expected: &str) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        require_bearer(&headers, expected).is_ok()
    }

    #[test]
    fn only_the_whole_token_is_let_in() {
        assert!(check(Some("Bearer secret"), "secret"));
        assert!(check(Some("bearer secret"), "secret"));
        for wrong in [None, Some("secret"), Some("Bearer"), Some("Bearer secre"), Some("Basic secret")] {
            assert!(!check(wrong, "secret"), "{wrong:?}");
        }
    }

    #[test]
    fn a_service_without_its_secret_lets_nobody_in() {
        assert!(!check(Some("Bearer "), ""));
        assert!(!check(None, ""));
    }
}
