//! Packages, which the vendor's API calls firmware.

use ota_core::cloud::encode;
use ota_core::limits;
use ota_platform::Platform;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, data, page_of};
use crate::jobs::utc;
use crate::refusal::Refusal;

/// The vendor's code for a package that is not there.
pub(crate) const UNKNOWN: &str = "iot.firmware.FirmwareNotFound";

/// Returns the id of the upload that a `FirmwareUrl` or `DnListFileUrl` names: `upload:` and the id.
pub(crate) fn upload_id(url: &str) -> &str {
    url.strip_prefix("upload:").unwrap_or(url)
}

/// Returns a package.
pub(crate) async fn get<P: Platform>(call: &Call<'_, P>, id: &str) -> Result<Value, Refusal> {
    call.rest.get(&format!("/v1/packages/{}", encode(id))).await.map_err(call.refuse(UNKNOWN))
}

/// Refuses a package that is not there, or is of another product.
pub(crate) async fn of_product<P: Platform>(
    call: &Call<'_, P>,
    id: &str,
    product: &str,
) -> Result<(), Refusal> {
    if get(call, id).await?["product_key"] == product {
        return Ok(());
    }
    let message = "the firmware belongs to another product";
    Err(Refusal::new("iot.firmware.FirmwareAndProductKeyMismatch", message))
}

/// Writes a package.
fn render(package: &Value) -> Map<String, Value> {
    let status = match package["verification"]["status"].as_str() {
        Some("not-needed") => -1,
        Some("verified") => 1,
        Some("verifying") => 2,
        Some("failed") => 3,
        _ => 0,
    };
    let told = json!({
        "FirmwareId": package["package_id"],
        "FirmwareName": package["name"],
        "ProductKey": package["product_key"],
        "ModuleName": package["module"],
        "Type": i32::from(package["kind"] == "delta"),
        "SrcVersion": package["source_version"],
        "DestVersion": package["target_version"],
        "SignMethod": package["digest_algorithm"],
        "FirmwareSign": package["digest"],
        "FirmwareSize": package["size"],
        "FirmwareDesc": package["description"],
        "Udi": package["udi"],
        "Status": status,
        "UtcCreate": utc(&package["created_at"]),
        "UtcModified": utc(&package["created_at"]),
    });
    match told {
        Value::Object(told) => told.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}

/// `CreateOTAFirmware`, of a file that was uploaded before.
pub(crate) async fn create<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    call.need(["FirmwareName", "DestVersion"])?;
    let several: Vec<Value> = call
        .parameters
        .objects("MultiFiles")
        .map(|file| {
            let size =
                file.get("Size").map(|size| size.parse::<u64>().map_or_else(|_| (*size).into(), Value::from));
            json!({
                "name": file.get("Name"),
                "upload_id": file.get("Url").map(|url| upload_id(url)),
                "size": size,
                "digest": file.get("SignValue").or(file.get("FileMd5")),
            })
        })
        .collect();
    if several.is_empty() {
        call.need(["FirmwareUrl"])?;
    }
    let kind = match call.get("Type").unwrap_or("0") {
        "0" => "full",
        "1" => "delta",
        other => other,
    };
    let body = json!({
        "product_key": call.text("ProductKey"),
        "name": call.text("FirmwareName"),
        "module": call.text("ModuleName"),
        "kind": kind,
        "source_version": call.text("SrcVersion"),
        "target_version": call.text("DestVersion"),
        "digest_algorithm": call.get("SignMethod").unwrap_or("MD5"),
        "digest": call.text("FirmwareSign"),
        "size": call.number("FirmwareSize"),
        "description": call.text("FirmwareDesc"),
        "needs_verification": call.flag("NeedToVerify"),
        "udi": call.text("Udi"),
        "upload_id": call.get("FirmwareUrl").map(upload_id),
        "files": if several.is_empty() { Value::Null } else { several.into() },
    });
    let made = call.rest.post("/v1/packages", &body).await.map_err(call.refuse(UNKNOWN))?;
    Ok(data(json!({"FirmwareId": made["package_id"], "UtcCreate": utc(&made["created_at"])})))
}

/// `QueryOTAFirmware`: with URLs to download it from.
pub(crate) async fn query<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let [id] = call.need(["FirmwareId"])?;
    let package = get(call, id).await?;
    let path = |verb: &str| format!("/v1/packages/{}/{verb}", encode(id));
    let urls = call.rest.get(&path("download_url")).await.map_err(call.refuse(UNKNOWN))?;
    let trial = call.rest.get(&path("verification")).await.map_err(call.refuse(UNKNOWN))?;
    let product = encode(package["product_key"].as_str().unwrap_or_default());
    let product = call.rest.get(&format!("/v1/products/{product}")).await.map_err(call.refuse(UNKNOWN))?;
    let mut told = render(&package);
    told.insert("ProductName".into(), product["name"].clone());
    told.insert("VerifyProgress".into(), trial["progress_percent"].clone());
    if let Some(url) = urls["url"].as_str() {
        told.insert("FirmwareUrl".into(), url.into());
    }
    let files = package["files"].as_array().map(Vec::as_slice).unwrap_or_default();
    let urls = urls["files"].as_array().map(Vec::as_slice).unwrap_or_default();
    let files = files.iter().zip(urls).map(|(file, url)| {
        json!({
            "Name": file["name"],
            "Url": url["url"],
            "Size": file["size"],
            "FileMd5": file["md5"],
            "SignValue": file["digest"],
        })
    });
    let files: Vec<Value> = files.collect();
    if !files.is_empty() {
        told.insert("MultiFiles".into(), json!({"MultiFiles": files}));
    }
    Ok([("FirmwareInfo".to_owned(), told.into())].into_iter().collect())
}

/// `ListOTAFirmware`: the newest first (R180).
pub(crate) async fn list<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let [current, size] = call.need(["CurrentPage", "PageSize"])?;
    let page = call.page(current, size, limits::CLOUD_PAGE_MAX)?;
    let mut path = format!("/v1/packages?limit={}", limits::PAGE_SIZE_MAX);
    for (name, filter) in [("ProductKey", "product_key"), ("DestVersion", "target_version")] {
        if let Some(value) = call.get(name) {
            path.push_str(&format!("&{filter}={}", encode(value)));
        }
    }
    let all = call.rest.all(&path).await.map_err(call.refuse(UNKNOWN))?;
    let shown: Vec<Value> =
        all.iter().skip(page.skip()).take(page.size).map(|package| render(package).into()).collect();
    Ok(page_of(page, all.len(), "FirmwareInfo", json!({"SimpleFirmwareInfo": shown})))
}

/// `DeleteOTAFirmware`
pub(crate) async fn delete<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    let [id] = call.need(["FirmwareId"])?;
    let path = format!("/v1/packages/{}", encode(id));
    call.rest.delete(&path).await.map_err(call.refuse(UNKNOWN))?;
    Ok(Answer::new())
}
