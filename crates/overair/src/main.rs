//! `overair`, the command line: what the REST API does, for scripts and people.
//!
//! A noun of the service is a noun of the command line, and each has a file under `commands/` with its arguments, its
//! requests and how its answers are shown. The client knows no forms: answers are shown as they come, so that a newer
//! service may tell more than this program has heard of.

mod client;
mod commands;
mod config;
mod download;
mod failure;
mod output;
mod parse;
mod upload;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser};

use commands::Command;
use config::Given;
use failure::{EXIT_CODES, Failure};
use output::{Format, Output, complain};

/// Over-the-air upgrades from the command line.
#[derive(Parser)]
#[command(name = "overair", version, about, after_help = EXIT_CODES, max_term_width = 110)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args)]
struct Global {
    /// The service; the one that `login` was told, or http://127.0.0.1:3000.
    #[arg(long, global = true, value_name = "URL", env = "OVERAIR_SERVER", help_heading = "Global options")]
    server: Option<String>,
    /// The token. Others on this machine can read command lines: better use the variable, a file, or `login`.
    #[arg(
        long,
        global = true,
        env = "OVERAIR_TOKEN",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    token: Option<String>,
    /// Reads the token from a file; `-` is standard input.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    token_file: Option<PathBuf>,
    /// How answers are printed.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Global options"
    )]
    output: Format,
    /// Prints only what a script goes on with, such as ids and names.
    #[arg(short, long, global = true, help_heading = "Global options")]
    quiet: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (format, quiet) = (arguments.global.output, arguments.global.quiet);
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let words = failure.in_words(format == Format::Json && !quiet);
            if !words.is_empty() {
                complain(&words);
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn start(arguments: Arguments) -> Result<(), Failure> {
    #[cfg(feature = "tls")]
    // The first to come stays, and it is the only one there is.
    let _already_there = rustls::crypto::ring::default_provider().install_default();
    let Global { server, token, token_file, output, quiet } = arguments.global;
    let output = Output { format: output, quiet };
    let given = Given { server, token, token_file };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(anyhow::Error::new)?;
    runtime.block_on(commands::run(arguments.command, &given, output))
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
