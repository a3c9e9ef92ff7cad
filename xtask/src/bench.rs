//! Benchmarks: programs that print one `figure: value` line for each figure, or a table.

use std::process::Command;

use clap::Subcommand;

use crate::workspace::Workspace;
use crate::{build, step};

/// Which benchmark.
#[derive(Subcommand)]
pub(crate) enum Which {
    /// Requests that change nothing or little, many times over, beside a do-nothing function.
    Hot(Passed),
    /// Uploads and downloads of a large file, beside hashing alone and beside nginx.
    Packages(Passed),
    /// Deltas of real images, beside bsdiff and xdelta3.
    Deltas(Passed),
}

/// What a benchmark is told.
#[derive(clap::Args)]
pub(crate) struct Passed {
    /// Passed on to the benchmark; `--help` tells what it takes.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds what a benchmark needs and runs it.
pub(crate) fn run(workspace: &Workspace, which: &Which) -> anyhow::Result<()> {
    let (program, Passed { arguments }) = match which {
        Which::Hot(passed) => ("bench-hot", passed),
        Which::Packages(passed) => ("bench-packages", passed),
        Which::Deltas(passed) => ("bench-deltas", passed),
    };
    // The others run the service.
    if !matches!(which, Which::Deltas(_)) {
        build::functions(workspace)?;
    }
    build::programs(workspace, &[program])?;
    let mut bench = Command::new(workspace.program(program));
    step::run(bench.args(arguments).current_dir(&workspace.root).env("OVERAIR_WASM_DIR", workspace.wasm()))
}
