//! Who may do what: roles, the products a token is bound to, and the caller of a request.
//!
//! A caller has a [`Role`], which says what kind of thing it may do, and a [`Scope`], which says to which products. Whoever
//! answers a request asks for both: for the role before anything is done, for the product as soon as it is known. What is
//! outside of the scope is told of like something that is not there.

mod entry;
mod token;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ids::{ProductKey, TokenId};
use crate::time::Timestamp;

pub use self::entry::AuditEntry;
pub use self::token::{NewToken, SecretDigest, Token, TokenError, TokenFields, TokenSecret};

/// What kind of thing a caller may do. Each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads, and changes nothing.
    Viewer,
    /// Runs upgrades: packages, batches, tasks, devices, modules.
    Operator,
    /// Decides who may do what, and how the service and its products are set.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Returns the name used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// To which products a caller may do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// To all of them, those to come too, and to what belongs to no product.
    All,
    /// To these, and to nothing else.
    Products(Vec<ProductKey>),
}

impl Scope {
    /// Returns the products it is bound to; none if it is bound to none.
    pub fn products(&self) -> &[ProductKey] {
        match self {
            Self::All => &[],
            Self::Products(products) => products,
        }
    }

    /// Tells whether the product of this key is inside. The key may be of a product that does not exist.
    pub fn holds(&self, product: &str) -> bool {
        match self {
            Self::All => true,
            Self::Products(products) => products.iter().any(|key| key.as_str() == product),
        }
    }

    /// Tells whether all of `other` is inside.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Products(_), Self::All) => false,
            (Self::Products(_), Self::Products(products)) => {
                products.iter().all(|key| self.holds(key.as_str()))
            }
        }
    }
}

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// What the audit log calls it: a token's name, `root`, or `cloud-api:` and the id of an access key. A token's name
    /// has no colon and is not `root`, so none can pass for another.
    pub actor: String,
    /// Its token, unless it is one of the other two.
    pub token: Option<TokenId>,
    /// What it may do.
    pub role: Role,
    /// To which products.
    pub scope: Scope,
    /// When its token expires.
    pub expires_at: Option<Timestamp>,
}

impl Caller {
    /// The name of whoever bears the application's own token.
    pub const ROOT: &'static str = "root";

    /// Whoever bears the application's own token, which may do everything.
    pub fn root() -> Self {
        Self {
            actor: Self::ROOT.to_owned(),
            token: None,
            role: Role::Admin,
            scope: Scope::All,
            expires_at: None,
        }
    }

    /// Whoever has signed with an access key of the vendor's cloud API, which may do everything it has words for.
    pub fn cloud_api(access_key_id: &str) -> Self {
        Self { actor: format!("cloud-api:{access_key_id}"), ..Self::root() }
    }

    /// Nobody: may touch nothing. What a request's caller is until it has been let in.
    pub fn nobody() -> Self {
        Self { actor: String::new(), role: Role::Viewer, scope: Scope::Products(Vec::new()), ..Self::root() }
    }

    /// Tells whether it is bound to products.
    pub const fn is_bound(&self) -> bool {
        matches!(self.scope, Scope::Products(_))
    }

    /// Tells whether it may touch what belongs to this product. What it may not is, to it, not there.
    pub fn may_touch(&self, product: &ProductKey) -> bool {
        self.scope.holds(product.as_str())
    }
}

impl From<&Token> for Caller {
    fn from(token: &Token) -> Self {
        Self {
            actor: token.name.as_str().to_owned(),
            token: Some(token.id),
            role: token.role,
            scope: token.scope.clone(),
            expires_at: token.expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn products(keys: &[&str]) -> Scope {
        Scope::Products(keys.iter().map(|key| ProductKey::new(key).unwrap()).collect())
    }

    #[test]
    fn a_role_may_do_what_the_lesser_ones_may() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("root"), None);
    }

    #[test]
    fn a_scope_holds_its_products_and_covers_what_is_no_wider() {
        let (all, two, one, none) = (Scope::All, products(&["a", "b"]), products(&["a"]), products(&[]));
        assert!(all.holds("a") && two.holds("b") && !one.holds("b") && !none.holds("a"));
        assert!(!one.holds("") && !one.holds("A"));
        let scopes = [&all, &two, &one, &none];
        for (wide, scope) in scopes.iter().enumerate() {
            for (narrow, other) in scopes.iter().enumerate() {
                assert_eq!(scope.covers(other), wide <= narrow, "{scope:?} {other:?}");
            }
        }
        assert!(!products(&["a", "c"]).covers(&two));
        assert_eq!(two.products().len() + all.products().len(), 2);
    }

    #[test]
    fn nobody_may_touch_anything_and_root_everything() {
        let lamp = ProductKey::new("a1lamp").unwrap();
        assert!(!Caller::nobody().may_touch(&lamp) && Caller::nobody().is_bound());
        assert!(Caller::root().may_touch(&lamp) && !Caller::root().is_bound());
        assert!(Caller::cloud_api("k").may_touch(&lamp));
        let bound = Caller { scope: Scope::Products(vec![lamp.clone()]), ..Caller::nobody() };
        assert!(bound.may_touch(&lamp));
    }
}
