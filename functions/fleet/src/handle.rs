//! Routes.

use bytes::Bytes;
use http::Method;
use ota_core::ids::{DeviceName, DeviceRef, ModuleName, ProductKey};
use ota_http::{Problem, Request, Response};
use ota_platform::{Platform, serve};

use crate::{devices, products, security, settings, statistics, sub_devices};

/// Answers a request.
pub async fn handle<P, B>(platform: &P, request: http::Request<B>) -> Response
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    serve::operator(platform, request, route).await
}

async fn route<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let method = request.method.clone();
    let segments = request.segments.clone();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (&method, path.as_slice()) {
        (&Method::POST, ["v1", "products"]) => products::create(platform, request).await,
        (&Method::GET, ["v1", "products"]) => products::list(platform, request).await,
        (&Method::GET, ["v1", "products", key]) => products::get(platform, &product_key(key)?).await,
        (&Method::PATCH, ["v1", "products", key]) => {
            settings::change_product(platform, request, &product_key(key)?).await
        }
        (&Method::POST, ["v1", "products", key, "modules"]) => {
            products::add_module(platform, request, &product_key(key)?).await
        }
        (&Method::PATCH, ["v1", "products", key, "modules", name]) => {
            products::change_module(platform, request, &product_key(key)?, &module_name(name)?).await
        }
        (&Method::DELETE, ["v1", "products", key, "modules", name]) => {
            products::remove_module(platform, &product_key(key)?, &module_name(name)?).await
        }
        (&Method::GET, ["v1", "products", key, "security"]) => {
            security::get(platform, request, &product_key(key)?).await
        }
        (&Method::PUT, ["v1", "products", key, "security"]) => {
            security::put(platform, request, &product_key(key)?).await
        }
        (&Method::POST, ["v1", "products", key, "devices"]) => {
            devices::register(platform, request, &product_key(key)?).await
        }
        (&Method::GET, ["v1", "products", key, "devices"]) => {
            devices::list(platform, request, &product_key(key)?).await
        }
        (&Method::GET, ["v1", "products", key, "devices", name]) => {
            devices::get(platform, &device_ref(key, name)?).await
        }
        (&Method::GET, ["v1", "products", key, "devices", name, "versions"]) => {
            devices::versions(platform, request, &device_ref(key, name)?).await
        }
        (&Method::PATCH, ["v1", "products", key, "devices", name]) => {
            devices::change(platform, request, &device_ref(key, name)?).await
        }
        (&Method::GET, ["v1", "products", key, "devices", name, "tasks"]) => {
            devices::unfinished(platform, request, &device_ref(key, name)?).await
        }
        (&Method::GET, ["v1", "products", key, "versions"]) => {
            statistics::versions(platform, request, &product_key(key)?).await
        }
        (&Method::DELETE, ["v1", "products", key, "devices", name]) => {
            devices::remove(platform, &device_ref(key, name)?).await
        }
        (&Method::GET, ["v1", "settings"]) => settings::get(platform, request).await,
        (&Method::PATCH, ["v1", "settings"]) => settings::change(platform, request).await,
        (&Method::POST, ["v1", "products", key, "devices", name, "sub-devices"]) => {
            sub_devices::add(platform, request, &device_ref(key, name)?).await
        }
        (&Method::GET, ["v1", "products", key, "devices", name, "sub-devices"]) => {
            sub_devices::list(platform, request, &device_ref(key, name)?).await
        }
        (&Method::DELETE, ["v1", "products", key, "devices", name, "sub-devices", sub_key, sub_name]) => {
            let (gateway, sub_device) = (device_ref(key, name)?, device_ref(sub_key, sub_name)?);
            sub_devices::remove(platform, request, &gateway, &sub_device).await
        }
        _ => Err(Problem::no_route()),
    }
}

/// A key that no product can have is one that no product has.
fn product_key(text: &str) -> Result<ProductKey, Problem> {
    ProductKey::new(text).map_err(|_| Problem::not_found("product"))
}

fn module_name(text: &str) -> Result<ModuleName, Problem> {
    ModuleName::new(text).map_err(|_| Problem::not_found("module"))
}

fn device_ref(key: &str, name: &str) -> Result<DeviceRef, Problem> {
    let device_name = DeviceName::new(name).map_err(|_| Problem::not_found("device"))?;
    Ok(DeviceRef { product_key: product_key(key)?, device_name })
}
