//! The bytes of uploaded files, wherever they are: chunks in the key-value store, or an object in an S3-compatible bucket.
//!
//! What is known of a file lies in the store in either case (`ota_store::blobs`); this crate moves the bytes. Which of the
//! two new files go to is said by the variable `blob_store`; old ones are read where they are.

mod bucket;
mod chunks;
mod collect;
mod file;
mod hashes;
mod parts;
mod receive;
mod writer;

pub use self::bucket::Bucket;
pub use self::collect::{collect, discard};
pub use self::file::File;
pub use self::hashes::Hashes;
pub use self::parts::PART_BYTES;
pub use self::receive::receive;
pub use self::writer::{Appended, Checksum, append, finish};
