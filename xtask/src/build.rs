//! Building the functions for wasm.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::step;
use crate::workspace::{Package, Workspace};

/// What the functions are built for.
pub(crate) const TARGET: &str = "wasm32-wasip2";
/// Selects what is built for this machine: all but a member that is nothing outside of wasm.
pub(crate) const NATIVE: [&str; 4] = ["--locked", "--workspace", "--exclude", "bench-noop"];

/// What runs on this machine: the host, the simulated devices, the command line.
pub(crate) const PROGRAMS: [&str; 3] = ["ota-host", "ota-devices", "overair"];
/// What tests run besides: it stands in for a host of wasmCloud.
pub(crate) const STAND_INS: [&str; 1] = ["wasmcloud-host"];

/// Functions that are made of other functions. In one call with those they would be built with the others' entries as
/// well, because cargo gives a dependency the features that any package of the call asks for. They have a folder of
/// their own too: a component's file is named without its features, so the others' files would be written over there.
const MADE_OF_OTHERS: &[&str] = &["cloud-api"];
/// What goes to wasmCloud. The gateway is made of all functions, so of `cloud-api` too, and what goes there besides shares
/// its folder.
const FOR_WASMCLOUD: &[&str] = &["gateway", "gateway-clock", "wasmcloud-probe"];
/// Those folders, in the one that cargo builds in.
const MADE_OF_OTHERS_DIR: &str = "made-of-others";
const FOR_WASMCLOUD_DIR: &str = "made-for-wasmcloud";

/// Builds every function of `spin.toml`. One call for all of them: with the same features and profile they share what they
/// depend on, and cargo sees it only in one call. Those that are made of others have a call of their own.
pub(crate) fn functions(workspace: &Workspace) -> anyhow::Result<()> {
    add_target()?;
    let is_apart = |name: &str| MADE_OF_OTHERS.contains(&name) || FOR_WASMCLOUD.contains(&name);
    build(workspace, None, |name| !is_apart(name))?;
    build_apart(workspace, MADE_OF_OTHERS_DIR, MADE_OF_OTHERS)?;
    for package in workspace.components().filter(|package| !FOR_WASMCLOUD.contains(&package.name.as_str())) {
        let file = workspace.wasm().join(file_name(package));
        if !file.is_file() {
            bail!("{} was built, but {} is not there", package.name, file.display());
        }
    }
    Ok(())
}

/// Builds what goes to wasmCloud.
pub(crate) fn for_wasmcloud(workspace: &Workspace) -> anyhow::Result<()> {
    add_target()?;
    build_apart(workspace, FOR_WASMCLOUD_DIR, FOR_WASMCLOUD)
}

/// Builds some functions in a folder of their own, and puts them beside the others.
fn build_apart(workspace: &Workspace, folder: &str, names: &[&str]) -> anyhow::Result<()> {
    let folder = workspace.target.join(folder);
    build(workspace, Some(&folder), |name| names.contains(&name))?;
    std::fs::create_dir_all(workspace.wasm()).context("the folder of the functions")?;
    for package in workspace.components().filter(|package| names.contains(&package.name.as_str())) {
        let name = file_name(package);
        let built = folder.join(TARGET).join("wasm").join(&name);
        std::fs::copy(&built, workspace.wasm().join(&name))
            .with_context(|| format!("cannot copy {}", built.display()))?;
    }
    Ok(())
}

/// Builds some functions, in a folder of their own if one is given.
fn build(
    workspace: &Workspace,
    folder: Option<&Path>,
    is_chosen: impl Fn(&str) -> bool,
) -> anyhow::Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--locked", "--target", TARGET, "--profile", "wasm", "--lib"]);
    if let Some(folder) = folder {
        cargo.arg("--target-dir").arg(folder);
    }
    for package in workspace.components().filter(|package| is_chosen(&package.name)) {
        cargo.args(["-p", &package.spec]);
    }
    step::run(&mut cargo)
}

fn file_name(package: &Package) -> String {
    format!("{}.wasm", package.component.as_deref().unwrap_or_default())
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
