//! The files that somebody wrote: no builds, no data, nothing hidden but the continuous integration's.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// What is looked into.
const EXTENSIONS: [&str; 8] = ["rs", "toml", "md", "sh", "yaml", "yml", "wit", "json"];
/// Folders that hold what programs wrote.
const NOT_WRITTEN: [&str; 2] = ["target", "node_modules"];
/// How deep folders may be nested: a bound for a link that leads in a circle.
const DEPTH_MAX: usize = 12;

/// A file that is looked at.
pub(crate) struct TextFile {
    /// From the workspace's root.
    pub(crate) path: PathBuf,
    /// What it says.
    pub(crate) text: String,
}

impl TextFile {
    /// Tells whether its name ends so.
    pub(crate) fn is(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|e| e == extension)
    }
}

/// Reads every file that is looked into, by path.
pub(crate) fn read(root: &Path) -> anyhow::Result<Vec<TextFile>> {
    let mut files = Vec::new();
    walk(root, root, 0, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(root: &Path, folder: &Path, depth: usize, files: &mut Vec<TextFile>) -> anyhow::Result<()> {
    if depth > DEPTH_MAX {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !name.starts_with('.') && !NOT_WRITTEN.contains(&name.as_ref()) {
                walk(root, &path, depth + 1, files)?;
            }
            continue;
        }
        let wanted = path.extension().and_then(|e| e.to_str()).is_some_and(|e| EXTENSIONS.contains(&e));
        if kind.is_file() && wanted {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            files.push(TextFile { path: path.strip_prefix(root).unwrap_or(&path).to_owned(), text });
        }
    }
    Ok(())
}
