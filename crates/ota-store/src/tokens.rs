//! Tokens: one record each, by which requests are let in, and a catalogue of all of them, which they are listed from.
//!
//! The record decides: a token with one lets in, whatever the catalogue says. So it is written first, which leaves at
//! worst a record that nobody has the secret of, and deleted first, which leaves at worst a name on the list; the request
//! made again takes that off too.

use ota_core::access::{SecretDigest, Token, TokenError};
use ota_core::ids::TokenId;
use ota_core::limits;
use ota_core::time::Timestamp;

use crate::keys;
use crate::kv::Kv;
use crate::record::to_bytes;
use crate::transact::{Change, StoreError, load, update};

/// A token, and what is kept of its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// The token.
    pub token: Token,
    /// What is kept of its secret.
    pub digest: SecretDigest,
}

/// All tokens, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenCatalog(pub Vec<Token>);

impl TokenCatalog {
    /// Adds a token; adding it again changes nothing.
    fn add(&mut self, token: &Token) -> Result<(), TokenError> {
        if self.0.iter().any(|known| known.name == token.name && known.id != token.id) {
            return Err(TokenError::NameTaken { name: token.name.to_string() });
        }
        if self.0.iter().any(|known| known.id == token.id) {
            return Ok(());
        }
        if self.0.len() >= limits::TOKENS_MAX {
            return Err(TokenError::TooMany);
        }
        self.0.push(token.clone());
        Ok(())
    }
}

/// Returns a token: one read.
///
/// # Errors
/// The store's.
pub async fn get(kv: &impl Kv, id: TokenId) -> Result<Option<StoredToken>, StoreError> {
    load(kv, &keys::token(id)).await
}

/// Returns all tokens.
///
/// # Errors
/// The store's.
pub async fn catalog(kv: &impl Kv) -> Result<TokenCatalog, StoreError> {
    Ok(load(kv, keys::TOKENS).await?.unwrap_or_default())
}

/// Makes a token. Its id must be new.
///
/// # Errors
/// The store's; the inner one when its name is taken or there are too many tokens.
pub async fn create(
    kv: &impl Kv,
    stored: &StoredToken,
    now: Timestamp,
) -> Result<Result<(), TokenError>, StoreError> {
    // Looked at first, so that a refused request writes nothing.
    if let Err(refused) = catalog(kv).await?.add(&stored.token) {
        return Ok(Err(refused));
    }
    let key = keys::token(stored.token.id);
    kv.set(&key, &to_bytes(stored, 1)).await?;
    let listed = update(kv, keys::TOKENS, now, |catalog: Option<TokenCatalog>| {
        let mut catalog = catalog.unwrap_or_default();
        match catalog.add(&stored.token) {
            Ok(()) => Change::Put(catalog, Ok(())),
            Err(refused) => Change::Keep(Err(refused)),
        }
    });
    let listed = listed.await?;
    if listed.is_err() {
        kv.delete(&key).await?;
    }
    Ok(listed)
}

/// Deletes a token: from now on it lets nobody in.
///
/// # Errors
/// The store's. The request made again does what is left.
pub async fn delete(kv: &impl Kv, id: TokenId, now: Timestamp) -> Result<(), StoreError> {
    kv.delete(&keys::token(id)).await?;
    update(kv, keys::TOKENS, now, |catalog: Option<TokenCatalog>| match catalog {
        Some(mut catalog) if catalog.0.iter().any(|token| token.id == id) => {
            catalog.0.retain(|token| token.id != id);
            Change::Put(catalog, ())
        }
        _ => Change::Keep(()),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Fault, MemoryKv};
    use crate::testing::block_on;
    use ota_core::access::{Role, Scope};
    use ota_core::ids::{ProductKey, TokenName};

    const NOW: Timestamp = Timestamp(1_000);

    fn stored(n: usize, name: &str) -> StoredToken {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(n as u64).to_be_bytes());
        let token = Token {
            id: TokenId(id),
            name: TokenName::new(name).unwrap(),
            role: Role::Operator,
            scope: Scope::Products(vec![ProductKey::new("a1lamp").unwrap()]),
            created_at: NOW,
            expires_at: Some(Timestamp(2_000)),
        };
        StoredToken { token, digest: SecretDigest([7; 32]) }
    }

    fn names(kv: &MemoryKv) -> Vec<String> {
        block_on(catalog(kv)).unwrap().0.iter().map(|token| token.name.to_string()).collect()
    }

    #[test]
    fn a_token_is_found_and_listed_until_it_is_deleted() {
        let kv = MemoryKv::new();
        let (one, all) = (
            stored(1, "ci"),
            StoredToken {
                token: Token { scope: Scope::All, expires_at: None, ..stored(2, "eve").token },
                ..stored(2, "eve")
            },
        );
        for token in [&one, &all] {
            block_on(create(&kv, token, NOW)).unwrap().unwrap();
            assert_eq!(block_on(get(&kv, token.token.id)).unwrap().as_ref(), Some(token));
        }
        assert_eq!(block_on(catalog(&kv)).unwrap().0, [one.token.clone(), all.token.clone()]);
        for _ in 0..2 {
            block_on(delete(&kv, one.token.id, NOW)).unwrap();
            assert_eq!(block_on(get(&kv, one.token.id)).unwrap(), None);
            assert_eq!(names(&kv), ["eve"]);
        }
    }

    #[test]
    fn a_name_is_taken_once_and_free_again_afterwards() {
        let kv = MemoryKv::new();
        block_on(create(&kv, &stored(1, "ci"), NOW)).unwrap().unwrap();
        let refused = block_on(create(&kv, &stored(2, "ci"), NOW)).unwrap();
        assert_eq!(refused, Err(TokenError::NameTaken { name: "ci".into() }));
        assert_eq!(block_on(get(&kv, stored(2, "ci").token.id)).unwrap(), None);
        block_on(delete(&kv, stored(1, "ci").token.id, NOW)).unwrap();
        block_on(create(&kv, &stored(2, "ci"), NOW)).unwrap().unwrap();
    }

    #[test]
    fn a_deletion_that_is_cut_off_has_revoked_the_token_already() {
        let kv = MemoryKv::new();
        block_on(create(&kv, &stored(1, "ci"), NOW)).unwrap().unwrap();
        kv.set_faults(|key, operation| {
            (key == keys::TOKENS && operation == "swap").then_some(Fault::Refused)
        });
        assert!(block_on(delete(&kv, stored(1, "ci").token.id, NOW)).is_err());
        kv.clear_faults();
        assert_eq!(block_on(get(&kv, stored(1, "ci").token.id)).unwrap(), None);
        block_on(delete(&kv, stored(1, "ci").token.id, NOW)).unwrap();
        assert_eq!(names(&kv), [""; 0]);
    }

    #[test]
    fn the_fullest_list_of_tokens_fits_into_a_value() {
        let products = (0..limits::TOKEN_PRODUCTS_MAX)
            .map(|n| ProductKey::new(&format!("{n:0>width$}", width = limits::PRODUCT_KEY_LEN_MAX)).unwrap());
        let products: Vec<ProductKey> = products.collect();
        let mut catalog = TokenCatalog::default();
        for n in 0..=limits::TOKENS_MAX {
            let name = format!("{n:0>width$}", width = limits::TOKEN_NAME_LEN_MAX);
            let mut token = stored(n, &name).token;
            token.scope = Scope::Products(products.clone());
            let added = catalog.add(&token);
            assert_eq!(added.is_ok(), n < limits::TOKENS_MAX);
        }
        let bytes = to_bytes(&catalog, u64::MAX);
        assert!(bytes.len() < 256 * 1024, "{}", bytes.len());
    }
}
