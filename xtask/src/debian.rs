//! Programs that tests need, from Debian's packages, where there is such a system and we may.

use std::path::PathBuf;
use std::process::Command;

use anyhow::bail;

use crate::step;

/// Finds a program on the path. It is not run: some are slow to say who they are.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Installs the packages of programs that are not there; each is a program and the package that has it.
pub(crate) fn install<'a>(needed: impl IntoIterator<Item = (&'a str, &'a str)>) -> anyhow::Result<()> {
    let missing = needed.into_iter().filter(|(program, _)| find(program).is_none());
    let packages: Vec<&str> = missing.map(|(_, package)| package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    let named = packages.join(", ");
    if find("apt-get").is_none() {
        bail!("{named}: not installed, and there is no apt-get to install it with");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("{named}: not installed; `apt-get install {}` as root does it", packages.join(" "));
    }
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(["--quiet", "--yes"]);
        apt
    };
    step::run(apt().arg("update"))?;
    step::run(apt().args(["install", "--no-install-recommends"]).args(packages))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program").is_none());
        assert!(install([("sh", "dash")]).is_ok());
    }
}
