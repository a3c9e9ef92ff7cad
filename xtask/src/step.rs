//! Steps of a command: announced, timed, and the first that fails ends it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// The steps taken so far.
#[derive(Default)]
pub(crate) struct Steps {
    taken: Vec<(String, Duration)>,
}

impl Steps {
    /// Takes a step.
    pub(crate) fn take(
        &mut self,
        name: &str,
        step: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        eprintln!("==> {name}");
        let began = Instant::now();
        let taken = step().with_context(|| name.to_owned());
        self.taken.push((name.to_owned(), began.elapsed()));
        if taken.is_err() {
            self.sum_up();
        }
        taken
    }

    /// Prints how long each step took.
    pub(crate) fn sum_up(&self) {
        eprintln!();
        for (name, took) in &self.taken {
            eprintln!("{:>8.1} s  {name}", took.as_secs_f64());
        }
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", in_words(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", in_words(command));
    }
    Ok(())
}

/// Tells whether this is a service that runs a project's checks, by the variable that they set: there, what is missing is a
/// fault and not a reason to leave tests out.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// Tells whether a command is there and runs.
pub(crate) fn is_there(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn in_words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let mut words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(program) = words.first_mut() {
        // Which of several cargos it was is of little interest, and its path is long.
        let name = program.rsplit('/').next().unwrap_or_default().to_owned();
        *program = name;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_is_named() {
        assert!(run(&mut Command::new("true")).is_ok());
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.starts_with("`sh -c exit 3` failed"), "{error}");
        assert!(!is_there(&mut Command::new("no-such-program")));
    }
}
