//! The trial of a package: 0 unverified → 2 verifying → 1 verified or 3 failed (R53).

/// How a package's verification (验证) stands. A batch upgrade needs `Verified` or `NotNeeded` (R42, R43).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerificationStatus {
    /// The operator asked for none when making the package (vendor: −1).
    NotNeeded,
    /// Not tried yet (vendor: 0).
    Unverified,
    /// A trial is running (vendor: 2).
    Verifying,
    /// All test devices were upgraded (vendor: 1).
    Verified,
    /// A trial ended otherwise (vendor: 3).
    Failed,
}

/// What may happen to a package's verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerificationEvent {
    /// An operator started a trial.
    Started {
        /// Whether that counts as verified at once, whatever the devices do (the older document, R50).
        legacy: bool,
    },
    /// The trial's batch ended.
    Ended {
        /// Whether every test device succeeded (R49).
        all_succeeded: bool,
    },
    /// The trial could not be set up; the package is as it was before.
    Abandoned,
}

impl VerificationStatus {
    /// Every status, in the order of the vendor's codes.
    pub const ALL: [Self; 5] =
        [Self::NotNeeded, Self::Unverified, Self::Verified, Self::Verifying, Self::Failed];

    /// Returns the name used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotNeeded => "not-needed",
            Self::Unverified => "unverified",
            Self::Verifying => "verifying",
            Self::Verified => "verified",
            Self::Failed => "failed",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Tells whether a batch upgrade may be made (R42, R43).
    pub const fn allows_upgrade(self) -> bool {
        matches!(self, Self::NotNeeded | Self::Verified)
    }

    /// Returns the status after `event`, or `None` when the event is refused in this status: a second trial while
    /// one runs or after one succeeded (R51). A late end of a trial that is no longer running changes nothing.
    pub const fn after(self, event: VerificationEvent) -> Option<Self> {
        use VerificationEvent as E;
        match (self, event) {
            (_, E::Started { legacy: true }) => Some(Self::Verified),
            (Self::Unverified | Self::Failed | Self::NotNeeded, E::Started { .. }) => Some(Self::Verifying),
            (Self::Verifying | Self::Verified, E::Started { .. }) => None,
            (Self::Verifying, E::Ended { all_succeeded: true }) => Some(Self::Verified),
            (Self::Verifying, E::Ended { all_succeeded: false }) => Some(Self::Failed),
            (Self::Verifying, E::Abandoned) => Some(Self::Unverified),
            (_, E::Ended { .. } | E::Abandoned) => Some(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::VerificationEvent as E;
    use super::VerificationStatus as S;

    #[test]
    fn r51_a_second_trial_is_refused_while_verifying_or_verified_and_allowed_after_failure() {
        assert_eq!(S::Verifying.after(E::Started { legacy: false }), None);
        assert_eq!(S::Verified.after(E::Started { legacy: false }), None);
        assert_eq!(S::Failed.after(E::Started { legacy: false }), Some(S::Verifying));
    }

    #[test]
    fn r49_r53_unverified_verifying_then_verified_or_failed() {
        let running = S::Unverified.after(E::Started { legacy: false }).unwrap();
        assert_eq!(running, S::Verifying);
        assert_eq!(running.after(E::Ended { all_succeeded: true }), Some(S::Verified));
        assert_eq!(running.after(E::Ended { all_succeeded: false }), Some(S::Failed));
    }

    #[test]
    fn r50_in_the_older_mode_a_trial_verifies_by_starting_and_may_be_repeated() {
        for status in S::ALL {
            assert_eq!(status.after(E::Started { legacy: true }), Some(S::Verified));
        }
        assert_eq!(S::Verified.after(E::Ended { all_succeeded: false }), Some(S::Verified));
    }

    #[test]
    fn a_late_end_changes_nothing() {
        for status in [S::Unverified, S::Verified, S::Failed, S::NotNeeded] {
            assert_eq!(status.after(E::Ended { all_succeeded: false }), Some(status));
        }
    }

    #[test]
    fn r42_r43_only_a_verified_package_or_one_that_needs_no_trial_allows_a_batch() {
        let allowed: [bool; 5] = S::ALL.map(S::allows_upgrade);
        assert_eq!(allowed, [true, false, true, false, false]);
    }

    #[test]
    fn names_read_back() {
        for status in S::ALL {
            assert_eq!(S::parse(status.as_str()), Some(status));
        }
    }
}
