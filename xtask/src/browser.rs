//! The console in a real browser: `tests/browser`, with what it needs installed where that can be done.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::step::{self, Steps};
use crate::workspace::Workspace;
use crate::{build, check, debian, npm};

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
        install()?;
        drive(workspace, arguments)
    })?;
    steps.sum_up();
    Ok(())
}

/// Runs the tests on what was built already, unless something is missing that cannot be installed: then that is said, and
/// in continuous integration it is a failure.
pub(crate) fn step(workspace: &Workspace, steps: &mut Steps) -> anyhow::Result<()> {
    match install() {
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
    std::env::var_os(BROWSER).map(PathBuf::from).or_else(|| debian::find("chromium"))
}

/// Installs what is not there. With a browser that was named Debian's is not needed.
fn install() -> anyhow::Result<()> {
    let browser = browser();
    debian::install(NEEDED.into_iter().filter(|(program, _)| *program != "chromium" || browser.is_none()))
}
