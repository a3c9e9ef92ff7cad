//! Benchmarks: programs that print one `figure: value` line for each figure, or a table. Without a name all of them are run, with
//! modest sizes, and their figures are put into one table.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::workspace::Workspace;
use crate::{build, step};

/// Which benchmark.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    which: Option<Which>,
    /// Writes the table of all benchmarks here too.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// One benchmark.
#[derive(Subcommand)]
enum Which {
    /// Requests that change nothing or little, many times over, beside a do-nothing function.
    Hot(Passed),
    /// The start, the first requests after it, and an idle service.
    Start(Passed),
    /// Uploads and downloads of a large file, beside hashing alone and beside nginx.
    Packages(Passed),
    /// Deltas of real images, beside bsdiff and xdelta3.
    Deltas(Passed),
    /// A batch over fleets of several sizes: what each step costs for a device.
    Scale(Passed),
    /// Devices that are connected to the broker and do nothing.
    Connections(Passed),
    /// Requests that a file describes, against one server or two.
    Compare(Passed),
}

/// What a benchmark is told.
#[derive(Args)]
struct Passed {
    /// Passed on to the benchmark; `--help` tells what it takes.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// A benchmark as the table of all has it.
struct Part {
    /// What stands before its figures.
    name: &'static str,
    /// Sizes that take a minute or two.
    arguments: &'static [&'static str],
}

/// All that print figures. Deltas are a table of their own, of images that are fetched.
const PARTS: [Part; 6] = [
    Part { name: "compare", arguments: &[] },
    Part { name: "connections", arguments: &["--devices", "1000"] },
    Part { name: "hot", arguments: &[] },
    Part { name: "packages", arguments: &["--mb", "128", "--rounds", "3"] },
    Part { name: "scale", arguments: &["--devices", "2000,20000", "--progress", "2000", "--pushes", "2000"] },
    Part { name: "start", arguments: &[] },
];

/// Builds what is needed and runs one benchmark, or all.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let Some(which) = &arguments.which else { return all(workspace, arguments) };
    let (name, Passed { arguments }) = match which {
        Which::Hot(passed) => ("hot", passed),
        Which::Start(passed) => ("start", passed),
        Which::Packages(passed) => ("packages", passed),
        Which::Deltas(passed) => ("deltas", passed),
        Which::Scale(passed) => ("scale", passed),
        Which::Connections(passed) => ("connections", passed),
        Which::Compare(passed) => ("compare", passed),
    };
    // The others run the service.
    if !matches!(which, Which::Deltas(_)) {
        build::functions(workspace)?;
    }
    build::programs(workspace, &[&program(name)])?;
    step::run(command(workspace, name).args(arguments))
}

fn program(name: &str) -> String {
    format!("bench-{name}")
}

fn command(workspace: &Workspace, name: &str) -> Command {
    let mut bench = Command::new(workspace.program(&program(name)));
    bench.current_dir(&workspace.root).env("OVERAIR_WASM_DIR", workspace.wasm());
    bench
}

/// Runs all, one after the other, and prints one table. One that fails has no figures there, and fails the whole at the end.
fn all(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    build::functions(workspace)?;
    let programs: Vec<String> = PARTS.iter().map(|part| program(part.name)).collect();
    build::programs(workspace, &programs.iter().map(String::as_str).collect::<Vec<_>>())?;
    let (mut table, mut failed) = (String::new(), Vec::new());
    for part in &PARTS {
        eprintln!("==> {}", part.name);
        match figures(command(workspace, part.name).args(part.arguments)) {
            Ok(figures) => {
                for (figure, value) in figures {
                    writeln!(table, "{}.{figure}: {value}", part.name).expect("text can be written to");
                }
            }
            Err(error) => {
                eprintln!("error: {}: {error:#}", part.name);
                failed.push(part.name);
            }
        }
    }
    eprintln!();
    print!("{table}");
    if let Some(file) = &arguments.out {
        std::fs::write(file, &table).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if !failed.is_empty() {
        bail!("without figures: {}", failed.join(", "));
    }
    Ok(())
}

/// Runs a benchmark, shows on the way what it tells, and returns its figures.
fn figures(bench: &mut Command) -> anyhow::Result<Vec<(String, String)>> {
    let mut running = bench.stdout(Stdio::piped()).spawn().context("it does not start")?;
    let told = BufReader::new(running.stdout.take().context("it has no output")?);
    let mut figures = Vec::new();
    for line in told.lines() {
        let line = line?;
        eprintln!("{line}");
        figures.extend(figure(&line));
    }
    let status = running.wait()?;
    if !status.success() {
        bail!("it failed: {status}");
    }
    Ok(figures)
}

/// Reads a line of the form `figure: value`.
fn figure(line: &str) -> Option<(String, String)> {
    let (figure, value) = line.split_once(": ")?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (!figure.is_empty() && figure.chars().all(plain)).then(|| (figure.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_a_plain_name_and_what_stands_behind_it() {
        assert_eq!(figure("noop_rps: 11335"), Some(("noop_rps".into(), "11335".into())));
        for other in ["", "| Image | Way |", ": 5", "Error: no", "a:b"] {
            assert_eq!(figure(other), None, "{other}");
        }
    }
}
