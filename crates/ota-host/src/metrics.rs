//! What the host counts: the key-value operations and the memory of components. Tests assert both.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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

/// The most linear memory that one instance of a component has held.
#[derive(Debug, Default)]
pub(crate) struct PeakMemory(AtomicUsize);

impl PeakMemory {
    pub(crate) fn record(&self, bytes: usize) {
        self.0.fetch_max(bytes, Ordering::Relaxed);
    }
}

/// What components have asked of the host since it started.
#[derive(Debug, Default)]
pub struct Metrics {
    memory: Mutex<BTreeMap<Arc<str>, Arc<PeakMemory>>>,
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

    /// Returns the most linear memory in bytes that one instance of each component has held, of those that have run. The
    /// host gives each instance its own memory, so this is what a function takes however many instances there are.
    pub fn peak_memory(&self) -> BTreeMap<String, usize> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let peaks = memory.iter().map(|(name, peak)| (name.to_string(), peak.0.load(Ordering::Relaxed)));
        peaks.filter(|(_, bytes)| *bytes > 0).collect()
    }

    /// Where the instances of a component record their memory.
    pub(crate) fn memory_of(&self, component: &Arc<str>) -> Arc<PeakMemory> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.entry(component.clone()).or_default().clone()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_most_that_one_instance_has_held() {
        let metrics = Metrics::default();
        let [upload, idle] = ["upload", "idle"].map(Arc::<str>::from);
        // Two instances of one component have one record.
        metrics.memory_of(&upload).record(3);
        metrics.memory_of(&upload).record(5);
        metrics.memory_of(&upload).record(4);
        metrics.memory_of(&idle);
        assert_eq!(metrics.peak_memory(), BTreeMap::from([("upload".to_owned(), 5)]));
    }
}
