//! What happened, step by step: in words for people, as a digest for the promise that a seed is the same run again.

use std::collections::VecDeque;

use sha2::{Digest, Sha256};

/// Steps that are told with a failure.
const KEPT: usize = 60;

/// The record of a run.
pub(crate) struct Trace {
    digest: Sha256,
    last: VecDeque<String>,
    print: bool,
}

impl Trace {
    /// Begins a record; with `print` each line is printed as it comes.
    pub(crate) fn new(print: bool) -> Self {
        Self { digest: Sha256::new(), last: VecDeque::with_capacity(KEPT), print }
    }

    pub(crate) fn note(&mut self, step: u64, moment: u64, what: &str) {
        let line = format!("{step:>6}  {:>9}.{:03} s  {what}", moment / 1_000, moment % 1_000);
        self.digest.update(line.as_bytes());
        self.digest.update(b"\n");
        if self.print {
            println!("{line}");
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Returns the last lines.
    pub(crate) fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    /// Returns the digest of all lines, in hexadecimal.
    pub(crate) fn digest(&self) -> String {
        self.digest.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
