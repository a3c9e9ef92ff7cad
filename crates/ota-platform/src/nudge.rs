//! Asking the dispatcher to look now rather than at its next tick.
//!
//! A nudge may be lost; the tick does the same work a few seconds later.

use ota_core::ids::{BatchId, DeviceRef};

use crate::Platform;
use crate::line::Line;

/// Asks for a look at one batch, after the answer is given.
pub fn batch(platform: &impl Platform, id: BatchId) {
    send(platform, "/internal/dispatch/tick", format!(r#"{{"batch_id":"{id}"}}"#));
}

/// Asks for a look at one device, after the answer is given.
pub fn device(platform: &impl Platform, device: &DeviceRef) {
    // Keys and names hold no character that JSON would escape.
    let body =
        format!(r#"{{"product_key":"{}","device_name":"{}"}}"#, device.product_key, device.device_name);
    send(platform, "/internal/dispatch/device", body);
}

fn send(platform: &impl Platform, path: &'static str, body: String) {
    let engine = platform.clone();
    platform.spawn(async move {
        let sent = async {
            let base = engine.variable("internal_base_url").await?;
            let token = engine.variable("internal_token").await?;
            engine.post(&format!("{}{path}", base.trim_end_matches('/')), &token, body.into_bytes()).await
        };
        match sent.await {
            Ok(200..=299) => {}
            Ok(status) => Line::of("Nudge").with("path", path).with("status", status).write(&engine),
            Err(error) => Line::of("Nudge").with("path", path).with("error", error).write(&engine),
        }
    });
}
