//! Who wrote which chunks of a file.

use std::ops::Range;

/// Chunks that a writer may store before it looks again whether somebody else has taken its place: 4 MiB.
pub const UNNOTED_CHUNKS_MAX: u64 = 16;
/// Writers of one file. Each connection that ended without a word, because a process died, costs one.
pub const WRITERS_MAX: usize = 256;

/// Who wrote which chunks of a file: the first chunk of each writer but writer 0, who begins at the beginning.
///
/// One writer follows another where the file was known to be whole up to. A writer that is taken for dead and is not may
/// go on for a while, so each has keys of its own: what it writes then is in nobody's way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces(pub(crate) Vec<u64>);

impl Pieces {
    /// Returns the present writer.
    pub fn writer(&self) -> u32 {
        // There are at most `WRITERS_MAX`.
        self.0.len() as u32
    }

    /// Returns who wrote a chunk: the last that began at it or before.
    pub fn writer_of(&self, chunk: u64) -> u32 {
        self.0.partition_point(|first| *first <= chunk) as u32
    }

    /// Lets another writer go on at a chunk; `false` if there were too many.
    #[must_use]
    pub fn follow(&mut self, first_chunk: u64) -> bool {
        let room = self.0.len() + 1 < WRITERS_MAX;
        if room {
            self.0.push(first_chunk);
        }
        room
    }

    /// Returns the writers that may have stored something as a chunk, the one whose bytes count among them.
    pub fn writers_near(&self, chunk: u64) -> impl Iterator<Item = u32> {
        (0..=self.writer()).filter(move |writer| self.range_of(*writer).contains(&chunk))
    }

    /// Returns the chunks that a writer may have stored, as far as its successor tells.
    fn range_of(&self, writer: u32) -> Range<u64> {
        let at = writer as usize;
        let first = at.checked_sub(1).and_then(|before| self.0.get(before)).copied().unwrap_or(0);
        // Up to one chunk more: the last may be stored before it is full.
        let end = self.0.get(at).map_or(u64::MAX, |next| next + UNNOTED_CHUNKS_MAX + 1);
        first..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_writer_of_a_chunk_counts() {
        let mut pieces = Pieces::default();
        assert_eq!((pieces.writer(), pieces.writer_of(0), pieces.writer_of(1_000)), (0, 0, 0));
        assert!(pieces.follow(5) && pieces.follow(5) && pieces.follow(9));
        let writers: Vec<u32> =
            [0, 4, 5, 8, 9, 10].into_iter().map(|chunk| pieces.writer_of(chunk)).collect();
        assert_eq!(writers, [0, 0, 2, 2, 3, 3]);
    }

    #[test]
    fn what_a_writer_stored_after_its_successor_came_is_found() {
        let mut pieces = Pieces::default();
        assert!(pieces.follow(5));
        let near = |chunk| pieces.writers_near(chunk).collect::<Vec<_>>();
        assert_eq!(near(4), [0]);
        assert_eq!(near(5), [0, 1]);
        assert_eq!(near(5 + UNNOTED_CHUNKS_MAX), [0, 1]);
        assert_eq!(near(6 + UNNOTED_CHUNKS_MAX), [1]);
    }

    #[test]
    fn there_is_an_end_to_writers() {
        let mut pieces = Pieces::default();
        let taken = (0..1_000).take_while(|chunk| pieces.follow(*chunk)).count();
        assert_eq!(taken, WRITERS_MAX - 1);
    }
}
