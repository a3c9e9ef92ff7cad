//! The OpenAPI 3.1 document of the REST API.
//!
//! It is made from the table of routes, so no route is missing; from the constants and words of `ota-core`, so no number is
//! told twice; from `docs/errors.md`, so codes mean here what they mean there; and from what `nouns` says of each operation. The
//! tests hold every request and answer of theirs against it, so it says what the service does.

mod codes;
mod document;
pub mod names;
mod nouns;
mod operation;
mod schema;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::PrettyFormatter;

pub use document::document;

/// Returns the document as it is kept in `docs/openapi.json`. One space is enough to see what is in what: deep as it is, the
/// document would be half as long again with more.
pub fn text() -> String {
    let mut text = Vec::new();
    let mut writer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b" "));
    document().serialize(&mut writer).expect("a value of JSON becomes a text in memory");
    text.push(b'\n');
    String::from_utf8(text).expect("JSON is UTF-8")
}
