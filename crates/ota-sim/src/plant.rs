//! Faults that are planted on purpose, to see that they are found. They lie in the store and in the link to the broker:
//! what an engine would do wrong, and the service cannot know.

/// A planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// A swap writes although somebody else was faster.
    LostUpdate,
    /// A crash of the process takes back the last write that was acknowledged.
    TornCrash,
    /// A read answers what a key held before its last write.
    StaleReads,
    /// The link to the broker sends what it was given twice.
    DoublePublish,
    /// A counter answers the same to two callers.
    LostIncrement,
}

impl Plant {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::LostUpdate, Self::TornCrash, Self::StaleReads, Self::DoublePublish, Self::LostIncrement];

    /// Returns the name it has on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LostUpdate => "lost-update",
            Self::TornCrash => "torn-crash",
            Self::StaleReads => "stale-reads",
            Self::DoublePublish => "double-publish",
            Self::LostIncrement => "lost-increment",
        }
    }

    /// Reads [`Self::as_str`] back.
    ///
    /// # Errors
    /// The names that there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|plant| plant.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("there are {names}")
        })
    }
}
