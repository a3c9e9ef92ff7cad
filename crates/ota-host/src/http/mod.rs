//! HTTP requests as a trigger: from the route to the component and back.

mod component;
mod request;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full};
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::{ExpirationError, InstantiationError, ProxyHandler};

pub(crate) use component::HttpComponent;
pub(crate) use server::Server;

use crate::routes::{Route, Router};

/// Where Spin answers that it is alive.
const HEALTH_PATH: &str = "/.well-known/spin/health";

/// How often, and how long apart, to try again for a free instance before giving up.
const INSTANCE_TRIES_MAX: usize = 200;
const INSTANCE_RETRY_AFTER: Duration = Duration::from_millis(10);

/// The application's HTTP side.
pub(crate) struct Application {
    router: Router<ProxyHandler<HttpComponent>>,
}

impl Application {
    pub(crate) fn new(routes: Vec<(Route, ProxyHandler<HttpComponent>)>) -> Self {
        Self { router: Router::new(routes) }
    }

    /// Answers a request. Whatever goes wrong becomes an answer too, and is logged.
    pub(crate) async fn handle(
        &self,
        mut request: Request<WasiBody>,
        client: SocketAddr,
    ) -> Response<WasiBody> {
        let path = request.uri().path().to_owned();
        let Some((route, handler, captures)) = self.router.find(&path) else {
            return match path.as_str() {
                HEALTH_PATH => Response::new(text("OK")),
                _ => status_only(StatusCode::NOT_FOUND),
            };
        };
        if let Err(fault) = request::prepare(&mut request, route, &captures, client) {
            tracing::debug!(fault, "request refused");
            return status_only(StatusCode::BAD_REQUEST);
        }
        match call(handler, request).await {
            Ok(response) => response,
            Err(error) => {
                let component = handler.state().name();
                if error.is::<ExpirationError>() {
                    tracing::error!(%component, path, "no response in time");
                    return status_only(StatusCode::GATEWAY_TIMEOUT);
                }
                if error.is::<InstantiationError<()>>() {
                    tracing::error!(%component, path, %error, "no instance to be had");
                    return unavailable();
                }
                tracing::error!(%component, path, error = format_args!("{error:#}"), "the component failed");
                status_only(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// Hands the request to an instance. When all slots for instances are taken, waits for one.
async fn call(
    handler: &ProxyHandler<HttpComponent>,
    mut request: Request<WasiBody>,
) -> wasmtime::Result<Response<WasiBody>> {
    for _ in 1..INSTANCE_TRIES_MAX {
        match handler.handle((), request).await {
            Ok(response) => return Ok(response),
            Err(error) => {
                let error = error.downcast::<InstantiationError<()>>()?;
                if !error.error.is::<wasmtime::PoolConcurrencyLimitError>() {
                    return Err(error.into());
                }
                request = error.request.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
                tokio::time::sleep(INSTANCE_RETRY_AFTER).await;
            }
        }
    }
    handler.handle((), request).await
}

/// Gives a body to what expects one of the host's.
pub(crate) fn body<B>(body: B) -> WasiBody
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<wasmtime_wasi_http::Error>,
{
    body.map_err(Into::into).boxed_unsync()
}

fn text(text: &'static str) -> WasiBody {
    body(Full::new(Bytes::from_static(text.as_bytes())))
}

pub(crate) fn status_only(status: StatusCode) -> Response<WasiBody> {
    let mut response = Response::new(body(Empty::new()));
    *response.status_mut() = status;
    response
}

fn unavailable() -> Response<WasiBody> {
    let mut response = status_only(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
