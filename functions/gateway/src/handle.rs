//! Handing a request to the function whose route it is.

use ota_http::{Body, Problem, Response};
use ota_platform::Platform;
use ota_platform::serve::refuse;

use crate::routes::{self, Function};

/// Answers a request.
pub async fn handle<P: Platform>(platform: &P, request: http::Request<Body>) -> Response {
    let Some(function) = routes::find(request.uri().path()) else {
        return refuse(platform, Problem::no_route(), platform.random());
    };
    match function {
        Function::Access => access::handle(platform, request).await,
        Function::BatchCreate => batch_create::handle(platform, request).await,
        Function::CloudApi => cloud_api::handle(platform, request).await,
        Function::Console => console::handle(platform, request).await,
        Function::DeviceAuth => device_auth::handle(platform, request).await,
        Function::Dispatch => dispatch::handle(platform, request).await,
        Function::Events => events::handle(platform, request).await,
        Function::Fleet => fleet::handle(platform, request).await,
        Function::Metrics => metrics::handle(platform, request).await,
        Function::PackageDownload => package_download::handle(platform, request).await,
        Function::PackageUpload => package_upload::handle(platform, request).await,
        Function::PackageVerify => package_verify::handle(platform, request).await,
        Function::ProgressWebhook => progress_webhook::handle(platform, request).await,
        Function::Webhooks => webhooks::handle(platform, request).await,
    }
}
