//! Where in the source some bytes of the target may come from.

use alloc::boxed::Box;
use alloc::vec;

/// Bytes that are looked up at once: shorter matches are not found, and hardly ever worth an instruction.
pub(crate) const WINDOW: usize = 16;
/// Places that are remembered. They take 8 MiB, whatever the source; of a source above 2 MiB every second, fourth or
/// eighth place is remembered, and so on, and matches must be longer by as much to be surely found.
const PLACES_MAX: usize = 2 * 1024 * 1024;
/// No place.
const NOWHERE: u32 = u32::MAX;

/// A table of places in the source by a hash of the bytes there. A place may be pushed out by another of the same hash,
/// so looking up takes one comparison, however repetitive the source is.
pub(crate) struct Index<'a> {
    source: &'a [u8],
    places: Box<[u32]>,
}

impl<'a> Index<'a> {
    pub(crate) fn new(source: &'a [u8]) -> Self {
        let step = source.len().div_ceil(PLACES_MAX).next_power_of_two();
        let len = (source.len() / step).next_power_of_two().clamp(64, PLACES_MAX);
        let mut places = vec![NOWHERE; len].into_boxed_slice();
        let last = source.len().saturating_sub(WINDOW) / step;
        // From behind, so that the first of equal places stays: it has the most bytes behind it.
        for at in (0..=last).rev().map(|number| number * step) {
            if let (Some(slot), Ok(place)) = (slot(source, at, len), u32::try_from(at)) {
                places[slot] = place;
            }
        }
        Self { source, places }
    }

    /// Returns a place of the source with the same [`WINDOW`] bytes as `target` has at `at`.
    pub(crate) fn find(&self, target: &[u8], at: usize) -> Option<usize> {
        let place = self.places[slot(target, at, self.places.len())?];
        if place == NOWHERE {
            return None;
        }
        let place = place as usize;
        let same = self.source.get(place..place + WINDOW)? == target.get(at..at + WINDOW)?;
        same.then_some(place)
    }
}

/// Returns the slot of the window at `at`; `None` where there is none. `len` is a power of two.
fn slot(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let window = bytes.get(at..at + WINDOW)?;
    let (low, high) = window.split_first_chunk::<8>()?;
    let (low, high) = (u64::from_le_bytes(*low), u64::from_le_bytes(high.try_into().ok()?));
    let mixed = (low.wrapping_mul(FACTOR) ^ high.rotate_left(32)).wrapping_mul(FACTOR);
    // Below `len`, so it fits.
    Some(((mixed ^ mixed >> 32) & (len as u64 - 1)) as usize)
}
