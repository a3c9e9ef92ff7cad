//! Source files that no `mod` names are dead: the compiler never sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Finding, TextFile};
use crate::workspace::Workspace;

/// Finds files that no target of a member leads to.
pub(super) fn check(workspace: &Workspace, files: &[TextFile]) -> Vec<Finding> {
    let sources: BTreeMap<&Path, &str> = files
        .iter()
        .filter(|file| file.is("rs"))
        .map(|file| (file.path.as_path(), file.text.as_str()))
        .collect();
    let roots = workspace.packages().iter().flat_map(|package| &package.sources);
    let roots: Vec<PathBuf> =
        roots.map(|path| path.strip_prefix(&workspace.root).unwrap_or(path).to_owned()).collect();
    dead(&sources, &roots)
        .into_iter()
        .map(|path| Finding::new(path, 1, "no `mod` leads to this file"))
        .collect()
}

fn dead<'a>(sources: &BTreeMap<&'a Path, &str>, roots: &[PathBuf]) -> Vec<&'a Path> {
    let mut alive: BTreeSet<PathBuf> = BTreeSet::new();
    // A root's modules lie beside it, whatever its name.
    let mut waiting: Vec<(PathBuf, bool)> = roots.iter().map(|path| (path.clone(), true)).collect();
    while let Some((path, is_root)) = waiting.pop() {
        let Some(text) = sources.get(path.as_path()) else { continue };
        if !alive.insert(path.clone()) {
            continue;
        }
        waiting.extend(named(&path, text, is_root).into_iter().map(|path| (path, false)));
    }
    sources.keys().filter(|path| !alive.contains(**path)).copied().collect()
}

/// Returns every file that a source file may mean by its modules and its includes.
fn named(path: &Path, text: &str, is_root: bool) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let stem = path.file_stem().unwrap_or_default();
    let inside = if is_root || stem == "mod" { folder.to_owned() } else { folder.join(stem) };
    let mut files = Vec::new();
    let mut given: Option<&str> = None;
    for line in text.lines().map(str::trim) {
        if let Some(file) = line.strip_prefix("#[path = \"").and_then(|rest| rest.split('"').next()) {
            given = Some(file);
        } else if let Some(name) = module(line) {
            match given.take() {
                Some(file) => files.push(joined(folder, file)),
                None => files.extend([inside.join(format!("{name}.rs")), inside.join(name).join("mod.rs")]),
            }
        }
        if let Some(file) = line.split_once("include!(\"").and_then(|(_, rest)| rest.split('"').next()) {
            files.push(joined(folder, file));
        }
    }
    files
}

/// Reads `pub(crate) mod name;`.
fn module(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("mod ")?;
    let visible = before.is_empty() || (before.starts_with("pub") && before.ends_with(' '));
    let name = after.split_once(';')?.0;
    (visible && name.chars().all(|c| c.is_alphanumeric() || c == '_')).then_some(name)
}

/// Joins without leaving `..` in the middle, so that paths can be compared.
fn joined(folder: &Path, file: &str) -> PathBuf {
    let mut path = folder.to_owned();
    for part in Path::new(file).components() {
        match part {
            std::path::Component::ParentDir => {
                path.pop();
            }
            std::path::Component::CurDir => {}
            other => path.push(other),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_no_module_names_are_dead() {
        let sources: BTreeMap<&Path, &str> = [
            (
                "a/src/lib.rs",
                "mod one;\npub(crate) mod two;\n#[cfg(test)]\n#[path = \"../tests/t.rs\"]\nmod tests;",
            ),
            ("a/src/one.rs", "pub mod deep;\n// mod gone;"),
            ("a/src/one/deep.rs", "include!(\"table.rs\");"),
            ("a/src/one/table.rs", ""),
            ("a/src/two/mod.rs", "mod three;"),
            ("a/src/two/three.rs", ""),
            ("a/tests/t.rs", ""),
            ("a/src/gone.rs", ""),
            ("a/src/deep.rs", ""),
            ("a/tests/scenario/main.rs", "mod story;"),
            ("a/tests/scenario/story.rs", ""),
        ]
        .into_iter()
        .map(|(path, text)| (Path::new(path), text))
        .collect();
        let roots = ["a/src/lib.rs".into(), "a/tests/scenario/main.rs".into()];
        assert_eq!(dead(&sources, &roots), [Path::new("a/src/deep.rs"), Path::new("a/src/gone.rs")]);
    }

    #[test]
    fn a_module_may_be_public() {
        assert_eq!(module("mod a;"), Some("a"));
        assert_eq!(module("pub(in crate::x) mod a_b;"), Some("a_b"));
        for other in ["mod a {", "// mod a;", "let modx = 1;", "use a::mod b;"] {
            assert_eq!(module(other), None, "{other}");
        }
    }
}
