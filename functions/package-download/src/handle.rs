//! `GET /d/{package_id}?e=…&s=…`, and `GET /d/{package_id}/{n}?e=…&s=…` for a package of several files

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use ota_blob::File;
use ota_core::digest::DigestAlgorithm;
use ota_core::download::{self, UrlError};
use ota_core::ids::PackageId;
use ota_http::{Problem, Request, Response, respond};
use ota_platform::{Platform, serve};
use ota_store::packages;

use crate::parts::{self, CONTENT_TYPE, Piece, content_range};
use crate::range::{Wanted, wanted};
use crate::stream::stream;

/// Answers a request.
pub async fn handle<P, B>(platform: &P, request: http::Request<B>) -> Response
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    serve::signed(platform, request, download).await
}

async fn download<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let path = request.path();
    let (id, file) = match (&request.method, path.as_slice()) {
        (&Method::GET | &Method::HEAD, [_, id]) => (*id, None),
        (&Method::GET | &Method::HEAD, [_, id, file]) => (*id, Some(*file)),
        (_, [_, _] | [_, _, _]) => return Err(Problem::method_not_allowed(vec!["GET", "HEAD"])),
        _ => return Err(Problem::no_route()),
    };
    let key = ota_http::variable(platform.variable("url_signing_key").await)?;
    let unsigned = || Problem::new("download.signature", "this URL was not issued by the service");
    let id: PackageId = id.parse().map_err(|_| unsigned())?;
    let number = file.map(|text| download::parse_file(text).ok_or_else(unsigned)).transpose()?;
    let (e, s) = request.query("e").zip(request.query("s")).ok_or_else(unsigned)?;
    download::check(key.as_bytes(), id, number, e, s, platform.now()).map_err(|error| match error {
        UrlError::Signature => unsigned(),
        UrlError::Expired => Problem::new("download.expired", "this URL has expired; ask for a new one"),
    })?;
    let stored = packages::get(platform.kv(), id).await?.ok_or_else(|| Problem::not_found("package"))?;
    let file = stored.file(number).ok_or_else(|| Problem::not_found("file"))?;
    let size = file.size;
    let etag = format!("\"{}\"", file.digests.hex(DigestAlgorithm::Sha256));

    let mut response = respond::empty(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    // The bytes of a package never change; compressing them on the way would break devices that count them.
    let caching = HeaderValue::from_static("private, max-age=86400, no-transform");
    headers.insert(header::CACHE_CONTROL, caching);
    insert(headers, header::ETAG, &etag);
    if not_modified(&request.headers, &etag) {
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::CONTENT_TYPE);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let range = request.headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    // A range of a file that has changed meanwhile would be put behind other bytes: then all of it is sent.
    let range = range.filter(|_| same_file(&request.headers, &etag));
    let pieces = match wanted(range, size) {
        Wanted::Whole => vec![Piece::File(0..size)],
        Wanted::Parts(ranges) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            partial(platform, response.headers_mut(), ranges, size)
        }
        Wanted::Outside => {
            let problem = Problem::new("download.range", format!("the file has {size} bytes"));
            let mut refused = serve::refuse(platform, problem, platform.random());
            insert(refused.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(refused);
        }
    };
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(parts::len(&pieces)));
    if request.method == Method::GET {
        let file = File::open(platform, file.blob).await?.ok_or_else(|| Problem::not_found("file"))?;
        *response.body_mut() = stream(platform, file, pieces).await?;
    }
    Ok(response)
}

/// Says in the headers which parts are sent, and returns them: one as it is, several each with lines that tell its place.
fn partial<P: Platform>(
    platform: &P,
    headers: &mut HeaderMap,
    ranges: Vec<Range<u64>>,
    size: u64,
) -> Vec<Piece> {
    if let [range] = ranges.as_slice() {
        insert(headers, header::CONTENT_RANGE, &content_range(range, size));
        return vec![Piece::File(range.clone())];
    }
    let boundary = format!("{:032x}", u128::from_be_bytes(platform.random()));
    insert(headers, header::CONTENT_TYPE, &format!("multipart/byteranges; boundary={boundary}"));
    parts::multipart(&ranges, size, &boundary)
}

/// Sets a header to a text of ours, which has nothing in it that no header may have.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// `If-None-Match`: the caller has these bytes already.
fn not_modified(headers: &HeaderMap, etag: &str) -> bool {
    let listed = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    listed.is_some_and(|listed| {
        listed.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == etag || tag == "*")
    })
}

/// `If-Range`: the caller has a part of this very file. A date is never the same, because none is told.
fn same_file(headers: &HeaderMap, etag: &str) -> bool {
    headers.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == etag.as_bytes())
}
