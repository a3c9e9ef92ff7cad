//! Leftovers of somebody's work.

use super::{Finding, TextFile};

// Put together here, so that this file does not find itself.
const DEBUG: &str = concat!("db", "g!");
const FIX: &str = concat!("FIX", "ME");
const TO_DO: &str = concat!("TO", "DO");

/// Finds debugging macros, things to be fixed, and things to be done that do not say what.
pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    if file.is("json") {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines
        .flat_map(|(number, line)| fault(file, line).map(|text| Finding::new(&file.path, number, text)))
        .collect()
}

fn fault(file: &TextFile, line: &str) -> Option<String> {
    if file.is("rs") && line.contains(&format!("{DEBUG}(")) {
        return Some(format!("a leftover {DEBUG}"));
    }
    // In prose the words may be talked about, in backquotes.
    if file.is("md") && (line.contains(&format!("`{FIX}`")) || line.contains(&format!("`{TO_DO}`"))) {
        return None;
    }
    if word(line, FIX).is_some() {
        return Some(format!("{FIX}: fix it, or make it a {TO_DO} that says what is missing"));
    }
    if is_empty_to_do(word(line, TO_DO)?) {
        return Some(format!("a {TO_DO} that does not say what is missing"));
    }
    None
}

/// Returns what follows a word that stands alone.
fn word<'a>(line: &'a str, wanted: &str) -> Option<&'a str> {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(wanted).find_map(|(at, _)| {
        let (before, after) = (line.get(..at)?, line.get(at + wanted.len()..)?);
        let alone = !before.ends_with(part_of_word) && !after.starts_with(part_of_word);
        alone.then_some(after)
    })
}

/// Tells whether there are no words after it, not counting somebody's name in brackets.
fn is_empty_to_do(after: &str) -> bool {
    let after = match after.strip_prefix('(') {
        Some(rest) => rest.split_once(')').map_or("", |(_, rest)| rest),
        None => after,
    };
    !after.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, text: &str) -> usize {
        check(&TextFile { path: name.into(), text: text.into() }).len()
    }

    #[test]
    fn leftovers_are_found() {
        for line in
            ["    DEBUG(x);", "// FIX this", "// TO_DO", "// TO_DO:", "// TO_DO(me): ", "x(); // TO_DO ..."]
        {
            let line = line.replace("DEBUG", DEBUG).replace("FIX", FIX).replace("TO_DO", TO_DO);
            assert_eq!(found("a.rs", &line), 1, "{line}");
        }
    }

    #[test]
    fn what_says_what_is_missing_stays() {
        for line in
            ["// TO_DO: retry once the port tells why", "// TO_DO(me): split", "let TO_DOS = 1;", "FIXES"]
        {
            let line = line.replace("FIX", FIX).replace("TO_DO", TO_DO);
            assert_eq!(found("a.rs", &line), 0, "{line}");
        }
        assert_eq!(found("a.md", &format!("no `{FIX}` is left")), 0);
    }
}
