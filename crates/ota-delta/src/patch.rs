//! A patch: the instructions of one slice, compressed.

use alloc::boxed::Box;

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use crate::program::{BUFFER_LEN, Program};
use crate::restore::{Fault, RestoreError, Storage};

/// Restores slices from patches, one after the other, in pieces of any size.
pub(crate) struct PatchReader {
    inflate: Box<InflateState>,
    program: Program,
    ended: bool,
    plain: Box<[u8; BUFFER_LEN]>,
    buffer: Box<[u8; BUFFER_LEN]>,
}

impl PatchReader {
    pub(crate) fn new() -> Self {
        Self {
            inflate: InflateState::new_boxed(DataFormat::Raw),
            program: Program::new(0),
            ended: false,
            plain: Box::new([0; BUFFER_LEN]),
            buffer: Box::new([0; BUFFER_LEN]),
        }
    }

    /// Begins the patch of a slice of `slice_len` bytes.
    pub(crate) fn begin(&mut self, slice_len: u32) {
        self.inflate.reset(DataFormat::Raw);
        self.program = Program::new(slice_len);
        self.ended = false;
    }

    /// Takes the next bytes of the patch.
    pub(crate) fn push<S: Storage>(
        &mut self,
        bytes: &[u8],
        storage: &mut S,
    ) -> Result<(), RestoreError<S::Error>> {
        let mut rest = bytes;
        // Each turn takes or gives bytes, so this ends.
        while !self.ended {
            let result = inflate(&mut self.inflate, rest, &mut self.plain[..], MZFlush::None);
            rest = rest.get(result.bytes_consumed..).unwrap_or_default();
            let plain = self.plain.get(..result.bytes_written).unwrap_or_default();
            self.program.run(plain, storage, &mut self.buffer)?;
            let idle = result.bytes_consumed == 0 && result.bytes_written == 0;
            match result.status {
                Ok(MZStatus::StreamEnd) => self.ended = true,
                Ok(MZStatus::Ok) | Err(MZError::Buf) if idle && rest.is_empty() => return Ok(()),
                Ok(MZStatus::Ok) if !idle => {}
                _ => return Err(Fault::Compression.into()),
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(Fault::Compression.into()) }
    }

    /// Ends the patch, whose slice must be complete.
    pub(crate) fn end(&self) -> Result<(), Fault> {
        if !self.ended {
            return Err(Fault::Compression);
        }
        if self.program.is_complete() { Ok(()) } else { Err(Fault::Slice) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::Restorer;

    #[test]
    fn restoring_takes_less_than_64_kib_of_memory() {
        let held = size_of::<InflateState>() + 2 * BUFFER_LEN + size_of::<Restorer>();
        assert!(held < 64 * 1024, "{held} bytes");
    }
}
