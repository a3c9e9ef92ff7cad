//! Counting key-value operations: their number per request is a figure that tests assert.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What components have asked of the host since it started.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(crate) reads: Counter,
    pub(crate) writes: Counter,
    pub(crate) swaps: Counter,
    pub(crate) increments: Counter,
}

/// The key-value operations up to one moment. Each key of a batch counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyValueCounts {
    /// Keys read or looked for, and listings.
    pub reads: u64,
    /// Keys set or deleted.
    pub writes: u64,
    /// Compare-and-swaps tried, stale ones included.
    pub swaps: u64,
    /// Counters incremented.
    pub increments: u64,
}

impl Metrics {
    /// Returns the counts up to now.
    pub fn key_value(&self) -> KeyValueCounts {
        KeyValueCounts {
            reads: self.reads.get(),
            writes: self.writes.get(),
            swaps: self.swaps.get(),
            increments: self.increments.get(),
        }
    }
}

impl KeyValueCounts {
    /// Returns what was counted since an earlier moment.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            writes: self.writes - earlier.writes,
            swaps: self.swaps - earlier.swaps,
            increments: self.increments - earlier.increments,
        }
    }

    /// Returns the number of operations of any kind.
    pub fn total(self) -> u64 {
        self.reads + self.writes + self.swaps + self.increments
    }
}
