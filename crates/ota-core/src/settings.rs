//! The settings of the service as a whole: which limits and which pace it promises.

use crate::error::{Faults, ValueError};
use crate::limits;

/// Which limits of packages hold (R32).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PackageLimits {
    /// Those of the newer document (R11 to R18).
    #[default]
    Current,
    /// Those of the older document: fewer and smaller packages, names of 4 to 32 characters, fewer suffixes.
    Legacy,
}

impl PackageLimits {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::Current, Self::Legacy];

    /// Returns the name used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Legacy => "legacy",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limits| limits.as_str() == text)
    }

    /// How many packages the account may have.
    pub const fn packages_max(self) -> usize {
        match self {
            Self::Current => limits::PACKAGES_MAX,
            Self::Legacy => limits::LEGACY_PACKAGES_MAX,
        }
    }

    /// How many bytes a package's file may have.
    pub const fn package_bytes_max(self) -> u64 {
        match self {
            Self::Current => limits::PACKAGE_BYTES_MAX,
            Self::Legacy => limits::LEGACY_PACKAGE_BYTES_MAX,
        }
    }

    /// What a package's file name may end in, without the dot.
    pub const fn package_suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Current => &limits::PACKAGE_SUFFIXES,
            Self::Legacy => &limits::LEGACY_PACKAGE_SUFFIXES,
        }
    }
}

/// What holds for all products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Which limits of packages hold (R32). A change concerns new packages; those that exist stay.
    pub package_limits: PackageLimits,
    /// Whether a batch's rate may be 10 to 10,000 pushes per minute, 10,000 by default, as later revisions allow (R81).
    pub fast_push: bool,
}

impl ServiceSettings {
    /// Returns the highest rate of a batch, which is also the default (R81).
    pub const fn push_per_minute_max(self) -> u32 {
        if self.fast_push { limits::PUSH_PER_MINUTE_MAX_FAST } else { limits::PUSH_PER_MINUTE_MAX }
    }
}

/// The raw words of a request that changes the service's settings. What is absent stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceSettingsFields<'a> {
    /// `package_limits`: `current` or `legacy`.
    pub package_limits: Option<&'a str>,
    /// `fast_push`.
    pub fast_push: Option<bool>,
}

/// A change of the service's settings, checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceSettingsChange {
    package_limits: Option<PackageLimits>,
    fast_push: Option<bool>,
}

impl ServiceSettingsChange {
    /// Checks the words of a request; every fault at once.
    ///
    /// # Errors
    /// The faults, with JSON pointers into the request.
    pub fn check(fields: &ServiceSettingsFields<'_>) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let package_limits = fields.package_limits.and_then(|text| {
            let parsed = PackageLimits::parse(text);
            faults.take(
                "/settings/package_limits",
                parsed.ok_or(ValueError::NotOneOf { allowed: "current, legacy" }),
            )
        });
        faults.into_result()?;
        Ok(Self { package_limits, fast_push: fields.fast_push })
    }

    /// Returns the settings after this change of `before`.
    #[must_use]
    pub fn of(&self, before: ServiceSettings) -> ServiceSettings {
        ServiceSettings {
            package_limits: self.package_limits.unwrap_or(before.package_limits),
            fast_push: self.fast_push.unwrap_or(before.fast_push),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let fields = ServiceSettingsFields { package_limits: Some("legacy"), fast_push: None };
        let before = ServiceSettings { fast_push: true, ..ServiceSettings::default() };
        let after = ServiceSettingsChange::check(&fields).unwrap().of(before);
        assert_eq!(after, ServiceSettings { package_limits: PackageLimits::Legacy, fast_push: true });
    }

    #[test]
    fn an_unknown_profile_is_refused() {
        let fields = ServiceSettingsFields { package_limits: Some("old"), fast_push: None };
        let faults = ServiceSettingsChange::check(&fields).unwrap_err();
        assert_eq!(faults.0[0].code, "value.not-one-of");
    }

    #[test]
    fn names_read_back() {
        for limits in PackageLimits::ALL {
            assert_eq!(PackageLimits::parse(limits.as_str()), Some(limits));
        }
    }
}
