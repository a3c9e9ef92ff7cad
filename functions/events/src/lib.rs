//! What happened, for whoever wants to be told: the list that consumers read on from where they stopped.

mod handle;

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
