//! Keeps `docs/api.md` true: a field that a request gave or an answer tells is on the page, or the test that saw it fails.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

/// The words in code spans of the pages that list fields.
static WORDS: LazyLock<BTreeSet<&str>> = LazyLock::new(|| {
    let pages = [
        include_str!("../../docs/api.md"),
        include_str!("../../docs/errors.md"),
        include_str!("../../docs/settings.md"),
    ];
    let spans = pages.into_iter().flat_map(|page| page.split('`').skip(1).step_by(2));
    spans.flat_map(|span| span.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')).collect()
});

/// Checks the fields of a body of the REST API.
///
/// # Panics
/// If one of them is not documented.
#[track_caller]
pub(crate) fn check(what: &str, body: &[u8]) {
    let Ok(body) = serde_json::from_slice(body) else { return };
    check_value(what, &body);
}

#[track_caller]
fn check_value(what: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                assert!(WORDS.contains(name.as_str()), "{what}: no page of docs/ knows the field `{name}`");
                // What an event carries is the vendor's, and other pages tell of it.
                if name != "payload" {
                    check_value(what, value);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check_value(what, item)),
        _ => {}
    }
}
