//! A device asks for its upgrade (R158), or in the older way (R159).

use ota_core::device::message::{MessageId, ReplyChannel};
use ota_core::device::push::{Topics, render_get_reply};
use ota_core::ids::{BatchId, DeviceRef, ModuleName};
use ota_core::task::{TaskEvent, TaskStatus};
use ota_http::{Problem, signing};
use ota_platform::line::Line;
use ota_platform::notice::Notice;
use ota_platform::tell::tell;
use ota_platform::{Message, Platform};
use ota_store::{batches, devices, packages};

/// Answers the device with its task, which counts as having told it (T6), or with the word that there is nothing to do.
/// The older request has no such word, so it is left unanswered then.
pub(crate) async fn answer<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    module: &ModuleName,
    id: &MessageId,
    channel: ReplyChannel,
) -> Result<(), Problem> {
    let batch = deliverable(platform, device, module).await?;
    let outcome = if batch.is_some() { "told" } else { "nothing" };
    let line = Line::about("OTAFirmwareRequest", device).with("module", module);
    line.with_some("batch", batch).with("outcome", outcome).write(platform);
    let payload = match batch {
        None if channel == ReplyChannel::Upgrade => return Ok(()),
        None => render_get_reply(id, None),
        Some(batch_id) => match notice(platform, batch_id, id, channel).await? {
            Some(payload) => payload,
            None => return Ok(()),
        },
    };
    let topic = match channel {
        ReplyChannel::GetReply => Topics::get_reply(device),
        ReplyChannel::Upgrade => Topics::upgrade(device),
    };
    tell(platform, &[Message::new(topic, payload.into_bytes())]).await
}

/// Notes that the device is being told, and returns its batch; `None` if there is nothing for it in this module.
async fn deliverable<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    module: &ModuleName,
) -> Result<Option<BatchId>, Problem> {
    let now = platform.now();
    let batch_id = devices::update(platform.kv(), device, now, |found, beside| {
        let news = found.spoke(now);
        let ids = found.tasks.iter().map(|task| task.batch_id);
        let mut briefs = ids.filter_map(|id| beside.brief(id)).filter(|brief| brief.module == *module);
        let Some(brief) = briefs.next() else { return (news, None) };
        let changed = found.apply(brief.batch_id, &TaskEvent::Requested, &brief.policy, now);
        let status = found.task_of(brief.batch_id).map(|task| task.status);
        let told = matches!(status, Some(TaskStatus::Notified | TaskStatus::InProgress));
        (news || changed, told.then_some(brief.batch_id))
    });
    Ok(batch_id.await?.flatten())
}

async fn notice<P: Platform>(
    platform: &P,
    batch_id: BatchId,
    id: &MessageId,
    channel: ReplyChannel,
) -> Result<Option<String>, Problem> {
    let Some(stored) = batches::get(platform.kv(), batch_id).await? else { return Ok(None) };
    let Some(package) = packages::get(platform.kv(), stored.batch.package_id).await? else { return Ok(None) };
    let secret = platform.variable("secrets_key").await;
    let signature =
        signing::digest_signature(platform.kv(), &package.package, secret, platform.random()).await?;
    let notice = Notice::make(platform, &stored.batch, &package.package, signature).await;
    let notice = ota_http::variable(notice)?;
    Ok(Some(match channel {
        ReplyChannel::GetReply => notice.get_reply(id),
        ReplyChannel::Upgrade => notice.push(platform.now().0),
    }))
}
