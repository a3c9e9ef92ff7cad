//! Packages from npm, for tests with clients that others have written.

use std::path::Path;
use std::process::Command;

use crate::step;

/// Installs what a folder's lock file names, if it is not there yet. Tells whether it is there now: without npm it is not.
pub(crate) fn install(folder: &Path) -> anyhow::Result<bool> {
    if is_current(folder) {
        return Ok(true);
    }
    if !step::is_there(Command::new("npm").arg("--version")) {
        return Ok(false);
    }
    step::run(Command::new("npm").args(["ci", "--silent"]).current_dir(folder))?;
    Ok(true)
}

/// npm notes what it has installed, after it has.
fn is_current(folder: &Path) -> bool {
    let changed = |name: &str| folder.join(name).metadata().and_then(|file| file.modified()).ok();
    let (wanted, there) = (changed("package-lock.json"), changed("node_modules/.package-lock.json"));
    there.is_some() && there >= wanted
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_installed_for_an_older_lock_file_is_installed_anew() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("package-lock.json");
        std::fs::write(&lock, "{}").unwrap();
        assert!(!is_current(folder.path()));
        std::fs::create_dir(folder.path().join("node_modules")).unwrap();
        let installed = folder.path().join("node_modules/.package-lock.json");
        std::fs::write(&installed, "{}").unwrap();
        assert!(is_current(folder.path()));
        let later = std::fs::metadata(&installed).unwrap().modified().unwrap() + Duration::from_secs(1);
        std::fs::File::options().write(true).open(&lock).unwrap().set_modified(later).unwrap();
        assert!(!is_current(folder.path()));
    }
}
