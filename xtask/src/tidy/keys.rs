//! Keys of the store stand in one file: nowhere else may a text look like one.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, ensure};

use super::{Finding, TextFile};

/// The table of all keys.
const TABLE: &str = "crates/ota-store/src/keys.rs";
/// Where the store is used. Tests may look at keys, and other crates know no store.
const USERS: [&str; 5] = [
    "functions/",
    "crates/ota-blob/src/",
    "crates/ota-store/src/",
    "crates/ota-http/src/",
    "crates/ota-platform/src/",
];

/// Finds texts that begin like a key.
pub(super) fn check(files: &[TextFile]) -> anyhow::Result<Vec<Finding>> {
    let table =
        files.iter().find(|file| file.path == Path::new(TABLE)).with_context(|| format!("no {TABLE}"))?;
    let roots = roots(&table.text);
    ensure!(!roots.is_empty(), "{TABLE} has no keys");
    let is_user = |file: &&TextFile| {
        file.is("rs")
            && file.path != Path::new(TABLE)
            && !file.path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"))
            && USERS.iter().any(|user| file.path.starts_with(user))
    };
    Ok(files.iter().filter(is_user).flat_map(|file| check_file(file, &roots)).collect())
}

fn check_file(file: &TextFile, roots: &BTreeSet<String>) -> Vec<Finding> {
    let code = file.text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    let mut findings = Vec::new();
    for (index, line) in code.enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for text in texts(line) {
            if text.split_once('/').is_some_and(|(root, _)| roots.contains(root)) {
                let told = format!("\"{text}\" looks like a key of the store: keys are made in {TABLE} only");
                findings.push(Finding::new(&file.path, index + 1, told));
            }
        }
    }
    findings
}

/// Returns what keys begin with.
fn roots(table: &str) -> BTreeSet<String> {
    let code = table.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(texts)
        .filter_map(|text| text.split_once('/').map(|(root, _)| root.to_owned()))
        .filter(|root| !root.is_empty() && root.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        .collect()
}

/// Returns the texts in quotes of a line, near enough: an escaped quote cuts one in two.
fn texts(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.into(), text: text.into() }
    }

    fn table() -> TextFile {
        let text = "//! `\"ghost/x\"`\npub const A: &str = \"work/batches\";\nformat!(\"batch/{id}\")\nformat!(\"{log}/{n}\")";
        file(TABLE, text)
    }

    #[test]
    fn the_table_tells_what_keys_begin_with() {
        assert_eq!(roots(&table().text), BTreeSet::from(["work".to_owned(), "batch".to_owned()]));
    }

    #[test]
    fn a_key_outside_the_table_is_found() {
        let files = [
            table(),
            file("functions/dispatch/src/walk.rs", "let x = 1;\nlet key = format!(\"batch/{id}/page\");"),
            file("functions/dispatch/src/push.rs", "// \"batch/{id}\"\nlet url = \"/v1/batch/x\";"),
            file(
                "crates/ota-store/src/batches.rs",
                "#[cfg(test)]\nmod tests { const K: &str = \"batch/1\"; }",
            ),
            file("crates/ota-store/src/record/batch_tests.rs", "const K: &str = \"batch/1\";"),
            file("crates/ota-host/src/http.rs", "const K: &str = \"work/x\";"),
        ];
        let found = check(&files).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].file.to_str(), found[0].line), (Some("functions/dispatch/src/walk.rs"), 2));
    }
}
