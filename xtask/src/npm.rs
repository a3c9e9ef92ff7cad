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
