//! Devices.

use bytes::Bytes;
use http::StatusCode;
use ota_core::device::{Device, DeviceSecret};
use ota_core::error::{Faults, ValueError};
use ota_core::ids::{DeviceName, DeviceRef, ProductKey};
use ota_core::limits;
use ota_core::task::TaskEvent;
use ota_http::wire::TaskJson;
use ota_http::{Problem, Request, Response, json, page, respond};
use ota_platform::Platform;
use ota_store::devices::NewDevice;
use ota_store::shard::Brief;
use ota_store::{batches, devices, shards};
use serde::Serialize;

use crate::sub_devices;

#[derive(Serialize)]
struct DeviceJson {
    product_key: String,
    name: String,
    state: &'static str,
    created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    activated_at: Option<u64>,
    versions: Vec<VersionJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<TaskJson>,
}

#[derive(Serialize)]
struct VersionJson {
    module: String,
    version: String,
    reported_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
}

#[derive(Serialize)]
struct RegisteredJson {
    devices: Vec<CredentialJson>,
}

#[derive(Serialize)]
struct CredentialJson {
    name: String,
    secret: String,
}

impl DeviceJson {
    fn new(product: &ProductKey, device: &Device, brief: Option<&Brief>) -> Self {
        let state = match (&device.session, device.activated_at) {
            (Some(_), _) => "online",
            (None, Some(_)) => "offline",
            (None, None) => "unactive",
        };
        Self {
            product_key: product.to_string(),
            name: device.name.to_string(),
            state,
            created_at: device.created_at.0,
            activated_at: device.activated_at.map(|at| at.0),
            versions: device
                .versions
                .iter()
                .map(|v| VersionJson {
                    module: v.module.to_string(),
                    version: v.version.to_string(),
                    reported_at: v.reported_at.0,
                    previous: v.previous.as_ref().map(ToString::to_string),
                })
                .collect(),
            task: brief.and_then(|brief| TaskJson::of_device(product, device, brief)),
        }
    }
}

/// `POST /v1/products/{product_key}/devices`
pub(crate) async fn register<P, B>(
    platform: &P,
    request: &mut Request<B>,
    product: &ProductKey,
) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let (listed, reading) = document.read(|fields, faults| {
        fields.objects("devices", faults, |device, faults| {
            (device.text("name", faults), device.text("secret", faults))
        })
    });
    let random = || DeviceSecret::from_random(platform.random());
    let new = json::join(reading, check(&listed.unwrap_or_default(), random))?;
    let registered = devices::register(platform.kv(), product, &new, platform.now()).await?;
    let registered = registered.ok_or_else(|| Problem::not_found("product"))?;
    let mut faults = Faults::new();
    let mut answer = RegisteredJson { devices: Vec::with_capacity(new.len()) };
    for (index, (device, outcome)) in new.iter().zip(registered).enumerate() {
        if let Some(secret) = faults.take(&format!("/devices/{index}/name"), outcome) {
            let secret = secret.reveal().to_owned();
            answer.devices.push(CredentialJson { name: device.name.to_string(), secret });
        }
    }
    faults.into_result()?;
    Ok(respond::json(StatusCode::CREATED, &answer))
}

fn check(
    listed: &[(Option<&str>, Option<&str>)],
    mut random: impl FnMut() -> DeviceSecret,
) -> Result<Vec<NewDevice>, Faults> {
    let mut faults = Faults::new();
    let (count, max) = (listed.len(), limits::REGISTER_DEVICES_MAX);
    if count == 0 {
        faults.add("/devices", &ValueError::Missing);
    }
    if count > max {
        faults.add("/devices", &ValueError::TooMany { count, max });
        return Err(faults);
    }
    let mut names = std::collections::BTreeSet::new();
    let mut new = Vec::with_capacity(count);
    for (index, (name, secret)) in listed.iter().enumerate() {
        let pointer = format!("/devices/{index}/name");
        let name = faults.take(&pointer, name.ok_or(ValueError::Missing).and_then(DeviceName::new));
        let secret =
            secret.map(|text| faults.take(&format!("/devices/{index}/secret"), DeviceSecret::new(text)));
        let Some(name) = name else { continue };
        if !names.insert(name.clone()) {
            faults.add(&pointer, &ValueError::Duplicate { item: name.to_string() });
        }
        new.push(NewDevice { name, secret: secret.flatten(), made_secret: random() });
    }
    faults.into_result().map(|()| new)
}

/// `GET /v1/products/{product_key}/devices`: shard by shard, so a page may be shorter than asked for.
pub(crate) async fn list<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    product: &ProductKey,
) -> Result<Response, Problem> {
    request.only_query(&["limit", "cursor"])?;
    let limit = page::limit(request)?;
    let cursor = page::cursor(request, |text| {
        let (shard, after) = text.split_once('.')?;
        Some((shard.parse::<u32>().ok()?, after.to_owned()))
    })?;
    let (mut at, mut after) = cursor.unwrap_or_default();
    let shape = shards::shape(platform.kv(), product).await?.ok_or_else(|| Problem::not_found("product"))?;
    let mut items = Vec::new();
    while at < shape.shards && items.len() < limit {
        let shard = shards::load_shard(platform.kv(), product, at).await?.unwrap_or_default();
        let devices = shard.devices().map_err(|e| Problem::new("store.corrupt", e.to_string()))?;
        for device in devices.iter().filter(|device| device.name.as_str() > after.as_str()) {
            if items.len() >= limit {
                let last: Option<&DeviceJson> = items.last();
                let next_cursor = last.map(|last| format!("{at}.{}", last.name));
                return Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }));
            }
            let brief = device.task.as_ref().and_then(|task| shard.brief(task.batch_id));
            items.push(DeviceJson::new(product, device, brief));
        }
        (at, after) = (at + 1, String::new());
    }
    let next_cursor = (at < shape.shards).then(|| format!("{at}."));
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }))
}

/// `GET /v1/products/{product_key}/devices/{name}`
pub(crate) async fn get<P: Platform>(platform: &P, device: &DeviceRef) -> Result<Response, Problem> {
    let found = devices::find(platform.kv(), device, platform.now()).await?;
    let (found, brief) = found.ok_or_else(|| Problem::not_found("device"))?;
    Ok(respond::json(StatusCode::OK, &DeviceJson::new(&device.product_key, &found, brief.as_ref())))
}

/// `DELETE /v1/products/{product_key}/devices/{name}`: its task is canceled (T21).
///
/// First the task ends and is written into its batch's history, then the device goes; if the process dies between, the
/// request can be sent again.
pub(crate) async fn remove<P: Platform>(platform: &P, device: &DeviceRef) -> Result<Response, Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let unknown = || Problem::not_found("device");
    devices::update(kv, device, now, |found, brief| {
        let ended = brief
            .is_some_and(|brief| found.apply(brief.batch_id, &TaskEvent::DeviceDeleted, &brief.policy, now));
        (ended, ())
    })
    .await?
    .ok_or_else(unknown)?;
    let (shard, _) =
        shards::load_for(kv, &device.product_key, &device.device_name, now).await?.ok_or_else(unknown)?;
    batches::record_shard(kv, &device.product_key, shard, now).await?;
    sub_devices::forget(platform, device).await?;
    devices::remove(kv, device, now).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_list_of_devices_is_told_at_once() {
        let listed = [(Some("ok-1"), None), (Some("no"), None), (None, Some("")), (Some("ok-1"), None)];
        let faults = check(&listed, || DeviceSecret::from_random([0; 16])).unwrap_err();
        let told: Vec<_> = faults.0.iter().map(|f| (f.pointer.as_str(), f.code)).collect();
        let expected = [
            ("/devices/1/name", "value.length"),
            ("/devices/2/name", "value.missing"),
            ("/devices/2/secret", "value.length"),
            ("/devices/3/name", "value.duplicate"),
        ];
        assert_eq!(told, expected);
    }
}
