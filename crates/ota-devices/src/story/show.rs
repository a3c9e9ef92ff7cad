//! What the story shows: a line for each step, a bar that is redrawn, a table at the end.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::Instant;

use super::wire::{Counts, Task};

/// Cells of the bar.
const BAR_CELLS: u64 = 24;
/// How many devices are named for one reason.
const NAMES_MAX: usize = 6;
/// Without a terminal, a line that changes all the time is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Where the story is told.
pub(super) struct Show {
    terminal: bool,
    live: String,
    printed_at: Option<Instant>,
}

impl Show {
    /// Tells the story on standard output.
    pub(super) fn new() -> Self {
        Self { terminal: std::io::stdout().is_terminal(), live: String::new(), printed_at: None }
    }

    /// Prints a line that stays.
    pub(super) fn line(&mut self, text: &str) {
        let clear = if self.terminal && !self.live.is_empty() { "\r\x1b[2K" } else { "" };
        put(&format!("{clear}{text}\n"));
        self.live.clear();
        self.printed_at = None;
    }

    /// Shows a line that the next one replaces: in place on a terminal, now and then elsewhere.
    pub(super) fn live(&mut self, text: &str) {
        if text == self.live {
            return;
        }
        if self.terminal {
            put(&format!("\r\x1b[2K{text}"));
        } else if self.printed_at.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
            put(&format!("{text}\n"));
            self.printed_at = Some(Instant::now());
        } else {
            return;
        }
        text.clone_into(&mut self.live);
    }
}

/// Writes to standard output. A reader that went away does not stop the story: its exit code still counts.
fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Draws a bar.
pub(super) fn bar(done: u64, total: u64) -> String {
    let full = (done.min(total) * BAR_CELLS).checked_div(total).unwrap_or_default() as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(BAR_CELLS as usize - full))
}

/// Says how far a batch is.
pub(super) fn counts_line(counts: &Counts) -> String {
    format!(
        "  {} {:>3}/{}  queued {}  notified {}  in progress {}  succeeded {}  failed {}",
        bar(counts.ended(), counts.total),
        counts.ended(),
        counts.total,
        counts.queued,
        counts.notified,
        counts.in_progress,
        counts.succeeded,
        counts.failed
    )
}

/// Lists why tasks did not succeed: each kind of reason, and whom it met. Figures differ from device to device, so
/// that reasons are one kind if they differ in digits only.
pub(super) fn reasons_table(tasks: &[Task]) -> Vec<String> {
    let mut kinds: BTreeMap<String, (String, Vec<&str>)> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.status != "succeeded") {
        let reason = task.reason.as_ref().map_or_else(|| "no reason".to_owned(), ToString::to_string);
        let text = format!("{:<9} {reason}", task.status);
        kinds.entry(kind(&text)).or_insert_with(|| (text, vec![])).1.push(&task.device_name);
    }
    let line = |(text, mut names): (String, Vec<&str>)| {
        names.sort_unstable();
        let more = names.len().saturating_sub(NAMES_MAX);
        let mut shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
        if more > 0 {
            shown.push_str(&format!(" and {more} more"));
        }
        let like = if names.len() > 1 { ", and the like" } else { "" };
        [format!("  {:>3} x {text}{like}", names.len()), format!("        {shown}")]
    };
    kinds.into_values().flat_map(line).collect()
}

/// Cuts a text down to what makes its kind: words, but for those with a digit in them. A sign belongs to its number,
/// so that a step stays what it is.
fn kind(text: &str) -> String {
    let is_figure = |word: &&str| !word.starts_with('-') && word.bytes().any(|b| b.is_ascii_digit());
    text.split_whitespace().filter(|word| !is_figure(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::wire::Reason;
    use super::*;

    #[test]
    fn a_bar_fills_up() {
        assert_eq!(bar(0, 0), format!("[{}]", ".".repeat(24)));
        assert_eq!(bar(5, 10), format!("[{}{}]", "#".repeat(12), ".".repeat(12)));
        assert_eq!(bar(11, 10), format!("[{}]", "#".repeat(24)));
    }

    #[test]
    fn reasons_that_differ_in_figures_are_one_kind() {
        let task = |name: &str, description: &str| Task {
            device_name: name.into(),
            status: "failed".into(),
            reason: Some(Reason { code: "flashing".into(), description: description.into() }),
        };
        let tasks = [
            task("b", "device code -4: flash write error at block 9"),
            task("a", "device code -4: flash write error at block 12"),
            task("c", "device code -2: gave up"),
        ];
        let table = reasons_table(&tasks);
        assert_eq!(table.len(), 4);
        assert!(table.iter().any(|line| line.trim() == "a, b"), "{table:?}");
    }
}
