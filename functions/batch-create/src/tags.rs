//! Editing the tags of a batch, where the product allows it (R87, the later documents).

use bytes::Bytes;
use http::StatusCode;
use ota_core::batch::{BatchError, check_batch_tags};
use ota_core::error::ValueError;
use ota_core::ids::BatchId;
use ota_http::{Problem, Request, Response, json};
use ota_platform::Platform;
use ota_store::{batches, products};

use crate::query;

/// `PATCH /v1/batches/{batch_id}`: `{"tags": [...]}` takes the place of all tags; devices that were told before keep what
/// they were told.
pub(crate) async fn change<P, B>(
    platform: &P,
    request: &mut Request<B>,
    id: BatchId,
) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let (tags, reading) = document.read(|fields, faults| {
        // No tags is an empty list; a request that says nothing of them is a mistake.
        if fields.said("tags").is_none_or(|tags| tags.is_null()) {
            faults.add("/tags", &ValueError::Missing);
        }
        json::tags(fields, faults)
    });
    let tags = json::join(reading, check_batch_tags(&tags))?;
    let (kv, now) = (platform.kv(), platform.now());
    let unknown = || Problem::not_found("batch");
    let stored = query::find(platform, request, id).await?;
    let product = products::get(kv, &stored.batch.product_key).await?;
    if !product.is_some_and(|product| product.settings.editable_tags) {
        return Err(Problem::of(&BatchError::TagsFixed));
    }
    let changed = batches::change(kv, id, now, |stored| {
        stored.batch.tags.clone_from(&tags);
        (true, stored.clone())
    });
    let mut changed = changed.await?.ok_or_else(unknown)?;
    batches::fetch_names(kv, &mut changed).await?;
    query::answer(platform, StatusCode::OK, &changed).await
}
