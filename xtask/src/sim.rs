//! The simulation: builds its program and runs it.

use std::process::{Command, Stdio};

use crate::workspace::Workspace;
use crate::{build, step};

/// What the simulation is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Passed on to the simulation: `--seed N`, or `--seeds K` with `--from S` or `--minutes M`; `--help` tells what else.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the simulation.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    build::programs(workspace, &["ota-sim"])?;
    let mut sim = Command::new(workspace.program("ota-sim"));
    // What the functions log of refused requests; everything else is on standard output.
    sim.stderr(Stdio::null());
    step::run(sim.args(&arguments.arguments).current_dir(&workspace.root))
}
