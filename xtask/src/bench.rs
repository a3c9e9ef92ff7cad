//! Benchmarks: programs that print one `figure: value` line for each figure.

use clap::Subcommand;

use crate::workspace::Workspace;
use crate::{build, step};

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
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--locked", "--quiet", "-p", "ota-tests", "--bin", "bench-hot", "--"]).args(arguments);
    step::run(cargo.env("OVERAIR_WASM_DIR", workspace.wasm()))
}
