//! The store contract's probe, behind the adapter for wasmCloud: `POST /probe/orders`, as in `kv-probe`.
#![cfg(target_arch = "wasm32")]
#![allow(unsafe_code, reason = "the macro exports the handler by the component model's ABI")]

use http::StatusCode;
use http_body_util::BodyExt;
use ota_http::{Response, respond};
use ota_platform::wasmcloud::{Application, WasmcloudPlatform};
use ota_platform::{Platform, whole};

/// The probe asks no function of anything.
static APPLICATION: Application = Application {
    defaults: &[],
    internal: |_, _| Box::pin(async { http::Response::new(whole(Vec::new())) }),
};

#[spin_sdk::http_service]
async fn entry(request: spin_sdk::http::Request) -> Response {
    let Ok(body) = request.into_body().collect().await else {
        return respond::empty(StatusCode::BAD_REQUEST);
    };
    let Ok(orders) = serde_json::from_slice::<Vec<kv_probe::Order>>(&body.to_bytes()) else {
        return respond::empty(StatusCode::UNPROCESSABLE_ENTITY);
    };
    let platform = WasmcloudPlatform::new(&APPLICATION);
    respond::json(StatusCode::OK, &kv_probe::carry_out(platform.kv(), orders).await)
}
