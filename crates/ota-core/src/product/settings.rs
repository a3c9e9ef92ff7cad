//! The settings of a product: where the documents differ, which of them holds for its devices.
//!
//! What is not set follows the newer document to the letter. `docs/settings.md` lists every setting with its rule.

use crate::error::{Faults, ValueError};

/// What makes two upgrades of a product rivals (R63).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// A device is in at most one active task (R135); versions do not matter.
    #[default]
    Device,
    /// Besides, a source version is in at most one running batch, as in the older document.
    SourceVersion,
}

impl ConflictPolicy {
    /// Every policy.
    pub const ALL: [Self; 2] = [Self::Device, Self::SourceVersion];

    /// Returns the name used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::SourceVersion => "source-version",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == text)
    }
}

/// When a package counts as verified (R49 to R51).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerificationMode {
    /// When every test device has succeeded (R49); a trial is not repeated after that (R51).
    #[default]
    Strict,
    /// As soon as its verification starts, and it may be repeated (R50).
    Legacy,
}

impl VerificationMode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::Strict, Self::Legacy];

    /// Returns the name used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Legacy => "legacy",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}

/// Which behaviour holds for the devices of a product where the documents differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProductSettings {
    /// What makes two upgrades rivals (R63).
    pub conflict_policy: ConflictPolicy,
    /// When a package counts as verified (R49 to R51).
    pub verification_mode: VerificationMode,
    /// Whether a report of the source version is no failure once an upgrade has begun (R119).
    pub forgive_source_version: bool,
    /// Whether only upgrades in progress are retried, and only in batches that name source versions (R128).
    pub narrow_retries: bool,
    /// Whether a retry interval that is not below the timeout is refused (R82): such a retry never happens, because the
    /// clock of the timeout is not restarted (R125).
    pub strict_retry_interval: bool,
    /// Whether a module's alias may have 1 to 3 characters, and Chinese ones (R5).
    pub lenient_aliases: bool,
    /// Whether a batch's tags may be edited (R87).
    pub editable_tags: bool,
    /// Whether the devices can apply deltas; if not, deltas are refused (R38).
    pub delta_capable: bool,
    /// Whether deltas must use MD5, which is all that the vendor's Android SDK checks (R24).
    pub md5_deltas: bool,
}

impl Default for ProductSettings {
    /// The newer document to the letter.
    fn default() -> Self {
        Self {
            conflict_policy: ConflictPolicy::Device,
            verification_mode: VerificationMode::Strict,
            forgive_source_version: false,
            narrow_retries: false,
            strict_retry_interval: false,
            lenient_aliases: false,
            editable_tags: false,
            delta_capable: true,
            md5_deltas: false,
        }
    }
}

/// The raw words of a request that changes a product's settings. What is absent stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProductSettingsFields<'a> {
    /// `conflict_policy`: `device` or `source-version`.
    pub conflict_policy: Option<&'a str>,
    /// `verification_mode`: `strict` or `legacy`.
    pub verification_mode: Option<&'a str>,
    /// `forgive_source_version`.
    pub forgive_source_version: Option<bool>,
    /// `narrow_retries`.
    pub narrow_retries: Option<bool>,
    /// `strict_retry_interval`.
    pub strict_retry_interval: Option<bool>,
    /// `lenient_aliases`.
    pub lenient_aliases: Option<bool>,
    /// `editable_tags`.
    pub editable_tags: Option<bool>,
    /// `delta_capable`.
    pub delta_capable: Option<bool>,
    /// `md5_deltas`.
    pub md5_deltas: Option<bool>,
}

/// A change of a product's settings, checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProductSettingsChange {
    conflict_policy: Option<ConflictPolicy>,
    verification_mode: Option<VerificationMode>,
    forgive_source_version: Option<bool>,
    narrow_retries: Option<bool>,
    strict_retry_interval: Option<bool>,
    lenient_aliases: Option<bool>,
    editable_tags: Option<bool>,
    delta_capable: Option<bool>,
    md5_deltas: Option<bool>,
}

impl ProductSettingsChange {
    /// Checks the words of a request; every fault at once.
    ///
    /// # Errors
    /// The faults, with JSON pointers into the request.
    pub fn check(fields: &ProductSettingsFields<'_>) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let policy = fields.conflict_policy.and_then(|text| {
            let parsed = ConflictPolicy::parse(text);
            faults.take(
                "/settings/conflict_policy",
                parsed.ok_or(ValueError::NotOneOf { allowed: "device, source-version" }),
            )
        });
        let mode = fields.verification_mode.and_then(|text| {
            let parsed = VerificationMode::parse(text);
            faults.take(
                "/settings/verification_mode",
                parsed.ok_or(ValueError::NotOneOf { allowed: "strict, legacy" }),
            )
        });
        faults.into_result()?;
        Ok(Self {
            conflict_policy: policy,
            verification_mode: mode,
            forgive_source_version: fields.forgive_source_version,
            narrow_retries: fields.narrow_retries,
            strict_retry_interval: fields.strict_retry_interval,
            lenient_aliases: fields.lenient_aliases,
            editable_tags: fields.editable_tags,
            delta_capable: fields.delta_capable,
            md5_deltas: fields.md5_deltas,
        })
    }

    /// Returns the settings after this change of `before`.
    #[must_use]
    pub fn of(&self, before: ProductSettings) -> ProductSettings {
        ProductSettings {
            conflict_policy: self.conflict_policy.unwrap_or(before.conflict_policy),
            verification_mode: self.verification_mode.unwrap_or(before.verification_mode),
            forgive_source_version: self.forgive_source_version.unwrap_or(before.forgive_source_version),
            narrow_retries: self.narrow_retries.unwrap_or(before.narrow_retries),
            strict_retry_interval: self.strict_retry_interval.unwrap_or(before.strict_retry_interval),
            lenient_aliases: self.lenient_aliases.unwrap_or(before.lenient_aliases),
            editable_tags: self.editable_tags.unwrap_or(before.editable_tags),
            delta_capable: self.delta_capable.unwrap_or(before.delta_capable),
            md5_deltas: self.md5_deltas.unwrap_or(before.md5_deltas),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn the_defaults_are_the_newer_document() {
        let settings = ProductSettings::default();
        assert_eq!(settings.conflict_policy, ConflictPolicy::Device);
        assert_eq!(settings.verification_mode, VerificationMode::Strict);
        assert!(settings.delta_capable);
        let lenient = [
            settings.forgive_source_version,
            settings.narrow_retries,
            settings.strict_retry_interval,
            settings.lenient_aliases,
            settings.editable_tags,
            settings.md5_deltas,
        ];
        assert_eq!(lenient, [false; 6]);
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let before = ProductSettings { md5_deltas: true, ..ProductSettings::default() };
        let fields = ProductSettingsFields { conflict_policy: Some("source-version"), ..Default::default() };
        let after = ProductSettingsChange::check(&fields).unwrap().of(before);
        assert_eq!(after, ProductSettings { conflict_policy: ConflictPolicy::SourceVersion, ..before });
        let nothing = ProductSettingsChange::check(&ProductSettingsFields::default()).unwrap();
        assert_eq!(nothing.of(after), after);
    }

    #[test]
    fn every_unknown_value_is_told_at_once() {
        let fields = ProductSettingsFields {
            conflict_policy: Some("sourceVersion"),
            verification_mode: Some(""),
            ..Default::default()
        };
        let faults = ProductSettingsChange::check(&fields).unwrap_err();
        let told: Vec<_> = faults.0.iter().map(|f| (f.pointer.as_str(), f.code)).collect();
        let expected = [
            ("/settings/conflict_policy", "value.not-one-of"),
            ("/settings/verification_mode", "value.not-one-of"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn names_read_back() {
        for policy in ConflictPolicy::ALL {
            assert_eq!(ConflictPolicy::parse(policy.as_str()), Some(policy));
        }
        for mode in VerificationMode::ALL {
            assert_eq!(VerificationMode::parse(mode.as_str()), Some(mode));
        }
    }
}
