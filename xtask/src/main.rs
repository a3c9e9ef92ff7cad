//! The project's one entry point: `cargo xtask <command>`.

mod bench;
mod browser;
mod build;
mod check;
mod debian;
mod engine;
mod guard;
mod npm;
mod openapi;
mod rules;
mod schemathesis;
mod sim;
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
    Build {
        /// What goes to wasmCloud as well.
        #[arg(long)]
        wasmcloud: bool,
    },
    /// Runs the service on this machine, and with `--demo` a fleet that is upgraded.
    Up(up::Arguments),
    /// Formatting, tidiness, functions, all tests, a test for every rule.
    Test {
        /// Runs the tests of the whole on another engine than the embedded host as it is, and no others.
        #[arg(long, value_enum)]
        engine: Option<engine::Engine>,
        /// Passed on to the test runner, such as a filter.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Kills the service at random, many times, under load, and checks that nothing that was acknowledged is lost. Part of what
    /// CI runs.
    Kills {
        /// How often it is killed.
        #[arg(long, default_value_t = 200)]
        times: u32,
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
    /// Runs a benchmark and prints its figures; without a name all of them, and prints one table.
    Bench(bench::Arguments),
    /// Simulates the service by seeds: crashes, lost and repeated messages, clocks that jump. Part of what CI runs.
    Sim(sim::Arguments),
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
        Command::Build { wasmcloud } => {
            build::functions(&workspace)?;
            if wasmcloud {
                build::for_wasmcloud(&workspace)?;
            }
            build::programs(&workspace, &build::PROGRAMS)?;
        }
        Command::Up(arguments) => return up::run(&workspace, &arguments),
        Command::Test { engine: Some(engine), arguments } => engine::test(&workspace, engine, &arguments)?,
        Command::Test { engine: None, arguments } => check::test(&workspace, &arguments)?,
        Command::Kills { times } => check::kills(&workspace, times)?,
        Command::Browser { arguments } => browser::run(&workspace, &arguments)?,
        Command::Ci => check::ci(&workspace)?,
        Command::Tidy => tidy::run(&workspace)?,
        Command::Rules => return rules::run(&workspace),
        Command::Openapi => openapi::run(&workspace)?,
        Command::Schemathesis(arguments) => schemathesis::run(&workspace, &arguments)?,
        Command::Bench(arguments) => bench::run(&workspace, &arguments)?,
        Command::Sim(arguments) => sim::run(&workspace, &arguments)?,
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
