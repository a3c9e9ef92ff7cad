//! HTTP/1.1 in front of the component, and of EMQX's REST API.
//!
//! Names of headers are written in lower case, as wasmCloud writes them.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, Scheme, Uri};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::ProxyHandler;

use crate::component::HttpComponent;
use crate::emqx::Broker;

/// Serves the component.
pub(crate) async fn serve_component(listener: TcpListener, component: ProxyHandler<HttpComponent>) {
    serve(listener, move |request| {
        let component = component.clone();
        async move {
            let outcome = match prepare(request) {
                Some(request) => component.handle((), request).await,
                None => return status(StatusCode::BAD_REQUEST),
            };
            outcome.unwrap_or_else(|error| {
                tracing::error!(error = format_args!("{error:#}"), "the component failed");
                status(StatusCode::INTERNAL_SERVER_ERROR)
            })
        }
    })
    .await;
}

/// Serves the part of EMQX's REST API that publishes, to whoever has its key.
pub(crate) async fn serve_rest_api(listener: TcpListener, broker: Broker, key: (String, String)) {
    let (broker, key) = (Arc::new(broker), Arc::new(key));
    serve(listener, move |request| {
        let (broker, key) = (broker.clone(), key.clone());
        async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await else { return Response::new(Full::default()) };
            let authorization =
                parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            let status = match (parts.method.as_str(), parts.uri.path()) {
                ("POST", "/api/v5/publish") => {
                    broker.take(authorization.unwrap_or_default(), &key, &body.to_bytes()).await
                }
                _ => StatusCode::NOT_FOUND,
            };
            let mut response = Response::new(Full::default());
            *response.status_mut() = status;
            response
        }
    })
    .await;
}

async fn serve<A, F, B>(listener: TcpListener, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        tokio::spawn(async move {
            // Small answers on a kept connection would else wait for the client's delayed acknowledgement.
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| {
                let answer = answer(request);
                async { Ok::<_, Infallible>(answer.await) }
            });
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            if let Err(error) = served {
                tracing::debug!(%error, "connection ended early");
            }
        });
    }
}

/// Makes a request absolute, as the interface has it.
fn prepare(request: Request<Incoming>) -> Option<Request<WasiBody>> {
    let mut request = request.map(|body| body.map_err(Into::into).boxed_unsync());
    let host = request.headers().get(header::HOST)?.as_bytes().to_vec();
    let mut parts = request.uri().clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::try_from(host.as_slice()).ok()?);
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    request.headers_mut().remove(header::CONNECTION);
    Some(request)
}

fn status(status: StatusCode) -> Response<WasiBody> {
    let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
