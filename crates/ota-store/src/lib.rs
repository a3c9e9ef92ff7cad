//! Core values in a key-value store.
//!
//! The engines this runs on give get, set, delete, increment and a compare-and-swap on **one** key; there are no
//! transactions and no listing by prefix. So whatever a rule must keep consistent sits in one value, a fleet is a set of
//! shards with some dozens of devices each, and every change is "read, decide, swap, try again a bounded number of
//! times" ([`transact`]).
//!
//! [`kv`] is the port an engine's adapter fills in, [`memory`] the adapter for tests, [`keys`] the whole key schema.

pub mod audit;
pub mod batches;
pub mod blobs;
pub mod check;
pub mod claim;
pub mod deltas;
pub mod devices;
pub mod events;
pub mod keys;
pub mod kv;
pub mod lanes;
pub mod log;
pub mod memory;
pub mod nonces;
pub mod packages;
mod pages;
pub mod products;
pub mod record;
pub mod security;
pub mod settings;
pub mod shard;
pub mod shards;
pub mod targets;
pub mod tokens;
pub mod topology;
pub mod transact;
pub mod webhooks;
pub mod work;

#[cfg(test)]
mod testing;

pub use self::kv::{Kv, KvError, Swap};
pub use self::transact::StoreError;
