//! `POST /internal/device-auth/login`: the broker asks, this answers.

use bytes::Bytes;
use http::{Method, StatusCode};
use ota_core::device::auth::{LoginRequest, identify};
use ota_core::error::Coded;
use ota_http::{Problem, Request, Response, json, respond};
use ota_platform::{Platform, serve};
use ota_store::devices;
use serde::Serialize;

#[derive(Clone, Serialize)]
struct IdentityJson {
    product_key: String,
    device_name: String,
}

/// The answer. EMQX, which takes this function for one of its own kind, reads the two last.
#[derive(Serialize)]
struct AllowedJson {
    #[serde(flatten)]
    identity: IdentityJson,
    result: &'static str,
    client_attrs: IdentityJson,
}

/// Answers a request.
pub async fn handle<P, B>(platform: &P, request: http::Request<B>) -> Response
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    serve::internal(platform, request, login).await
}

/// Checks a login: the password must be the HMAC that only the device's secret makes (R166). A device that is not there
/// and a wrong password are told in the same words.
async fn login<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    if (&request.method, request.path().as_slice()) != (&Method::POST, &["internal", "device-auth", "login"])
    {
        return Err(Problem::no_route());
    }
    let document = request.json().await?;
    let ((client_id, username, password), reading) = document.read(|fields, faults| {
        (fields.text("client_id", faults), fields.text("username", faults), fields.text("password", faults))
    });
    json::join(reading, Ok(()))?;
    let login = LoginRequest {
        client_id: client_id.unwrap_or_default(),
        username: username.unwrap_or_default(),
        password: password.unwrap_or_default(),
    };
    let refused = |why: String| {
        let problem = Problem::new("device.login-refused", "the login is refused");
        Problem { log: Some(why), ..problem }
    };
    let (device, signed) = identify(&login).map_err(|error| refused(format!("{}: {error}", error.code())))?;
    let found = devices::find(platform.kv(), &device, platform.now()).await?;
    match found {
        Some((found, _)) if signed.verify(found.secret.reveal()) => {
            let identity = IdentityJson {
                product_key: device.product_key.to_string(),
                device_name: device.device_name.to_string(),
            };
            let client_attrs = identity.clone();
            Ok(respond::json(StatusCode::OK, &AllowedJson { identity, result: "allow", client_attrs }))
        }
        Some(_) => Err(refused(format!("{device}: wrong password"))),
        None => Err(refused(format!("{device}: no such device"))),
    }
}
