//! A leash for programs that know of none.
//!
//! `xtask guard -- program` runs the program and ends it when standard input ends, that is, when whoever holds the
//! other end lets go, or dies, even by a signal that cannot be caught. So no program is left behind.

use std::io::Read;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often a guard looks after its program.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a program may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);

/// Runs a program until it ends, or until standard input does.
pub(crate) fn run(command: &[String]) -> anyhow::Result<ExitCode> {
    let Some((program, arguments)) = command.split_first() else { bail!("no program to run") };
    // Whoever holds the leash decides: a Ctrl-C reaches the whole group, and the holder lets go in its own time.
    let ignored = Arc::new(AtomicBool::new(false));
    let released = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, ignored.clone())?;
    }
    signal_hook::flag::register(SIGTERM, released.clone())?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    let at_end = released.clone();
    thread::spawn(move || {
        let mut bytes = [0; 64];
        while std::io::stdin().read(&mut bytes).is_ok_and(|read| read > 0) {}
        at_end.store(true, Ordering::SeqCst);
    });
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(code(status));
        }
        if released.load(Ordering::SeqCst) {
            return Ok(code(end(&mut child)?));
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Asks a program to end, and ends it if it does not.
fn end(child: &mut Child) -> anyhow::Result<ExitStatus> {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ended_meanwhile = kill_process(pid, Signal::TERM);
    }
    let until = Instant::now() + GRACE;
    while Instant::now() < until {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(LOOK_EVERY);
    }
    child.kill()?;
    Ok(child.wait()?)
}

fn code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// A program on a leash: it ends when this is dropped, or when this process ends.
pub(crate) struct Guarded {
    guard: Child,
    leash: Option<ChildStdin>,
}

impl Guarded {
    /// Starts a command. Its standard output can be read if it was asked for with `stdout`.
    pub(crate) fn start(command: &Command, stdout: Stdio, stderr: Stdio) -> anyhow::Result<Self> {
        let mut guard = Command::new(std::env::current_exe().context("this program's own file")?);
        guard.args(["guard", "--"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => guard.env(name, value),
                None => guard.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            guard.current_dir(folder);
        }
        let mut guard = guard.stdin(Stdio::piped()).stdout(stdout).stderr(stderr).spawn()?;
        let leash = guard.stdin.take();
        Ok(Self { guard, leash })
    }

    /// Takes the other end of its standard output.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.guard.stdout.take()
    }

    /// Tells whether and how it has ended.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.guard.try_wait()?)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.leash.take());
        let _status = self.guard.wait();
    }
}
