//! A device asks for a block of its package over MQTT (R163).
//!
//! A block is no report: it changes nothing, and is read anew each time it is asked for. Nothing is kept between the
//! blocks of a file, so any instance answers any of them.

use ota_blob::File;
use ota_core::batch::DownloadProtocol;
use ota_core::device::block::{BlockRefusal, BlockRequest, render_block, render_refusal};
use ota_core::device::push::Topics;
use ota_core::error::Coded;
use ota_core::ids::DeviceRef;
use ota_core::limits;
use ota_core::task::TaskStatus;
use ota_http::Problem;
use ota_platform::line::Line;
use ota_platform::tell::tell;
use ota_platform::{Message, Platform};
use ota_store::packages::StoredPackage;
use ota_store::{batches, devices, packages};

/// Answers the device with the block, or with why it gets none.
pub(crate) async fn answer<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    request: &BlockRequest,
) -> Result<(), Problem> {
    let reply = |payload| [Message::new(Topics::block_reply(device), payload)];
    let refuse = |refusal| reply(refused(platform, device, request, refusal));
    let Some(stored) = find(platform, device, request).await? else {
        return tell(platform, &refuse(BlockRefusal::Stream)).await;
    };
    let (offset, range) = match request.range(stored.package.size) {
        Ok(range) => (range.start, range),
        Err(refusal) => return tell(platform, &refuse(refusal)).await,
    };
    let file = File::open(platform, stored.blob).await?.ok_or_else(|| Problem::not_found("file"))?;
    let bytes = file.read(range).await?;
    let block = |bytes: &[u8]| reply(render_block(request, stored.package.size, offset, bytes));
    let told = tell(platform, &block(&bytes)).await;
    match bytes.get(..limits::SHORT_BLOCK_BYTES) {
        // Not every engine and broker carries a message of any length. A device that gets less asks for the rest.
        Some(short) if told.is_err() => tell(platform, &block(short)).await,
        _ => told,
    }
}

/// Returns the package whose stream is asked for, if it is that of the upgrade which this very device was told of and
/// has not ended (R165).
async fn find<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    request: &BlockRequest,
) -> Result<Option<StoredPackage>, Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let Some((found, _)) = devices::find(kv, device, now).await? else { return Ok(None) };
    let told = |status| matches!(status, TaskStatus::Notified | TaskStatus::InProgress);
    let task =
        found.tasks.into_iter().find(|task| told(task.status) && request.names_stream_of(task.batch_id));
    let Some(task) = task else { return Ok(None) };
    let Some(stored) = batches::get(kv, task.batch_id).await? else { return Ok(None) };
    if stored.batch.download != DownloadProtocol::Mqtt {
        return Ok(None);
    }
    let package = packages::get(kv, stored.batch.package_id).await?;
    Ok(package.filter(|stored| stored.package.files.is_empty()))
}

fn refused<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    request: &BlockRequest,
    refusal: BlockRefusal,
) -> Vec<u8> {
    let line = Line::about("BlockRequest", device).with("outcome", "refused");
    line.with("code", refusal.code()).with("error", refusal).write(platform);
    render_refusal(request, refusal)
}
