//! `POST /internal/device-messages?topic=…`
//!
//! A message has no caller who could mend it: what no redelivery cures is logged and answered with 204, so that nobody
//! sends it again; a store that fails is answered with 503, so that somebody does.

use bytes::Bytes;
use http::{Method, StatusCode};
use ota_core::device::message::gateway::is_for_gateways;
use ota_core::device::message::{self, DeviceMessage, MessageError, Step};
use ota_core::error::Coded;
use ota_core::ids::DeviceRef;
use ota_core::limits;
use ota_core::task::TaskEvent;
use ota_http::{Problem, Request, Response, body, respond};
use ota_platform::line::Line;
use ota_platform::{Platform, serve};

use crate::{block, gateway, report, request};

/// Answers a request.
pub async fn handle<P, B>(platform: &P, request: http::Request<B>) -> Response
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    serve::internal(platform, request, receive).await
}

async fn receive<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    if (&request.method, request.path().as_slice()) != (&Method::POST, &["internal", "device-messages"]) {
        return Err(Problem::no_route());
    }
    let payload = body::read(&mut request.body, limits::DEVICE_MESSAGE_BYTES_MAX).await;
    let topic = request.query("topic").unwrap_or_default();
    let parsed = match payload {
        Ok(payload) if is_for_gateways(topic) => {
            gateway::receive(platform, topic, &payload).await?;
            return Ok(respond::empty(StatusCode::NO_CONTENT));
        }
        Ok(payload) => message::parse(topic, &payload),
        // No redelivery makes it shorter.
        Err(problem) if problem.code == "request.too-large" => {
            Err(MessageError::TooLarge { len: limits::DEVICE_MESSAGE_BYTES_MAX + 1 })
        }
        Err(problem) => return Err(problem),
    };
    match parsed {
        Ok((device, message)) => perform(platform, &device, message).await?,
        Err(error) => {
            let topic: String = topic.chars().take(128).collect();
            let line = Line::of("DeviceMessage").with("topic", topic).with("outcome", "dropped");
            line.with("code", error.code()).with("error", error).write(platform);
        }
    }
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

async fn perform<P: Platform>(
    platform: &P,
    device: &DeviceRef,
    message: DeviceMessage,
) -> Result<(), Problem> {
    match message {
        DeviceMessage::VersionReported { module, version } => {
            report::version(platform, device, &module, &version).await
        }
        DeviceMessage::ProgressReported { module, step, desc } => {
            let event = match step {
                Step::Percent(percent) => TaskEvent::ProgressReported { percent, desc },
                Step::Failed(failure) => TaskEvent::FailureReported { failure, desc },
            };
            report::progress(platform, device, &module, &event).await
        }
        DeviceMessage::UpgradeRequested { module, id, channel } => {
            request::answer(platform, device, &module, &id, channel).await
        }
        DeviceMessage::BlockRequested(wanted) => block::answer(platform, device, &wanted).await,
        DeviceMessage::CameOnline { session, .. } => report::online(platform, device, &session).await,
        DeviceMessage::WentOffline { session, .. } => report::offline(platform, device, &session).await,
    }
}
