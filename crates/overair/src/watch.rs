//! Watching something until it ends, with a bar where somebody looks and a line for each change where nobody does.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::client::{Answer, Call};
use crate::failure::Failure;
use crate::output::Output;

/// How often the service is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How far something is.
pub(crate) struct Progress {
    /// Out of `total`.
    pub(crate) done: u64,
    /// What there is to do.
    pub(crate) total: u64,
    /// In words.
    pub(crate) words: String,
    /// How it ended, if it did: with what, or how not.
    pub(crate) ended: Option<Result<(), Failure>>,
}

/// Asks again and again, until it has ended or `timeout` is over. Returns the last answer, and how it ended.
pub(crate) async fn watch(
    output: &Output,
    what: &str,
    call: Call<'_>,
    timeout: Option<Duration>,
    progress: impl Fn(&Value) -> Progress,
) -> Result<(Answer, Result<(), Failure>), Failure> {
    let began = Instant::now();
    let bar = steps_bar(output, what);
    let mut told = String::new();
    loop {
        let answer = call.send().await?;
        let seen = progress(&answer.read()?);
        bar.set_length(seen.total);
        bar.set_position(seen.done);
        bar.set_message(seen.words.clone());
        if let Some(ended) = seen.ended {
            bar.finish_and_clear();
            return Ok((answer, ended));
        }
        if !output.draws() && seen.words != told {
            output.note(&format!("{what}: {}/{}  {}", seen.done, seen.total, seen.words));
            told = seen.words;
        }
        let left = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            bar.finish_and_clear();
            return Ok((answer, Err(Failure::TimedOut(format!("{what} has not ended yet")))));
        }
        tokio::time::sleep(left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY))).await;
    }
}

/// A bar of bytes.
pub(crate) fn bytes_bar(output: &Output, total: u64, name: &str) -> ProgressBar {
    let style = "{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta}";
    let bar = bar(output, style);
    bar.set_length(total);
    bar.set_message(name.to_owned());
    bar
}

fn steps_bar(output: &Output, what: &str) -> ProgressBar {
    let bar = bar(output, "{prefix} [{bar:30}] {pos}/{len}  {msg}  {elapsed}");
    bar.set_prefix(what.to_owned());
    bar
}

fn bar(output: &Output, style: &str) -> ProgressBar {
    let target = if output.draws() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style.progress_chars("#>.")),
        Err(_) => bar,
    }
}
