//! Building the functions for wasm.

use std::process::Command;

use anyhow::{Context, bail};

use crate::step;
use crate::workspace::Workspace;

/// What the functions are built for.
pub(crate) const TARGET: &str = "wasm32-wasip2";
/// Selects what is built for this machine: all but a member that is nothing outside of wasm.
pub(crate) const NATIVE: [&str; 4] = ["--locked", "--workspace", "--exclude", "bench-noop"];

/// What runs on this machine: the host, the simulated devices, the command line.
pub(crate) const PROGRAMS: [&str; 3] = ["ota-host", "ota-devices", "overair"];

/// Functions that are made of other functions. In one call with those they would be built with the others' entries as
/// well, because cargo gives a dependency the features that any package of the call asks for. They have a folder of
/// their own too: a component's file is named without its features, so the others' files would be written over there.
const MADE_OF_OTHERS: [&str; 1] = ["cloud-api"];
/// That folder, in the one that cargo builds in.
const MADE_OF_OTHERS_DIR: &str = "made-of-others";

/// Builds every function. One call for all of them: with the same features and profile they share what they depend
/// on, and cargo sees it only in one call. Those that are made of others have a call of their own.
pub(crate) fn functions(workspace: &Workspace) -> anyhow::Result<()> {
    add_target()?;
    let apart = workspace.target.join(MADE_OF_OTHERS_DIR);
    for made_of_others in [false, true] {
        let mut cargo = workspace.cargo();
        cargo.args(["build", "--locked", "--target", TARGET, "--profile", "wasm", "--lib"]);
        if made_of_others {
            cargo.arg("--target-dir").arg(&apart);
        }
        let chosen = |name: &str| MADE_OF_OTHERS.contains(&name) == made_of_others;
        for package in workspace.components().filter(|package| chosen(&package.name)) {
            cargo.args(["-p", &package.spec]);
        }
        step::run(&mut cargo)?;
    }
    for package in workspace.components().filter(|package| MADE_OF_OTHERS.contains(&package.name.as_str())) {
        let name = format!("{}.wasm", package.component.as_deref().unwrap_or_default());
        let built = apart.join(TARGET).join("wasm").join(&name);
        std::fs::copy(&built, workspace.wasm().join(&name))
            .with_context(|| format!("cannot copy {}", built.display()))?;
    }
    for package in workspace.components() {
        let file =
            workspace.wasm().join(format!("{}.wasm", package.component.as_deref().unwrap_or_default()));
        if !file.is_file() {
            bail!("{} was built, but {} is not there", package.name, file.display());
        }
    }
    Ok(())
}

/// Builds programs that run on this machine, by the names of their files.
///
/// The whole workspace is selected even if one program is built: which features a dependency is compiled with follows
/// from all packages that are selected. Selected one by one, the programs would compile the largest dependencies anew
/// that the tests have compiled already, and again the other way round.
pub(crate) fn programs(workspace: &Workspace, names: &[&str]) -> anyhow::Result<()> {
    let mut cargo = workspace.cargo();
    cargo.arg("build").args(NATIVE);
    for name in names {
        cargo.args(["--bin", name]);
    }
    step::run(&mut cargo)
}

/// Adds the wasm target if it is missing: automatic installation may be switched off.
fn add_target() -> anyhow::Result<()> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("rustc")?;
    let libraries = String::from_utf8(output.stdout).unwrap_or_default();
    if output.status.success() && std::path::Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    eprintln!("    adding the target {TARGET}");
    step::run(Command::new("rustup").args(["target", "add", TARGET]))
        .with_context(|| format!("the Rust target {TARGET} is missing: add it with your Rust installation"))
}
