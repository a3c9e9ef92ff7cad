//! The instructions a patch consists of once it is decompressed.
//!
//! Each begins with a number in LEB128 (7 bits a byte, the low ones first) whose two lowest bits say what to do and
//! whose other bits are a length, or for a seek a distance. `Copy` takes bytes of the source as they are, `Diff` adds to
//! each byte of the source the one that follows in the patch, `Insert` takes the bytes that follow in the patch, and
//! `Seek` moves the place in the source, which copies and diffs move on as well.

use crate::restore::{Fault, RestoreError, Storage};

/// Bytes that are moved at once; the size of the buffers on the way.
pub(crate) const BUFFER_LEN: usize = 4_096;
/// Bytes of the longest number: 35 bits.
const NUMBER_LEN_MAX: u32 = 5;

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Copy,
    Diff,
    Insert,
    Seek,
}

impl Kind {
    const fn of(number: u64) -> Self {
        match number & 3 {
            0 => Self::Copy,
            1 => Self::Diff,
            2 => Self::Insert,
            _ => Self::Seek,
        }
    }

    const fn bits(self) -> u64 {
        match self {
            Self::Copy => 0,
            Self::Diff => 1,
            Self::Insert => 2,
            Self::Seek => 3,
        }
    }
}

/// Writes the beginning of an instruction, and returns how many bytes of `out` it takes.
pub(crate) fn write_number(kind: Kind, argument: u64, out: &mut [u8; 10]) -> usize {
    let mut number = argument << 2 | kind.bits();
    let mut len = 0;
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            out[len] = byte;
            return len + 1;
        }
        out[len] = byte | 0x80;
        len += 1;
    }
}

/// Makes a distance a number without a sign: 0, -1, 1, -2, …
pub(crate) const fn zigzag(distance: i64) -> u64 {
    ((distance << 1) ^ (distance >> 63)) as u64
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// What the next byte is.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Part of an instruction's number.
    Number { value: u64, len: u32 },
    /// One of `left` bytes of a diff or an insert.
    Bytes { kind: Kind, left: u32 },
}

const BEGIN: Next = Next::Number { value: 0, len: 0 };

/// Carries out the instructions of one slice, in pieces of any size.
#[derive(Debug)]
pub(crate) struct Program {
    next: Next,
    /// Bytes of the slice that are still to be restored.
    left: u32,
    /// Where in the source the next copy or diff begins.
    source_at: u32,
    after_seek: bool,
}

impl Program {
    /// Begins a slice of `slice_len` bytes.
    pub(crate) fn new(slice_len: u32) -> Self {
        Self { next: BEGIN, left: slice_len, source_at: 0, after_seek: false }
    }

    /// Tells whether the slice is complete and no instruction begun.
    pub(crate) fn is_complete(&self) -> bool {
        self.left == 0 && !self.after_seek && matches!(self.next, Next::Number { len: 0, .. })
    }

    /// Carries out what `bytes` say.
    pub(crate) fn run<S: Storage>(
        &mut self,
        bytes: &[u8],
        storage: &mut S,
        buffer: &mut [u8; BUFFER_LEN],
    ) -> Result<(), RestoreError<S::Error>> {
        let mut rest = bytes;
        while let Some((&first, behind)) = rest.split_first() {
            match self.next {
                Next::Number { value, len } => {
                    rest = behind;
                    let value = value | u64::from(first & 0x7f) << (7 * len);
                    if first & 0x80 == 0 {
                        self.next = BEGIN;
                        self.begin(Kind::of(value), value >> 2, storage, buffer)?;
                    } else if len + 1 < NUMBER_LEN_MAX {
                        self.next = Next::Number { value, len: len + 1 };
                    } else {
                        return Err(Fault::Instruction.into());
                    }
                }
                Next::Bytes { kind, left } => {
                    let taken = rest.len().min(left as usize).min(BUFFER_LEN);
                    let (piece, behind) = rest.split_at(taken);
                    rest = behind;
                    self.piece(kind, piece, storage, buffer)?;
                    // Not more than `left`, which is a u32.
                    let left = left - taken as u32;
                    self.next = if left == 0 { BEGIN } else { Next::Bytes { kind, left } };
                }
            }
        }
        Ok(())
    }

    fn begin<S: Storage>(
        &mut self,
        kind: Kind,
        argument: u64,
        storage: &mut S,
        buffer: &mut [u8; BUFFER_LEN],
    ) -> Result<(), RestoreError<S::Error>> {
        if kind == Kind::Seek {
            let to = i64::from(self.source_at) + unzigzag(argument);
            let to = u32::try_from(to).ok().filter(|to| *to <= storage.source_size());
            // A seek that leads nowhere, or right to another, would let a patch run on without restoring anything.
            if argument == 0 || self.after_seek {
                return Err(Fault::Instruction.into());
            }
            self.source_at = to.ok_or(Fault::OutsideSource)?;
            self.after_seek = true;
            return Ok(());
        }
        let len = u32::try_from(argument).ok().filter(|len| (1..=self.left).contains(len));
        let len = len.ok_or(Fault::Instruction)?;
        self.after_seek = false;
        if kind != Kind::Insert && len > storage.source_size().saturating_sub(self.source_at) {
            return Err(Fault::OutsideSource.into());
        }
        if kind == Kind::Copy {
            return self.copy(len, storage, buffer);
        }
        self.next = Next::Bytes { kind, left: len };
        Ok(())
    }

    fn copy<S: Storage>(
        &mut self,
        len: u32,
        storage: &mut S,
        buffer: &mut [u8; BUFFER_LEN],
    ) -> Result<(), RestoreError<S::Error>> {
        let mut left = len;
        while left > 0 {
            let taken = left.min(BUFFER_LEN as u32);
            let piece = &mut buffer[..taken as usize];
            storage.read_source(self.source_at, piece).map_err(RestoreError::Storage)?;
            storage.write_target(piece).map_err(RestoreError::Storage)?;
            self.source_at += taken;
            self.left -= taken;
            left -= taken;
        }
        Ok(())
    }

    fn piece<S: Storage>(
        &mut self,
        kind: Kind,
        piece: &[u8],
        storage: &mut S,
        buffer: &mut [u8; BUFFER_LEN],
    ) -> Result<(), RestoreError<S::Error>> {
        // A piece is not longer than the buffer.
        let len = piece.len() as u32;
        if kind == Kind::Diff {
            let sums = &mut buffer[..piece.len()];
            storage.read_source(self.source_at, sums).map_err(RestoreError::Storage)?;
            sums.iter_mut().zip(piece).for_each(|(sum, byte)| *sum = sum.wrapping_add(*byte));
            storage.write_target(sums).map_err(RestoreError::Storage)?;
            self.source_at += len;
        } else {
            storage.write_target(piece).map_err(RestoreError::Storage)?;
        }
        self.left -= len;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::Memory;
    use alloc::vec::Vec;

    const SOURCE: &[u8] = b"0123456789";

    fn number(kind: Kind, argument: u64) -> Vec<u8> {
        let mut out = [0; 10];
        let len = write_number(kind, argument, &mut out);
        out[..len].to_vec()
    }

    /// Runs a program byte by byte, and returns what it restores.
    fn run(slice_len: u32, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut memory = Memory::new(SOURCE);
        let mut program = Program::new(slice_len);
        for byte in bytes {
            program.run(&[*byte], &mut memory, &mut [0; BUFFER_LEN]).map_err(RestoreError::fault)?;
        }
        if program.is_complete() { Ok(memory.target) } else { Err(Fault::Slice) }
    }

    fn join(parts: &[Vec<u8>]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn each_instruction_does_what_its_name_says() {
        let program = join(&[
            number(Kind::Copy, 3),
            number(Kind::Insert, 2),
            b"ab".to_vec(),
            number(Kind::Seek, zigzag(-2)),
            number(Kind::Diff, 2),
            [1, 255].to_vec(),
        ]);
        // After the copy the place is 3, after the seek 1.
        assert_eq!(run(7, &program), Ok(b"012ab21".to_vec()));
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for distance in [0, 1, -1, 63, -64, i64::from(u32::MAX), -i64::from(u32::MAX)] {
            assert_eq!(unzigzag(zigzag(distance)), distance);
        }
        assert_eq!(number(Kind::Seek, zigzag(-i64::from(u32::MAX))).len(), 5, "the longest there is");
    }

    #[test]
    fn nothing_is_read_outside_the_source() {
        assert_eq!(run(11, &number(Kind::Copy, 11)), Err(Fault::OutsideSource));
        let program = join(&[number(Kind::Seek, zigzag(9)), number(Kind::Diff, 2)]);
        assert_eq!(run(2, &program), Err(Fault::OutsideSource));
        assert_eq!(run(1, &number(Kind::Seek, zigzag(-1))), Err(Fault::OutsideSource));
        assert_eq!(run(1, &number(Kind::Seek, zigzag(11))), Err(Fault::OutsideSource));
    }

    #[test]
    fn a_slice_gets_neither_more_nor_less_than_its_bytes() {
        assert_eq!(run(2, &number(Kind::Copy, 3)), Err(Fault::Instruction));
        assert_eq!(run(4, &number(Kind::Copy, 3)), Err(Fault::Slice));
        assert_eq!(run(0, &number(Kind::Copy, 0)), Err(Fault::Instruction));
    }

    #[test]
    fn a_program_that_goes_nowhere_is_refused() {
        let seek = |distance| number(Kind::Seek, zigzag(distance));
        assert_eq!(run(1, &seek(0)), Err(Fault::Instruction));
        assert_eq!(run(1, &join(&[seek(1), seek(1)])), Err(Fault::Instruction));
        assert_eq!(run(3, &join(&[number(Kind::Copy, 3), seek(1)])), Err(Fault::Slice));
        assert_eq!(run(1, &[0x80; 6]), Err(Fault::Instruction));
    }
}
