//! All functions behind one door: wasmCloud hands the requests of a workload to one component.
//!
//! The table of routes is that of `spin.toml`, and so are the defaults of variables; a test compares them. Where a
//! function asks another for something, the other is called in the same component: nothing has to lead back to the
//! workload from outside, and no request of its own ever waits for a free instance.

mod handle;
mod routes;
mod variables;

pub use handle::handle;
pub use routes::{Function, ROUTES};
pub use variables::DEFAULTS;

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "the macro exports the handler by the component model's ABI")]
mod entry {
    use http_body_util::BodyExt;
    use ota_platform::FetchBody;
    use ota_platform::wasmcloud::{Application, InternalAnswer, WasmcloudPlatform};

    static APPLICATION: Application = Application { defaults: crate::DEFAULTS, internal };

    #[spin_sdk::http_service]
    async fn entry(request: spin_sdk::http::Request) -> ota_http::Response {
        // One type of body for requests from outside and from inside: the functions are compiled once.
        let request = request.map(|body| body.map_err(|error| anyhow::anyhow!("{error:?}")).boxed_unsync());
        crate::handle(&WasmcloudPlatform::new(&APPLICATION), request).await
    }

    fn internal(platform: WasmcloudPlatform, request: http::Request<FetchBody>) -> InternalAnswer {
        Box::pin(async move { crate::handle(&platform, request).await })
    }
}
