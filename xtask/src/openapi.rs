//! `openapi`: the document of the REST API.

use std::process::Command;

use crate::workspace::Workspace;
use crate::{build, step};

/// The program that makes it. It is none of this one's parts, which compiles in seconds.
const PROGRAM: &str = "ota-openapi";

/// Prints the document.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    build::programs(workspace, &[PROGRAM])?;
    step::run(&mut Command::new(workspace.program(PROGRAM)))
}
