//! What the clock asks for: give devices their tasks, push, retry, expire, record, finish, tell
//! webhooks. Any clock may call it, and any
//! number of calls may overlap.

mod deliver;
mod deltas;
mod finish;
mod handle;
mod push;
mod sweep;
mod walk;

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
