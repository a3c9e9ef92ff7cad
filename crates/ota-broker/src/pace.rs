//! How fast one device may publish.

use std::time::{Duration, Instant};

/// Spaces messages out once a burst is used up.
///
/// A device over its rate is slowed down, not refused: while it waits the broker does not read from its socket, so
/// the network itself holds it back and no report is lost. Without this one device could fill the queue that all
/// devices share towards the service.
#[derive(Debug)]
pub(crate) struct Pace {
    /// When the next message would be due if all came evenly.
    due: Instant,
    interval: Duration,
    /// How far ahead of an even pace a burst may run.
    credit: Duration,
}

impl Pace {
    /// Allows `per_second` messages a second for good, and `burst` of them at once after a rest.
    pub(crate) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { due: now, interval, credit: interval.saturating_mul(burst) }
    }

    /// Counts one message and returns how long it has to wait.
    pub(crate) fn take(&mut self, now: Instant) -> Duration {
        self.due = self.due.max(now) + self.interval;
        self.due.saturating_duration_since(now).saturating_sub(self.credit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(10, 5, start);
        for _ in 0..5 {
            assert_eq!(pace.take(start), Duration::ZERO);
        }
        assert_eq!(pace.take(start), Duration::from_millis(100));
        assert_eq!(pace.take(start), Duration::from_millis(200));
    }

    #[test]
    fn a_rest_earns_the_burst_again() {
        let start = Instant::now();
        let mut pace = Pace::new(10, 5, start);
        for _ in 0..20 {
            pace.take(start);
        }
        let later = start + Duration::from_secs(60);
        assert_eq!(pace.take(later), Duration::ZERO);
    }
}
