//! Tokens: what a caller of the REST API bears.
//!
//! A token's text is `ovr_`, its id, `_` and its secret, both in hexadecimal digits: whoever searches for leaked secrets
//! finds it by its form, and the id tells which record to read. The secret is 32 random bytes, so its plain digest is all
//! that is kept: there is nothing to be guessed that a slow one would protect.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Role, Scope};
use crate::error::{Coded, Faults, ValueError};
use crate::ids::{ProductKey, TokenId, TokenName};
use crate::limits;
use crate::time::Timestamp;

/// What every token's text begins with.
const PREFIX: &str = "ovr_";
/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60_000;

/// A token, without its secret. It never changes: whoever wants another one makes another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Random.
    pub id: TokenId,
    /// What the operator calls it; no two have the same at the same time.
    pub name: TokenName,
    /// What its bearer may do.
    pub role: Role,
    /// To which products.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

impl Token {
    /// Tells whether it has expired.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// A token's secret. It is never shown: there is no `Debug`.
pub struct TokenSecret(Zeroizing<[u8; 32]>);

/// What is kept of a token's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretDigest(pub [u8; 32]);

impl TokenSecret {
    /// Makes a secret of random bytes.
    pub fn from_random(random: [[u8; 16]; 2]) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(random.as_flattened());
        Self(secret)
    }

    /// Returns the token's text: told to whoever makes it, once.
    pub fn reveal(&self, id: TokenId) -> String {
        format!("{PREFIX}{id}_{}", hex::encode(*self.0))
    }

    /// Reads [`Self::reveal`] back; `None` if the text is no token's.
    pub fn parse(text: &str) -> Option<(TokenId, Self)> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(secret, bytes.as_mut_slice()).ok()?;
        Some((id.parse().ok()?, Self(bytes)))
    }

    /// Returns what is kept of it.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest(Sha256::digest(self.0.as_slice()).into())
    }
}

impl SecretDigest {
    /// Tells whether this is kept of `secret`, in a time that tells nothing about it.
    pub fn is_of(&self, secret: &TokenSecret) -> bool {
        self.0.ct_eq(&secret.digest().0).into()
    }
}

/// The raw words of a request for a token.
#[derive(Clone, Debug, Default)]
pub struct TokenFields<'a> {
    /// `name`.
    pub name: Option<&'a str>,
    /// `role`.
    pub role: Option<&'a str>,
    /// `product_keys`; absent for a token that is bound to none.
    pub product_keys: Option<Vec<&'a str>>,
    /// `expires_in_days`; absent for a token that does not expire.
    pub expires_in_days: Option<u32>,
}

/// A request for a token, checked but for whether its products exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    name: TokenName,
    role: Role,
    /// To which products.
    pub scope: Scope,
    expires_in_days: Option<u32>,
}

impl NewToken {
    /// Checks the words of a request; every fault at once.
    ///
    /// # Errors
    /// The faults, with JSON pointers into the request.
    pub fn check(fields: &TokenFields<'_>) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let name = faults.take("/name", fields.name.ok_or(ValueError::Missing).and_then(TokenName::new));
        let parse =
            |text| Role::parse(text).ok_or(ValueError::NotOneOf { allowed: "admin, operator, viewer" });
        let role = faults.take("/role", fields.role.ok_or(ValueError::Missing).and_then(parse));
        let scope = match &fields.product_keys {
            None => Scope::All,
            Some(keys) => Scope::Products(check_products(keys, &mut faults)),
        };
        let max = limits::TOKEN_LIFE_DAYS_MAX;
        if fields.expires_in_days.is_some_and(|days| days == 0 || days > max) {
            faults.add("/expires_in_days", &ValueError::Range { min: 1, max: max.into() });
        }
        match (name, role, faults.into_result()) {
            (Some(name), Some(role), Ok(())) => {
                Ok(Self { name, role, scope, expires_in_days: fields.expires_in_days })
            }
            (_, _, Err(faults)) => Err(faults),
            // Without one of the two there is a fault.
            (_, _, Ok(())) => Err(Faults::new()),
        }
    }

    /// Makes the token.
    pub fn begin(self, id: TokenId, now: Timestamp) -> Token {
        Token {
            id,
            name: self.name,
            role: self.role,
            scope: self.scope,
            created_at: now,
            expires_at: self.expires_in_days.map(|days| now.plus_ms(u64::from(days) * DAY_MS)),
        }
    }
}

/// Checks product keys. An empty list is refused: a program that has lost its list must not get a token for everything.
fn check_products(keys: &[&str], faults: &mut Faults) -> Vec<ProductKey> {
    let max = limits::TOKEN_PRODUCTS_MAX;
    if keys.is_empty() {
        faults.add("/product_keys", &ValueError::Missing);
    }
    if keys.len() > max {
        faults.add("/product_keys", &ValueError::TooMany { count: keys.len(), max });
        return Vec::new();
    }
    let mut checked: Vec<ProductKey> = Vec::with_capacity(keys.len());
    for (index, key) in keys.iter().enumerate() {
        let pointer = format!("/product_keys/{index}");
        match faults.take(&pointer, ProductKey::new(key)) {
            Some(key) if checked.contains(&key) => {
                faults.add(&pointer, &ValueError::Duplicate { item: key.as_str().into() });
            }
            Some(key) => checked.push(key),
            None => {}
        }
    }
    checked
}

/// Why a token is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Another token has this name.
    NameTaken {
        /// The name.
        name: String,
    },
    /// There are [`limits::TOKENS_MAX`] tokens.
    TooMany,
}

impl Coded for TokenError {
    fn code(&self) -> &'static str {
        match self {
            Self::NameTaken { .. } => "token.name-taken",
            Self::TooMany => "token.too-many",
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken { name } => write!(f, "another token is called {name}"),
            Self::TooMany => write!(f, "there are {} tokens", limits::TOKENS_MAX),
        }
    }
}

impl core::error::Error for TokenError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    const ID: TokenId = TokenId([0xab; 16]);

    fn secret(n: u8) -> TokenSecret {
        TokenSecret::from_random([[n; 16], [n + 1; 16]])
    }

    #[test]
    fn a_tokens_text_reads_back_and_has_a_form_to_be_found_by() {
        let text = secret(1).reveal(ID);
        assert_eq!(text.len(), 4 + 32 + 1 + 64);
        assert_eq!(text, format!("ovr_{ID}_{}{}", "01".repeat(16), "02".repeat(16)));
        let (id, read) = TokenSecret::parse(&text).unwrap();
        assert!(id == ID && secret(1).digest().is_of(&read) && !secret(2).digest().is_of(&read));
        for wrong in
            ["", "ovr_", "ovr__", &text[1..], &text[..text.len() - 1], &format!("{text}0"), "api-token"]
        {
            assert!(TokenSecret::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_is_kept_is_the_digest_of_the_secret() {
        let expected = hex::encode(Sha256::digest([[1; 16], [2; 16]].as_flattened()));
        assert_eq!(hex::encode(secret(1).digest().0), expected);
    }

    #[test]
    fn every_fault_of_a_token_is_told_at_once() {
        let many = vec!["a1"; limits::TOKEN_PRODUCTS_MAX + 1];
        for (product_keys, told) in [
            (
                vec!["a1", "a 1", "a1"],
                vec!["/product_keys/1 value.charset", "/product_keys/2 value.duplicate"],
            ),
            (vec![], vec!["/product_keys value.missing"]),
            (many, vec!["/product_keys value.too-many"]),
        ] {
            let fields = TokenFields {
                name: Some("root"),
                role: Some("boss"),
                product_keys: Some(product_keys),
                expires_in_days: Some(0),
            };
            let faults = NewToken::check(&fields).unwrap_err().0;
            let faults: Vec<String> = faults.iter().map(|f| format!("{} {}", f.pointer, f.code)).collect();
            let first = ["/name value.not-allowed", "/role value.not-one-of"].map(ToString::to_string);
            let told = told.into_iter().map(ToString::to_string);
            let last = ["/expires_in_days value.range".to_string()];
            assert_eq!(faults, first.into_iter().chain(told).chain(last).collect::<Vec<_>>());
        }
        let faults = NewToken::check(&TokenFields::default()).unwrap_err().0;
        assert_eq!(faults.iter().map(|f| f.pointer.as_str()).collect::<Vec<_>>(), ["/name", "/role"]);
    }

    #[test]
    fn a_token_expires_at_its_moment() {
        let fields = TokenFields {
            name: Some("ci"),
            role: Some("operator"),
            product_keys: None,
            expires_in_days: Some(1),
        };
        let token = NewToken::check(&fields).unwrap().begin(ID, Timestamp(5));
        assert_eq!(token.expires_at, Some(Timestamp(5 + DAY_MS)));
        assert!(!token.has_expired(Timestamp(4 + DAY_MS)) && token.has_expired(Timestamp(5 + DAY_MS)));
        assert!(!Token { expires_at: None, ..token }.has_expired(Timestamp(u64::MAX)));
    }
}
