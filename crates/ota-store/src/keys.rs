//! Every key this service writes. If it is not in this table, it is not in the store.
//!
//! | Key                              | Value                                      | Changed by                        |
//! |----------------------------------|--------------------------------------------|-----------------------------------|
//! | `catalog/products`               | keys and names of all products             | swap, when one is made            |
//! | `catalog/packages`               | names and versions of all packages         | swap, when one is made or deleted |
//! | `catalog/batches`, `…/{n}`       | ids of all batches, oldest first ([`log`]) | swap, when one is made            |
//! | `settings`                       | the settings of the service                | swap, by the operator             |
//! | `product/{product}`              | the product, its modules and settings      | swap, by the operator             |
//! | `product/{product}/security`     | whether it signs, and its key pair, the    | swap, by the operator             |
//! |                                  | private half encrypted                     |                                   |
//! | `fleet/{product}`                | how many shards the fleet has              | swap, when a shard splits         |
//! | `fleet/{product}/{shard}`        | some dozens of device records, each with   | swap, on each report that         |
//! |                                  | its active task                            | changes something                 |
//! | `topology/{product}/{name}`      | the gateway of a device, or its            | swap, by the operator             |
//! |                                  | sub-devices; the name in hexadecimal       |                                   |
//! | `package/{id}`                   | the package                                | swap, by its trial                |
//! | `package/{id}/batches`, `…/{n}`  | ids of its batches ([`log`])               | swap, when one is made            |
//! | `package/{id}/signature`         | the signature of its digest                | set, by the first push that needs |
//! |                                  |                                            | it                                |
//! | `blob/{id}`                      | an uploaded file: how much of it is there, | swap, while it is uploaded and    |
//! |                                  | its size and digests once all is           | when it is given up               |
//! | `blob/{id}/{n}`                  | the file's n-th chunk by its first writer, | set, by that writer               |
//! |                                  | as long as it is not in a bucket           |                                   |
//! | `blob/{id}/{w}.{n}`              | the n-th chunk by its w-th later writer    | set, by that writer               |
//! | `batch/{id}`                     | the batch, its cursors, counts and rate    | swap, by dispatch                 |
//! | `batch/{id}/page/{shard}`        | the ended tasks of the devices that were   | swap, when a task ends            |
//! |                                  | in that shard when the batch reached it    |                                   |
//! | `batch/{id}/names/{n}`           | some of the names of an uploaded list      | once, when the batch is made      |
//! | `batch/{id}/history`             | how its counts went, in some hundred       | swap, by dispatch                 |
//! |                                  | points                                     |                                   |
//! | `lanes/{product}`                | what its running batches lay claim to      | swap, when one begins or ends     |
//! | `events`                         | the newest events ([`events`])             | swap, when something happened     |
//! | `events/{n}`                     | a page of older events                     | once, when it is full             |
//! | `catalog/deltas`, `…/{n}`        | ids of all deltas made here ([`log`])      | swap, when one is asked for       |
//! | `delta/{id}`                     | a delta and how far it is                  | swap, by dispatch                 |
//! | `delta/{id}/{n}`                 | its bytes up to slice n that do not fill a | set, while it is made             |
//! |                                  | chunk of its file yet                      |                                   |
//! | `work/batches`                   | ids of batches that have not ended         | swap, when one is made or ends    |
//! | `work/uploads`                   | uploads that are not packages yet          | swap, when one comes or goes      |
//! | `work/deltas`                    | deltas that are being made                 | swap, when one comes or goes, and |
//! |                                  |                                            | by the dispatcher that makes them |
//! | `work/tick`                      | when a tick last came to its end           | set, once a minute by dispatch    |
//! | `webhooks`                       | all webhooks, their secrets encrypted      | swap, by the operator, and by     |
//! |                                  |                                            | dispatch when a receiver is gone  |
//! | `webhook/{id}`                   | how far it has come in the events, and     | swap, by the dispatcher that      |
//! |                                  | what is on its way to it                   | delivers, and by the operator     |
//! | `catalog/tokens`                | all tokens, without their secrets          | swap, when one is made or deleted |
//! | `token/{id}`                     | a token, and the digest of its secret      | once, when it is made             |
//! | `audit`                          | the newest entries of the audit log, and   | swap, twice by each request that  |
//! |                                  | changes that have not ended ([`audit`])    | changes something                 |
//! | `audit/{n}`                      | a page of older entries                    | once, when it is full             |
//! | `nonces/{n}`                     | some of the nonces that signed requests    | swap, by each such request        |
//! |                                  | have used                                  |                                   |
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
//! [`events`]: crate::events
//! [`audit`]: crate::audit

use ota_core::ids::{BatchId, DeltaId, DeviceRef, PackageId, ProductKey, TokenId, UploadId, WebhookId};

/// All products.
pub const PRODUCTS: &str = "catalog/products";
/// All packages.
pub const PACKAGES: &str = "catalog/packages";
/// All batches.
pub const BATCHES: &str = "catalog/batches";
/// The newest events.
pub const EVENTS: &str = "events";
/// The settings of the service.
pub const SETTINGS: &str = "settings";
/// Batches that have not ended.
pub const WORK_BATCHES: &str = "work/batches";
/// Uploads that are not packages yet.
pub const WORK_UPLOADS: &str = "work/uploads";
/// All deltas made here.
pub const DELTAS: &str = "catalog/deltas";
/// Deltas that are being made.
pub const WORK_DELTAS: &str = "work/deltas";
/// When a tick of the dispatcher last came to its end.
pub const WORK_TICK: &str = "work/tick";
/// All webhooks.
pub const WEBHOOKS: &str = "webhooks";
/// All tokens.
pub const TOKENS: &str = "catalog/tokens";
/// The newest entries of the audit log.
pub const AUDIT: &str = "audit";
/// Prefix of the start-up check's scratch keys.
pub const CHECK: &str = "check";

/// A product.
pub fn product(key: &ProductKey) -> String {
    format!("product/{key}")
}

/// A product's signing.
pub fn security(product: &ProductKey) -> String {
    format!("product/{product}/security")
}

/// The shape of a fleet.
pub fn fleet(product: &ProductKey) -> String {
    format!("fleet/{product}")
}

/// One shard of a fleet.
pub fn shard(product: &ProductKey, shard: u32) -> String {
    format!("fleet/{product}/{shard}")
}

/// The place of a device between gateways and sub-devices. A device's name may hold characters that a key may not, so it
/// stands in hexadecimal digits, of which there are at most twice the name's 32.
pub fn topology(device: &DeviceRef) -> String {
    let name: String = device.device_name.as_str().bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("topology/{}/{name}", device.product_key)
}

/// A package.
pub fn package(id: PackageId) -> String {
    format!("package/{id}")
}

/// The batches of a package.
pub fn package_batches(id: PackageId) -> String {
    format!("package/{id}/batches")
}

/// The signature of a package.
pub fn package_signature(id: PackageId) -> String {
    format!("package/{id}/signature")
}

/// An uploaded file.
pub fn blob(id: UploadId) -> String {
    format!("blob/{id}")
}

/// One chunk of an uploaded file, by a writer of it.
pub fn chunk(id: UploadId, writer: u32, index: u64) -> String {
    if writer == 0 { format!("blob/{id}/{index}") } else { format!("blob/{id}/{writer}.{index}") }
}

/// A batch.
pub fn batch(id: BatchId) -> String {
    format!("batch/{id}")
}

/// One page of a batch's history.
pub fn page(id: BatchId, page: u32) -> String {
    format!("batch/{id}/page/{page}")
}

/// Some of the names of a batch's uploaded device list.
pub fn names(id: BatchId, page: u32) -> String {
    format!("batch/{id}/names/{page}")
}

/// How the counts of a batch went.
pub fn history(id: BatchId) -> String {
    format!("batch/{id}/history")
}

/// What the running batches of a product lay claim to.
pub fn lanes(product: &ProductKey) -> String {
    format!("lanes/{product}")
}

/// A full page of events.
pub fn event_page(number: u64) -> String {
    format!("events/{number}")
}

/// A delta made here.
pub fn delta(id: DeltaId) -> String {
    format!("delta/{id}")
}

/// The bytes of a delta up to the end of its first `slices` slices that do not fill a chunk.
pub fn delta_tail(id: DeltaId, slices: u32) -> String {
    format!("delta/{id}/{slices}")
}

/// A token.
pub fn token(id: TokenId) -> String {
    format!("token/{id}")
}

/// A full page of the audit log.
pub fn audit_page(number: u64) -> String {
    format!("audit/{number}")
}

/// A sealed page of a log.
pub fn log_page(log: &str, page: u32) -> String {
    format!("{log}/{page}")
}

/// A webhook's queue.
pub fn webhook_queue(id: WebhookId) -> String {
    format!("webhook/{id}")
}

/// Some of the used nonces.
pub fn nonces(part: u8) -> String {
    format!("nonces/{part}")
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
