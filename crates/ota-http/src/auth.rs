//! Bearer tokens (RFC 6750).

use http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use crate::Problem;

/// Refuses a request that does not bear the token `expected`, in a time that tells nothing about it.
///
/// # Errors
/// `request.unauthorized`.
pub fn require_bearer(headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    let refused = || Problem::new("request.unauthorized", "this needs `Authorization: Bearer <token>`");
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = given.and_then(|value| value.split_once(' ')).ok_or_else(refused)?;
    let bearer = scheme.eq_ignore_ascii_case("bearer");
    // An empty expectation is a service without its secret: nobody is let in by leaving the token out.
    let same: bool = token.trim().as_bytes().ct_eq(expected.as_bytes()).into();
    if bearer && same && !expected.is_empty() { Ok(()) } else { Err(refused()) }
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
