//! A delta that the service makes of two full packages, and how far it is.
//!
//! It is made slice by slice, in steps of a bounded size. The record says how many slices are made and how many bytes
//! they take; a step that was made twice, or by two dispatchers at once, comes to the same bytes, and counts once.

mod rules;

use alloc::string::String;
use core::ops::Range;

pub use self::rules::{DeltaError, DeltaFields, NewDelta, check_capable};
use crate::ids::{DeltaId, PackageId};
use crate::limits;
use crate::package::PackageError;
use crate::time::Timestamp;

/// How many bytes of the target each slice restores (R34).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceSize {
    /// One slice of all.
    None,
    /// 2 MB.
    Mib2,
    /// 64 KB.
    Kib64,
    /// 32 KB.
    Kib32,
}

impl SliceSize {
    /// Every size.
    pub const ALL: [Self; 4] = [Self::None, Self::Mib2, Self::Kib64, Self::Kib32];

    /// Returns the name used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Mib2 => "2M",
            Self::Kib64 => "64K",
            Self::Kib32 => "32K",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|size| size.as_str() == text)
    }

    /// Returns the bytes; `None` for one slice of all.
    pub const fn bytes(self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Mib2 => Some(2 * 1024 * 1024),
            Self::Kib64 => Some(64 * 1024),
            Self::Kib32 => Some(32 * 1024),
        }
    }
}

/// Why no package came of a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeltaFailure {
    /// It would not be smaller than the target image: devices do better with the full package.
    NotSmaller,
    /// One of the two packages was deleted before the delta was complete.
    PackageDeleted,
    /// What was made does not restore the target. Every slice is tried, so that no device ever sees such a delta.
    Unfaithful,
    /// A package of another name, or for other versions, is in the way by now; or there are too many.
    Refused {
        /// The code of the refusal, `package.name-taken` for one.
        code: String,
    },
}

impl DeltaFailure {
    /// Returns the stable code, which is also the stored one.
    pub fn code(&self) -> &str {
        match self {
            Self::NotSmaller => "not-smaller",
            Self::PackageDeleted => "package-deleted",
            Self::Unfaithful => "unfaithful",
            Self::Refused { code } => code,
        }
    }

    /// Reads [`Self::code`] back.
    pub fn from_code(code: &str) -> Self {
        match code {
            "not-smaller" => Self::NotSmaller,
            "package-deleted" => Self::PackageDeleted,
            "unfaithful" => Self::Unfaithful,
            other => Self::Refused { code: other.into() },
        }
    }

    /// Returns the words for people.
    pub fn description(&self) -> &'static str {
        match self {
            Self::NotSmaller => "the delta is not smaller than the target image; use the full package",
            Self::PackageDeleted => "one of the two packages was deleted meanwhile",
            Self::Unfaithful => "the delta did not restore the target image when it was tried",
            Self::Refused { .. } => {
                "a package of this name or these versions exists by now, or there are too many"
            }
        }
    }
}

impl From<&PackageError> for DeltaFailure {
    fn from(refused: &PackageError) -> Self {
        Self::Refused { code: crate::error::Coded::code(refused).into() }
    }
}

/// How a delta stands (R36).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeltaStatus {
    /// Slices are missing, or the package is.
    Making,
    /// Its package exists.
    Ready,
    /// No package came of it.
    Failed(DeltaFailure),
}

impl DeltaStatus {
    /// Returns the name used in the API and in storage.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Ready => "ready",
            Self::Failed(_) => "failed",
        }
    }
}

/// What may happen to a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeltaEvent {
    /// Slices were made, and are stored.
    Made {
        /// Which.
        slices: Range<u32>,
        /// Bytes of the delta up to the end of the last of them.
        bytes: u64,
    },
    /// The package was made.
    Finished,
    /// No package will be made.
    Failed(DeltaFailure),
}

/// A delta that is made, or was (差分; the vendor's older console makes them).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Made from the idempotency key, or random.
    pub id: DeltaId,
    /// The full package that devices should come to.
    pub target_package: PackageId,
    /// Bytes of its image.
    pub target_size: u64,
    /// The full package that devices come from.
    pub source_package: PackageId,
    /// How it is sliced.
    pub slice: SliceSize,
    /// The name of the package to be.
    pub name: String,
    /// How it stands.
    pub status: DeltaStatus,
    /// Slices that are made and stored.
    pub slices_done: u32,
    /// Bytes of the delta so far.
    pub bytes: u64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it became ready or failed.
    pub ended_at: Option<Timestamp>,
}

impl Delta {
    /// Returns the id of the package that is made of it. It follows from the delta's, so that whoever makes the package
    /// once more makes the same one.
    pub const fn package_id(&self) -> PackageId {
        PackageId(self.id.0)
    }

    /// Returns how many slices the target has.
    pub fn slice_count(&self) -> u32 {
        let count = self.slice.bytes().map_or(1, |bytes| self.target_size.div_ceil(u64::from(bytes)));
        // Images are far below that: see `limits::DELTA_IMAGE_BYTES_MAX`.
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Returns which bytes of the target a range of slices restores.
    pub fn target_range(&self, slices: &Range<u32>) -> Range<u64> {
        match self.slice.bytes() {
            None => 0..self.target_size,
            Some(bytes) => {
                let at = |slice: u32| (u64::from(slice) * u64::from(bytes)).min(self.target_size);
                at(slices.start)..at(slices.end)
            }
        }
    }

    /// Returns the slices that the next step makes; an empty range when all are made. Everybody who asks at the same
    /// point gets the same answer.
    pub fn next_step(&self) -> Range<u32> {
        let at_once = self.slice.bytes().map_or(1, |bytes| (limits::DELTA_STEP_BYTES / bytes).max(1));
        self.slices_done..self.slices_done.saturating_add(at_once).min(self.slice_count())
    }

    /// Returns how many slices are done after each step, the first to the last.
    pub fn steps(&self) -> impl Iterator<Item = u32> + use<> {
        let at_once = self.slice.bytes().map_or(1, |bytes| (limits::DELTA_STEP_BYTES / bytes).max(1));
        let count = self.slice_count();
        (1..=count.div_ceil(at_once)).map(move |step| (step * at_once).min(count))
    }

    /// Returns the share of slices that are made, in percent; 100 only when the delta is ready.
    pub fn progress_percent(&self) -> u32 {
        match self.status {
            DeltaStatus::Ready => 100,
            DeltaStatus::Making | DeltaStatus::Failed(_) => {
                let percent = u64::from(self.slices_done) * 100 / u64::from(self.slice_count().max(1));
                percent.min(99) as u32
            }
        }
    }

    /// Returns how many percent of the target's bytes devices are spared, rounded down; known when it is ready.
    pub fn saved_percent(&self) -> Option<u64> {
        let ready = self.status == DeltaStatus::Ready && self.target_size > 0;
        ready.then(|| self.target_size.saturating_sub(self.bytes) * 100 / self.target_size)
    }

    /// Applies an event, and tells whether it changed anything: what is late or repeated does not.
    pub fn apply(&mut self, event: &DeltaEvent, now: Timestamp) -> bool {
        match (&self.status, event) {
            (DeltaStatus::Making, DeltaEvent::Made { slices, bytes }) => {
                let next = !slices.is_empty() && slices.start == self.slices_done;
                if next {
                    (self.slices_done, self.bytes) = (slices.end.min(self.slice_count()), *bytes);
                }
                next
            }
            (DeltaStatus::Making, DeltaEvent::Finished) => {
                let complete = self.slices_done == self.slice_count();
                if complete {
                    (self.status, self.ended_at) = (DeltaStatus::Ready, Some(now));
                }
                complete
            }
            (DeltaStatus::Making, DeltaEvent::Failed(failure)) => {
                (self.status, self.ended_at) = (DeltaStatus::Failed(failure.clone()), Some(now));
                true
            }
            (DeltaStatus::Ready | DeltaStatus::Failed(_), _) => false,
        }
    }
}

#[cfg(test)]
#[path = "delta_tests.rs"]
mod tests;
