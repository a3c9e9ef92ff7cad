//! What the host counts: key-value operations, and what components take of memory and instructions. Tests assert them.

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

/// What the instances of one component have taken.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// The most linear memory that one instance has held.
    peak_memory: AtomicUsize,
    /// Requests that instances which have ended had begun, and the instructions that they took for them.
    requests: Counter,
    instructions: Counter,
}

impl Usage {
    pub(crate) fn held(&self, bytes: usize) {
        self.peak_memory.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Notes what an instance has done that has ended.
    pub(crate) fn ended(&self, requests: usize, instructions: u64) {
        self.requests.add(requests);
        self.instructions.0.fetch_add(instructions, Ordering::Relaxed);
    }
}

/// What components have asked of the host since it started.
#[derive(Debug, Default)]
pub struct Metrics {
    usage: Mutex<BTreeMap<Arc<str>, Arc<Usage>>>,
    pub(crate) reads: Counter,
    pub(crate) writes: Counter,
    pub(crate) swaps: Counter,
    pub(crate) increments: Counter,
    pub(crate) redis_commands: Counter,
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

    /// Returns the number of commands that components have sent to Redis.
    pub fn redis_commands(&self) -> u64 {
        self.redis_commands.get()
    }

    /// Returns the most linear memory in bytes that one instance of each component has held, of those that have run. The
    /// host gives each instance its own memory, so this is what a function takes however many instances there are.
    pub fn peak_memory(&self) -> BTreeMap<String, usize> {
        self.of_each(|usage| usage.peak_memory.load(Ordering::Relaxed), |bytes| *bytes > 0)
    }

    /// Returns the requests and instructions of each component, of the instances that have ended. The instructions are
    /// WebAssembly's, an instance's start among them; they are counted by a host that was told to.
    pub fn instructions(&self) -> BTreeMap<String, (u64, u64)> {
        self.of_each(|usage| (usage.requests.get(), usage.instructions.get()), |(_, count)| *count > 0)
    }

    fn of_each<T>(&self, told: impl Fn(&Usage) -> T, counts: impl Fn(&T) -> bool) -> BTreeMap<String, T> {
        let usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        let all = usage.iter().map(|(name, usage)| (name.to_string(), told(usage)));
        all.filter(|(_, value)| counts(value)).collect()
    }

    /// Where the instances of a component note what they take.
    pub(crate) fn usage_of(&self, component: &Arc<str>) -> Arc<Usage> {
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        usage.entry(component.clone()).or_default().clone()
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
        metrics.usage_of(&upload).held(3);
        metrics.usage_of(&upload).held(5);
        metrics.usage_of(&upload).held(4);
        metrics.usage_of(&idle);
        assert_eq!(metrics.peak_memory(), BTreeMap::from([("upload".to_owned(), 5)]));
    }

    #[test]
    fn instructions_are_those_of_all_instances_that_have_ended() {
        let metrics = Metrics::default();
        let [upload, idle] = ["upload", "idle"].map(Arc::<str>::from);
        metrics.usage_of(&upload).ended(2, 700);
        metrics.usage_of(&upload).ended(1, 300);
        metrics.usage_of(&idle);
        assert_eq!(metrics.instructions(), BTreeMap::from([("upload".to_owned(), (3, 1_000))]));
    }
}
