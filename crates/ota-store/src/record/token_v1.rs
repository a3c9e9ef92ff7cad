//! Tokens.

use minicbor::{Decode, Encode};
use ota_core::access::{Role, Scope, SecretDigest, Token};
use ota_core::ids::{ProductKey, TokenId, TokenName};
use ota_core::time::Timestamp;

use super::{Corrupt, Record, read_body, state, write_body};
use crate::tokens::{StoredToken, TokenCatalog};

#[derive(Encode, Decode)]
struct TokenRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[b(1)]
    name: &'a str,
    #[b(2)]
    role: &'a str,
    /// Absent for a token that is bound to none.
    #[b(3)]
    products: Option<Vec<&'a str>>,
    #[n(4)]
    created_at: u64,
    #[n(5)]
    expires_at: Option<u64>,
}

#[derive(Encode, Decode)]
struct StoredTokenRecord<'a> {
    #[b(0)]
    token: TokenRecord<'a>,
    #[cbor(n(1), with = "minicbor::bytes")]
    digest: [u8; 32],
}

impl<'a> From<&'a Token> for TokenRecord<'a> {
    fn from(token: &'a Token) -> Self {
        Self {
            id: token.id.0,
            name: token.name.as_str(),
            role: token.role.as_str(),
            products: match &token.scope {
                Scope::All => None,
                Scope::Products(products) => Some(products.iter().map(ProductKey::as_str).collect()),
            },
            created_at: token.created_at.0,
            expires_at: token.expires_at.map(|at| at.0),
        }
    }
}

impl TryFrom<TokenRecord<'_>> for Token {
    type Error = Corrupt;

    fn try_from(record: TokenRecord<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            id: TokenId(record.id),
            name: TokenName::new(record.name)?,
            role: state(Role::parse(record.role), record.role)?,
            scope: match record.products {
                None => Scope::All,
                Some(products) => {
                    Scope::Products(products.into_iter().map(ProductKey::new).collect::<Result<_, _>>()?)
                }
            },
            created_at: Timestamp(record.created_at),
            expires_at: record.expires_at.map(Timestamp),
        })
    }
}

impl Record for StoredToken {
    fn write(&self, out: &mut Vec<u8>) {
        write_body(&StoredTokenRecord { token: (&self.token).into(), digest: self.digest.0 }, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: StoredTokenRecord<'_> = read_body(&bytes)?;
        Ok(Self { token: record.token.try_into()?, digest: SecretDigest(record.digest) })
    }
}

impl Record for TokenCatalog {
    fn write(&self, out: &mut Vec<u8>) {
        write_body(&self.0.iter().map(TokenRecord::from).collect::<Vec<_>>(), out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let records: Vec<TokenRecord<'_>> = read_body(&bytes)?;
        Ok(Self(records.into_iter().map(Token::try_from).collect::<Result<_, _>>()?))
    }
}
