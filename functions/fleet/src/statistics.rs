//! How many devices run which version (versions by product and module).

use std::collections::BTreeMap;

use http::StatusCode;
use ota_core::error::{Faults, ValueError};
use ota_core::ids::{ModuleName, PackageId, ProductKey};
use ota_http::{Problem, Request, Response, page, respond};
use ota_platform::Platform;
use ota_store::{packages, shards};
use serde::Serialize;

/// Shards that one request counts: fleets of some ten thousand devices at once, larger ones in parts.
const COUNT_SHARDS_MAX: u32 = 256;

#[derive(Serialize)]
struct StatisticsJson {
    module: String,
    /// Devices that have told no version of the module.
    silent: u32,
    versions: Vec<VersionCountJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct VersionCountJson {
    version: String,
    devices: u32,
}

/// `GET /v1/products/{product_key}/versions`: of one module, with `package_id` without that package's target version, as it
/// is no version to upgrade from (R47). A large fleet is counted in parts, to be added up.
pub(crate) async fn versions<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    product: &ProductKey,
) -> Result<Response, Problem> {
    request.only_query(&["module", "package_id", "cursor"])?;
    let first = page::cursor(request, |text| text.parse::<u32>().ok())?.unwrap_or(0);
    let mut faults = Faults::new();
    let package = match request.query("package_id") {
        None => None,
        Some(text) => {
            let found = match text.parse::<PackageId>() {
                Ok(id) => packages::get(platform.kv(), id).await?,
                Err(_) => None,
            };
            let package = found.map(|stored| stored.package).filter(|found| found.product_key == *product);
            let expected = "the id of a package of this product";
            faults.take("query:package_id", package.ok_or(ValueError::Malformed { expected }))
        }
    };
    let module = match (request.query("module"), &package) {
        (Some(text), _) => faults.take("query:module", ModuleName::new(text)),
        (None, Some(package)) => Some(package.module.clone()),
        (None, None) => Some(ModuleName::default_module()),
    };
    faults.into_result()?;
    let module = module.unwrap_or_else(ModuleName::default_module);
    let shape = shards::shape(platform.kv(), product).await?.ok_or_else(|| Problem::not_found("product"))?;
    let last = shape.shards.min(first.saturating_add(COUNT_SHARDS_MAX));
    let (mut counts, mut silent) = (BTreeMap::<String, u32>::new(), 0);
    for at in first..last {
        let shard = shards::load_shard(platform.kv(), product, at).await?.unwrap_or_default();
        for device in shard.devices().map_err(|error| Problem::new("store.corrupt", error.to_string()))? {
            match device.version_of(&module) {
                Some(version) => *counts.entry(version.to_string()).or_default() += 1,
                None => silent += 1,
            }
        }
    }
    if let Some(package) = package {
        counts.remove(package.target_version.as_str());
    }
    let mut versions: Vec<VersionCountJson> =
        counts.into_iter().map(|(version, devices)| VersionCountJson { version, devices }).collect();
    versions.sort_by(|a, b| b.devices.cmp(&a.devices).then_with(|| a.version.cmp(&b.version)));
    let next_cursor = (last < shape.shards).then(|| last.to_string());
    let told = StatisticsJson { module: module.to_string(), silent, versions, next_cursor };
    Ok(respond::json(StatusCode::OK, &told))
}
