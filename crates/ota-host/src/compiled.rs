//! Compiled components, kept as files that are mapped into memory: a start compiles nothing, and code that is never run is never
//! read.
//!
//! A file is named by the component's bytes and by the engine that compiled it, so it is never out of date. The folder is the
//! host's own: whoever may write into it may run code in the host.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// The files' suffix.
const SUFFIX: &str = "cwasm";

/// Files that are kept, those used last: several builds of an application of some twenty components.
const FILES_MAX: usize = 200;

/// Returns a component, compiled now or before.
///
/// # Errors
/// The bytes are no component that can be compiled. A folder that cannot be used is none: it is told of, and costs time.
pub(crate) fn load(engine: &Engine, bytes: &[u8], folder: &Path) -> wasmtime::Result<Component> {
    let file = folder.join(name(engine, bytes));
    if let Some(component) = map(engine, &file) {
        return Ok(component);
    }
    let compiled = Component::new(engine, bytes)?;
    let kept = compiled.serialize().and_then(|code| Ok(keep(&file, &code)?));
    if let Err(error) = kept {
        tracing::warn!(file = %file.display(), %error, "a compiled component cannot be kept");
        return Ok(compiled);
    }
    // What was compiled lies in memory as a whole; the file does not.
    Ok(map(engine, &file).unwrap_or(compiled))
}

fn name(engine: &Engine, bytes: &[u8]) -> String {
    let mut compiler = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compiler);
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{digest}-{:016x}.{SUFFIX}", compiler.finish())
}

/// Maps a file that was kept; `None` if there is none that fits the engine.
#[expect(unsafe_code, reason = "code is mapped that only the host itself writes, whole, and never changes")]
fn map(engine: &Engine, file: &Path) -> Option<Component> {
    // When it was used last decides which files are kept.
    File::options().append(true).open(file).and_then(|file| file.set_modified(SystemTime::now())).ok()?;
    // SAFETY: the file was written by `keep` with what the engine made, and took its name as a whole. An engine of another
    // version or configuration refuses it.
    match unsafe { Component::deserialize_file(engine, file) } {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "a compiled component is of no use");
            None
        }
    }
}

/// Writes a file that is there as a whole or not at all, and forgets those that were not used for longest.
fn keep(file: &Path, code: &[u8]) -> std::io::Result<()> {
    // Several processes may compile the same at once.
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let new = file.with_extension(format!("{:016x}.new", u64::from_ne_bytes(random)));
    let written = File::create(&new).and_then(|mut to| {
        to.write_all(code)?;
        to.sync_all()
    });
    if let Err(error) = written.and_then(|()| std::fs::rename(&new, file)) {
        // Nobody looks for it by this name.
        let _unwritten = std::fs::remove_file(&new);
        return Err(error);
    }
    forget(file.parent().unwrap_or(Path::new(".")))
}

fn forget(folder: &Path) -> std::io::Result<()> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|suffix| suffix == SUFFIX) {
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    files.sort();
    let too_many = files.len().saturating_sub(FILES_MAX);
    // Whoever has mapped one keeps it mapped.
    files[..too_many].iter().try_for_each(|(_, file)| std::fs::remove_file(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<PathBuf> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// The preamble of a component, and nothing in it.
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn what_was_compiled_is_kept_and_what_is_damaged_is_compiled_anew() {
        let folder = tempfile::tempdir().unwrap();
        let engine = crate::engine::engine(false).unwrap();
        assert!(load(&engine, COMPONENT, folder.path()).is_ok());
        let kept = files(folder.path());
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert!(map(&engine, &kept[0]).is_some());
        std::fs::write(&kept[0], b"no code").unwrap();
        assert!(map(&engine, &kept[0]).is_none());
        assert!(load(&engine, COMPONENT, folder.path()).is_ok());
        assert!(map(&engine, &kept[0]).is_some());
        assert!(load(&engine, b"no component", folder.path()).is_err());
    }

    #[test]
    fn another_engine_has_files_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        for counts in [false, true] {
            let engine = crate::engine::engine(counts).unwrap();
            assert!(load(&engine, COMPONENT, folder.path()).is_ok());
        }
        assert_eq!(files(folder.path()).len(), 2);
    }

    #[test]
    fn a_folder_that_cannot_be_used_costs_nothing_but_time() {
        let engine = crate::engine::engine(false).unwrap();
        assert!(load(&engine, COMPONENT, Path::new("/no/such/folder")).is_ok());
    }

    #[test]
    fn files_that_were_not_used_for_longest_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..FILES_MAX + 3 {
            let file = folder.path().join(format!("{n}.{SUFFIX}"));
            std::fs::write(&file, b"").unwrap();
            let used = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(n as u64);
            File::options().append(true).open(&file).unwrap().set_modified(used).unwrap();
        }
        forget(folder.path()).unwrap();
        assert_eq!(files(folder.path()).len(), FILES_MAX);
        assert!(!folder.path().join("2.cwasm").exists() && folder.path().join("3.cwasm").exists());
    }
}
