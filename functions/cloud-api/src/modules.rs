//! Modules of a product, and what devices run on theirs.

use ota_core::cloud::{encode, render_gmt};
use ota_core::event::iot_id;
use ota_core::ids::{DeviceName, DeviceRef, ProductKey};
use ota_core::limits;
use ota_core::time::Timestamp;
use ota_platform::Platform;
use serde_json::{Value, json};

use crate::call::{Answer, Call, data, page_of};
use crate::refusal::Refusal;
use crate::tasks::{UNKNOWN_DEVICE, device_path};

/// The vendor's code for a product that is not there.
const UNKNOWN_PRODUCT: &str = "iot.prod.NotExistedProduct";

/// Returns the path of a product's modules, and the name of the one that a request is about.
fn named<'a, P: Platform>(call: &Call<'a, P>) -> Result<(String, &'a str), Refusal> {
    let [product, name] = call.need(["ProductKey", "ModuleName"])?;
    Ok((format!("/v1/products/{}/modules", encode(product)), name))
}

/// `CreateOTAModule`
pub(crate) async fn create<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let (path, name) = named(call)?;
    let body = json!({"name": name, "alias": call.text("AliasName"), "description": call.text("Desc")});
    call.rest.post(&path, &body).await.map_err(call.refuse(UNKNOWN_PRODUCT))?;
    Ok(Answer::new())
}

/// `UpdateOTAModule`
pub(crate) async fn update<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let (path, name) = named(call)?;
    let body = json!({"alias": call.text("AliasName"), "description": call.text("Desc")});
    let path = format!("{path}/{}", encode(name));
    call.rest.patch(&path, &body).await.map_err(call.refuse(UNKNOWN_PRODUCT))?;
    Ok(Answer::new())
}

/// `DeleteOTAModule`
pub(crate) async fn delete<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let (path, name) = named(call)?;
    let path = format!("{path}/{}", encode(name));
    call.rest.delete(&path).await.map_err(call.refuse(UNKNOWN_PRODUCT))?;
    Ok(Answer::new())
}

/// `ListOTAModuleByProduct`: `default` first, which every product has (R7).
pub(crate) async fn by_product<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let [product] = call.need(["ProductKey"])?;
    let path = format!("/v1/products/{}", encode(product));
    let found = call.rest.get(&path).await.map_err(call.refuse(UNKNOWN_PRODUCT))?;
    let render = |module: &Value| {
        let created = render_gmt(Timestamp(module["created_at"].as_u64().unwrap_or_default()));
        json!({
            "ProductKey": product,
            "ModuleName": module["name"],
            "AliasName": module["alias"],
            "Desc": module["description"],
            "GmtCreate": created,
            "GmtModified": created,
        })
    };
    let default = json!({
        "name": "default", "alias": "default", "description": "", "created_at": found["created_at"],
    });
    let own = found["modules"].as_array().map(Vec::as_slice).unwrap_or_default();
    let modules: Vec<Value> = std::iter::once(&default).chain(own).map(render).collect();
    Ok(data(modules.into()))
}

/// `ListOTAModuleVersionsByDevice` (R175)
pub(crate) async fn versions<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let [current, size] = call.need(["CurrentPage", "PageSize"])?;
    let page = call.page(current, size, limits::PAGE_SIZE_MAX)?;
    let path = format!("{}/versions?limit={}", device_path(call)?, limits::PAGE_SIZE_MAX);
    let all = call.rest.all(&path).await.map_err(call.refuse(UNKNOWN_DEVICE))?;
    let [product, name] = call.need(["ProductKey", "DeviceName"])?;
    let names = ProductKey::new(product).ok().zip(DeviceName::new(name).ok());
    let device = names.map(|(product_key, device_name)| DeviceRef { product_key, device_name });
    let id = device.as_ref().map(iot_id);
    let shown: Vec<Value> = all
        .iter()
        .skip(page.skip())
        .take(page.size)
        .map(|version| {
            json!({
                "IotId": id,
                "ProductKey": product,
                "DeviceName": name,
                "ModuleName": version["module"],
                "ModuleVersion": version["version"],
            })
        })
        .collect();
    Ok(page_of(page, all.len(), "Data", json!({"SimpleOTAModuleInfo": shown})))
}
