//! Making a delta, slice by slice.
//!
//! The way is that of bsdiff, with a table of hashes in place of the suffix array: find long equal bytes, stretch each
//! find in both directions as long as more bytes are equal than not, and tell what differs inside by subtraction. Code
//! that has moved keeps most of its bytes but for some addresses, and the differences of those are alike, so they
//! compress well. The table is made in linear time and takes 8 MiB at most; a suffix array takes four or eight bytes for
//! each byte of the source, and would have to be sorted anew in each step.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output, create_comp_flags_from_zip_params,
};
use sha2::{Digest, Sha256};

use crate::header::Header;
use crate::index::{Index, WINDOW};
use crate::patch::PatchReader;
use crate::program::{Kind, write_number, zigzag};
use crate::restore::{RestoreError, Storage};

/// Equal bytes that a find in another place needs more than the present place has: changing the place costs an
/// instruction or two (bsdiff's figure).
const BETTER_BY: usize = 8;
/// Equal bytes in a row that are told as a copy rather than as differences of zero, which compress well too.
const COPY_LEN_MIN: usize = 64;
/// How far a find is stretched back, so that a target in which everything resembles everything costs no more than a
/// bounded number of looks at each byte. What lies further back would have been found by itself.
const BACK_LEN_MAX: usize = 4_096;
/// How hard the compressor tries: most differences are zeros, so the best is not slow.
const COMPRESSION_LEVEL: i32 = 9;
/// A negative window asks for raw DEFLATE, without the header of zlib.
const RAW: i32 = -15;

/// Equal bytes below which nothing is found to be equal.
pub const WINDOW_BYTES: usize = WINDOW;

/// Why a slice has no patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MakeError {
    /// The patch would be longer than it may be.
    TooLong,
    /// The patch does not restore its slice. It is tried before it is handed out, so this is never seen on a device.
    Unfaithful,
    /// The slice size is none of [`crate::SLICE_BYTES`], or an image has no bytes or more than 4 GiB.
    Impossible,
}

impl fmt::Display for MakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the patch is longer than it may be",
            Self::Unfaithful => "the patch does not restore its slice",
            Self::Impossible => "no delta can be made of such images or such slices",
        })
    }
}

impl core::error::Error for MakeError {}

/// Makes patches against one source, in any order. The same source and slice always make the same patch.
pub struct Maker<'a> {
    source: &'a [u8],
    index: Index<'a>,
}

impl<'a> Maker<'a> {
    /// Looks through the source.
    ///
    /// # Errors
    /// [`MakeError::Impossible`] for 4 GiB or more.
    pub fn new(source: &'a [u8]) -> Result<Self, MakeError> {
        if u32::try_from(source.len()).is_err() {
            return Err(MakeError::Impossible);
        }
        Ok(Self { source, index: Index::new(source) })
    }

    /// Makes the patch of the slice that begins at `offset` of the target, of at most `len_max` bytes.
    ///
    /// # Errors
    /// [`MakeError`].
    pub fn slice(&self, offset: u64, slice: &[u8], len_max: usize) -> Result<Vec<u8>, MakeError> {
        let mut writer = Writer::new(self.source, slice, len_max);
        self.compare(offset, slice, &mut writer);
        let patch = writer.finish()?;
        self.try_out(slice, &patch)?;
        Ok(patch)
    }

    /// Finds what the slice has in common with the source. Every byte is looked at a bounded number of times.
    fn compare(&self, offset: u64, slice: &[u8], writer: &mut Writer<'_>) {
        // Most of an image stays where it is.
        let same_place = usize::try_from(offset).unwrap_or(usize::MAX).min(self.source.len());
        let mut region = Region { target: 0, source: same_place };
        let mut at = 0;
        while at + WINDOW <= slice.len() && !writer.is_full() {
            let aligned = region.source + (at - region.target);
            let here = equal_len(self.source.get(aligned..).unwrap_or_default(), &slice[at..]);
            if here >= WINDOW {
                at += here;
                continue;
            }
            let Some(place) = self.index.find(slice, at) else {
                at += 1;
                continue;
            };
            let there = equal_len(&self.source[place..], &slice[at..]);
            let present = self.source.get(aligned..).unwrap_or_default();
            let equal_here = present.iter().zip(&slice[at..at + there]).filter(|(a, b)| a == b).count();
            if there > equal_here + BETTER_BY {
                let next = self.change(region, Region { target: at, source: place }, slice, writer);
                region = next;
            }
            at += there;
        }
        let end = slice.len();
        let stretch = forwards(&self.source[region.source..], &slice[region.target..]);
        writer.region(region, stretch, end);
    }

    /// Ends the region before the find at `found`, and returns where the next one begins.
    fn change(&self, region: Region, found: Region, slice: &[u8], writer: &mut Writer<'_>) -> Region {
        let between = &slice[region.target..found.target];
        let mut ahead = forwards(&self.source[region.source..], between);
        let near = &between[between.len().saturating_sub(BACK_LEN_MAX)..];
        let mut back = backwards(&self.source[..found.source], near);
        let overlap = (ahead + back).saturating_sub(between.len());
        if overlap > 0 {
            // Both would tell these bytes: give each of them to the one that has more of them equal.
            let first = between.len() - back;
            let shared = &between[first..first + overlap];
            let old = &self.source[region.source + first..];
            let new = &self.source[found.source - back..];
            let kept = best_split(shared, old, new);
            ahead = first + kept;
            back -= kept;
        }
        writer.region(region, ahead, found.target - back);
        Region { target: found.target - back, source: found.source - back }
    }

    /// Restores the slice from its patch.
    fn try_out(&self, slice: &[u8], patch: &[u8]) -> Result<(), MakeError> {
        let unfaithful = |_: RestoreError<Differs>| MakeError::Unfaithful;
        let len = u32::try_from(slice.len()).map_err(|_| MakeError::Impossible)?;
        let mut expected = Expected { source: self.source, left: slice };
        let mut reader = PatchReader::new();
        reader.begin(len);
        reader.push(patch, &mut expected).map_err(unfaithful)?;
        reader.end().map_err(|_| MakeError::Unfaithful)?;
        if expected.left.is_empty() { Ok(()) } else { Err(MakeError::Unfaithful) }
    }
}

/// A place in the slice, and the place in the source that it is compared with.
#[derive(Clone, Copy)]
struct Region {
    target: usize,
    source: usize,
}

/// Returns how many bytes are equal from the beginning on.
fn equal_len(a: &[u8], b: &[u8]) -> usize {
    // Eight at a time: long equal runs are what images consist of.
    let mut len = 0;
    while let (Some(x), Some(y)) = (a[len..].first_chunk::<8>(), b[len..].first_chunk::<8>()) {
        if x != y {
            break;
        }
        len += 8;
    }
    len + a[len..].iter().zip(&b[len..]).take_while(|(x, y)| x == y).count()
}

/// Returns how far to go so that most is equal: where twice the equal bytes less all bytes is at its highest.
fn stretch(pairs: impl Iterator<Item = (u8, u8)>) -> usize {
    let (mut equal, mut best, mut best_len) = (0_i64, 0_i64, 0);
    for (index, (a, b)) in pairs.enumerate() {
        equal += if a == b { 1 } else { -1 };
        if equal > best {
            (best, best_len) = (equal, index + 1);
        }
    }
    best_len
}

fn forwards(source: &[u8], target: &[u8]) -> usize {
    stretch(source.iter().copied().zip(target.iter().copied()))
}

fn backwards(source: &[u8], target: &[u8]) -> usize {
    stretch(source.iter().rev().copied().zip(target.iter().rev().copied()))
}

/// Returns how many of the shared bytes go to the region before, so that the most are equal.
fn best_split(shared: &[u8], old: &[u8], new: &[u8]) -> usize {
    let (mut score, mut best, mut split) = (0_i64, 0_i64, 0);
    for (index, ((byte, old), new)) in shared.iter().zip(old).zip(new).enumerate() {
        score += i64::from(byte == old) - i64::from(byte == new);
        if score > best {
            (best, split) = (score, index + 1);
        }
    }
    split
}

/// Compresses instructions as they come.
struct Writer<'a> {
    source: &'a [u8],
    slice: &'a [u8],
    source_at: usize,
    compressor: Box<CompressorOxide>,
    patch: Vec<u8>,
    len_max: usize,
    full: bool,
}

impl<'a> Writer<'a> {
    fn new(source: &'a [u8], slice: &'a [u8], len_max: usize) -> Self {
        let flags = create_comp_flags_from_zip_params(COMPRESSION_LEVEL, RAW, 0);
        let compressor = Box::new(CompressorOxide::new(flags));
        Self { source, slice, source_at: 0, compressor, patch: Vec::new(), len_max, full: false }
    }

    fn is_full(&self) -> bool {
        self.full
    }

    /// Tells the slice from `region` up to `end`: `stretch` bytes by their difference, the rest as they are.
    fn region(&mut self, region: Region, stretch: usize, end: usize) {
        let (from, to) = (region.target, region.target + stretch);
        if stretch > 0 {
            self.seek(region.source);
            let mut at = from;
            // The beginning of what is not told yet.
            let mut differs_from = from;
            while at < to {
                let place = region.source + (at - from);
                let equal = equal_len(&self.source[place..], &self.slice[at..to]);
                if equal >= COPY_LEN_MIN {
                    self.difference(differs_from, at);
                    self.instruction(Kind::Copy, equal as u64);
                    self.source_at += equal;
                    differs_from = at + equal;
                }
                at += equal.max(1);
            }
            self.difference(differs_from, to);
        }
        let slice = self.slice;
        if to < end {
            self.instruction(Kind::Insert, (end - to) as u64);
            self.compress(&slice[to..end], TDEFLFlush::None);
        }
    }

    fn difference(&mut self, from: usize, to: usize) {
        if from == to {
            return;
        }
        self.instruction(Kind::Diff, (to - from) as u64);
        let (source, slice) = (self.source, self.slice);
        let pairs = slice[from..to].iter().zip(&source[self.source_at..]);
        let bytes: Vec<u8> = pairs.map(|(new, old)| new.wrapping_sub(*old)).collect();
        self.compress(&bytes, TDEFLFlush::None);
        self.source_at += to - from;
    }

    fn seek(&mut self, to: usize) {
        if to != self.source_at {
            // Places are below 4 GiB.
            self.instruction(Kind::Seek, zigzag(to as i64 - self.source_at as i64));
            self.source_at = to;
        }
    }

    fn instruction(&mut self, kind: Kind, argument: u64) {
        let mut bytes = [0; 10];
        let len = write_number(kind, argument, &mut bytes);
        self.compress(&bytes[..len], TDEFLFlush::None);
    }

    fn compress(&mut self, bytes: &[u8], flush: TDEFLFlush) {
        if self.full {
            return;
        }
        let (patch, len_max) = (&mut self.patch, self.len_max);
        let (status, _) = compress_to_output(&mut self.compressor, bytes, flush, |out| {
            let fits = patch.len() + out.len() <= len_max;
            if fits {
                patch.extend_from_slice(out);
            }
            fits
        });
        self.full = !matches!(status, TDEFLStatus::Okay | TDEFLStatus::Done);
    }

    fn finish(mut self) -> Result<Vec<u8>, MakeError> {
        self.compress(&[], TDEFLFlush::Finish);
        if self.full { Err(MakeError::TooLong) } else { Ok(self.patch) }
    }
}

/// A storage that knows what should be written.
struct Expected<'a> {
    source: &'a [u8],
    left: &'a [u8],
}

struct Differs;

impl Storage for Expected<'_> {
    type Error = Differs;

    fn source_size(&self) -> u32 {
        u32::try_from(self.source.len()).unwrap_or(u32::MAX)
    }

    fn read_source(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), Differs> {
        let from = offset as usize;
        buffer.copy_from_slice(self.source.get(from..from + buffer.len()).ok_or(Differs)?);
        Ok(())
    }

    fn write_target(&mut self, bytes: &[u8]) -> Result<(), Differs> {
        self.left = self.left.strip_prefix(bytes).ok_or(Differs)?;
        Ok(())
    }
}

/// Makes a whole delta in memory.
///
/// # Errors
/// [`MakeError`].
pub fn make(source: &[u8], target: &[u8], slice_bytes: u32) -> Result<Vec<u8>, MakeError> {
    let size = |image: &[u8]| u32::try_from(image.len()).map_err(|_| MakeError::Impossible);
    if !crate::SLICE_BYTES.contains(&slice_bytes) || target.is_empty() {
        return Err(MakeError::Impossible);
    }
    let header = Header {
        slice_bytes,
        source_size: size(source)?,
        source_sha256: Sha256::digest(source).into(),
        target_size: size(target)?,
        target_sha256: Sha256::digest(target).into(),
    };
    let maker = Maker::new(source)?;
    let mut delta = header.to_bytes();
    let slice_len = if slice_bytes == 0 { target.len() } else { slice_bytes as usize };
    for (index, slice) in target.chunks(slice_len).enumerate() {
        let patch = maker.slice((index * slice_len) as u64, slice, u32::MAX as usize)?;
        let len = u32::try_from(patch.len()).map_err(|_| MakeError::TooLong)?;
        delta.extend_from_slice(&len.to_le_bytes());
        delta.extend_from_slice(&patch);
    }
    Ok(delta)
}
