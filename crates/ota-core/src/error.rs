//! Faults: what is wrong with a request, with a stable code each.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Something that has a stable code, such as `package.name-taken`. Codes are API: they are added, never reused.
pub trait Coded: fmt::Display {
    /// Returns the code, in the form `noun.fault-in-kebab-case`.
    fn code(&self) -> &'static str;
}

/// One fault of one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where in the request: a JSON pointer (RFC 6901), or `header:Name`, or `query:name`.
    pub pointer: String,
    /// The stable code.
    pub code: &'static str,
    /// What is wrong with this value, in words that are safe to show to the caller.
    pub detail: String,
}

/// The faults of a request, gathered so that the caller sees all of them at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Starts with no fault.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one fault of the field at `pointer`.
    pub fn add(&mut self, pointer: &str, fault: &impl Coded) {
        self.0.push(Fault { pointer: pointer.to_string(), code: fault.code(), detail: fault.to_string() });
    }

    /// Unwraps `result`, or records its error at `pointer` and returns `None`.
    pub fn take<T>(&mut self, pointer: &str, result: Result<T, impl Coded>) -> Option<T> {
        result.map_err(|fault| self.add(pointer, &fault)).ok()
    }

    /// Returns `Ok` when nothing was recorded.
    ///
    /// # Errors
    /// The faults themselves.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// What may be wrong with a single value, whatever it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// The field is required.
    Missing,
    /// The text is shorter or longer than allowed; lengths in characters.
    Length {
        /// Characters found.
        len: usize,
        /// Fewest allowed.
        min: usize,
        /// Most allowed.
        max: usize,
    },
    /// A character is not of the allowed set; the set in words.
    Charset {
        /// The allowed characters, in words.
        allowed: &'static str,
    },
    /// A number is outside its range.
    Range {
        /// Lowest allowed.
        min: u64,
        /// Highest allowed.
        max: u64,
    },
    /// The value is none of the allowed ones.
    NotOneOf {
        /// The allowed values, in words.
        allowed: &'static str,
    },
    /// More items than allowed.
    TooMany {
        /// Items found.
        count: usize,
        /// Most allowed.
        max: usize,
    },
    /// The same item twice.
    Duplicate {
        /// The item.
        item: String,
    },
    /// The value does not have the form it should.
    Malformed {
        /// The form, in words.
        expected: &'static str,
    },
    /// The field has no place in a request of this kind.
    NotAllowed {
        /// Why not.
        why: &'static str,
    },
}

impl Coded for ValueError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing => "value.missing",
            Self::Length { .. } => "value.length",
            Self::Charset { .. } => "value.charset",
            Self::Range { .. } => "value.range",
            Self::NotOneOf { .. } => "value.not-one-of",
            Self::TooMany { .. } => "value.too-many",
            Self::Duplicate { .. } => "value.duplicate",
            Self::Malformed { .. } => "value.malformed",
            Self::NotAllowed { .. } => "value.not-allowed",
        }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "this field is required"),
            Self::Length { len, min, max } if min == max => {
                write!(f, "has {len} characters, must have {min}")
            }
            Self::Length { len, min, max } => write!(f, "has {len} characters, must have {min} to {max}"),
            Self::Charset { allowed } => write!(f, "may contain only {allowed}"),
            Self::Range { min, max } => write!(f, "must be from {min} to {max}"),
            Self::NotOneOf { allowed } => write!(f, "must be one of {allowed}"),
            Self::TooMany { count, max } => write!(f, "has {count} items, at most {max} are allowed"),
            Self::Duplicate { item } => write!(f, "{item} is listed twice"),
            Self::Malformed { expected } => write!(f, "must be {expected}"),
            Self::NotAllowed { why } => write!(f, "is not allowed here: {why}"),
        }
    }
}

impl core::error::Error for ValueError {}

/// Checks a text's length in characters.
///
/// # Errors
/// [`ValueError::Length`].
pub fn check_len(text: &str, min: usize, max: usize) -> Result<(), ValueError> {
    let len = text.chars().count();
    if (min..=max).contains(&len) { Ok(()) } else { Err(ValueError::Length { len, min, max }) }
}
