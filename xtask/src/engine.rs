//! `test --engine`: the tests of the whole, on other engines than the embedded host as it is.

use std::process::Command;

use anyhow::{Context, bail};
use clap::ValueEnum;

use crate::step::{self, Steps};
use crate::workspace::Workspace;
use crate::{build, check, debian, npm};

/// Tells the tests which engine; `tests/support/host.rs` reads it.
const VARIABLE: &str = "OVERAIR_ENGINE";

/// Programs that tests need, and Debian's packages that have them.
const REDIS: (&str, &str) = ("redis-server", "redis-server");
const NGINX: (&str, &str) = ("nginx", "nginx-light");

/// What runs the functions, and what they keep everything in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// The embedded host, where a swap from an absent key overwrites, as on Spin's SQLite.
    SpinQuirks,
    /// The embedded host, with everything in Redis by `spin:redis`.
    Redis,
    /// The `spin` on the path.
    Spin,
}

/// Builds what the tests need and runs them on an engine. One that is not there is a failure.
pub(crate) fn test(workspace: &Workspace, engine: Engine, arguments: &[String]) -> anyhow::Result<()> {
    match engine {
        Engine::SpinQuirks => {}
        Engine::Redis => install_redis().context("no Redis to test on")?,
        Engine::Spin => {
            if !step::is_there(Command::new("spin").arg("--version")) {
                bail!("there is no `spin` on the path, so nothing was tested");
            }
            debian::install([REDIS, NGINX]).context("no Redis or no front to test with")?;
        }
    }
    let mut steps = Steps::default();
    steps.take("functions for wasm", || build::functions(workspace))?;
    steps.take("host, devices and command line", || build::programs(workspace, &build::PROGRAMS))?;
    steps.take("clients that others have written", || {
        npm::install(&workspace.root.join("tests/clients")).map(drop)
    })?;
    let name = engine.to_possible_value().context("an engine without a name")?;
    let run = |kinds: &[&str], more: &[&str]| {
        let mut tests = check::runner(workspace, kinds);
        tests.args(arguments).arg("--").args(more);
        step::run(tests.env(VARIABLE, name.get_name()))
    };
    if engine == Engine::Spin {
        // On the other engines `test` itself holds the contract. Without Spin these tests are left out there.
        steps
            .take("the store contract on Spin", || run(&["--test", "contract"], &["--ignored", "on_spin"]))?;
    }
    steps.take(&format!("tests on {}", name.get_name()), || match engine {
        // What is about the host itself, its log, its memory and its death, is not about Spin.
        Engine::Spin => run(
            &["--test", "wasm"],
            &["--skip", "wasmcloud", "story::", "upgrade::", "kinds::", "cloud::", "access::"],
        ),
        // The gateway runs on an engine of its own, and instructions are counted on the host as it is.
        _ => run(&["--test", "wasm"], &["--skip", "wasmcloud", "--skip", "instructions"]),
    })?;
    steps.sum_up();
    Ok(())
}

/// Installs Debian's Redis server, unless there is one.
pub(crate) fn install_redis() -> anyhow::Result<()> {
    debian::install([REDIS])
}
