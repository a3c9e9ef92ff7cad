//! What a handler reads of a request.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method};
use ota_core::access::Caller;
use ota_core::error::{Faults, ValueError};
use ota_core::ids::ProductKey;
use percent_encoding::percent_decode_str;

use crate::about::About;
use crate::auth::require_bearer;
use crate::{Problem, body, json, variable};

/// A request, its path taken apart, its body not yet read.
pub struct Request<B> {
    /// The method.
    pub method: Method,
    /// The headers.
    pub headers: HeaderMap,
    /// The path's segments, percent-decoded, without empty ones at the end.
    pub segments: Vec<String>,
    query: Vec<(String, String)>,
    /// Who makes it; nobody until it has been let in by a token.
    pub caller: Caller,
    /// What it is about.
    pub about: About,
    /// The body.
    pub body: B,
}

/// Bytes of a path, and of a query. Beyond that nothing this service issues or asks for has any use.
const URI_PART_BYTES_MAX: usize = 4_096;

impl<B> Request<B> {
    /// Takes a request apart.
    ///
    /// # Errors
    /// `request.malformed` when the path or query is too long or not UTF-8 once decoded.
    pub fn new(request: http::Request<B>) -> Result<Self, Problem> {
        let malformed = || Problem::new("request.malformed", "the path or query cannot be read");
        let (parts, body) = request.into_parts();
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        if path.len() > URI_PART_BYTES_MAX || query.len() > URI_PART_BYTES_MAX {
            return Err(malformed());
        }
        let decode = |text: &str| -> Result<String, Problem> {
            percent_decode_str(text).decode_utf8().map(Cow::into_owned).map_err(|_| malformed())
        };
        let segments = path.trim_start_matches('/').trim_end_matches('/').split('/').map(decode);
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?))
        });
        Ok(Self {
            segments: segments.collect::<Result<_, _>>()?,
            query: pairs.collect::<Result<_, Problem>>()?,
            method: parts.method,
            headers: parts.headers,
            caller: Caller::nobody(),
            about: About::default(),
            body,
        })
    }

    /// Takes apart a request that must bear `token`, a variable of the application.
    ///
    /// # Errors
    /// Those of [`Self::new`]; `service.variable`; `request.unauthorized`.
    pub fn authorized<E: std::fmt::Display>(
        request: http::Request<B>,
        token: Result<String, E>,
    ) -> Result<Self, Problem> {
        let request = Self::new(request)?;
        require_bearer(&request.headers, &variable(token)?)?;
        Ok(request)
    }

    /// Tells whether the caller may touch what belongs to this product, and notes that the request is about it. What the
    /// caller may not touch is answered like something that is not there.
    pub fn may_touch(&self, product: &ProductKey) -> bool {
        let may = self.caller.may_touch(product);
        if may {
            self.about.product(product);
        }
        may
    }

    /// Returns the segments as text, to match on.
    pub fn path(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// Returns a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Refuses query parameters that the route does not know.
    ///
    /// # Errors
    /// One fault for each.
    pub fn only_query(&self, known: &[&str]) -> Result<(), Problem> {
        let mut faults = Faults::new();
        for (name, _) in self.query.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let why = "the route has no such parameter";
            faults.add(&format!("query:{name}"), &ValueError::NotAllowed { why });
        }
        Ok(faults.into_result()?)
    }
}

impl<B> Request<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// `request.too-large`, `request.malformed`.
    pub async fn json(&mut self) -> Result<json::Document, Problem> {
        let bytes = body::read(&mut self.body, ota_core::limits::JSON_BODY_BYTES_MAX).await?;
        json::Document::parse(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str) -> Result<Request<()>, Problem> {
        Request::new(http::Request::builder().uri(uri).body(()).unwrap())
    }

    #[test]
    fn a_path_and_query_are_taken_apart_and_decoded() {
        let request = request("/v1/products/a1/devices/a%40b/?limit=5&cursor=x%2Fy+z").unwrap();
        assert_eq!(request.path(), ["v1", "products", "a1", "devices", "a@b"]);
        assert_eq!(request.query("limit"), Some("5"));
        assert_eq!(request.query("cursor"), Some("x/y z"));
    }

    #[test]
    fn an_encoded_slash_stays_in_its_segment() {
        assert_eq!(request("/d/a%2Fb").unwrap().path(), ["d", "a/b"]);
    }

    #[test]
    fn what_is_not_text_or_too_long_is_refused() {
        assert!(request("/d/%ff").is_err());
        assert!(request(&format!("/{}", "a".repeat(5_000))).is_err());
    }

    #[test]
    fn unknown_parameters_are_refused() {
        let request = request("/x?limit=1&page=2&size=3").unwrap();
        let problem = request.only_query(&["limit"]).unwrap_err();
        assert_eq!(problem.faults.0.len(), 2);
    }
}
