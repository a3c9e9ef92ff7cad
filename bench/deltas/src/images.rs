//! Real images by name and version, fetched with their registry's ordinary client. Both registries keep what was published.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Two images, of which the second is to be made from the first.
pub(crate) struct Pair {
    /// What they are.
    pub(crate) what: &'static str,
    /// The version that a device has.
    pub(crate) from: Image,
    /// The version that it should have.
    pub(crate) to: Image,
}

/// One image.
#[derive(Clone, Copy)]
pub(crate) struct Image {
    source: Source,
    /// Its version.
    pub(crate) version: &'static str,
}

/// Where an image comes from.
#[derive(Clone, Copy)]
enum Source {
    /// npm: a ZIP archive in the package, and the file in that.
    Npm { package: &'static str, archive: &'static str, member: &'static str },
    /// PyPI: the native library of a wheel.
    PyPi { package: &'static str, platform: &'static str },
}

/// Firmware of a toy's hub: MicroPython on a Cortex-M4, 300 KB.
const HUB: Source = Source::Npm {
    package: "@pybricks/firmware",
    archive: "package/build/primehub.zip",
    member: "firmware-base.bin",
};
/// A library of some MB for 64-bit ARM, as what runs on a larger device.
const LIBRARY: Source = Source::PyPi { package: "pydantic-core", platform: "manylinux2014_aarch64" };

const fn pair(what: &'static str, source: Source, from: &'static str, to: &'static str) -> Pair {
    Pair { what, from: Image { source, version: from }, to: Image { source, version: to } }
}

/// What is measured: of each kind one that is near, and one that is farther away.
pub(crate) const PAIRS: [Pair; 4] = [
    pair("`@pybricks/firmware`, Prime Hub", HUB, "7.27.0", "7.28.0"),
    pair("`@pybricks/firmware`, Prime Hub", HUB, "7.2.0", "7.28.0"),
    pair("`pydantic-core`, aarch64", LIBRARY, "2.27.1", "2.27.2"),
    pair("`pydantic-core`, aarch64", LIBRARY, "2.23.4", "2.27.2"),
];

impl Image {
    /// Returns the image's file, and fetches it into `folder` if it is not there yet.
    pub(crate) fn fetch(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let name = match self.source {
            Source::Npm { package, .. } | Source::PyPi { package, .. } => package.replace(['@', '/'], "-"),
        };
        let folder = folder.join(format!("{}-{}", name.trim_matches('-'), self.version));
        let image = folder.join("image.bin");
        if !image.is_file() {
            std::fs::create_dir_all(&folder)?;
            let unpacked = self.unpack(&folder).with_context(|| format!("{name} {}", self.version))?;
            // Whole or not at all: an image that is there is not fetched again.
            std::fs::rename(&unpacked, &image)?;
        }
        Ok(image)
    }

    fn unpack(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        match self.source {
            Source::Npm { package, archive, member } => {
                let package = format!("{package}@{}", self.version);
                run(Command::new("npm").args(["pack", "--silent", &package]).current_dir(folder))?;
                let packed = find(folder, ".tgz")?;
                run(Command::new("tar").arg("-xzf").arg(packed).arg(archive).current_dir(folder))?;
                unzip(&folder.join(archive), folder)?;
                Ok(folder.join(member))
            }
            Source::PyPi { package, platform } => {
                let package = format!("{package}=={}", self.version);
                let download =
                    ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--platform"];
                let version = ["--python-version", "3.12", &package];
                run(Command::new("python3").args(download).arg(platform).args(version).current_dir(folder))?;
                unzip(&find(folder, ".whl")?, folder)?;
                find_below(folder, ".so")
            }
        }
    }
}

/// Python is there for pip, and can do it.
fn unzip(archive: &Path, folder: &Path) -> anyhow::Result<()> {
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(archive).arg(folder))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run {program}, which fetches images"))?;
    if !status.success() {
        bail!("{program} failed: {status}");
    }
    Ok(())
}

/// Finds the one file in a folder whose name ends so.
fn find(folder: &Path, end: &str) -> anyhow::Result<PathBuf> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() && path.to_string_lossy().ends_with(end) {
            return Ok(path);
        }
    }
    bail!("there is no {end} in {}", folder.display())
}

/// Finds it in a folder of the folder.
fn find_below(folder: &Path, end: &str) -> anyhow::Result<PathBuf> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir()
            && let Ok(found) = find(&path, end)
        {
            return Ok(found);
        }
    }
    bail!("there is no {end} below {}", folder.display())
}
