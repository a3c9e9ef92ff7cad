//! Lists that only grow: the newest items in one value, the head, and older ones in pages under keys of their own, each
//! written once.

use ota_core::time::Timestamp;

use crate::kv::Kv;
use crate::record::{Record, to_bytes};
use crate::transact::{Change, StoreError, update};

/// Puts a full head aside as `page` under `page_key`, and lets `next` take its place under `head_key`. A full head no
/// longer changes, so everybody who seals it writes the same.
///
/// # Errors
/// The store's.
pub(crate) async fn seal<R: Record + Clone + PartialEq>(
    kv: &impl Kv,
    (head_key, full): (&str, &R),
    (page_key, page): (&str, &R),
    next: &R,
    now: Timestamp,
) -> Result<(), StoreError> {
    kv.set(page_key, &to_bytes(page, 1)).await?;
    update(kv, head_key, now, |head: Option<R>| match head {
        Some(head) if head == *full => Change::Put(next.clone(), ()),
        _ => Change::Keep(()),
    })
    .await
}
