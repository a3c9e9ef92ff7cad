//! Deltas: what a device needs besides the image it has to restore the image it should have.
//!
//! `docs/delta-format.md` says what a delta's bytes mean. A delta is cut into slices of the target image, and each slice
//! is told apart from the others, so that making one takes bounded steps ([`Maker::slice`]) and a device knows where it
//! may rest. Restoring is a stream: the delta is pushed in as it arrives ([`Restorer::push`]), the source is read where
//! it lies, the target is written from its first byte to its last, and memory stays below 64 KiB whatever the sizes.
//!
//! The crate is `no_std` and knows nothing of the rest of the service: it is what a device's maker may build in.
#![no_std]

extern crate alloc;

mod header;
mod index;
mod make;
mod patch;
mod program;
mod restore;

pub use self::header::{ALGORITHM, HEADER_LEN, Header, MAGIC, SLICE_BYTES, VERSION};
pub use self::make::{MakeError, Maker, WINDOW_BYTES, make};
pub use self::restore::{Fault, RestoreError, Restorer, Storage, restore};
