//! Products, modules, devices and settings: the REST functions an operator keeps a fleet with.

mod devices;
mod handle;
mod products;
mod security;
mod settings;
mod statistics;
mod sub_devices;

pub use handle::handle;

#[cfg(all(feature = "entry", target_arch = "wasm32"))]
#[allow(unsafe_code, reason = "the macro exports the handler by the component model's ABI")]
mod entry {
    use ota_platform::spin::SpinPlatform;

    #[spin_sdk::http_service]
    async fn entry(request: spin_sdk::http::Request) -> ota_http::Response {
        crate::handle(&SpinPlatform::new(), request).await
    }
}
