//! What the audit log says of a request.

use alloc::string::String;

use super::Role;
use crate::ids::{ProductKey, TokenId};
use crate::time::Timestamp;

/// One line of the audit log: who asked for what, when, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The request's random id.
    pub request: [u8; 16],
    /// When it came.
    pub at: Timestamp,
    /// Who made it, as [`super::Caller::actor`] says.
    pub actor: String,
    /// The caller's token. Names are given out again, ids are not.
    pub token: Option<TokenId>,
    /// What the caller might have done.
    pub role: Role,
    /// What was asked for: a noun and a verb, as in the table of routes.
    pub action: String,
    /// What it was asked for: a noun and an id or name.
    pub subject: String,
    /// The product it belongs to, if it does.
    pub product: Option<ProductKey>,
    /// The status of the answer; none as long as it is not known, which it never will be if the function died.
    pub status: Option<u16>,
}
