//! The console in a real browser: `tests/browser`, with what it needs installed where that can be done.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::step::{self, Steps};
use crate::workspace::Workspace;
use crate::{build, check, npm};

/// Programs that the tests need, each with Debian's package that has it.
const NEEDED: [(&str, &str); 3] = [("chromium", "chromium"), ("node", "nodejs"), ("npm", "npm")];
/// Names another browser of the Chromium family; then Debian's is not needed.
const BROWSER: &str = "CHROMIUM";

/// Builds what the tests drive, and runs them. What is missing and cannot be installed is a failure.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    steps.take("functions for wasm", || build::functions(workspace))?;
    steps.take("host, devices and command line", || build::programs(workspace, &build::PROGRAMS))?;
    steps.take("the console in a browser", || {
        install(&missing())?;
        drive(workspace, arguments)
    })?;
    steps.sum_up();
    Ok(())
}

/// Runs the tests on what was built already, unless something is missing that cannot be installed: then that is said, and
/// in continuous integration it is a failure.
pub(crate) fn step(workspace: &Workspace, steps: &mut Steps) -> anyhow::Result<()> {
    match install(&missing()) {
        Err(problem) if !step::in_ci() => {
            eprintln!("skipped: the console in a browser ({problem:#})");
            Ok(())
        }
        installed => steps.take("the console in a browser", || {
            installed?;
            drive(workspace, &[])
        }),
    }
}

/// Installs what the tests are made of, exactly as it was locked, and runs them.
fn drive(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    let folder = workspace.root.join("tests").join("browser");
    if !npm::install(&folder)? {
        bail!("npm does not run");
    }
    let mut test = Command::new("npm");
    test.current_dir(&folder).args(["test", "--"]).args(arguments);
    test.env("CARGO_TARGET_DIR", &workspace.target).env(check::WASM_DIR, workspace.wasm());
    if let Some(browser) = browser() {
        test.env(BROWSER, browser);
    }
    step::run(&mut test).context("tests/browser")
}

/// The browser to use: the one that was named, or the one on the path.
fn browser() -> Option<PathBuf> {
    std::env::var_os(BROWSER).map(PathBuf::from).or_else(|| find("chromium"))
}

/// The packages of what is not there.
fn missing() -> Vec<&'static str> {
    let is_there = |program: &str| if program == "chromium" { browser() } else { find(program) }.is_some();
    NEEDED.into_iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| package).collect()
}

/// Finds a program on the path. It is not run: browsers are slow to say who they are.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Installs Debian's packages, where there is such a system and we may.
fn install(packages: &[&str]) -> anyhow::Result<()> {
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
        assert!(install(&[]).is_ok());
    }
}
