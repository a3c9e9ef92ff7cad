//! Making a request what a component expects of Spin: an absolute URI, and headers about the route.

use std::net::SocketAddr;

use http::uri::{Authority, Scheme, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};

use crate::routes::{Captures, Route};

/// The start of the header for what a named wildcard of the route stands for.
const PATH_MATCH: &str = "spin-path-match-";

const PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
const FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
const MATCHED_ROUTE: HeaderName = HeaderName::from_static("spin-matched-route");
const BASE_PATH: HeaderName = HeaderName::from_static("spin-base-path");
const RAW_COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-raw-component-route");
const COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-component-route");
const CLIENT_ADDR: HeaderName = HeaderName::from_static("spin-client-addr");

/// Prepares a request for its component; the error says why it cannot be one.
pub(super) fn prepare<B>(
    request: &mut Request<B>,
    route: &Route,
    captures: &Captures<'_>,
    client: SocketAddr,
) -> Result<(), &'static str> {
    let uri = absolute(request.uri(), request.headers())?;
    let headers = request.headers_mut();
    // The first is between the client and this server; the others are said by the host, not by clients.
    headers.remove(header::CONNECTION);
    strip(headers);
    let mut say = |name: HeaderName, value: &str| {
        // A value that is no header value can only come from the client's path.
        HeaderValue::from_str(value).map(|value| headers.insert(name, value)).map_err(|_| "bad path")
    };
    say(PATH_INFO, &captures.rest)?;
    say(FULL_URL, &uri.to_string())?;
    say(MATCHED_ROUTE, route.raw())?;
    say(RAW_COMPONENT_ROUTE, route.raw())?;
    say(COMPONENT_ROUTE, route.prefix())?;
    say(BASE_PATH, "/")?;
    say(CLIENT_ADDR, &client.to_string())?;
    for (name, value) in &captures.named {
        let name = format!("{PATH_MATCH}{}", name.to_ascii_lowercase().replace('_', "-"));
        say(HeaderName::try_from(name).map_err(|_| "bad wildcard name")?, value)?;
    }
    *request.uri_mut() = uri;
    Ok(())
}

fn strip(headers: &mut HeaderMap) {
    for name in
        [PATH_INFO, FULL_URL, MATCHED_ROUTE, BASE_PATH, RAW_COMPONENT_ROUTE, COMPONENT_ROUTE, CLIENT_ADDR]
    {
        headers.remove(name);
    }
    if headers.keys().any(|name| name.as_str().starts_with(PATH_MATCH)) {
        let spoofed: Vec<_> =
            headers.keys().filter(|name| name.as_str().starts_with(PATH_MATCH)).cloned().collect();
        spoofed.iter().for_each(|name| drop(headers.remove(name)));
    }
}

/// Completes the URI from the `Host` header.
fn absolute(uri: &Uri, headers: &HeaderMap) -> Result<Uri, &'static str> {
    if headers.get_all(header::HOST).iter().nth(1).is_some() {
        return Err("more than one `Host` header");
    }
    let host = match headers.get(header::HOST) {
        Some(host) => Some(Authority::try_from(host.as_bytes()).map_err(|_| "bad `Host` header")?),
        None => None,
    };
    let mut parts = uri.clone().into_parts();
    parts.authority = match (host, parts.authority) {
        (Some(host), Some(authority)) if host != authority => {
            return Err("the `Host` header and the URI disagree");
        }
        (host, authority) => Some(host.or(authority).ok_or("no `Host` header")?),
    };
    parts.scheme = Some(Scheme::HTTP);
    if parts.path_and_query.is_none() {
        return Err("no path");
    }
    Uri::from_parts(parts).map_err(|_| "bad URI")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(route: &str, request: http::request::Builder) -> Result<Request<()>, &'static str> {
        let route = Route::parse(route).unwrap();
        let mut request = request.body(()).unwrap();
        let path = request.uri().path().to_owned();
        let captures = route.captures(&path).unwrap();
        prepare(&mut request, &route, &captures, "10.0.0.1:5".parse().unwrap())?;
        Ok(request)
    }

    #[test]
    fn components_get_an_absolute_uri_and_spins_headers() {
        let request = Request::get("/a/7/b?c=d").header("host", "h:80");
        let request = prepared("/a/:the_id/...", request).unwrap();
        assert_eq!(request.uri(), "http://h:80/a/7/b?c=d");
        for (name, value) in [
            ("spin-full-url", "http://h:80/a/7/b?c=d"),
            ("spin-path-info", "/b"),
            ("spin-matched-route", "/a/:the_id/..."),
            ("spin-raw-component-route", "/a/:the_id/..."),
            ("spin-component-route", "/a/:the_id"),
            ("spin-base-path", "/"),
            ("spin-client-addr", "10.0.0.1:5"),
            ("spin-path-match-the-id", "7"),
        ] {
            assert_eq!(request.headers()[name], value, "{name}");
        }
    }

    #[test]
    fn clients_cannot_say_what_the_host_says() {
        let request = Request::get("/a").header("host", "h").header("spin-client-addr", "6.6.6.6:6");
        let request =
            request.header("spin-path-match-id", "x").header("connection", "close").header("spin-x", "kept");
        let request = prepared("/a", request).unwrap();
        assert_eq!(request.headers()["spin-client-addr"], "10.0.0.1:5");
        assert!(!request.headers().contains_key("spin-path-match-id"));
        assert!(!request.headers().contains_key("connection"));
        assert!(request.headers().contains_key("spin-x"));
    }

    #[test]
    fn the_authority_must_be_clear() {
        assert!(prepared("/a", Request::get("/a")).is_err());
        assert!(prepared("/a", Request::get("http://x/a").header("host", "y")).is_err());
        assert!(prepared("/a", Request::get("/a").header("host", "a b")).is_err());
        assert!(prepared("/a", Request::get("/a").header("host", "x").header("host", "y")).is_err());
        assert!(prepared("/a", Request::get("http://x/a")).is_ok());
    }
}
