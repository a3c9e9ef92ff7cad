//! `GET /d/{package_id}?e=…&s=…`, and `GET /d/{package_id}/{n}?e=…&s=…` for a package of several files

use bytes::Bytes;
use futures::SinkExt;
use futures::channel::mpsc;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use ota_core::digest::DigestAlgorithm;
use ota_core::download::{self, UrlError};
use ota_core::ids::{PackageId, UploadId};
use ota_http::{Body, Problem, Request, Response, respond};
use ota_platform::{Platform, serve};
use ota_store::blobs::{self, CHUNK_BYTES};
use ota_store::packages;

use crate::range::{Wanted, wanted};

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
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    // The bytes of a package never change; compressing them on the way would break devices that count them.
    let caching = HeaderValue::from_static("private, max-age=86400, no-transform");
    headers.insert(header::CACHE_CONTROL, caching);
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    if not_modified(&request.headers, &etag) {
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::CONTENT_TYPE);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let range = request.headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    // A range of a file that has changed meanwhile would be put behind other bytes: then all of it is sent.
    let range = range.filter(|_| same_file(&request.headers, &etag));
    let (from, to) = match wanted(range, size) {
        Wanted::Whole => (0, size),
        Wanted::Part { from, to } => {
            if let Ok(value) = HeaderValue::from_str(&format!("bytes {from}-{}/{size}", to - 1)) {
                headers.insert(header::CONTENT_RANGE, value);
            }
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            (from, to)
        }
        Wanted::Outside => {
            let problem = Problem::new("download.range", format!("the file has {size} bytes"));
            let mut refused = problem.into_response(platform.random());
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                refused.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            return Ok(refused);
        }
    };
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    if request.method == Method::GET {
        *response.body_mut() = stream(platform, file.blob, from, to);
    }
    Ok(response)
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

/// Sends bytes `from..to` of a file, chunk by chunk, as fast as they are taken: at most two chunks are in memory.
fn stream<P: Platform>(platform: &P, blob: UploadId, from: u64, to: u64) -> Body {
    let (mut sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, anyhow::Error>>(0);
    let engine = platform.clone();
    platform.spawn(async move {
        let size = CHUNK_BYTES as u64;
        let mut at = from;
        while at < to {
            let (index, offset) = (at / size, (at % size) as usize);
            let chunk = match blobs::get_chunk(engine.kv(), blob, index).await {
                Ok(Some(chunk)) => Ok(Bytes::from(chunk)),
                Ok(None) => Err(anyhow::anyhow!("chunk {index} of {blob} is missing")),
                Err(error) => Err(error.into()),
            };
            let end = ((to - index * size).min(size)) as usize;
            let part = chunk.and_then(|chunk| {
                if chunk.len() < end {
                    return Err(anyhow::anyhow!("chunk {index} of {blob} is short"));
                }
                Ok(chunk.slice(offset..end))
            });
            let failed = part.as_ref().err().map(ToString::to_string);
            if let Some(why) = &failed {
                engine.log(&format!("download of {blob} cut: {why}"));
            }
            at = (index + 1) * size;
            // Nobody takes the rest when the device has gone.
            if sender.send(part.map(Frame::data)).await.is_err() || failed.is_some() {
                return;
            }
        }
    });
    StreamBody::new(receiver).boxed_unsync()
}
