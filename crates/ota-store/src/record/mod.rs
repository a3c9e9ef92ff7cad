//! The stored form of each value.
//!
//! A value is one version byte, eight bytes of revision (big-endian), and a CBOR body (RFC 8949) whose fields and variants
//! are numbered by hand: fields are added at the end as optional, numbers are never reused, and states rest as the text
//! of their `as_str`. The records mirror the core's values and are converted at this border, so that neither side
//! bends to the other.

mod audit_v1;
mod batch_v1;
mod blob_v1;
mod catalog_v1;
mod delta_v1;
mod event_v1;
mod history_v1;
mod lane_v1;
mod nonce_v1;
mod package_v1;
mod product_v1;
mod security_v1;
mod settings_v1;
mod task_v1;
mod token_v1;
mod topology_v1;
mod webhook_v1;

pub(crate) mod device_v1;

use std::fmt;

use minicbor::{Decode, Encode};

pub(crate) use self::batch_v1::RegionRecord;
pub(crate) use self::event_v1::EventRecord;
pub(crate) use self::task_v1::PolicyRecord;

/// The version byte of every value written today.
const VERSION: u8 = 1;
/// Bytes before the body.
pub(crate) const HEADER_LEN: usize = 9;

/// A value that can be stored.
pub trait Record: Sized {
    /// About how many bytes the stored value takes, so that it is written without growing.
    fn size_hint(&self) -> usize {
        512
    }

    /// Appends the body.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads a whole value; the body begins at `HEADER_LEN`.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt>;
}

/// A stored value that cannot be read: written by a newer version, or damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupt(pub String);

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Corrupt {}

impl From<minicbor::decode::Error> for Corrupt {
    fn from(error: minicbor::decode::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<ota_core::error::ValueError> for Corrupt {
    fn from(error: ota_core::error::ValueError) -> Self {
        Self(error.to_string())
    }
}

/// Returns the revision of a stored value, 0 if it has none.
pub(crate) fn revision(bytes: &[u8]) -> u64 {
    bytes.get(1..HEADER_LEN).and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes)
}

/// Renders a record for storing.
pub(crate) fn to_bytes(record: &impl Record, revision: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.size_hint());
    out.push(VERSION);
    out.extend_from_slice(&revision.to_be_bytes());
    record.write(&mut out);
    out
}

/// Reads a stored value.
pub(crate) fn from_bytes<R: Record>(bytes: Vec<u8>) -> Result<R, Corrupt> {
    match bytes.first() {
        Some(&VERSION) if bytes.len() >= HEADER_LEN => R::read(bytes),
        Some(version) => Err(Corrupt(format!("version {version}, {} bytes", bytes.len()))),
        None => Err(Corrupt("no bytes".into())),
    }
}

/// Appends `body` as CBOR. Writing to a vector cannot fail.
pub(crate) fn write_body<B: Encode<()>>(body: &B, out: &mut Vec<u8>) {
    minicbor::encode(body, out).expect("writing to a vector cannot fail");
}

/// Reads the body of a whole value as CBOR.
pub(crate) fn read_body<'b, B: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<B, Corrupt> {
    Ok(minicbor::decode(bytes.get(HEADER_LEN..).unwrap_or_default())?)
}

/// Reads a state's text back.
pub(crate) fn state<T>(parsed: Option<T>, text: &str) -> Result<T, Corrupt> {
    parsed.ok_or_else(|| Corrupt(format!("unknown state {text:?}")))
}
