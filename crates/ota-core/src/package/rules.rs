//! What a new package must look like (R11-R29).

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::{PackageKind, VerificationStatus};
use crate::digest::{DigestAlgorithm, Digests};
use crate::error::{Coded, Faults, ValueError, check_len};
use crate::ids::{ModuleName, ProductKey, Version, is_chinese};
use crate::limits;
use crate::product::ProductSettings;
use crate::settings::PackageLimits;

/// Why a package is refused although each of its fields is well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageError {
    /// The account has as many packages as it may (R11).
    TooMany {
        /// How many it may have.
        max: usize,
    },
    /// Another package of the account has this name (R19).
    NameTaken {
        /// The name.
        name: String,
    },
    /// The product's module already has a package of this version (R28); for a delta, of this pair of versions.
    VersionTaken {
        /// The version.
        version: String,
    },
    /// A delta leads from a version to itself (R23).
    SameVersions,
    /// The file is empty (R15).
    EmptyFile,
    /// The file is larger than it may be (R12).
    FileTooLarge {
        /// How many bytes it may have.
        max: u64,
    },
    /// The file's suffix is none of the allowed ones, or not in lower case (R13, R14).
    Suffix {
        /// The file's name.
        file_name: String,
        /// The allowed ones, without the dot.
        allowed: &'static [&'static str],
    },
    /// The digest given is not that of the file (R25).
    DigestMismatch {
        /// The digest of the bytes that arrived.
        actual: String,
    },
    /// The size given is not that of the file (R25).
    SizeMismatch {
        /// The bytes that arrived.
        actual: u64,
    },
    /// The package cannot be tried or rolled out in its present state (R42, R51).
    Verification {
        /// The present state.
        status: VerificationStatus,
    },
    /// A batch of this package has not ended, so it cannot be deleted.
    InUse,
    /// The product's devices cannot apply deltas (R38).
    DeltaNotSupported,
    /// The product's devices check deltas by MD5 only.
    DeltaNeedsMd5,
}

impl Coded for PackageError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooMany { .. } => "package.too-many",
            Self::NameTaken { .. } => "package.name-taken",
            Self::VersionTaken { .. } => "package.version-taken",
            Self::SameVersions => "package.same-versions",
            Self::EmptyFile => "package.empty-file",
            Self::FileTooLarge { .. } => "package.file-too-large",
            Self::Suffix { .. } => "package.suffix",
            Self::DigestMismatch { .. } => "package.digest-mismatch",
            Self::SizeMismatch { .. } => "package.size-mismatch",
            Self::Verification { .. } => "package.verification",
            Self::InUse => "package.in-use",
            Self::DeltaNotSupported => "package.delta-not-supported",
            Self::DeltaNeedsMd5 => "package.delta-needs-md5",
        }
    }
}

impl fmt::Display for PackageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { max } => write!(f, "the account has {max} packages, which is all it may have"),
            Self::NameTaken { name } => write!(f, "another package is named {name}"),
            Self::VersionTaken { version } => {
                write!(f, "the product's module already has a package of version {version}")
            }
            Self::SameVersions => write!(f, "a delta must lead to another version than it starts from"),
            Self::EmptyFile => write!(f, "the file is empty"),
            Self::FileTooLarge { max } => write!(f, "the file is larger than {max} bytes"),
            Self::Suffix { file_name, allowed } => {
                write!(f, "{file_name} must end in one of")?;
                allowed.iter().try_for_each(|suffix| write!(f, " .{suffix}"))?;
                write!(f, ", in lower case")
            }
            Self::DigestMismatch { actual } => write!(f, "the digest of the uploaded file is {actual}"),
            Self::SizeMismatch { actual } => write!(f, "the uploaded file has {actual} bytes"),
            Self::Verification { status } => write!(f, "the package's verification is {}", status.as_str()),
            Self::InUse => write!(f, "the package has a batch that has not ended"),
            Self::DeltaNotSupported => write!(f, "the product's devices cannot apply deltas"),
            Self::DeltaNeedsMd5 => write!(f, "a delta of this product must use MD5"),
        }
    }
}

impl core::error::Error for PackageError {}

/// What an operator says of a package, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPackage {
    /// The product.
    pub product_key: ProductKey,
    /// Unique in the account.
    pub name: String,
    /// The module it upgrades.
    pub module: ModuleName,
    /// Whole or difference.
    pub kind: PackageKind,
    /// The version a device runs afterwards.
    pub target_version: Version,
    /// Which digest devices are given.
    pub algorithm: DigestAlgorithm,
    /// Up to 100 characters.
    pub description: String,
    /// Free text for devices.
    pub udi: String,
    /// Whether a trial must come before a batch (R29).
    pub needs_verification: bool,
    /// What it was checked by.
    pub limits: PackageLimits,
}

/// The raw words of a request for a new package. Absent text is `None`.
#[derive(Clone, Debug, Default)]
pub struct PackageFields<'a> {
    /// `product_key`.
    pub product_key: Option<&'a str>,
    /// `name`.
    pub name: Option<&'a str>,
    /// `module`; absent is `default` (R27).
    pub module: Option<&'a str>,
    /// `kind`: `full` or `delta`; absent is `full`.
    pub kind: Option<&'a str>,
    /// `source_version`, for a delta (R22).
    pub source_version: Option<&'a str>,
    /// `target_version` (R22).
    pub target_version: Option<&'a str>,
    /// `digest_algorithm`: `MD5` or `SHA256` (R24); absent is `SHA256`.
    pub digest_algorithm: Option<&'a str>,
    /// `description`.
    pub description: Option<&'a str>,
    /// `udi`.
    pub udi: Option<&'a str>,
    /// `needs_verification`; absent is true.
    pub needs_verification: Option<bool>,
    /// Which limits hold (R32): the service's, and no word of the request.
    pub limits: PackageLimits,
}

impl NewPackage {
    /// Checks the words of a request; every fault at once.
    ///
    /// # Errors
    /// The faults, with JSON pointers into the request.
    pub fn check(fields: &PackageFields<'_>) -> Result<Self, Faults> {
        let mut faults = Faults::new();

        let product_key = faults.take("/product_key", required(fields.product_key).and_then(ProductKey::new));
        let name = faults.take(
            "/name",
            required(fields.name).and_then(|t| check_package_name(t, fields.limits).map(|()| t)),
        );
        let module = match fields.module {
            None => Some(ModuleName::default_module()),
            Some(text) => faults.take("/module", ModuleName::new(text)),
        };
        let target_version =
            faults.take("/target_version", required(fields.target_version).and_then(Version::new));
        let kind = match (fields.kind.unwrap_or("full"), fields.source_version) {
            ("full", None) => Some(PackageKind::Full),
            ("full", Some(_)) => {
                faults.add(
                    "/source_version",
                    &ValueError::NotAllowed { why: "a full package has no source version" },
                );
                None
            }
            ("delta", source) => faults
                .take("/source_version", required(source).and_then(Version::new))
                .map(|source_version| PackageKind::Delta { source_version }),
            _ => {
                faults.add("/kind", &ValueError::NotOneOf { allowed: "full, delta" });
                None
            }
        };
        if let (Some(kind), Some(target)) = (&kind, &target_version)
            && kind.source_version() == Some(target)
        {
            faults.add("/source_version", &PackageError::SameVersions);
        }
        let algorithm = faults.take(
            "/digest_algorithm",
            DigestAlgorithm::parse(fields.digest_algorithm.unwrap_or("SHA256"))
                .ok_or(ValueError::NotOneOf { allowed: "MD5, SHA256" }),
        );
        let description = fields.description.unwrap_or_default();
        faults.take("/description", check_len(description, 0, limits::DESCRIPTION_LEN_MAX));
        let udi = fields.udi.unwrap_or_default();
        faults.take("/udi", check_len(udi, 0, limits::UDI_LEN_MAX));

        match (product_key, name, module, kind, target_version, algorithm) {
            (
                Some(product_key),
                Some(name),
                Some(module),
                Some(kind),
                Some(target_version),
                Some(algorithm),
            ) if faults.0.is_empty() => Ok(Self {
                product_key,
                name: name.into(),
                module,
                kind,
                target_version,
                algorithm,
                description: description.into(),
                udi: udi.into(),
                needs_verification: fields.needs_verification.unwrap_or(true),
                limits: fields.limits,
            }),
            _ => Err(faults),
        }
    }

    /// Checks a delta against what the product's devices can apply (R38).
    ///
    /// # Errors
    /// The faults, with JSON pointers into the request.
    pub fn check_delta(&self, settings: &ProductSettings) -> Result<(), Faults> {
        let mut faults = Faults::new();
        if self.kind.source_version().is_some() {
            if !settings.delta_capable {
                faults.add("/kind", &PackageError::DeltaNotSupported);
            }
            if settings.md5_deltas && self.algorithm != DigestAlgorithm::Md5 {
                faults.add("/digest_algorithm", &PackageError::DeltaNeedsMd5);
            }
        }
        faults.into_result()
    }

    /// Checks what the operator says of a file against the file that arrived (R12, R15, R25).
    ///
    /// `at` is the JSON pointer of where it is said: empty for the one file of a package. `digest` is the expected digest
    /// by the package's algorithm, in hexadecimal of either case; `size` the expected bytes. Absent means "take the
    /// file's".
    ///
    /// # Errors
    /// The faults, with JSON pointers into the request.
    pub fn check_file(
        &self,
        at: &str,
        digest: Option<&str>,
        size: Option<u64>,
        actual: &Digests,
        actual_size: u64,
    ) -> Result<(), Faults> {
        let mut faults = Faults::new();
        let place = |field: &str| format!("{at}/{field}");
        if actual_size == 0 {
            faults.add(&place("upload_id"), &PackageError::EmptyFile);
        }
        let max = self.limits.package_bytes_max();
        if actual_size > max {
            faults.add(&place("upload_id"), &PackageError::FileTooLarge { max });
        }
        if size.is_some_and(|size| size != actual_size) {
            faults.add(&place("size"), &PackageError::SizeMismatch { actual: actual_size });
        }
        let actual = actual.hex(self.algorithm);
        if digest.is_some_and(|digest| !digest.eq_ignore_ascii_case(&actual)) {
            faults.add(&place("digest"), &PackageError::DigestMismatch { actual });
        }
        faults.into_result()
    }
}

pub(crate) fn required(text: Option<&str>) -> Result<&str, ValueError> {
    text.filter(|text| !text.is_empty()).ok_or(ValueError::Missing)
}

/// Checks a package's name: 1 to 40 of Chinese, Japanese, letters, digits, `-`, `_`, `(`, `)`; the first is one of the
/// letters or digits (R16-R18). By the older limits: 4 to 32 of Chinese, letters, digits, `_` (R32).
pub(crate) fn check_package_name(name: &str, profile: PackageLimits) -> Result<(), ValueError> {
    if profile == PackageLimits::Legacy {
        check_len(name, limits::LEGACY_PACKAGE_NAME_LEN_MIN, limits::LEGACY_PACKAGE_NAME_LEN_MAX)?;
        let good = |c: char| c.is_ascii_alphanumeric() || is_chinese(c) || c == '_';
        let allowed = "Chinese, letters, digits, `_`";
        return if name.chars().all(good) { Ok(()) } else { Err(ValueError::Charset { allowed }) };
    }
    check_len(name, 1, limits::PACKAGE_NAME_LEN_MAX)?;
    let allowed = "Chinese, Japanese, letters, digits, `-`, `_`, `(`, `)`";
    if !name.chars().all(|c| is_letter_or_digit(c) || matches!(c, '-' | '_' | '(' | ')')) {
        return Err(ValueError::Charset { allowed });
    }
    if name.starts_with(is_letter_or_digit) {
        Ok(())
    } else {
        Err(ValueError::Malformed { expected: "a name that starts with a letter or a digit" })
    }
}

/// Letters and digits of package names. Beside the Chinese ones, Japanese has hiragana, katakana and the iteration and
/// length marks that words are written with.
fn is_letter_or_digit(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || is_chinese(c)
        || matches!(c, '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30ff}' | '\u{3005}' | '\u{31f0}'..='\u{31ff}')
}

/// Tells whether an uploaded file's name is that of a device list, which is no package but the names of a batch's devices
/// (R66).
pub fn is_device_list(file_name: &str) -> bool {
    let stem = file_name.strip_suffix(limits::DEVICE_LIST_SUFFIX).and_then(|stem| stem.strip_suffix('.'));
    stem.is_some_and(|stem| !stem.is_empty()) && file_name.len() <= limits::FILE_NAME_LEN_MAX
}

/// Checks an uploaded file's name: 1 to 255 characters without path separators, ending in an allowed suffix (R13, R14).
///
/// # Errors
/// [`PackageError::Suffix`].
pub fn check_file_name(file_name: &str, profile: PackageLimits) -> Result<(), PackageError> {
    let allowed = profile.package_suffixes();
    let refused = || PackageError::Suffix { file_name: file_name.chars().take(64).collect(), allowed };
    check_len(file_name, 1, limits::FILE_NAME_LEN_MAX).map_err(|_| refused())?;
    let plain = !file_name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | '"'));
    // A suffix needs a name before it: ".bin" alone names nothing.
    let suffixed = allowed.iter().any(|suffix| {
        file_name.strip_suffix(suffix).and_then(|stem| stem.strip_suffix('.')).is_some_and(|s| !s.is_empty())
    });
    if plain && suffixed { Ok(()) } else { Err(refused()) }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod settings_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn fields() -> PackageFields<'static> {
        PackageFields {
            product_key: Some("a1lamp"),
            name: Some("lamp-1_1"),
            target_version: Some("1.1"),
            ..PackageFields::default()
        }
    }

    fn codes(result: Result<NewPackage, Faults>) -> Vec<(alloc::string::String, &'static str)> {
        result.map_or_else(|f| f.0.into_iter().map(|f| (f.pointer, f.code)).collect(), |_| Vec::new())
    }

    fn name_is_good(name: &str) -> bool {
        NewPackage::check(&PackageFields { name: Some(name), ..fields() }).is_ok()
    }

    #[test]
    fn r13_r14_suffixes_are_the_six_in_lower_case() {
        for good in ["a.bin", "a.tar", "a.gz", "a.tar.gz", "a.zip", "a.gzip", "固件 1.bin"] {
            assert_eq!(check_file_name(good, PackageLimits::Current), Ok(()), "{good}");
        }
        for bad in ["a.exe", "a.BIN", "a.Bin", "bin", ".bin", "", "a.bin.exe", "../a.bin", "a\".bin"] {
            assert!(check_file_name(bad, PackageLimits::Current).is_err(), "{bad}");
        }
    }

    #[test]
    fn r16_names_have_1_to_40_characters() {
        assert!(!name_is_good(""));
        assert!(name_is_good("a"));
        assert!(name_is_good(&"名".repeat(40)));
        assert!(!name_is_good(&"名".repeat(41)));
    }

    #[test]
    fn r17_names_may_hold_chinese_japanese_letters_digits_dash_underscore_brackets() {
        for good in ["固件", "ファームウェア", "ひらがな", "A-b_c(2)", "9"] {
            assert!(name_is_good(good), "{good}");
        }
        for bad in ["a b", "a.b", "a/b", "é", "한글", "a（b）"] {
            assert!(!name_is_good(bad), "{bad}");
        }
    }

    #[test]
    fn r18_names_do_not_start_with_a_mark() {
        for bad in ["-a", "_a", "(a", ")a"] {
            assert!(!name_is_good(bad), "{bad}");
        }
    }

    #[test]
    fn r22_a_full_package_needs_its_version_and_a_delta_needs_both() {
        let none = PackageFields { target_version: None, ..fields() };
        assert_eq!(codes(NewPackage::check(&none)), [("/target_version".into(), "value.missing")]);
        let delta = PackageFields { kind: Some("delta"), ..fields() };
        assert_eq!(codes(NewPackage::check(&delta)), [("/source_version".into(), "value.missing")]);
        let full = PackageFields { source_version: Some("1.0"), ..fields() };
        assert_eq!(codes(NewPackage::check(&full)), [("/source_version".into(), "value.not-allowed")]);
        let both = PackageFields { kind: Some("delta"), source_version: Some("1.0"), ..fields() };
        assert!(NewPackage::check(&both).is_ok());
    }

    #[test]
    fn r23_a_delta_from_a_version_to_itself_is_refused() {
        let delta = PackageFields { kind: Some("delta"), source_version: Some("1.1"), ..fields() };
        assert_eq!(codes(NewPackage::check(&delta)), [("/source_version".into(), "package.same-versions")]);
    }

    #[test]
    fn r24_the_digest_is_md5_or_sha256() {
        for (text, good) in [("MD5", true), ("SHA256", true), ("SHA1", false), ("md5", false)] {
            let fields = PackageFields { digest_algorithm: Some(text), ..fields() };
            assert_eq!(NewPackage::check(&fields).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn r25_a_digest_or_size_that_is_given_must_be_the_files() {
        let package = NewPackage::check(&fields()).unwrap();
        let file = Digests { md5: [1; 16], sha256: [0xab; 32] };
        assert_eq!(package.check_file("", None, None, &file, 5), Ok(()));
        assert_eq!(package.check_file("", Some(&"AB".repeat(32)), Some(5), &file, 5), Ok(()));
        let faults = package.check_file("", Some("00"), Some(6), &file, 5).unwrap_err();
        let codes: Vec<_> = faults.0.iter().map(|f| f.code).collect();
        assert_eq!(codes, ["package.size-mismatch", "package.digest-mismatch"]);
    }

    #[test]
    fn r12_r15_a_file_has_1_byte_to_1000_mb() {
        let package = NewPackage::check(&fields()).unwrap();
        let file = Digests { md5: [1; 16], sha256: [2; 32] };
        for (size, good) in [(0, false), (1, true), (1_048_576_000, true), (1_048_576_001, false)] {
            assert_eq!(package.check_file("", None, None, &file, size).is_ok(), good, "{size}");
        }
    }

    #[test]
    fn r26_a_description_has_at_most_100_characters() {
        for (len, good) in [(100, true), (101, false)] {
            let text = "述".repeat(len);
            let fields = PackageFields { description: Some(&text), ..fields() };
            assert_eq!(NewPackage::check(&fields).is_ok(), good);
        }
    }

    #[test]
    fn r27_the_module_defaults_to_default() {
        assert!(NewPackage::check(&fields()).unwrap().module.is_default());
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let bad =
            PackageFields { kind: Some("half"), digest_algorithm: Some("CRC"), ..PackageFields::default() };
        let pointers: Vec<_> = codes(NewPackage::check(&bad)).into_iter().map(|(p, _)| p).collect();
        assert_eq!(pointers, ["/product_key", "/name", "/target_version", "/kind", "/digest_algorithm"]);
    }
}
