//! What is printed: tables for people, the service's own answers for scripts.

mod table;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::{Answer, Listed};
use crate::failure::Failure;

pub(crate) use table::{Column, Section, cell, with};

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables for people.
    Table,
    /// The service's own answers; a list is one array of all items asked for.
    Json,
}

/// Where a command's results go.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) quiet: bool,
}

/// How one thing is shown.
pub(crate) struct View {
    /// The field that names it; all that is printed when a script wants to be quiet.
    pub(crate) id: &'static str,
    /// Fields in the order they are shown; others follow.
    pub(crate) order: &'static [&'static str],
    /// Fields that are lists of things, each with a table of its own.
    pub(crate) sections: &'static [Section],
}

impl Output {
    /// Tells whether answers are printed as they come.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json && !self.quiet
    }

    /// Prints one thing.
    pub(crate) fn show(&self, answer: &Answer, view: &View) -> Result<(), Failure> {
        if self.quiet {
            let value: Value = answer.read()?;
            return self.lines([cell(&value, view.id)]);
        }
        match self.format {
            Format::Json => self.raw(&answer.text),
            Format::Table => put(&table::one(&answer.read()?, view)),
        }
    }

    /// Prints a list; `id` is the field that is all a quiet script wants of each.
    pub(crate) fn list(&self, listed: &Listed, id: &str, columns: &[Column]) -> Result<(), Failure> {
        self.items(&listed.items, id, columns)?;
        if listed.next_cursor.is_some() {
            self.note("there are more: ask for them with --limit, or for all with --limit all");
        }
        Ok(())
    }

    /// Prints items that are all there are.
    pub(crate) fn items(&self, items: &[Box<RawValue>], id: &str, columns: &[Column]) -> Result<(), Failure> {
        if self.is_json() {
            let items: Vec<&str> = items.iter().map(|item| item.get()).collect();
            return self.raw(&format!("[{}]", items.join(",\n")));
        }
        let values = items.iter().map(|item| serde_json::from_str(item.get()));
        let values: Vec<Value> =
            values.collect::<Result<_, _>>().context("the answer is not as documented")?;
        if self.quiet {
            return self.lines(values.iter().map(|value| cell(value, id)));
        }
        put(&table::many(&values, columns))
    }

    /// Tells that something without an answer was done.
    pub(crate) fn done(&self, text: &str) -> Result<(), Failure> {
        if self.quiet || self.format == Format::Json { Ok(()) } else { put(&format!("{text}\n")) }
    }

    /// Prints an answer as it came.
    pub(crate) fn raw(&self, text: &str) -> Result<(), Failure> {
        put(&format!("{}\n", text.trim_end()))
    }

    /// Prints lines.
    pub(crate) fn lines(&self, lines: impl IntoIterator<Item = String>) -> Result<(), Failure> {
        lines.into_iter().try_for_each(|line| put(&format!("{line}\n")))
    }

    /// Says something beside the results.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            complain(text);
        }
    }

    /// Tells whether bars may be drawn: somebody looks, and did not ask for silence.
    pub(crate) fn draws(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }
}

/// Writes to standard output. A reader that has gone away ends the command without a complaint.
pub(crate) fn put(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::PipeClosed),
        Err(error) => Err(anyhow::Error::new(error).context("standard output").into()),
    }
}

/// Waits a moment before more is asked for, unless nobody reads standard output any more: who writes nothing would not
/// notice.
pub(crate) async fn wait_for_more(moment: Duration) -> Result<(), Failure> {
    tokio::time::sleep(moment).await;
    if has_reader() { Ok(()) } else { Err(Failure::PipeClosed) }
}

#[cfg(unix)]
fn has_reader() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = io::stdout();
    let mut asked = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    // Only a pipe without a reader reports an error here.
    let told = poll(&mut asked, Some(&at_once));
    told.is_err() || !asked.iter().any(|fd| fd.revents().contains(PollFlags::ERR))
}

#[cfg(not(unix))]
fn has_reader() -> bool {
    true
}

/// Writes to standard error, if anybody listens.
pub(crate) fn complain(text: &str) {
    let mut out = io::stderr().lock();
    let _nobody_listens = writeln!(out, "{text}");
}
