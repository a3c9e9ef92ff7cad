//! Moments and durations, in milliseconds since the Unix epoch.

/// A moment: milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the moment `ms` milliseconds later; saturates at the end of time.
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Returns the moment `minutes` minutes later.
    pub const fn plus_minutes(self, minutes: u16) -> Self {
        self.plus_ms(minutes as u64 * 60_000)
    }

    /// Returns how many milliseconds have passed since `earlier`, 0 if `earlier` is in the future: clocks of
    /// different machines differ, and a negative age helps nobody.
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the whole seconds since the Unix epoch.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }
}
