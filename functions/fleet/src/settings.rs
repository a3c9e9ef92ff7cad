//! The settings of a product, and of the service.

use bytes::Bytes;
use http::StatusCode;
use ota_core::error::{Faults, ValueError};
use ota_core::ids::ProductKey;
use ota_core::product::{ProductSettings, ProductSettingsChange, ProductSettingsFields};
use ota_core::settings::{ServiceSettings, ServiceSettingsChange, ServiceSettingsFields};
use ota_http::{Problem, Request, Response, json, respond};
use ota_platform::Platform;
use ota_store::{products, settings};
use serde::Serialize;

use crate::products::ProductJson;

#[derive(Serialize)]
pub(crate) struct ProductSettingsJson {
    conflict_policy: &'static str,
    verification_mode: &'static str,
    forgive_source_version: bool,
    narrow_retries: bool,
    strict_retry_interval: bool,
    lenient_aliases: bool,
    editable_tags: bool,
    delta_capable: bool,
    md5_deltas: bool,
}

impl From<&ProductSettings> for ProductSettingsJson {
    fn from(settings: &ProductSettings) -> Self {
        Self {
            conflict_policy: settings.conflict_policy.as_str(),
            verification_mode: settings.verification_mode.as_str(),
            forgive_source_version: settings.forgive_source_version,
            narrow_retries: settings.narrow_retries,
            strict_retry_interval: settings.strict_retry_interval,
            lenient_aliases: settings.lenient_aliases,
            editable_tags: settings.editable_tags,
            delta_capable: settings.delta_capable,
            md5_deltas: settings.md5_deltas,
        }
    }
}

#[derive(Serialize)]
struct ServiceSettingsJson {
    package_limits: &'static str,
    fast_push: bool,
}

impl From<&ServiceSettings> for ServiceSettingsJson {
    fn from(settings: &ServiceSettings) -> Self {
        Self { package_limits: settings.package_limits.as_str(), fast_push: settings.fast_push }
    }
}

/// Joins what was read of `settings`, which a request that changes settings must have, with what the rules say of it.
fn join<T>(present: bool, reading: Faults, checked: Result<T, Faults>) -> Result<T, Problem> {
    let missing = || {
        let mut faults = Faults::new();
        faults.add("/settings", &ValueError::Missing);
        faults
    };
    json::join(reading, if present { checked } else { Err(missing()) })
}

/// `PATCH /v1/products/{product_key}`: what the request does not name stays as it is.
pub(crate) async fn change_product<P, B>(
    platform: &P,
    request: &mut Request<B>,
    key: &ProductKey,
) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let (fields, reading) = document.read(|fields, faults| {
        fields.object("settings", faults, |f, faults| ProductSettingsFields {
            conflict_policy: f.text("conflict_policy", faults),
            verification_mode: f.text("verification_mode", faults),
            forgive_source_version: f.flag("forgive_source_version", faults),
            narrow_retries: f.flag("narrow_retries", faults),
            strict_retry_interval: f.flag("strict_retry_interval", faults),
            lenient_aliases: f.flag("lenient_aliases", faults),
            editable_tags: f.flag("editable_tags", faults),
            delta_capable: f.flag("delta_capable", faults),
            md5_deltas: f.flag("md5_deltas", faults),
        })
    });
    let checked = ProductSettingsChange::check(&fields.unwrap_or_default());
    let change = join(fields.is_some(), reading, checked)?;
    let changed = products::change(platform.kv(), key, platform.now(), |product| {
        product.settings = change.of(product.settings);
        Ok(product.clone())
    });
    match changed.await?.ok_or_else(|| Problem::not_found("product"))? {
        Ok(product) => Ok(respond::json(StatusCode::OK, &ProductJson::from(&product))),
        Err(refused) => Err(Problem::of(&refused)),
    }
}

/// `GET /v1/settings`
pub(crate) async fn get<P: Platform, B>(platform: &P, request: &Request<B>) -> Result<Response, Problem> {
    request.only_query(&[])?;
    let present = settings::get(platform.kv()).await?;
    Ok(respond::json(StatusCode::OK, &ServiceSettingsJson::from(&present)))
}

/// `PATCH /v1/settings`: what the request does not name stays as it is.
pub(crate) async fn change<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let (fields, reading) = document.read(|fields, faults| {
        fields.object("settings", faults, |f, faults| ServiceSettingsFields {
            package_limits: f.text("package_limits", faults),
            fast_push: f.flag("fast_push", faults),
        })
    });
    let checked = ServiceSettingsChange::check(&fields.unwrap_or_default());
    let change = join(fields.is_some(), reading, checked)?;
    let after = settings::change(platform.kv(), &change, platform.now()).await?;
    Ok(respond::json(StatusCode::OK, &ServiceSettingsJson::from(&after)))
}
