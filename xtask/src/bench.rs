//! Benchmarks: programs that print one `figure: value` line for each figure.

use std::process::Command;

use clap::Subcommand;

use crate::workspace::Workspace;
use crate::{build, step};

/// The program of `bench hot`.
const HOT: &str = "bench-hot";

/// Which benchmark.
#[derive(Subcommand)]
pub(crate) enum Which {
    /// Requests that change nothing or little, many times over, beside a do-nothing function.
    Hot {
        /// Passed on to the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Builds what a benchmark needs and runs it.
pub(crate) fn run(workspace: &Workspace, which: &Which) -> anyhow::Result<()> {
    let Which::Hot { arguments } = which;
    build::functions(workspace)?;
    build::programs(workspace, &[HOT])?;
    let mut hot = Command::new(workspace.program(HOT));
    step::run(hot.args(arguments).current_dir(&workspace.root).env("OVERAIR_WASM_DIR", workspace.wasm()))
}
