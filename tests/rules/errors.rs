//! Keeps `docs/errors.md` true: every code in the sources is on the page, and the page has no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What stands before the dot of a code.
const NOUNS: [&str; 20] = [
    "auth", "batch", "broker", "bucket", "delta", "device", "download", "message", "module", "package",
    "product", "request", "security", "service", "store", "task", "token", "upload", "value", "webhook",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace").to_owned()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        let tests = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|suffix| suffix == "rs") && !tests {
            found.push(path);
        }
    }
}

/// The texts between `quote`s that have the form of a code.
fn codes(text: &str, quote: char) -> BTreeSet<String> {
    let is_code = |text: &&str| {
        let plain =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        text.split_once('.').is_some_and(|(noun, fault)| NOUNS.contains(&noun) && plain(fault))
    };
    text.split(quote).filter(is_code).map(str::to_owned).collect()
}

#[test]
fn the_page_of_errors_lists_every_code_and_no_other() {
    let mut files = Vec::new();
    let crates = ["ota-blob", "ota-core", "ota-http", "ota-platform", "ota-store"]
        .map(|name| format!("crates/{name}/src"));
    for folder in crates.iter().map(String::as_str).chain(["functions"]) {
        sources(&root().join(folder), &mut files);
    }
    let mut used = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).expect("the source can be read");
        // What stands beside the code to test it may use codes of its own.
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        used.extend(codes(&text, '"'));
    }
    let page = fs::read_to_string(root().join("docs/errors.md")).expect("docs/errors.md is there");
    let listed = codes(&page, '`');
    assert_eq!(used.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "missing on the page");
    assert_eq!(listed.difference(&used).collect::<Vec<_>>(), Vec::<&String>::new(), "not in the sources");
}
