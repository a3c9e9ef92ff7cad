//! Restoring the target, while the delta arrives.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;

use sha2::{Digest, Sha256};

use crate::header::{HEADER_LEN, Header};
use crate::patch::PatchReader;

/// Bytes of the source that are hashed at once.
const HASH_LEN: usize = 1_024;

/// The device's storage: the image it has, and a place for the image it should have.
pub trait Storage {
    /// Why the storage failed.
    type Error;

    /// Returns the bytes of the source.
    fn source_size(&self) -> u32;

    /// Fills `buffer` from the source; `offset` and what follows it lie inside.
    ///
    /// # Errors
    /// The storage's.
    fn read_source(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), Self::Error>;

    /// Appends to the target.
    ///
    /// # Errors
    /// The storage's.
    fn write_target(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// What is wrong with a delta, or with using it here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not begin as deltas do.
    NotADelta,
    /// It is of a version or an algorithm that is not known here.
    Unsupported,
    /// Its header contradicts itself, or has an impossible slice size.
    Header,
    /// It was made for another source.
    WrongSource,
    /// A patch cannot be decompressed, or ends elsewhere than its length says.
    Compression,
    /// An instruction is none, or has an impossible length.
    Instruction,
    /// An instruction reads what the source does not have.
    OutsideSource,
    /// A patch ends before its slice is complete.
    Slice,
    /// The restored image has not the digest it should have.
    WrongTarget,
    /// The delta ends too early.
    Truncated,
    /// Bytes follow behind the last slice.
    Trailing,
    /// An earlier fault has ended this.
    Ended,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotADelta => "this is no delta",
            Self::Unsupported => "the delta's version or algorithm is not known",
            Self::Header => "the delta's header contradicts itself",
            Self::WrongSource => "the delta was made for another source image",
            Self::Compression => "a patch cannot be decompressed",
            Self::Instruction => "a patch has an impossible instruction",
            Self::OutsideSource => "a patch reads outside the source image",
            Self::Slice => "a patch does not restore its whole slice",
            Self::WrongTarget => "the restored image has a wrong digest",
            Self::Truncated => "the delta ends too early",
            Self::Trailing => "bytes follow behind the delta's last slice",
            Self::Ended => "restoring has failed before",
        })
    }
}

impl core::error::Error for Fault {}

/// Why restoring failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreError<E> {
    /// The delta is at fault.
    Delta(Fault),
    /// The storage failed.
    Storage(E),
}

impl<E> From<Fault> for RestoreError<E> {
    fn from(fault: Fault) -> Self {
        Self::Delta(fault)
    }
}

impl RestoreError<Infallible> {
    /// Returns the fault, where the storage cannot fail.
    pub fn fault(self) -> Fault {
        match self {
            Self::Delta(fault) => fault,
            Self::Storage(never) => match never {},
        }
    }
}

impl<E: fmt::Display> fmt::Display for RestoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delta(fault) => fault.fmt(f),
            Self::Storage(error) => write!(f, "the storage failed: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for RestoreError<E> {}

/// What the next bytes are.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Header,
    PatchLength,
    Patch { left: u32 },
    Done,
    Broken,
}

/// A target in the making.
///
/// The source's digest is checked before the first byte of the target is written; the target's when the last one is. A
/// device must not start the new image before [`Restorer::finish`] has agreed.
pub struct Restorer {
    stage: Stage,
    /// The beginning of the header, or of a patch's length.
    held: [u8; HEADER_LEN],
    held_len: usize,
    header: Option<Header>,
    slice: u32,
    patch: PatchReader,
    digest: Sha256,
}

impl Default for Restorer {
    fn default() -> Self {
        Self::new()
    }
}

impl Restorer {
    /// Begins, with nothing of the delta seen.
    pub fn new() -> Self {
        Self {
            stage: Stage::Header,
            held: [0; HEADER_LEN],
            held_len: 0,
            header: None,
            slice: 0,
            patch: PatchReader::new(),
            digest: Sha256::new(),
        }
    }

    /// Returns what the delta says of itself, once that has arrived.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Returns how many slices are restored.
    pub fn slices_done(&self) -> u32 {
        self.slice
    }

    /// Takes the next bytes of the delta, as many as there are, and writes what they restore.
    ///
    /// # Errors
    /// A fault of the delta, or the storage's error. Nothing can be pushed afterwards.
    pub fn push<S: Storage>(&mut self, bytes: &[u8], storage: &mut S) -> Result<(), RestoreError<S::Error>> {
        let outcome = self.take(bytes, storage);
        if outcome.is_err() {
            self.stage = Stage::Broken;
        }
        outcome
    }

    /// Ends the delta: the target is complete and has the digest it should have.
    ///
    /// # Errors
    /// [`Fault::Truncated`], or [`Fault::Ended`] after an earlier error.
    pub fn finish(self) -> Result<(), Fault> {
        match self.stage {
            Stage::Done => Ok(()),
            Stage::Broken => Err(Fault::Ended),
            Stage::Header | Stage::PatchLength | Stage::Patch { .. } => Err(Fault::Truncated),
        }
    }

    fn take<S: Storage>(&mut self, bytes: &[u8], storage: &mut S) -> Result<(), RestoreError<S::Error>> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.stage {
                Stage::Header => {
                    if self.hold(&mut rest, HEADER_LEN) {
                        let header = Header::parse(&self.held)?;
                        check_source(&header, storage)?;
                        self.header = Some(header);
                        self.stage = Stage::PatchLength;
                    }
                }
                Stage::PatchLength => {
                    if self.hold(&mut rest, 4) {
                        let left =
                            u32::from_le_bytes([self.held[0], self.held[1], self.held[2], self.held[3]]);
                        // No compressed patch is empty.
                        if left == 0 {
                            return Err(Fault::Compression.into());
                        }
                        let header = self.header.ok_or(Fault::Header)?;
                        self.patch.begin(header.slice_len(self.slice));
                        self.stage = Stage::Patch { left };
                    }
                }
                Stage::Patch { left } => {
                    let taken = rest.len().min(left as usize);
                    let (piece, behind) = rest.split_at(taken);
                    rest = behind;
                    let mut hashing = Hashing { storage, digest: &mut self.digest };
                    self.patch.push(piece, &mut hashing)?;
                    // Not more than `left`, which is a u32.
                    let left = left - taken as u32;
                    self.stage = Stage::Patch { left };
                    if left == 0 {
                        self.end_slice()?;
                    }
                }
                Stage::Done => return Err(Fault::Trailing.into()),
                Stage::Broken => return Err(Fault::Ended.into()),
            }
        }
        Ok(())
    }

    fn end_slice(&mut self) -> Result<(), Fault> {
        self.patch.end()?;
        let header = self.header.ok_or(Fault::Header)?;
        self.slice += 1;
        self.stage = Stage::PatchLength;
        if self.slice == header.slice_count() {
            let digest: [u8; 32] = self.digest.finalize_reset().into();
            if digest != header.target_sha256 {
                return Err(Fault::WrongTarget);
            }
            self.stage = Stage::Done;
        }
        Ok(())
    }

    /// Holds bytes until there are `wanted`; tells whether there are.
    fn hold(&mut self, rest: &mut &[u8], wanted: usize) -> bool {
        let taken = rest.len().min(wanted - self.held_len);
        let (piece, behind) = rest.split_at(taken);
        self.held[self.held_len..self.held_len + taken].copy_from_slice(piece);
        self.held_len += taken;
        *rest = behind;
        let complete = self.held_len == wanted;
        if complete {
            self.held_len = 0;
        }
        complete
    }
}

/// A device that has another image than the delta was made for would restore nonsense.
fn check_source<S: Storage>(header: &Header, storage: &mut S) -> Result<(), RestoreError<S::Error>> {
    if storage.source_size() != header.source_size {
        return Err(Fault::WrongSource.into());
    }
    let mut digest = Sha256::new();
    let mut buffer = Box::new([0; HASH_LEN]);
    let mut at = 0;
    while at < header.source_size {
        let len = (header.source_size - at).min(HASH_LEN as u32);
        let piece = &mut buffer[..len as usize];
        storage.read_source(at, piece).map_err(RestoreError::Storage)?;
        digest.update(&piece);
        at += len;
    }
    let digest: [u8; 32] = digest.finalize().into();
    if digest == header.source_sha256 { Ok(()) } else { Err(Fault::WrongSource.into()) }
}

/// A storage that hashes what is written.
struct Hashing<'a, S> {
    storage: &'a mut S,
    digest: &'a mut Sha256,
}

impl<S: Storage> Storage for Hashing<'_, S> {
    type Error = S::Error;

    fn source_size(&self) -> u32 {
        self.storage.source_size()
    }

    fn read_source(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), S::Error> {
        self.storage.read_source(offset, buffer)
    }

    fn write_target(&mut self, bytes: &[u8]) -> Result<(), S::Error> {
        self.digest.update(bytes);
        self.storage.write_target(bytes)
    }
}

/// Both images in memory.
pub(crate) struct Memory<'a> {
    source: &'a [u8],
    pub(crate) target: Vec<u8>,
}

impl<'a> Memory<'a> {
    pub(crate) fn new(source: &'a [u8]) -> Self {
        Self { source, target: Vec::new() }
    }
}

impl Storage for Memory<'_> {
    type Error = Infallible;

    fn source_size(&self) -> u32 {
        u32::try_from(self.source.len()).unwrap_or(u32::MAX)
    }

    fn read_source(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), Infallible> {
        let from = offset as usize;
        // The caller has compared with `source_size`.
        if let Some(bytes) = self.source.get(from..from + buffer.len()) {
            buffer.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn write_target(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.target.extend_from_slice(bytes);
        Ok(())
    }
}

/// Restores a target in memory.
///
/// # Errors
/// What is wrong with the delta.
pub fn restore(source: &[u8], delta: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut memory = Memory::new(source);
    let mut restorer = Restorer::new();
    restorer.push(delta, &mut memory).map_err(RestoreError::fault)?;
    restorer.finish()?;
    Ok(memory.target)
}
