//! HTTP requests that components make.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock, Weak};

use http::uri::{Authority, Scheme};
use ip_network::IpNetwork;
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

    fn names(&self, uri: &http::Uri) -> bool {
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else { return false };
        self.component.outbound.names(scheme, host, uri.port_u16())
    }
}

/// Returns where a request goes that is allowed by an entry for any host. Such an entry means the world outside: with it
/// nobody opens this machine or its network to whoever may choose a URL. Spin does the same when its runtime configuration
/// blocks `private` networks.
///
/// # Errors
/// The host has an address that is not public, or none.
async fn outside(uri: &http::Uri) -> Result<http::Uri, Error> {
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
    let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
    let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let host = authority.host().trim_matches(['[', ']']);
    let found = tokio::net::lookup_host((host, port)).await.map_err(Error::Connect)?;
    let addresses: Vec<SocketAddr> = found.collect();
    if let Some(private) = addresses.iter().find(|address| !is_public(address.ip())) {
        tracing::warn!(%authority, %private, "outbound request refused: only a host that is named may be private");
        return Err(Error::DestinationIpProhibited);
    }
    let address = addresses.first().ok_or(Error::DestinationNotFound)?;
    if is_tls {
        // The name may lead elsewhere by the time of the connection; what it leads to has to prove the name then.
        return Ok(uri.clone());
    }
    // Nothing is proven here, so the connection goes to the address that was looked at.
    let mut parts = uri.clone().into_parts();
    let authority = address.to_string().parse::<Authority>();
    parts.authority = Some(authority.map_err(|_| Error::HttpRequestUriInvalid)?);
    http::Uri::from_parts(parts).map_err(|_| Error::HttpRequestUriInvalid)
}

/// Tells whether an address is one of the public network, also when it stands for one of IPv4.
fn is_public(address: IpAddr) -> bool {
    let is_global = |address: IpAddr| IpNetwork::from(address).is_global();
    let inner = match address {
        IpAddr::V6(address) => address.to_ipv4().map(IpAddr::V4),
        IpAddr::V4(_) => None,
    };
    is_global(address) && inner.is_none_or(is_global)
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _response_processed: Io,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        if !self.allows(request.uri()) {
            let (component, uri) = (&self.component.name, request.uri());
            let to = uri.authority().map_or("a relative address", |authority| authority.as_str());
            tracing::warn!(%component, to, "outbound request refused: not among `allowed_outbound_hosts`");
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        let named = self.names(request.uri());
        if let Some((application, address)) =
            self.component.outbound_http.local(request.uri()).filter(|_| named)
        {
            return Box::new(async move {
                let response = application.handle(request, address).await;
                Ok((response, Box::new(async { Ok(()) }) as Io))
            });
        }
        Box::new(async move {
            use http_body_util::BodyExt;
            if !named {
                *request.uri_mut() = outside(request.uri()).await?;
            }
            let (response, io) = default_send_request(request, options).await?;
            Ok((response.map(BodyExt::boxed_unsync), Box::new(io) as Io))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_public_text(address: &str) -> bool {
        is_public(address.parse().unwrap())
    }

    #[test]
    fn addresses_of_this_machine_and_its_networks_are_not_public() {
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
        ] {
            assert!(!is_public_text(address), "{address}");
        }
        for address in ["8.8.8.8", "1.1.1.1", "2606:4700::1111"] {
            assert!(is_public_text(address), "{address}");
        }
    }

    #[tokio::test]
    async fn an_entry_for_any_host_leads_to_the_outside_only() {
        for uri in
            ["http://127.0.0.1:80/x", "https://[::1]/", "http://localhost:3000/", "http://169.254.169.254/"]
        {
            let refused = outside(&uri.parse().unwrap()).await;
            assert!(matches!(refused, Err(Error::DestinationIpProhibited)), "{uri}: {refused:?}");
        }
        let told = outside(&"http://8.8.8.8/a?b=c".parse().unwrap()).await.unwrap();
        assert_eq!(told.to_string(), "http://8.8.8.8:80/a?b=c");
        let told = outside(&"https://8.8.8.8/a".parse().unwrap()).await.unwrap();
        assert_eq!(told.to_string(), "https://8.8.8.8/a", "its certificate is checked by this name");
    }
}
