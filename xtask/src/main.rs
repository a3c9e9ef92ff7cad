//! The project's one entry point: `cargo xtask <command>`.

mod bench;
mod browser;
mod build;
mod check;
mod guard;
mod npm;
mod openapi;
mod rules;
mod schemathesis;
mod step;
mod tidy;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use workspace::Workspace;

/// Builds, runs and checks Overair.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds every function for wasm, and the programs that run on this machine.
    Build,
    /// Runs the service on this machine, and with `--demo` a fleet that is upgraded.
    Up(up::Arguments),
    /// Formatting, tidiness, functions, all tests, a test for every rule.
    Test {
        /// Passed on to the test runner, such as a filter.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The console in a real browser, on the service that ships. Part of `ci`.
    Browser {
        /// Passed on to the test runner, such as the name of a story.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// What a reviewer runs: `test` and `browser`, and clippy, the docs and the dependencies' licenses.
    Ci,
    /// Finds what the compiler does not: leftovers, dead files, dead links, keys outside their table.
    Tidy,
    /// Tells which test proves which rule, and fails when one has none.
    Rules,
    /// Prints the OpenAPI document of the REST API.
    Openapi,
    /// Asks the service that ships whatever its OpenAPI document lets one ask, and more. Part of what CI runs.
    Schemathesis(schemathesis::Arguments),
    /// Runs a benchmark and prints its figures.
    Bench {
        #[command(subcommand)]
        which: bench::Which,
    },
    /// Runs a program that ends when this process's standard input does.
    #[command(hide = true)]
    Guard {
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    match start(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> anyhow::Result<ExitCode> {
    if let Command::Guard { command } = &command {
        return guard::run(command);
    }
    let workspace = Workspace::find()?;
    match command {
        Command::Build => {
            build::functions(&workspace)?;
            build::programs(&workspace, &build::PROGRAMS)?;
        }
        Command::Up(arguments) => return up::run(&workspace, &arguments),
        Command::Test { arguments } => check::test(&workspace, &arguments)?,
        Command::Browser { arguments } => browser::run(&workspace, &arguments)?,
        Command::Ci => check::ci(&workspace)?,
        Command::Tidy => tidy::run(&workspace)?,
        Command::Rules => return rules::run(&workspace),
        Command::Openapi => openapi::run(&workspace)?,
        Command::Schemathesis(arguments) => schemathesis::run(&workspace, &arguments)?,
        Command::Bench { which } => bench::run(&workspace, &which)?,
        Command::Guard { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
