//! HTTP requests that components make.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};

use http::uri::Scheme;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, default_send_request};

use crate::http::Application;
use crate::state::ComponentContext;

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Io), Error>;

/// Where requests go: over the network, or straight to the host itself.
#[derive(Clone, Default)]
pub(crate) struct OutboundHttp {
    here: Arc<OnceLock<Here>>,
}

/// The host's own HTTP side.
struct Here {
    address: SocketAddr,
    application: Weak<Application>,
}

impl OutboundHttp {
    /// From now on requests to `address` reach the application without a socket: a function that posts to another
    /// at some hundred messages a second would else go through as many connections.
    pub(crate) fn short_cut(&self, address: SocketAddr, application: &Arc<Application>) {
        // Set once, when the host starts.
        let _ = self.here.set(Here { address, application: Arc::downgrade(application) });
    }

    fn local(&self, uri: &http::Uri) -> Option<(Arc<Application>, SocketAddr)> {
        let here = self.here.get()?;
        let is_here = uri.scheme() == Some(&Scheme::HTTP)
            && uri.port_u16().unwrap_or(80) == here.address.port()
            && uri.host()?.trim_matches(['[', ']']).parse() == Ok(here.address.ip());
        is_here.then(|| Some((here.application.upgrade()?, here.address)))?
    }
}

/// Sends what a component's `wasi:http` imports ask for, as far as its manifest allows.
pub(crate) struct Hooks {
    component: Arc<ComponentContext>,
}

impl Hooks {
    pub(crate) fn new(component: Arc<ComponentContext>) -> Self {
        Self { component }
    }

    fn allows(&self, uri: &http::Uri) -> bool {
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else { return false };
        self.component.outbound.allows(scheme, host, uri.port_u16())
    }
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _response_processed: Io,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        if !self.allows(request.uri()) {
            let (component, uri) = (&self.component.name, request.uri());
            let to = uri.authority().map_or("a relative address", |authority| authority.as_str());
            tracing::warn!(%component, to, "outbound request refused: not among `allowed_outbound_hosts`");
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        if let Some((application, address)) = self.component.outbound_http.local(request.uri()) {
            return Box::new(async move {
                let response = application.handle(request, address).await;
                Ok((response, Box::new(async { Ok(()) }) as Io))
            });
        }
        Box::new(async move {
            use http_body_util::BodyExt;
            let (response, io) = default_send_request(request, options).await?;
            Ok((response.map(BodyExt::boxed_unsync), Box::new(io) as Io))
        })
    }
}
