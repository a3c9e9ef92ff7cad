//! Sub-devices: which devices stand behind a gateway (R168).
//!
//! A device that is taken away loses the gateway's connection at once: the broker is told. The store comes first, so a
//! broker that cannot be reached leaves nothing half done but that, and the same request made again does it.

use bytes::Bytes;
use http::StatusCode;
use ota_core::device::message::gateway::{Verb, attachment_topic, render_attachment};
use ota_core::error::{Faults, ValueError};
use ota_core::ids::{DeviceName, DeviceRef, ProductKey};
use ota_core::limits;
use ota_http::{Problem, Request, Response, json, page, respond};
use ota_platform::tell::tell;
use ota_platform::{Message, Platform};
use ota_store::{devices, topology};
use serde::Serialize;

/// Where a request lists sub-devices.
const POINTER: &str = "/sub_devices";

#[derive(Serialize)]
struct SubDeviceJson {
    product_key: String,
    name: String,
}

/// `POST /v1/products/{product_key}/devices/{name}/sub-devices`
pub(crate) async fn add<P, B>(
    platform: &P,
    request: &mut Request<B>,
    gateway: &DeviceRef,
) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let (listed, reading) = document.read(|fields, faults| {
        fields.objects("sub_devices", faults, |device, faults| {
            (device.text("product_key", faults), device.text("name", faults))
        })
    });
    let sub_devices = json::join(reading, check(&listed.unwrap_or_default()))?;
    known(platform, gateway).await?;
    let visible = |device: &DeviceRef| request.caller.may_touch(&device.product_key);
    let added = topology::add(platform.kv(), gateway, &sub_devices, POINTER, platform.now(), visible);
    added.await?.map_err(|faults| discreet(faults, request))?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// A caller who is bound to products is not told of a gateway, which may be another product's.
fn discreet<B>(mut faults: Faults, request: &Request<B>) -> Faults {
    let names_gateway = |code| matches!(code, "device.has-gateway" | "device.is-sub-device");
    for fault in faults.0.iter_mut().filter(|fault| request.caller.is_bound() && names_gateway(fault.code)) {
        fault.detail = "a device stands behind a gateway already".to_owned();
    }
    faults
}

fn check(listed: &[(Option<&str>, Option<&str>)]) -> Result<Vec<DeviceRef>, Faults> {
    let mut faults = Faults::new();
    let (count, max) = (listed.len(), limits::SUB_DEVICES_PER_REQUEST_MAX);
    if count == 0 {
        faults.add(POINTER, &ValueError::Missing);
    }
    if count > max {
        faults.add(POINTER, &ValueError::TooMany { count, max });
        return Err(faults);
    }
    let mut sub_devices: Vec<DeviceRef> = Vec::with_capacity(count);
    for (index, (product_key, name)) in listed.iter().enumerate() {
        let at = |field: &str| format!("{POINTER}/{index}{field}");
        let key = product_key.ok_or(ValueError::Missing).and_then(ProductKey::new);
        let name = name.ok_or(ValueError::Missing).and_then(DeviceName::new);
        let pair = (faults.take(&at("/product_key"), key), faults.take(&at("/name"), name));
        let (Some(product_key), Some(device_name)) = pair else { continue };
        let device = DeviceRef { product_key, device_name };
        if sub_devices.contains(&device) {
            faults.add(&at(""), &ValueError::Duplicate { item: device.to_string() });
        }
        sub_devices.push(device);
    }
    faults.into_result().map(|()| sub_devices)
}

/// `GET /v1/products/{product_key}/devices/{name}/sub-devices`
pub(crate) async fn list<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    gateway: &DeviceRef,
) -> Result<Response, Problem> {
    request.only_query(&["limit", "cursor"])?;
    let limit = page::limit(request)?;
    let from: usize = page::cursor(request, |text| text.parse().ok())?.unwrap_or(0);
    known(platform, gateway).await?;
    let (found, has_more) = topology::sub_devices(platform.kv(), gateway, from, limit).await?;
    let mine = found.iter().filter(|device| request.caller.may_touch(&device.product_key));
    let items = mine.map(|device| SubDeviceJson {
        product_key: device.product_key.to_string(),
        name: device.device_name.to_string(),
    });
    let next_cursor = has_more.then(|| from.saturating_add(limit).to_string());
    Ok(respond::json(StatusCode::OK, &page::Page { items: items.collect(), next_cursor }))
}

/// `DELETE /v1/products/{product_key}/devices/{name}/sub-devices/{sub_product_key}/{sub_name}`
///
/// That the device is not there, or no longer, is as good: a request whose answer was lost can be made again.
pub(crate) async fn remove<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    gateway: &DeviceRef,
    sub_device: &DeviceRef,
) -> Result<Response, Problem> {
    known(platform, gateway).await?;
    if !request.caller.may_touch(&sub_device.product_key) {
        return Ok(respond::empty(StatusCode::NO_CONTENT));
    }
    topology::remove(platform.kv(), gateway, sub_device, platform.now()).await?;
    detach(platform, &[(gateway, std::slice::from_ref(sub_device))]).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// Takes a device that is about to be deleted from its gateway, or its sub-devices from it.
pub(crate) async fn forget<P: Platform>(platform: &P, device: &DeviceRef) -> Result<(), Problem> {
    let place = topology::find(platform.kv(), device).await?;
    let mut gone = Vec::with_capacity(2);
    if let Some(gateway) = &place.gateway {
        gone.push((gateway, std::slice::from_ref(device)));
    }
    if !place.sub_devices.is_empty() {
        gone.push((device, place.sub_devices.as_slice()));
    }
    if gone.is_empty() {
        return Ok(());
    }
    // The broker first: afterwards nothing in the store says any more whom it should be told of.
    detach(platform, &gone).await?;
    topology::forget(platform.kv(), device, platform.now()).await?;
    Ok(())
}

async fn known<P: Platform>(platform: &P, device: &DeviceRef) -> Result<(), Problem> {
    let found = devices::find(platform.kv(), device, platform.now()).await?;
    found.map(|_| ()).ok_or_else(|| Problem::not_found("device"))
}

/// Tells the broker which gateways no longer carry which devices.
async fn detach<P: Platform>(platform: &P, gone: &[(&DeviceRef, &[DeviceRef])]) -> Result<(), Problem> {
    let messages: Vec<Message> = gone
        .iter()
        .map(|(gateway, devices)| {
            Message::new(attachment_topic(gateway), render_attachment(Verb::Logout, devices).into_bytes())
        })
        .collect();
    tell(platform, &messages).await
}
