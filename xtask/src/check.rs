//! `test` and `ci`.

use std::process::Command;

use anyhow::{Context, anyhow};

use crate::step::{self, Steps};
use crate::workspace::Workspace;
use crate::{browser, build, engine, npm, rules, tidy};

/// Where tests look for the components.
pub(crate) const WASM_DIR: &str = "OVERAIR_WASM_DIR";

/// Runs every test there is.
pub(crate) fn test(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    test_steps(workspace, arguments, &mut steps)?;
    steps.sum_up();
    Ok(())
}

/// Kills the service many times under load.
pub(crate) fn kills(workspace: &Workspace, times: u32) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    steps.take("functions for wasm", || build::functions(workspace))?;
    steps.take("host, devices and command line", || build::programs(workspace, &build::PROGRAMS))?;
    steps.take(&format!("{times} kills"), || {
        let mut cargo = workspace.cargo();
        cargo.arg("test").args(build::NATIVE).args(["--test", "wasm", "--", "--nocapture", "kills::"]);
        step::run(cargo.env(WASM_DIR, workspace.wasm()).env("OVERAIR_KILLS", times.to_string()))
    })?;
    steps.sum_up();
    Ok(())
}

/// Runs what a reviewer runs.
pub(crate) fn ci(workspace: &Workspace) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    test_steps(workspace, &[], &mut steps)?;
    browser::step(workspace, &mut steps)?;
    steps.take("clippy", || {
        let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
        step::run(workspace.cargo().args(clippy))
    })?;
    // Each function has code that exists for wasm only.
    steps.take("clippy of the functions for wasm", || {
        let mut cargo = workspace.cargo();
        cargo.args(["clippy", "--locked", "--target", build::TARGET, "--profile", "wasm", "--lib"]);
        for package in workspace.components() {
            cargo.args(["-p", &package.spec]);
        }
        step::run(cargo.args(["--", "-D", "warnings"]))
    })?;
    steps.take("docs", || {
        let doc = ["doc", "--locked", "--workspace", "--no-deps"];
        step::run(workspace.cargo().args(doc).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    if step::is_there(workspace.cargo().args(["deny", "--version"])) {
        steps.take("licenses and sources of dependencies", || {
            step::run(workspace.cargo().args(["deny", "--locked", "check", "bans", "licenses", "sources"]))
        })?;
    } else {
        eprintln!("skipped: licenses and sources (install with `cargo install --locked cargo-deny`)");
    }
    steps.sum_up();
    Ok(())
}

/// The test runner. It is told the kinds of tests, and may be told more of them.
pub(crate) fn runner(workspace: &Workspace, kinds: &[&str]) -> Command {
    let mut cargo = workspace.cargo();
    let has_nextest = step::is_there(workspace.cargo().args(["nextest", "--version"]));
    cargo.args(if has_nextest { &["nextest", "run"][..] } else { &["test"] });
    cargo.args(build::NATIVE).args(kinds).env(WASM_DIR, workspace.wasm());
    cargo
}

fn test_steps(workspace: &Workspace, arguments: &[String], steps: &mut Steps) -> anyhow::Result<()> {
    steps.take("formatting", || {
        step::run(workspace.cargo().args(["fmt", "--all", "--check"])).context("run `cargo fmt --all`")
    })?;
    steps.take("tidy", || tidy::run(workspace))?;
    steps.take("functions for wasm", || build::functions(workspace))?;
    steps.take("functions for wasmCloud", || build::for_wasmcloud(workspace))?;
    steps.take("host, devices and command line", || build::programs(workspace, &build::PROGRAMS))?;
    steps.take("what stands in for wasmCloud", || build::programs(workspace, &build::STAND_INS))?;
    let mut has_clients = false;
    steps.take("clients that others have written", || {
        has_clients = npm::install(&workspace.root.join("tests/clients"))?;
        Ok(())
    })?;
    let wasm = workspace.wasm();
    let redis = engine::install_redis();
    if step::in_ci() {
        redis.as_ref().map_err(|problem| anyhow!("{problem:#}"))?;
    }
    steps.take("tests", || {
        // Everything but the documentation's tests, which come next and take long to build.
        let mut tests = runner(workspace, &["--lib", "--bins", "--tests", "--examples"]);
        tests.args(arguments);
        if redis.is_err() {
            // They fail without a server, rather than pass without having asked one.
            tests.args(["--", "--skip", "on_redis"]);
        }
        step::run(&mut tests)
    })?;
    if let Err(problem) = redis {
        eprintln!("skipped: the store contract on Redis ({problem:#})");
    }
    if !has_clients {
        eprintln!("skipped: an upload by a client from npm (install npm)");
    }
    if !step::is_there(Command::new("sh").args(["-c", "command -v mosquitto_pub"])) {
        eprintln!("skipped: what the README does with an MQTT client (install mosquitto-clients)");
    }
    if arguments.is_empty() {
        steps.take("documentation's tests", || {
            step::run(workspace.cargo().arg("test").args(build::NATIVE).arg("--doc").env(WASM_DIR, &wasm))
        })?;
    }
    // Last: a rule without a test hides no test that fails.
    steps.take("a test for every rule", || rules::check(workspace))?;
    Ok(())
}
