//! Devices.

use bytes::Bytes;
use http::StatusCode;
use ota_core::device::{Device, DeviceSecret, ModuleVersion, Region};
use ota_core::error::{Faults, ValueError};
use ota_core::ids::{BatchId, DeviceName, DeviceRef, ModuleName, ProductKey};
use ota_core::limits;
use ota_core::task::{TaskEvent, TaskStatus};
use ota_core::time::Timestamp;
use ota_http::wire::{RegionJson, TaskJson};
use ota_http::{Problem, Request, Response, json, page, respond};
use ota_platform::Platform;
use ota_store::devices::NewDevice;
use ota_store::shard::Brief;
use ota_store::{StoreError, batches, devices, keys, shards};
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
    region: Option<RegionJson>,
    tasks: Vec<TaskJson>,
}

#[derive(Serialize)]
struct VersionJson {
    module: String,
    version: String,
    reported_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
}

impl From<&ModuleVersion> for VersionJson {
    fn from(v: &ModuleVersion) -> Self {
        Self {
            module: v.module.to_string(),
            version: v.version.to_string(),
            reported_at: v.reported_at.0,
            previous: v.previous.as_ref().map(ToString::to_string),
        }
    }
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
    fn new(product: &ProductKey, device: &Device, briefs: &[Brief], now: Timestamp) -> Self {
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
            versions: device.versions.iter().map(VersionJson::from).collect(),
            region: device.region.as_ref().map(RegionJson::from),
            tasks: active_tasks(product, device, briefs, now).collect(),
        }
    }
}

/// Renders the tasks a device is in.
fn active_tasks(
    product: &ProductKey,
    device: &Device,
    briefs: &[Brief],
    now: Timestamp,
) -> impl Iterator<Item = TaskJson> {
    device.tasks.iter().filter_map(move |task| {
        let brief = briefs.iter().find(|brief| brief.batch_id == task.batch_id)?;
        Some(TaskJson::of_device(product, device, task, brief, now))
    })
}

/// What a request says of a region: its province and city.
type RegionFields<'a> = Option<(Option<&'a str>, Option<&'a str>)>;

fn read_region<'a>(fields: &mut json::Fields<'a>, faults: &mut Faults) -> RegionFields<'a> {
    fields.object("region", faults, |region, faults| {
        (region.text("province", faults), region.text("city", faults))
    })
}

fn check_region(region: RegionFields<'_>, pointer: &str, faults: &mut Faults) -> Option<Region> {
    let (province, city) = region?;
    faults.take(pointer, province.ok_or(ValueError::Missing).and_then(|province| Region::new(province, city)))
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
            (device.text("name", faults), device.text("secret", faults), read_region(device, faults))
        })
    });
    let random = || DeviceSecret::from_random(platform.random());
    let new = json::join(reading, check(&listed.unwrap_or_default(), random))?;
    request.about.names(new.iter().map(|device| &device.name));
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
    listed: &[(Option<&str>, Option<&str>, RegionFields<'_>)],
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
    for (index, (name, secret, region)) in listed.iter().enumerate() {
        let pointer = format!("/devices/{index}/name");
        let name = faults.take(&pointer, name.ok_or(ValueError::Missing).and_then(DeviceName::new));
        let secret =
            secret.map(|text| faults.take(&format!("/devices/{index}/secret"), DeviceSecret::new(text)));
        let region = check_region(*region, &format!("/devices/{index}/region"), &mut faults);
        let Some(name) = name else { continue };
        if !names.insert(name.clone()) {
            faults.add(&pointer, &ValueError::Duplicate { item: name.to_string() });
        }
        new.push(NewDevice { name, secret: secret.flatten(), made_secret: random(), region });
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
            items.push(DeviceJson::new(product, device, &shard.briefs, platform.now()));
        }
        (at, after) = (at + 1, String::new());
    }
    let next_cursor = (at < shape.shards).then(|| format!("{at}."));
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }))
}

/// `GET /v1/products/{product_key}/devices/{name}`
pub(crate) async fn get<P: Platform>(platform: &P, device: &DeviceRef) -> Result<Response, Problem> {
    let found = devices::find(platform.kv(), device, platform.now()).await?;
    let (found, briefs) = found.ok_or_else(|| Problem::not_found("device"))?;
    let told = DeviceJson::new(&device.product_key, &found, &briefs, platform.now());
    Ok(respond::json(StatusCode::OK, &told))
}

/// `PATCH /v1/products/{product_key}/devices/{name}`: sets where the device is, or with `null` that it is not known (R72).
pub(crate) async fn change<P, B>(
    platform: &P,
    request: &mut Request<B>,
    device: &DeviceRef,
) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let (region, reading) = document.read(|fields, faults| {
        if fields.said("region").is_none() {
            faults.add("/region", &ValueError::Missing);
        }
        read_region(fields, faults)
    });
    let mut rules = Faults::new();
    let region = check_region(region, "/region", &mut rules);
    json::join(reading, rules.into_result())?;
    let changed = devices::update(platform.kv(), device, platform.now(), |found, _| {
        let changed = found.region != region;
        found.region.clone_from(&region);
        (changed, ())
    });
    changed.await?.ok_or_else(|| Problem::not_found("device"))?;
    get(platform, device).await
}

/// `GET /v1/products/{product_key}/devices/{name}/tasks`: the tasks that have not ended, by module and status (R176).
pub(crate) async fn unfinished<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    device: &DeviceRef,
) -> Result<Response, Problem> {
    request.only_query(&["module", "status"])?;
    let mut faults = Faults::new();
    let statuses: Vec<TaskStatus> = request
        .query("status")
        .into_iter()
        .flat_map(|text| text.split(','))
        .filter_map(|text| {
            let active = TaskStatus::parse(text).filter(|status| !status.is_terminal());
            let allowed = "unconfirmed, queued, notified, in-progress";
            faults.take("query:status", active.ok_or(ValueError::NotOneOf { allowed }))
        })
        .collect();
    let module = request.query("module").and_then(|text| faults.take("query:module", ModuleName::new(text)));
    faults.into_result()?;
    let found = devices::find(platform.kv(), device, platform.now()).await?;
    let (found, briefs) = found.ok_or_else(|| Problem::not_found("device"))?;
    let wanted = |task: &TaskJson| {
        let status = TaskStatus::parse(task.status);
        module.as_ref().is_none_or(|module| task.module == module.as_str())
            && (statuses.is_empty() || status.is_some_and(|status| statuses.contains(&status)))
    };
    let tasks = active_tasks(&device.product_key, &found, &briefs, platform.now());
    let items: Vec<TaskJson> = tasks.filter(wanted).collect();
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor: None }))
}

/// `GET /v1/products/{product_key}/devices/{name}/versions`: what its modules run, by the module's name (R175).
pub(crate) async fn versions<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    device: &DeviceRef,
) -> Result<Response, Problem> {
    request.only_query(&["limit", "cursor"])?;
    let limit = page::limit(request)?;
    let after = page::cursor(request, |text| ModuleName::new(text).ok())?;
    let found = devices::find(platform.kv(), device, platform.now()).await?;
    let (found, _) = found.ok_or_else(|| Problem::not_found("device"))?;
    let mut rest: Vec<&ModuleVersion> =
        found.versions.iter().filter(|v| after.as_ref().is_none_or(|after| v.module > *after)).collect();
    rest.sort_by(|a, b| a.module.cmp(&b.module));
    let next_cursor = rest.get(limit).and(rest.get(limit - 1)).map(|last| last.module.to_string());
    let items: Vec<_> = rest.into_iter().take(limit).map(VersionJson::from).collect();
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }))
}

/// How often a device that gets another task while it is deleted is tried to be freed of it. A batch reaches a device once,
/// so that two in a row are bad luck already.
const FREE_TRIES_MAX: u32 = 8;

/// `DELETE /v1/products/{product_key}/devices/{name}`: its task is canceled (T21).
///
/// First the task ends and is written into its batch's history, then the device goes; if the process dies between, the
/// request can be sent again. A batch may reach the device in between, and then its task ends likewise.
pub(crate) async fn remove<P: Platform>(platform: &P, device: &DeviceRef) -> Result<Response, Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    free(platform, device).await?;
    sub_devices::forget(platform, device).await?;
    for _ in 0..FREE_TRIES_MAX {
        // That it is gone by now is as good.
        if devices::remove(kv, device, now).await?.unwrap_or(true) {
            return Ok(respond::empty(StatusCode::NO_CONTENT));
        }
        free(platform, device).await?;
    }
    Err(StoreError::Contention { key: keys::fleet(&device.product_key) }.into())
}

/// Ends the tasks of a device, and writes them into their batches' histories.
async fn free<P: Platform>(platform: &P, device: &DeviceRef) -> Result<(), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let unknown = || Problem::not_found("device");
    devices::update(kv, device, now, |found, beside| {
        let ids: Vec<BatchId> = found.tasks.iter().map(|task| task.batch_id).collect();
        let mut ended = false;
        for brief in ids.into_iter().filter_map(|id| beside.brief(id)) {
            ended |= found.apply(brief.batch_id, &TaskEvent::DeviceDeleted, &brief.policy, now);
        }
        (ended, ())
    })
    .await?
    .ok_or_else(unknown)?;
    batches::record_shard_of(kv, device, now).await?.ok_or_else(unknown)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_list_of_devices_is_told_at_once() {
        let listed = [
            (Some("ok-1"), None, None),
            (Some("no"), None, None),
            (None, Some(""), None),
            (Some("ok-1"), None, None),
        ];
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
