//! A gateway logs its sub-devices in and out (R168).
//!
//! What is decided here is carried out by the broker: it is told which devices the gateway's connection carries from now
//! on, and announces them as it announces every device, so that they come online and go offline by the very same way.
//! When the gateway's connection ends, the broker announces the end of each sub-device's session on it.

use ota_core::device::message::gateway::{
    GatewayRequest, Member, Refusal, attachment_topic, parse, render_attachment, render_reply, reply_topic,
};
use ota_core::error::Coded;
use ota_core::ids::DeviceRef;
use ota_http::Problem;
use ota_platform::line::Line;
use ota_platform::tell::tell;
use ota_platform::{Message, Platform};
use ota_store::{devices, topology};

/// Answers one message of a gateway. One on a topic that nobody listens to is dropped.
pub(crate) async fn receive<P: Platform>(platform: &P, topic: &str, payload: &[u8]) -> Result<(), Problem> {
    match parse(topic, payload) {
        Ok(request) => answer(platform, &request).await,
        Err(error) => {
            let topic: String = topic.chars().take(128).collect();
            let line = Line::of("GatewayMessage").with("topic", topic).with("outcome", "dropped");
            line.with("code", error.code()).with("error", error).write(platform);
            Ok(())
        }
    }
}

/// Decides, tells the broker, and then the gateway: both over one connection, which the broker reads in order, so that
/// whoever has the reply may already use the sub-device's topics.
async fn answer<P: Platform>(platform: &P, request: &GatewayRequest) -> Result<(), Problem> {
    let mut messages = Vec::with_capacity(2);
    let (refusal, devices) = match &request.members {
        Err(refusal) => (Some(*refusal), Vec::new()),
        Ok(members) => decide(platform, &request.gateway, members).await?,
    };
    if let Some(refusal) = refusal {
        let line =
            Line::about("GatewayMessage", &request.gateway).with("verb", format!("{:?}", request.verb));
        line.with("outcome", "refused").with("error", refusal.message()).write(platform);
    } else {
        let payload = render_attachment(request.verb, &devices).into_bytes();
        messages.push(Message::new(attachment_topic(&request.gateway), payload));
    }
    let payload = render_reply(request, refusal, &devices).into_bytes();
    messages.push(Message::new(reply_topic(request), payload));
    tell(platform, &messages).await
}

/// Returns all devices if none is refused, else the first refusal and the devices that are.
async fn decide<P: Platform>(
    platform: &P,
    gateway: &DeviceRef,
    members: &[Member],
) -> Result<(Option<Refusal>, Vec<DeviceRef>), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let (mut refusal, mut refused) = (None, Vec::new());
    for member in members {
        let behind = topology::gateway_of(kv, &member.device).await?;
        // Who logs out is not asked for a secret.
        let found = match &member.login {
            Some(_) => devices::find(kv, &member.device, now).await?,
            None => None,
        };
        let secret = found.as_ref().map(|(found, _)| &found.secret);
        if let Err(why) = member.check(gateway, behind.as_ref(), secret) {
            refusal.get_or_insert(why);
            refused.push(member.device.clone());
        }
    }
    let devices = match refusal {
        Some(_) => refused,
        None => members.iter().map(|member| member.device.clone()).collect(),
    };
    Ok((refusal, devices))
}
