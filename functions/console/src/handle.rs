//! `GET /console/` and `GET /console/assets/{version}/…`; `/` leads there. `GET /console/api` is the page of the REST API, and
//! `GET /console/openapi.json` the document that it is made of.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use ota_http::{Problem, Request, Response, respond};
use ota_platform::Platform;
use ota_platform::serve::refuse;

use crate::files::{File, OPENAPI, PAGE, REFERENCE, VERSION};

/// What the page may do: run and show what comes from here, talk to the API beside it, and nothing else. No script that
/// somebody writes into a device's or package's name ever runs, and no other site puts the page into a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     manifest-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'";
/// A page is asked for anew each time; the answer is mostly that it is the same.
const ASK_AGAIN: &str = "no-cache";
/// A year: the other files have their build's digest in their path and never change.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// Answers a request.
pub async fn handle<P, B>(platform: &P, request: http::Request<B>) -> Response
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    answer(request).unwrap_or_else(|problem| refuse(platform, problem, platform.random()))
}

fn answer<B>(request: http::Request<B>) -> Result<Response, Problem> {
    // The page names its files by where they are from itself, so it must be at `/console/` and not at `/console`.
    let at_folder = request.uri().path().ends_with('/');
    let request = Request::new(request)?;
    // These files hold no data, which is why nobody needs a token for them; so nothing but reading them is let in.
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Err(Problem::method_not_allowed(vec!["GET", "HEAD"]));
    }
    match request.path().as_slice() {
        [""] => Ok(lead("console/")),
        ["console"] if at_folder => serve(&request, PAGE, ASK_AGAIN),
        ["console"] => Ok(lead("console/")),
        // The same: this page is at `/console/api`, beside its files.
        ["console", "api"] if at_folder => Ok(lead("../api")),
        ["console", "api"] => serve(&request, REFERENCE, ASK_AGAIN),
        ["console", OPENAPI] => serve(&request, OPENAPI, ASK_AGAIN),
        ["console", "assets", VERSION, rest @ ..] if rest != [PAGE] && rest != [REFERENCE] => {
            serve(&request, &rest.join("/"), FOR_GOOD)
        }
        _ => Err(Problem::no_route()),
    }
}

/// Leads to a place beside this one.
fn lead(to: &'static str) -> Response {
    let mut response = respond::empty(StatusCode::TEMPORARY_REDIRECT);
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(to));
    response
}

fn serve<B>(request: &Request<B>, name: &str, cache: &'static str) -> Result<Response, Problem> {
    let file = File::find(name).ok_or_else(Problem::no_route)?;
    let media_type = file.media_type().ok_or_else(Problem::no_route)?;
    let compressed = takes_gzip(&request.headers);
    let bytes = if compressed { file.gzip } else { file.plain };
    // What is sent compressed is another representation, and has another strong tag.
    let etag = format!("\"{}{}\"", file.etag, if compressed { "-gzip" } else { "" });

    let known = not_modified(&request.headers, &etag);
    let mut response = respond::empty(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    let headers = response.headers_mut();
    let fixed = [
        (header::CACHE_CONTROL, cache),
        (header::VARY, "Accept-Encoding"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Keeps pages of other sites that opened this one from reaching into it.
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    if let Ok(value) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, value);
    }
    if known {
        headers.remove(header::CONTENT_LENGTH);
        return Ok(response);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    if compressed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if request.method == Method::GET {
        *response.body_mut() = respond::full(bytes);
    }
    Ok(response)
}

/// `Accept-Encoding`: whether gzip is named, and not to be refused (`gzip;q=0`).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let listed = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = listed.flat_map(|listed| listed.split(',')).map(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        (
            name.trim().to_ascii_lowercase(),
            weight.trim().trim_start_matches("q=").parse::<f32>().unwrap_or(1.0),
        )
    });
    codings.any(|(name, weight)| name == "gzip" && weight > 0.0)
}

/// `If-None-Match`: the caller has these bytes already.
fn not_modified(headers: &HeaderMap, etag: &str) -> bool {
    let listed = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    listed.is_some_and(|listed| {
        listed.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == etag || tag == "*")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (value, takes) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0, br", false),
            ("gzip; q=0", false),
            ("identity", false),
            ("xgzip", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(takes_gzip(&headers), takes, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
