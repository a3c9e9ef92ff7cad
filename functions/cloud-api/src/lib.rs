//! The vendor's cloud API over the service's own: signed requests in the vendor's words, answered in the vendor's words.
//!
//! Nothing is decided here. Each operation is a request to the function that does it, called in the same process; what is
//! only looked up is read from the store. `codes.rs` is the one place where this service's codes meet the vendor's.

mod call;
mod codes;
mod create;
mod envelope;
mod handle;
mod jobs;
mod modules;
mod packages;
mod refusal;
mod rest;
mod tasks;

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
