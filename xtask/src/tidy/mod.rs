//! What the compiler does not find.

pub(crate) mod files;
mod keys;
mod links;
mod manifest;
mod modules;
mod words;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use self::files::TextFile;
use crate::workspace::Workspace;

/// Lines from which on a file is long.
const LONG_FILE_LINES: usize = 500;

/// Functions that `spin.toml` has no use for: they go to wasmCloud.
const NOT_FOR_SPIN: [&str; 2] = ["gateway", "gateway-clock"];

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: PathBuf,
    line: usize,
    text: String,
}

impl Finding {
    fn new(file: &Path, line: usize, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, text: text.into() }
    }
}

/// Looks at the whole workspace.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let files = files::read(&workspace.root)?;
    let mut findings = Vec::new();
    for file in &files {
        findings.extend(words::check(file));
        if file.is("md") {
            findings.extend(links::check(file, &workspace.root));
        }
    }
    findings.extend(keys::check(&files)?);
    findings.extend(modules::check(workspace, &files));
    findings.extend(check_manifest(workspace)?);

    for file in files.iter().filter(|file| file.is("rs")) {
        let lines = file.text.lines().count();
        if lines > LONG_FILE_LINES {
            eprintln!("{}: {lines} lines, would it like to be two files?", file.path.display());
        }
    }
    findings.sort();
    for finding in &findings {
        eprintln!("{}:{}: {}", finding.file.display(), finding.line, finding.text);
    }
    match findings.len() {
        0 => Ok(()),
        count => bail!("{count} untidy places"),
    }
}

fn check_manifest(workspace: &Workspace) -> anyhow::Result<Vec<Finding>> {
    let path = Path::new("spin.toml");
    let text = std::fs::read_to_string(workspace.root.join(path)).context("spin.toml")?;
    let home = workspace.root.join("functions");
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(&home).context("functions")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && !NOT_FOR_SPIN.contains(&name.as_str()) {
            folders.push(name);
        }
    }
    folders.sort();
    let functions = folders
        .into_iter()
        .map(|folder| {
            let package = workspace.packages().iter().find(|package| package.folder == home.join(&folder));
            let component = package.and_then(|package| package.component.clone());
            (folder, component)
        })
        .collect::<Vec<_>>();
    manifest::check(path, &text, &functions)
}
