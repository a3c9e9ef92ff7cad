//! Writes `docs/limits.md` and keeps it true: every constant of `limits.rs` with its value and its source.
//!
//! The table stands between marks: `UPDATE_DOCS=1 cargo test -p ota-tests --test rules` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};

use crate::documents::{filled, table};

/// A constant as the source has it.
#[derive(Debug, PartialEq, Eq)]
struct Limit {
    name: String,
    value: String,
    /// Its doc comment, which ends in the source.
    words: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Reads the public constants of a source.
fn limits(source: &str) -> Vec<Limit> {
    let mut found = Vec::new();
    let mut words: Vec<&str> = Vec::new();
    // The declaration that has begun and not ended.
    let mut open = String::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            words.push(text.trim());
        } else if !open.is_empty() || line.starts_with("pub const ") {
            open = format!("{open} {line}").trim().to_owned();
            if line.ends_with(';') {
                found.extend(limit(&std::mem::take(&mut open), &words.join(" ")));
                words.clear();
            }
        }
    }
    found
}

fn limit(declaration: &str, words: &str) -> Option<Limit> {
    let (head, value) = declaration.strip_prefix("pub const ")?.trim_end_matches(';').split_once(" = ")?;
    let (name, _) = head.split_once(':')?;
    Some(Limit { name: name.to_owned(), value: value.to_owned(), words: words.to_owned() })
}

fn present() -> Vec<Limit> {
    let source = root().join("crates/ota-core/src/limits.rs");
    limits(&fs::read_to_string(source).expect("limits.rs is there"))
}

#[test]
fn limits_doc_is_current() {
    let path = root().join("docs/limits.md");
    let page = fs::read_to_string(&path).expect("docs/limits.md is there");
    let rows = present().into_iter().map(|limit| {
        vec![format!("`{}`", limit.name), format!("`{}`", limit.value), limit.words.replace('|', "\\|")]
    });
    let header = ["Constant", "Value", "What it bounds, and where it comes from"];
    let current = filled(&page, "limits", &table(&header, rows));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, current).expect("docs/limits.md can be written");
    } else {
        assert!(
            page == current,
            "docs/limits.md is out of date: UPDATE_DOCS=1 cargo test -p ota-tests --test rules"
        );
    }
}

#[test]
fn every_limit_is_read_and_says_what_it_bounds() {
    let source =
        fs::read_to_string(root().join("crates/ota-core/src/limits.rs")).expect("limits.rs is there");
    let limits = present();
    assert_eq!(limits.len(), source.matches("pub const ").count());
    for limit in limits {
        assert!(!limit.words.is_empty() && !limit.value.is_empty(), "{limit:?}");
    }
}

#[test]
fn a_limit_is_read_whether_it_stands_on_one_line_or_on_several() {
    let source = "/// One\n/// (ours).\npub const ONE: [u8; 2] = [1, 2];\n\n/// Two.\npub const TWO: [&str; 1] = [\n    \"x\",\n];\n";
    let expected = [("ONE", "[1, 2]", "One (ours)."), ("TWO", "[ \"x\", ]", "Two.")]
        .map(|(name, value, words)| Limit { name: name.into(), value: value.into(), words: words.into() });
    assert_eq!(limits(source), expected);
}
