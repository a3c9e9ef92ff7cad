//! Reading a request, letting it in, and finding its operation.

use bytes::Bytes;
use http::Method;
use http::request::Parts;
use ota_core::cloud::{self, AccessKey, GatewayError, Parameters};
use ota_core::limits;
use ota_http::problem::uuid_text;
use ota_http::{Response, body, variable};
use ota_platform::Platform;
use ota_platform::line::Line;
use ota_platform::traced::Traced;
use ota_store::nonces::{self, Taken};

use crate::call::{Answer, Call};
use crate::envelope::{self, Format};
use crate::refusal::Refusal;
use crate::rest::Rest;
use crate::{create, jobs, modules, packages, tasks};

/// Answers a request.
pub async fn handle<P, B>(platform: &P, request: http::Request<B>) -> Response
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let random = platform.random();
    let id = uuid_text(random).to_ascii_uppercase();
    let platform = &Traced::new(platform, request.headers());
    let (parts, mut body) = request.into_parts();
    let parameters = match read(&parts, &mut body).await {
        Ok(parameters) => parameters,
        Err(refusal) => return envelope::render(Format::Json, "", &id, Err(refusal)),
    };
    let outcome = answer(platform, random, &parts.method, &parameters).await;
    if let Err(Refusal::Busy { log } | Refusal::Failed { log }) = &outcome {
        let line = Line::of("CloudApi").with("request", &id).with("outcome", "failed");
        line.with("error", log).write(platform);
    }
    let format = Format::of(&parameters);
    // The root of an XML answer is named after the action, which may be anything before it is known.
    let action = parameters.get("Action").filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric()));
    envelope::render(format, action.unwrap_or_default(), &id, outcome)
}

async fn read<B>(parts: &Parts, body: &mut B) -> Result<Parameters, Refusal>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let query = parts.uri.query().unwrap_or_default();
    if parts.uri.path().trim_end_matches('/') != "/cloud-api" {
        return Err(GatewayError::UnknownAction.into());
    }
    if query.len() > limits::CLOUD_QUERY_BYTES_MAX {
        let why = "the query is too long; send a form";
        return Err(GatewayError::Malformed { why }.into());
    }
    let form = match parts.method {
        Method::GET => Vec::new(),
        Method::POST => {
            let why = "the form is too long, or was cut";
            let read = body::read(body, limits::JSON_BODY_BYTES_MAX).await;
            read.map_err(|_| GatewayError::Malformed { why })?
        }
        _ => return Err(GatewayError::MethodNotAllowed.into()),
    };
    let form = String::from_utf8(form).map_err(|_| GatewayError::Malformed { why: "not UTF-8" })?;
    Ok(Parameters::parse(&[query, &form])?)
}

async fn answer<P: Platform>(
    platform: &P,
    request: [u8; 16],
    method: &Method,
    parameters: &Parameters,
) -> Result<Answer, Refusal> {
    let id = variable(platform.variable("access_key_id").await)?;
    let secret = variable(platform.variable("access_key_secret").await)?;
    let now = platform.now();
    let key = AccessKey { id: &id, secret: &secret };
    let nonce = cloud::authenticate(key, method.as_str(), parameters, now)?;
    match nonces::take(platform.kv(), &nonce, now).await? {
        Taken::First => {}
        Taken::Used => return Err(GatewayError::NonceUsed.into()),
        Taken::Full => return Err(GatewayError::Throttled.into()),
    }
    let action = parameters.get("Action").unwrap_or_default();
    perform(&Call { platform, rest: Rest::new(platform, &id, request), method, action, parameters }).await
}

async fn perform<P: Platform>(call: &Call<'_, P>) -> Result<Answer, Refusal> {
    match call.action {
        "CreateOTAVerifyJob" => create::verify_job(call).await,
        "CreateOTAStaticUpgradeJob" => create::static_job(call).await,
        "CreateOTADynamicUpgradeJob" => create::dynamic_job(call).await,
        "QueryOTAJob" => jobs::query(call).await,
        "ListOTAJobByFirmware" => jobs::by_firmware(call).await,
        "ListOTAJobByDevice" => jobs::by_device(call).await,
        "UpdateOTAJob" => jobs::update(call).await,
        "CancelOTAStrategyByJob" => jobs::cancel_strategy(call).await,
        "CancelOTATaskByJob" => jobs::cancel_tasks(call).await,
        "CancelOTATaskByDevice" => tasks::cancel_by_device(call).await,
        "ListOTATaskByJob" => tasks::by_job(call).await,
        "ListOTAUnfinishedTaskByDevice" => tasks::unfinished(call).await,
        "ConfirmOTATask" => tasks::confirm(call).await,
        "ReupgradeOTATask" => tasks::reupgrade(call).await,
        "CreateOTAFirmware" => packages::create(call).await,
        "QueryOTAFirmware" => packages::query(call).await,
        "ListOTAFirmware" => packages::list(call).await,
        "DeleteOTAFirmware" => packages::delete(call).await,
        "CreateOTAModule" => modules::create(call).await,
        "UpdateOTAModule" => modules::update(call).await,
        "DeleteOTAModule" => modules::delete(call).await,
        "ListOTAModuleByProduct" => modules::by_product(call).await,
        "ListOTAModuleVersionsByDevice" => modules::versions(call).await,
        _ => Err(GatewayError::UnknownAction.into()),
    }
}
