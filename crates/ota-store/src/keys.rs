//! Every key this service writes. If it is not in this table, it is not in the store.
//!
//! | Key                              | Value                                      | Changed by                        |
//! |----------------------------------|--------------------------------------------|-----------------------------------|
//! | `catalog/products`               | keys and names of all products             | swap, when one is made            |
//! | `catalog/packages`               | names and versions of all packages         | swap, when one is made or deleted |
//! | `catalog/batches`, `…/{n}`       | ids of all batches, oldest first ([`log`]) | swap, when one is made            |
//! | `product/{product}`              | the product and its modules                | swap, by the operator             |
//! | `fleet/{product}`                | how many shards the fleet has              | swap, when a shard splits         |
//! | `fleet/{product}/{shard}`        | some dozens of device records, each with   | swap, on each report that         |
//! |                                  | its active task                            | changes something                 |
//! | `package/{id}`                   | the package                                | swap, by its trial                |
//! | `package/{id}/batches`, `…/{n}`  | ids of its batches ([`log`])               | swap, when one is made            |
//! | `blob/{id}`                      | size and digests of an uploaded file       | once, when the upload is complete |
//! | `blob/{id}/{n}`                  | the file's n-th chunk                      | once, while it is uploaded        |
//! | `batch/{id}`                     | the batch, its cursors, counts and rate    | swap, by dispatch                 |
//! | `batch/{id}/page/{shard}`        | the ended tasks of the devices that were   | swap, when a task ends            |
//! |                                  | in that shard when the batch reached it    |                                   |
//! | `catalog/deltas`, `…/{n}`        | ids of all deltas made here ([`log`])      | swap, when one is asked for       |
//! | `delta/{id}`                     | a delta and how far it is                  | swap, by dispatch                 |
//! | `delta/{id}/{n}`                 | its bytes up to slice n that do not fill a | set, while it is made             |
//! |                                  | chunk of its file yet                      |                                   |
//! | `work/batches`                   | ids of batches that have not ended         | swap, when one is made or ends    |
//! | `work/uploads`                   | uploads that are not packages yet          | swap, when one comes or goes      |
//! | `work/deltas`                    | deltas that are being made                 | swap, when one comes or goes, and |
//! |                                  |                                            | by the dispatcher that makes them |
//! | `claim/{key}`                    | counter: who may create `key`              | increment                         |
//! | `claim-lost/{key}`               | when somebody first found a claim of `key` | set                               |
//! |                                  | without the record it was for              |                                   |
//! | `check/…`                        | scratch of the start-up check              | set, swap, increment              |
//!
//! Keys are made of `[A-Za-z0-9/_=.-]`, which every engine takes; names that may hold anything else (packages, devices)
//! stand inside values. Values stay below 256 KiB. Records hold a revision that only grows, because one engine compares
//! old and new *values*, and a value that goes A, B, A would look unchanged.
//!
//! [`log`]: crate::log

use ota_core::ids::{BatchId, DeltaId, PackageId, ProductKey, UploadId};

/// All products.
pub const PRODUCTS: &str = "catalog/products";
/// All packages.
pub const PACKAGES: &str = "catalog/packages";
/// All batches.
pub const BATCHES: &str = "catalog/batches";
/// Batches that have not ended.
pub const WORK_BATCHES: &str = "work/batches";
/// Uploads that are not packages yet.
pub const WORK_UPLOADS: &str = "work/uploads";
/// All deltas made here.
pub const DELTAS: &str = "catalog/deltas";
/// Deltas that are being made.
pub const WORK_DELTAS: &str = "work/deltas";
/// Prefix of the start-up check's scratch keys.
pub const CHECK: &str = "check";

/// A product.
pub fn product(key: &ProductKey) -> String {
    format!("product/{key}")
}

/// The shape of a fleet.
pub fn fleet(product: &ProductKey) -> String {
    format!("fleet/{product}")
}

/// One shard of a fleet.
pub fn shard(product: &ProductKey, shard: u32) -> String {
    format!("fleet/{product}/{shard}")
}

/// A package.
pub fn package(id: PackageId) -> String {
    format!("package/{id}")
}

/// The batches of a package.
pub fn package_batches(id: PackageId) -> String {
    format!("package/{id}/batches")
}

/// An uploaded file.
pub fn blob(id: UploadId) -> String {
    format!("blob/{id}")
}

/// One chunk of an uploaded file.
pub fn chunk(id: UploadId, index: u64) -> String {
    format!("blob/{id}/{index}")
}

/// A batch.
pub fn batch(id: BatchId) -> String {
    format!("batch/{id}")
}

/// One page of a batch's history.
pub fn page(id: BatchId, page: u32) -> String {
    format!("batch/{id}/page/{page}")
}

/// A delta made here.
pub fn delta(id: DeltaId) -> String {
    format!("delta/{id}")
}

/// The bytes of a delta up to the end of its first `slices` slices that do not fill a chunk.
pub fn delta_tail(id: DeltaId, slices: u32) -> String {
    format!("delta/{id}/{slices}")
}

/// A sealed page of a log.
pub fn log_page(log: &str, page: u32) -> String {
    format!("{log}/{page}")
}

/// Who may create `key`.
pub fn claim(key: &str) -> String {
    format!("claim/{key}")
}

/// Who may create `key` after a claim of it was lost at the moment `since`.
pub fn claim_again(key: &str, since: u64) -> String {
    format!("claim/{key}/{since}")
}

/// When a claim of `key` was first found without its record.
pub fn claim_lost(key: &str) -> String {
    format!("claim-lost/{key}")
}
