//! The OpenAPI 3.1 document of the REST API.
//!
//! It is made from the table of routes, so no route is missing; from the constants and words of `ota-core`, so no number is
//! told twice; from `docs/errors.md`, so codes mean here what they mean there; and from what [`nouns`] says of each operation. The
//! tests hold every request and answer of theirs against it, so it says what the service does.

mod codes;
mod document;
pub mod names;
mod nouns;
mod operation;
mod schema;

pub use document::document;

/// Returns the document as it is kept in `docs/openapi.json`.
pub fn text() -> String {
    format!("{:#}\n", document())
}
