//! What the broker counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// A snapshot of what a broker has done since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sessions that are live now, devices and service connections together.
    pub sessions: u64,
    /// Messages that clients published, wills included, refused ones too.
    pub messages_in: u64,
    /// Messages written to clients. One message to three subscribers counts three times.
    pub messages_out: u64,
    /// Messages that a subscriber did not get, because its queue was full, it went away, or they grew too old.
    pub messages_dropped: u64,
    /// Logins that the gate or a limit turned away.
    pub logins_refused: u64,
    /// Messages that a device was not allowed to publish.
    pub publishes_refused: u64,
    /// Subscriptions that a device was not allowed to make.
    pub subscriptions_refused: u64,
}

/// The counters behind [`Counters`].
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) messages_in: AtomicU64,
    pub(crate) messages_out: AtomicU64,
    pub(crate) messages_dropped: AtomicU64,
    pub(crate) logins_refused: AtomicU64,
    pub(crate) publishes_refused: AtomicU64,
    pub(crate) subscriptions_refused: AtomicU64,
}

impl Tally {
    /// Counts one more of something.
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads all counters. They are read one after the other, so their sums need not agree to the message.
    pub(crate) fn snapshot(&self, sessions: usize) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            sessions: sessions as u64,
            messages_in: read(&self.messages_in),
            messages_out: read(&self.messages_out),
            messages_dropped: read(&self.messages_dropped),
            logins_refused: read(&self.logins_refused),
            publishes_refused: read(&self.publishes_refused),
            subscriptions_refused: read(&self.subscriptions_refused),
        }
    }
}
