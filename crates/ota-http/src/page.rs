//! Lists in pages: `limit` and an opaque `cursor`.

use ota_core::error::{Faults, ValueError};
use ota_core::limits;
use serde::Serialize;

use crate::{Problem, Request};

/// One page of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Reads `limit`: 1 to 200, 50 if absent.
///
/// # Errors
/// A fault of `query:limit`.
pub fn limit<B>(request: &Request<B>) -> Result<usize, Problem> {
    limit_up_to(request, limits::PAGE_SIZE_MAX)
}

/// Reads `limit`: 1 to `max`, 50 if absent.
///
/// # Errors
/// A fault of `query:limit`.
pub fn limit_up_to<B>(request: &Request<B>, max: usize) -> Result<usize, Problem> {
    let Some(text) = request.query("limit") else { return Ok(limits::PAGE_SIZE_DEFAULT) };
    match text.parse() {
        Ok(limit) if (1..=max).contains(&limit) => Ok(limit),
        _ => {
            let mut faults = Faults::new();
            faults.add("query:limit", &ValueError::Range { min: 1, max: max as u64 });
            Err(faults.into())
        }
    }
}

/// Reads `cursor` with `parse`; `None` at the beginning of the list.
///
/// # Errors
/// A fault of `query:cursor` when `parse` cannot read it.
pub fn cursor<B, T>(
    request: &Request<B>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let Some(text) = request.query("cursor") else { return Ok(None) };
    parse(text).map(Some).ok_or_else(|| {
        let mut faults = Faults::new();
        let expected = "the next_cursor of an earlier page of this list";
        faults.add("query:cursor", &ValueError::Malformed { expected });
        faults.into()
    })
}
