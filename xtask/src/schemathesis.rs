//! `schemathesis`: the service that ships, asked whatever its OpenAPI document lets one ask, and what it does not.
//!
//! The tool generates requests of the document and checks each answer against it: no undocumented status, header, type or field,
//! nothing wrong accepted, and no 5xx. It is Python's, and lives in a folder of the build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::build;
use crate::step::{self, Steps};
use crate::up::{self, Fleet};
use crate::workspace::Workspace;

/// What runs it.
const PYTHON: &str = "python3";
/// How long one request may take: what takes longer hangs.
const REQUEST_WITHIN: Duration = Duration::from_secs(60);
/// Devices of the fleet that it finds: enough for each kind of end.
const DEVICES: usize = 12;
/// The phases: what examples, boundaries and chance have to say. What one request makes of another is told by the scenarios.
const PHASES: &str = "examples,coverage,fuzzing";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Random requests for each operation, beside those at the boundaries.
    #[arg(long, default_value_t = 10)]
    requests: u32,
    /// Passed on, such as `--include-operation-id createBatch`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

/// Builds the service, starts it with a fleet that has been upgraded, and asks.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    if !step::is_there(Command::new(PYTHON).arg("--version")) && !step::in_ci() {
        eprintln!("skipped: requests that schemathesis generates (install {PYTHON} with its module venv)");
        return Ok(());
    }
    let mut steps = Steps::default();
    steps.take("functions for wasm", || build::functions(workspace))?;
    steps.take("host, devices and command line", || build::programs(workspace, &build::PROGRAMS))?;
    let mut tool = PathBuf::new();
    steps.take("schemathesis", || {
        tool = installed(workspace)?;
        Ok(())
    })?;
    steps.take("requests that schemathesis generates", || {
        let folder = workspace.target.join("schemathesis");
        up::with_fleet(workspace, &folder, DEVICES, |fleet| ask(workspace, arguments, &tool, fleet))
    })?;
    steps.sum_up();
    Ok(())
}

/// Installs the tool as it was pinned, unless that is done, and returns its program.
fn installed(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let folder = workspace.target.join("schemathesis").join("venv");
    let wanted = workspace.root.join("tests/api/requirements.txt");
    // Written when all is there, so that what was cut off begins anew.
    let done = folder.join("requirements.txt");
    if std::fs::read(&done).ok() != std::fs::read(&wanted).ok() {
        step::run(Command::new(PYTHON).args(["-m", "venv", "--clear"]).arg(&folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        step::run(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&wanted))?;
        std::fs::copy(&wanted, &done).with_context(|| done.display().to_string())?;
    }
    Ok(folder.join("bin/schemathesis"))
}

fn ask(workspace: &Workspace, arguments: &Arguments, tool: &Path, fleet: &Fleet) -> anyhow::Result<()> {
    let folder = workspace.root.join("tests").join("api");
    let mut command = Command::new(tool);
    // What it remembers of earlier runs goes where the build's files are.
    command.current_dir(workspace.target.join("schemathesis"));
    command.arg("--config-file").arg(folder.join("schemathesis.toml"));
    command.args(["run", &format!("{}/console/openapi.json", fleet.url), "--url", &fleet.url]);
    command.args(["--checks", "all", "--phases", PHASES, "--continue-on-failure"]);
    command.args(["--max-examples", &arguments.requests.to_string()]);
    command.args(["--request-timeout", &REQUEST_WITHIN.as_secs().to_string()]);
    command.args(&arguments.more);
    command.env("OVERAIR_API_TESTS", &folder).env("OVERAIR_API_TOKEN", &fleet.token);
    for (variable, name) in
        [("PRODUCT_KEY", "product_key"), ("PACKAGE_ID", "package_id"), ("BATCH_ID", "batch_id")]
    {
        command
            .env(variable, fleet.report[name].as_str().with_context(|| format!("the report has no {name}"))?);
    }
    step::run(&mut command)
}
