//! What stands before the slices.

use alloc::vec::Vec;

use crate::restore::Fault;

/// The first bytes of every delta.
pub const MAGIC: [u8; 4] = *b"OVDL";
/// The version of the container.
pub const VERSION: u8 = 1;
/// How patches are written: instructions, compressed with raw DEFLATE.
pub const ALGORITHM: u8 = 1;
/// Bytes of the header.
pub const HEADER_LEN: usize = 88;
/// Slice sizes a delta may have, in bytes; 0 is one slice of the whole image (R34).
pub const SLICE_BYTES: [u32; 4] = [0, 2 * 1024 * 1024, 64 * 1024, 32 * 1024];

/// What a delta says of itself before its first slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of every slice but the last, one of [`SLICE_BYTES`].
    pub slice_bytes: u32,
    /// Bytes of the image the device has.
    pub source_size: u32,
    /// Its SHA-256.
    pub source_sha256: [u8; 32],
    /// Bytes of the image the device should have; at least 1.
    pub target_size: u32,
    /// Its SHA-256.
    pub target_sha256: [u8; 32],
}

impl Header {
    /// Returns how many slices follow.
    pub fn slice_count(&self) -> u32 {
        match self.slice_bytes {
            0 => 1,
            bytes => self.target_size.div_ceil(bytes),
        }
    }

    /// Returns how many bytes of the target the slice `index` restores; 0 behind the last.
    pub fn slice_len(&self, index: u32) -> u32 {
        if self.slice_bytes == 0 {
            return if index == 0 { self.target_size } else { 0 };
        }
        let before = u64::from(index) * u64::from(self.slice_bytes);
        let left = u64::from(self.target_size).saturating_sub(before);
        // Not more than `slice_bytes`, which is a u32.
        left.min(u64::from(self.slice_bytes)) as u32
    }

    /// Renders the header.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, ALGORITHM, 0, 0]);
        for number in [self.slice_bytes, self.slice_count(), self.source_size, self.target_size] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.source_sha256);
        out.extend_from_slice(&self.target_sha256);
        out
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`Fault::NotADelta`], [`Fault::Unsupported`] or [`Fault::Header`].
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, Fault> {
        if bytes[..4] != MAGIC {
            return Err(Fault::NotADelta);
        }
        if bytes[4] != VERSION || bytes[5] != ALGORITHM {
            return Err(Fault::Unsupported);
        }
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let digest = |at: usize| {
            let mut digest = [0; 32];
            digest.copy_from_slice(&bytes[at..at + 32]);
            digest
        };
        let header = Self {
            slice_bytes: number(8),
            source_size: number(16),
            source_sha256: digest(24),
            target_size: number(20),
            target_sha256: digest(56),
        };
        let consistent = bytes[6..8] == [0, 0]
            && SLICE_BYTES.contains(&header.slice_bytes)
            && header.target_size > 0
            && header.slice_count() == number(12);
        if consistent { Ok(header) } else { Err(Fault::Header) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(slice_bytes: u32, target_size: u32) -> Header {
        Header { slice_bytes, source_size: 7, source_sha256: [1; 32], target_size, target_sha256: [2; 32] }
    }

    fn bytes(header: &Header) -> [u8; HEADER_LEN] {
        header.to_bytes().try_into().unwrap()
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        for slice_bytes in SLICE_BYTES {
            let header = header(slice_bytes, 5_000_000);
            assert_eq!(Header::parse(&bytes(&header)), Ok(header));
        }
    }

    #[test]
    fn slices_are_full_but_the_last() {
        let cut = |size: u32| {
            let header = header(32_768, size);
            (0..=header.slice_count()).map(|n| header.slice_len(n)).collect::<Vec<_>>()
        };
        assert_eq!(cut(32_767), [32_767, 0]);
        assert_eq!(cut(32_768), [32_768, 0]);
        assert_eq!(cut(32_769), [32_768, 1, 0]);
        assert_eq!(header(0, u32::MAX).slice_len(0), u32::MAX);
        assert_eq!(header(32_768, u32::MAX).slice_count(), 131_072);
    }

    #[test]
    fn r34_a_delta_of_another_slice_size_is_refused() {
        for slice_bytes in [1, 32_767, 65_535, 131_072, 2_000_000, u32::MAX] {
            assert_eq!(
                Header::parse(&bytes(&header(slice_bytes, 5_000))),
                Err(Fault::Header),
                "{slice_bytes}"
            );
        }
    }

    #[test]
    fn a_header_that_contradicts_itself_is_refused() {
        let good = bytes(&header(32_768, 100_000));
        let with = |at: usize, byte: u8| {
            let mut bytes = good;
            bytes[at] = byte;
            Header::parse(&bytes)
        };
        assert_eq!(with(0, b'X'), Err(Fault::NotADelta));
        assert_eq!(with(4, 2), Err(Fault::Unsupported));
        assert_eq!(with(5, 9), Err(Fault::Unsupported));
        assert_eq!(with(7, 1), Err(Fault::Header));
        assert_eq!(with(12, 5), Err(Fault::Header), "there are four slices");
        assert_eq!(Header::parse(&bytes(&header(0, 0))), Err(Fault::Header));
    }
}
