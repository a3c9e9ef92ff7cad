//! What the benchmarks share: the host as a child, a client of it, and the figure in the middle of several rounds.

pub mod child;
pub mod client;
pub mod redis;

use std::path::{Path, PathBuf};

use anyhow::Context;
use child::{Child, Setup};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Returns the value in the middle; of an even number of them the mean of the two there.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ if values.is_empty() => f64::NAN,
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Lets this process, and the children it starts from now on, open as many files and connections as it may, and returns how
/// many these are.
///
/// # Errors
/// The system does not allow what it says it allows.
pub fn raise_open_files() -> anyhow::Result<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("the limit of open files")?;
    Ok(maximum.unwrap_or(u64::MAX))
}

/// Makes a folder for a host's data, whose compiled components are those of an earlier run if there was one: compiling takes
/// longer than some benchmarks, and is none of what they measure.
///
/// # Errors
/// The file system's.
pub fn data_with_compiled(work: &Path) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let cache = program.with_file_name("bench-compiled");
    std::fs::create_dir_all(&cache)?;
    let data = tempfile::Builder::new().prefix("data-").tempdir_in(work)?.keep();
    std::os::unix::fs::symlink(&cache, data.join("cache")).context("a folder of compiled components")?;
    // What has not been compiled yet is so now, by a process whose memory nobody measures.
    drop(Child::start_with(&data, Setup { log_apart: true, ..Setup::default() })?);
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn as_many_files_may_be_open_as_was_said() {
        let raised = raise_open_files().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), raised);
    }
}
