//! Where a component may connect to.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// One entry of `allowed_outbound_hosts`: `scheme://host:port`, each of which may be `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AllowedHost {
    /// `None` allows any.
    scheme: Option<String>,
    host: Host,
    port: Port,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Any,
    /// `*.example.com`, kept as `.example.com`.
    SubdomainOf(String),
    Domain(String),
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Any,
    /// From the first up to, not including, the second, as in Spin.
    Range(u16, u16),
    One(u16),
}

/// Everything a component may connect to. Empty denies all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundPolicy {
    hosts: Vec<AllowedHost>,
}

/// Why an entry is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    entry: String,
    reason: &'static str,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.entry, self.reason)
    }
}

impl std::error::Error for HostError {}

impl OutboundPolicy {
    /// Reads the entries, templates already resolved. An entry that resolved to nothing is skipped, so that a
    /// variable can switch an endpoint off.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, HostError> {
        let hosts = entries
            .into_iter()
            .filter(|entry| !matches!(*entry, "" | "http://" | "https://"))
            .map(|entry| parse_entry(entry).map_err(|reason| HostError { entry: entry.to_owned(), reason }))
            .collect::<Result<_, _>>()?;
        Ok(Self { hosts })
    }

    /// Whether a connection may be made. A missing port means the scheme's own.
    pub fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        self.entries_for(scheme, host, port).next().is_some()
    }

    /// Whether an entry allows the connection that names the host, or its domain. Under an entry for any host (`*`) nobody
    /// has decided that this host may be reached.
    pub fn names(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        self.entries_for(scheme, host, port).any(|allowed| allowed.host != Host::Any)
    }

    fn entries_for(&self, scheme: &str, host: &str, port: Option<u16>) -> impl Iterator<Item = &AllowedHost> {
        let host = parse_literal_host(host);
        let port = port.or_else(|| well_known_port(scheme));
        self.hosts.iter().filter(move |allowed| {
            allowed.scheme.as_deref().is_none_or(|s| s == scheme)
                && host.as_ref().is_some_and(|host| allowed.host.allows(host))
                && allowed.port.allows(port)
        })
    }
}

impl Host {
    fn allows(&self, host: &Host) -> bool {
        match (self, host) {
            (Host::Any, _) => true,
            (Host::SubdomainOf(suffix), Host::Domain(domain)) => domain.ends_with(suffix),
            (allowed, host) => allowed == host,
        }
    }
}

impl Port {
    fn allows(self, port: Option<u16>) -> bool {
        match (self, port) {
            (Port::Any, _) => true,
            (Port::One(allowed), Some(port)) => allowed == port,
            (Port::Range(from, to), Some(port)) => (from..to).contains(&port),
            (_, None) => false,
        }
    }
}

fn parse_entry(entry: &str) -> Result<AllowedHost, &'static str> {
    let (scheme, rest) = entry.trim().split_once("://").ok_or("no scheme; write `scheme://host:port`")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#', '@']) {
        return Err("only `scheme://host:port` can be allowed, no path, query or user");
    }
    if rest.contains('{') || scheme.contains('{') {
        return Err("lists are not supported");
    }
    let (host, port) = split_port(rest)?;
    if host == "self" || host == "self.alt" || host == "spin.internal" || host.ends_with(".spin.internal") {
        return Err(
            "requests of the application to itself by name (`self`, `*.spin.internal`) are not supported",
        );
    }
    let scheme = match scheme {
        "*" => None,
        s if !s.is_empty() && s.chars().all(|c| c.is_ascii_alphabetic()) => Some(s.to_ascii_lowercase()),
        _ => return Err("the scheme is not a word"),
    };
    let host = match host.strip_prefix("*.") {
        _ if host == "*" => Host::Any,
        Some(domain) => match parse_literal_host(domain) {
            Some(Host::Domain(domain)) => Host::SubdomainOf(format!(".{domain}")),
            _ => return Err("what follows `*.` is no domain"),
        },
        None => parse_literal_host(host).ok_or("the host is neither a name nor an address")?,
    };
    let port = match port {
        Some("*") => Port::Any,
        Some(range) if range.contains("..") => {
            let (from, to) = range.split_once("..").ok_or("not a range")?;
            Port::Range(
                from.parse().map_err(|_| "the port range has no start")?,
                to.parse().map_err(|_| "the port range has no end")?,
            )
        }
        Some(port) => Port::One(port.parse().map_err(|_| "the port is no number")?),
        None => scheme
            .as_deref()
            .and_then(well_known_port)
            .map(Port::One)
            .ok_or("no port, and the scheme has no port of its own")?,
    };
    Ok(AllowedHost { scheme, host, port })
}

/// Splits `host:port`, `[::1]:port` or a bare host.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), &'static str> {
    let host_end = match authority.rfind(']') {
        Some(at) => at + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(host_end);
    match rest.strip_prefix(':') {
        Some("") | None if rest.len() <= 1 => Ok((host, None)),
        Some(port) => Ok((host, Some(port))),
        None => Err("no `:` before the port"),
    }
}

fn parse_literal_host(host: &str) -> Option<Host> {
    if let Some(v6) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return v6.parse::<Ipv6Addr>().ok().map(|v6| Host::Address(v6.into()));
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(Host::Address(address));
    }
    let is_name =
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    is_name.then(|| Host::Domain(host.to_ascii_lowercase()))
}

/// The port that a scheme means when none is given.
pub fn well_known_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "mqtt" => Some(1883),
        "redis" => Some(6379),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entry: &str, scheme: &str, host: &str, port: Option<u16>) -> bool {
        OutboundPolicy::parse([entry]).unwrap().allows(scheme, host, port)
    }

    #[test]
    fn nothing_is_allowed_unless_said() {
        assert!(!OutboundPolicy::default().allows("http", "127.0.0.1", Some(80)));
        assert!(!OutboundPolicy::parse([""]).unwrap().allows("http", "localhost", None));
    }

    #[test]
    fn scheme_host_and_port_must_all_fit() {
        let entry = "http://127.0.0.1:3000";
        assert!(allows(entry, "http", "127.0.0.1", Some(3000)));
        assert!(!allows(entry, "https", "127.0.0.1", Some(3000)));
        assert!(!allows(entry, "http", "127.0.0.1", Some(3001)));
        assert!(!allows(entry, "http", "127.0.0.1", None));
        assert!(!allows(entry, "http", "localhost", Some(3000)));
    }

    #[test]
    fn a_missing_port_is_the_schemes_own_on_both_sides() {
        assert!(allows("https://example.com", "https", "example.com", Some(443)));
        assert!(allows("https://example.com:443/", "https", "EXAMPLE.com", None));
        assert!(allows("mqtt://broker", "mqtt", "broker", Some(1883)));
    }

    #[test]
    fn wildcards_stand_for_any() {
        assert!(allows("*://*:*", "mqtt", "x", Some(1)));
        assert!(allows("http://*:80", "http", "::1", None));
        assert!(allows("http://localhost:*", "http", "localhost", Some(4711)));
        assert!(allows("https://*.example.com", "https", "a.b.example.com", None));
        assert!(!allows("https://*.example.com", "https", "example.com", None));
        assert!(!allows("https://*.example.com", "https", "badexample.com", None));
        assert!(allows("http://[::1]:8000..9000", "http", "[::1]", Some(8000)));
        assert!(!allows("http://[::1]:8000..9000", "http", "[::1]", Some(9000)));
    }

    #[test]
    fn any_host_is_none_that_is_named() {
        let policy =
            OutboundPolicy::parse(["https://*:*", "http://*.example.com", "http://10.0.0.1:*"]).unwrap();
        assert!(policy.allows("https", "10.0.0.1", None) && !policy.names("https", "10.0.0.1", None));
        assert!(policy.names("http", "a.example.com", None));
        assert!(policy.names("http", "10.0.0.1", Some(8080)));
        assert!(!policy.names("http", "10.0.0.2", Some(8080)));
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for bad in [
            "*",
            "localhost:80",
            "http://a/b",
            "x://a",
            "*://a",
            "http://a:b",
            "http://{a,b}:1",
            "http://u@h",
            "http://self",
            "http://x.spin.internal",
            "http://10.0.0.0/8",
            "http://*.*.com",
            "ht tp://a:1",
        ] {
            assert!(OutboundPolicy::parse([bad]).is_err(), "{bad}");
        }
    }
}
