//! Remembers where an upload is, so that the same command goes on with it after it was killed.

use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Local;
use crate::config;

/// After this long an upload is surely gone from the server, which keeps one for an hour.
const FORGET_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest path that is believed.
const PATH_LEN_MAX: usize = 1024;

/// The place where one file's upload to one server is remembered: without a home, nowhere.
pub(super) struct Memory {
    file: Option<PathBuf>,
}

impl Memory {
    /// Finds the place by what is uploaded, and where to: another content is another upload.
    pub(super) fn of(server: &str, local: &Local<'_>) -> Self {
        let mut hasher = Sha256::new();
        for part in [server, &local.name, &local.sha256] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let name = hex::encode(hasher.finalize());
        Self { file: config::uploads_folder().ok().map(|folder| folder.join(name)) }
    }

    /// Returns the path of the upload on its server, if one was begun.
    pub(super) fn recall(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.file.as_ref()?).ok()?;
        let path = text.trim();
        (path.starts_with('/') && path.len() <= PATH_LEN_MAX).then(|| path.to_owned())
    }

    /// Remembers the path. If that fails, the upload is only not found again.
    pub(super) fn keep(&self, path: &str) {
        let Some(file) = &self.file else { return };
        sweep(file);
        let _only_not_found = config::write_private(file, &format!("{path}\n"));
    }

    /// Forgets it.
    pub(super) fn forget(&self) {
        if let Some(file) = &self.file {
            let _was_not_there = std::fs::remove_file(file);
        }
    }
}

/// Forgets what is too old to be of use, so that the folder does not grow for ever.
fn sweep(file: &std::path::Path) {
    let entries = file.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    for entry in entries.into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        let age = modified.and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > FORGET_AFTER) {
            let _already_gone = std::fs::remove_file(entry.path());
        }
    }
}
