//! What cargo knows of the workspace.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

/// The workspace on disk.
pub(crate) struct Workspace {
    /// Where `Cargo.toml` and `spin.toml` are.
    pub(crate) root: PathBuf,
    /// Where cargo builds; `CARGO_TARGET_DIR` and the configuration are heeded.
    pub(crate) target: PathBuf,
    packages: Vec<Package>,
}

/// A member of the workspace.
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// What cargo knows it by, also where a dependency has the same name.
    pub(crate) spec: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// The source files that its targets start from.
    pub(crate) sources: Vec<PathBuf>,
    /// The name of the wasm file, without its suffix, if it makes one.
    pub(crate) component: Option<String>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn find() -> anyhow::Result<Self> {
        // The folder this crate was compiled in: the same workspace, wherever the command is called from.
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask is no member of a workspace")?;
        let output = cargo(root)
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo")?;
        if !output.status.success() {
            bail!("cargo metadata failed");
        }
        Self::read(&serde_json::from_slice(&output.stdout).context("cargo metadata")?)
    }

    fn read(metadata: &Value) -> anyhow::Result<Self> {
        let packages = metadata["packages"].as_array().context("no packages")?;
        Ok(Self {
            root: path(&metadata["workspace_root"])?,
            target: path(&metadata["target_directory"])?,
            packages: packages.iter().map(Package::read).collect::<anyhow::Result<_>>()?,
        })
    }

    /// Returns all members.
    pub(crate) fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// Returns the members that become wasm components: those under `functions/`, what benchmarks compare with, and what
    /// tests put in the host.
    pub(crate) fn components(&self) -> impl Iterator<Item = &Package> {
        let homes = ["functions", "bench", "tests"].map(|home| self.root.join(home));
        self.packages.iter().filter(move |package| {
            package.component.is_some()
                && package.folder.parent().is_some_and(|p| homes.iter().any(|h| h == p))
        })
    }

    /// Returns the folder that the wasm files are in.
    pub(crate) fn wasm(&self) -> PathBuf {
        self.target.join("wasm32-wasip2").join("wasm")
    }

    /// Returns the file of a program that was built for this machine.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// Starts a cargo command line in the workspace.
    pub(crate) fn cargo(&self) -> Command {
        cargo(&self.root)
    }
}

impl Package {
    fn read(package: &Value) -> anyhow::Result<Self> {
        let name = package["name"].as_str().context("a package without a name")?.to_owned();
        let manifest = path(&package["manifest_path"])?;
        let targets = package["targets"].as_array().context("a package without targets")?;
        let is_component = |target: &&Value| {
            target["crate_types"].as_array().into_iter().flatten().any(|kind| kind == "cdylib")
        };
        let version = package["version"].as_str().context("a package without a version")?;
        Ok(Self {
            spec: format!("{name}@{version}"),
            folder: manifest.parent().context("a manifest without a folder")?.to_owned(),
            sources: targets.iter().map(|target| path(&target["src_path"])).collect::<anyhow::Result<_>>()?,
            component: targets
                .iter()
                .find(is_component)
                .and_then(|target| target["name"].as_str())
                .map(|name| name.replace('-', "_")),
            name,
        })
    }
}

fn cargo(root: &Path) -> Command {
    // Inside `cargo xtask` this is the very cargo that was called.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    // What cargo tells a program it runs about that program's package. Build scripts look at some of it, and would run
    // again, with all that depends on them, whenever cargo is called by hand in between.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

fn path(value: &Value) -> anyhow::Result<PathBuf> {
    Ok(PathBuf::from(value.as_str().context("cargo metadata: expected a path")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn components_are_the_wasm_libraries_of_functions_and_bench() {
        let package = |name: &str, folder: &str, kinds: &[&str]| {
            json!({
                "name": name,
                "version": "0.1.0",
                "manifest_path": format!("/w/{folder}/Cargo.toml"),
                "targets": [{ "name": name, "crate_types": kinds, "src_path": format!("/w/{folder}/src/lib.rs") }],
            })
        };
        let workspace = Workspace::read(&json!({
            "workspace_root": "/w",
            "target_directory": "/t",
            "packages": [
                package("package-upload", "functions/package-upload", &["cdylib", "rlib"]),
                package("ota-core", "crates/ota-core", &["lib"]),
                package("noop", "bench/noop", &["cdylib"]),
            ],
        }))
        .unwrap();
        let components: Vec<_> = workspace.components().filter_map(|p| p.component.as_deref()).collect();
        assert_eq!(components, ["package_upload", "noop"]);
        assert_eq!(workspace.wasm(), Path::new("/t/wasm32-wasip2/wasm"));
    }
}
