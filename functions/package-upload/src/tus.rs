//! Uploads that go on after a break: the tus protocol 1.0.0 (tus.io/protocols/resumable-upload), with its extensions creation,
//! creation-with-upload, termination, checksum and expiration.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use ota_blob::{Appended, Bucket, Checksum};
use ota_core::error::{Faults, ValueError};
use ota_core::ids::{PackageId, UploadId};
use ota_core::package::PackageError;
use ota_core::time::Timestamp;
use ota_http::{Problem, Request, Response, respond};
use ota_platform::Platform;
use ota_store::blobs::{self, Arrival, CHUNK_BYTES, Expected, Hashing, Parts, Pieces, Refused, Stored};
use ota_store::settings;
use ota_store::work::{self, OpenUpload};

use crate::packages::too_many_uploads;
use crate::uploads::{UploadJson, check_name, expected};

/// The version that is spoken.
const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const EXTENSIONS: HeaderValue =
    HeaderValue::from_static("creation,creation-with-upload,termination,checksum,expiration");
const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
/// What a body of bytes to append is called.
const APPENDED: &str = "application/offset+octet-stream";
/// Bytes of what a client says of its file; it is kept, and told again.
const METADATA_BYTES_MAX: usize = 2_048;
/// Who an upload belongs to that its client has ended: no package can have it any more.
const NOBODY: PackageId = PackageId([0; 16]);

/// Tells whether a request speaks this protocol. One that makes an upload and does not is an upload in one request.
pub(crate) fn is_spoken(headers: &HeaderMap) -> bool {
    headers.contains_key(RESUMABLE)
}

/// Returns the method that is meant: some clients and proxies know only `POST`.
pub(crate) fn method<B>(request: &http::Request<B>) -> Method {
    let told = request.headers().get(OVERRIDE).and_then(|value| Method::from_bytes(value.as_bytes()).ok());
    told.filter(|_| *request.method() == Method::POST).unwrap_or_else(|| request.method().clone())
}

/// Names the protocol's version in the answer to whoever speaks it, or should have, also in one that refuses.
pub(crate) fn finish(is_spoken: bool, mut response: Response) -> Response {
    let is_version_refused = response.status() == StatusCode::PRECONDITION_FAILED;
    if is_spoken || is_version_refused {
        response.headers_mut().insert(RESUMABLE, VERSION);
    }
    if is_version_refused {
        response.headers_mut().insert(HeaderName::from_static("tus-version"), VERSION);
    }
    response
}

fn check_version<B>(request: &Request<B>) -> Result<(), Problem> {
    match request.headers.get(RESUMABLE) {
        Some(version) if version == VERSION => Ok(()),
        _ => Err(Problem::new("upload.version", "this needs `Tus-Resumable: 1.0.0`")),
    }
}

/// `OPTIONS /v1/uploads`: what the service can do.
pub(crate) async fn options<P: Platform>(platform: &P) -> Result<Response, Problem> {
    let limits = settings::get(platform.kv()).await?.package_limits;
    let mut response = respond::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("tus-version"), VERSION);
    headers.insert(HeaderName::from_static("tus-extension"), EXTENSIONS);
    headers.insert(HeaderName::from_static("tus-max-size"), HeaderValue::from(limits.package_bytes_max()));
    let algorithms = HeaderValue::from_str(&Checksum::ALGORITHMS.join(","));
    if let Ok(algorithms) = algorithms {
        headers.insert(HeaderName::from_static("tus-checksum-algorithm"), algorithms);
    }
    Ok(response)
}

/// `POST /v1/uploads`: announces a file, of which the body may be the first part.
pub(crate) async fn create<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    check_version(request)?;
    request.only_query(&[])?;
    let limits = settings::get(platform.kv()).await?.package_limits;
    let mut faults = Faults::new();
    let metadata = text(&request.headers, &METADATA).unwrap_or_default().to_owned();
    let told = read_metadata(&metadata, &mut faults);
    let named = |name: &str| told.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let file_name = named("filename").or(named("name")).unwrap_or_default().to_owned();
    let max = check_name(&file_name, "header:Upload-Metadata/filename", limits, &mut faults);
    let expected = expected(named, "header:Upload-Metadata/", &mut faults);
    let size = number(&request.headers, &LENGTH);
    match size {
        None => {
            let expected = "the number of bytes of the whole file; it cannot be told later";
            faults.add("header:Upload-Length", &ValueError::Malformed { expected });
        }
        Some(0) => faults.add("header:Upload-Length", &PackageError::EmptyFile),
        Some(_) => {}
    }
    // A size that is told is judged before anything is stored (R12).
    if size.is_some_and(|size| size > max) {
        return Err(Problem::of(&PackageError::FileTooLarge { max }));
    }
    faults.into_result()?;
    let size = size.unwrap_or_default();

    let now = platform.now();
    let id = UploadId(platform.random());
    request.about.names([id]);
    let chunks_max = size.div_ceil(CHUNK_BYTES as u64);
    let open = OpenUpload { id, since: now, chunks_max, taken_by: None };
    if !work::add_upload(platform.kv(), open, now).await? {
        return Err(too_many_uploads());
    }
    let parts = match in_bucket(platform, id).await {
        Ok(parts) => parts,
        Err(problem) => {
            work::remove_upload(platform.kv(), id, now).await?;
            return Err(problem);
        }
    };
    let arrival = new_arrival(id, file_name, metadata, size, expected, parts, now);
    blobs::announce(platform.kv(), &arrival).await?;
    let mut appended = Appended::Until(0);
    if content_type(&request.headers) == Some(APPENDED) {
        appended = append_at(platform, request, id, 0).await?;
    }
    let mut response = offset_answer(StatusCode::CREATED, &appended, arrival.expires_at());
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/uploads/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Begins an object in the bucket, if that is where new files go.
async fn in_bucket<P: Platform>(platform: &P, id: UploadId) -> Result<Option<Parts>, Problem> {
    let Some(bucket) = Bucket::for_new_files(platform).await? else { return Ok(None) };
    Ok(Some(Parts { upload: bucket.create(platform, id).await?, ..Parts::default() }))
}

fn new_arrival(
    id: UploadId,
    file_name: String,
    metadata: String,
    size: u64,
    expected: Expected,
    parts: Option<Parts>,
    created_at: Timestamp,
) -> Arrival {
    Arrival {
        id,
        file_name,
        metadata,
        size,
        offset: 0,
        hashing: Hashing::default(),
        expected,
        writing: false,
        pieces: Pieces::default(),
        tail_writer: 0,
        parts,
        created_at,
    }
}

/// `PATCH /v1/uploads/{upload_id}`: the next bytes.
pub(crate) async fn append<P, B>(
    platform: &P,
    request: &mut Request<B>,
    id: UploadId,
) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    check_version(request)?;
    if content_type(&request.headers) != Some(APPENDED) {
        let problem = format!("the body must be `Content-Type: {APPENDED}`");
        return Err(Problem::new("upload.content-type", problem));
    }
    let mut faults = Faults::new();
    let offset = number(&request.headers, &OFFSET);
    if offset.is_none() {
        let expected = "the number of bytes that are there";
        faults.add("header:Upload-Offset", &ValueError::Malformed { expected });
    }
    faults.into_result()?;
    let expires_at = platform.now().plus_minutes(ota_core::limits::UPLOAD_LIFE_MINUTES);
    let expires_at = match blobs::find(platform.kv(), id).await? {
        Some(Stored::Arriving(arrival)) => arrival.expires_at(),
        _ => expires_at,
    };
    let appended = append_at(platform, request, id, offset.unwrap_or_default()).await?;
    Ok(offset_answer(StatusCode::NO_CONTENT, &appended, expires_at))
}

/// Appends a request's body at `offset`, which must be where the upload ends.
async fn append_at<P, B>(
    platform: &P,
    request: &mut Request<B>,
    id: UploadId,
    offset: u64,
) -> Result<Appended, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let checksum = match text(&request.headers, &CHECKSUM) {
        Some(told) => Some(read_checksum(told)?),
        None => None,
    };
    let told = number(&request.headers, &header::CONTENT_LENGTH);
    let arrival = match blobs::begin(platform.kv(), id, offset, platform.now()).await? {
        Ok(arrival) => arrival,
        // The answer to the last bytes got lost, and the client sends none.
        Err(Refused::Complete(size)) if size == offset => {
            let blob = blobs::get(platform.kv(), id).await?;
            return blob.map(Appended::Complete).ok_or_else(|| Problem::not_found("upload"));
        }
        Err(refused) => return Err(refusal(&refused)),
    };
    ota_blob::append(platform, arrival, &mut request.body, told, checksum).await
}

/// `HEAD /v1/uploads/{upload_id}`: how much is there.
pub(crate) async fn head<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: UploadId,
) -> Result<Response, Problem> {
    check_version(request)?;
    let (offset, size, metadata, expires_at) = match look(platform, id).await? {
        Stored::Arriving(a) => (a.offset, a.size, a.metadata.clone(), a.expires_at()),
        Stored::Complete(blob) => (blob.size, blob.size, String::new(), blob.expires_at()),
        Stored::Gone(_) => return Err(Problem::not_found("upload")),
    };
    let mut response = respond::empty(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(OFFSET, HeaderValue::from(offset));
    headers.insert(LENGTH, HeaderValue::from(size));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    expires(headers, expires_at);
    if let Ok(value) = HeaderValue::from_str(&metadata)
        && !metadata.is_empty()
    {
        headers.insert(METADATA, value);
    }
    Ok(response)
}

/// `GET /v1/uploads/{upload_id}`: the same as a document.
pub(crate) async fn get<P: Platform>(platform: &P, id: UploadId) -> Result<Response, Problem> {
    let upload = match look(platform, id).await? {
        Stored::Arriving(arrival) => UploadJson::arriving(*arrival),
        Stored::Complete(blob) => UploadJson::complete(blob),
        Stored::Gone(_) => return Err(Problem::not_found("upload")),
    };
    Ok(respond::json(StatusCode::OK, &upload))
}

/// Finds an upload whose time is not over, and finishes what a crash has left undone of one that is all there.
async fn look<P: Platform>(platform: &P, id: UploadId) -> Result<Stored, Problem> {
    let stored = blobs::find(platform.kv(), id).await?.ok_or_else(|| Problem::not_found("upload"))?;
    let over = match &stored {
        Stored::Arriving(arrival) => arrival.expires_at(),
        Stored::Complete(blob) => blob.expires_at(),
        Stored::Gone(_) => return Err(Problem::not_found("upload")),
    };
    if platform.now() >= over {
        return Err(refusal(&Refused::Expired));
    }
    match stored {
        Stored::Arriving(arrival) if arrival.offset == arrival.size => {
            match ota_blob::finish(platform, (*arrival).clone()).await? {
                Appended::Complete(blob) => Ok(Stored::Complete(blob)),
                Appended::Until(_) => Ok(Stored::Arriving(arrival)),
            }
        }
        stored => Ok(stored),
    }
}

/// `DELETE /v1/uploads/{upload_id}`: the client does not want it any more.
pub(crate) async fn terminate<P: Platform>(platform: &P, id: UploadId) -> Result<Response, Problem> {
    match blobs::find(platform.kv(), id).await? {
        Some(Stored::Arriving(_) | Stored::Complete(_)) => {}
        Some(Stored::Gone(_)) | None => return Err(Problem::not_found("upload")),
    }
    // From here on no package can be made of it.
    if work::take_uploads(platform.kv(), &[id], NOBODY, platform.now()).await?.is_err() {
        return Err(Problem::new("upload.in-use", "a package is made of this upload"));
    }
    ota_blob::discard(platform, id).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

fn refusal(refused: &Refused) -> Problem {
    match refused {
        Refused::Unknown => Problem::not_found("upload"),
        Refused::Expired => Problem::new("upload.expired", "the time of this upload is over"),
        Refused::Offset(there) | Refused::Complete(there) => {
            Problem::new("upload.offset", format!("{there} bytes are there"))
        }
        Refused::Writers => {
            Problem::new("upload.broken-off", "this upload was broken off too often; begin another")
        }
    }
}

fn offset_answer(status: StatusCode, appended: &Appended, expires_at: Timestamp) -> Response {
    let mut response = respond::empty(status);
    let (offset, expires_at) = match appended {
        Appended::Until(offset) => (*offset, expires_at),
        Appended::Complete(blob) => (blob.size, blob.expires_at()),
    };
    response.headers_mut().insert(OFFSET, HeaderValue::from(offset));
    expires(response.headers_mut(), expires_at);
    response
}

fn expires(headers: &mut HeaderMap, at: Timestamp) {
    let at = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(at.0));
    if let Ok(value) = HeaderValue::from_str(&at) {
        headers.insert(EXPIRES, value);
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    text(headers, name).filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    text(headers, &header::CONTENT_TYPE).and_then(|value| value.split(';').next()).map(str::trim)
}

/// Reads `key base64,key base64`, in which a value may be left out.
fn read_metadata(text: &str, faults: &mut Faults) -> Vec<(String, String)> {
    let pointer = "header:Upload-Metadata";
    let malformed =
        ValueError::Malformed { expected: "pairs of a key and a value in base64, of at most 2,048 bytes" };
    if text.len() > METADATA_BYTES_MAX {
        faults.add(pointer, &malformed);
        return Vec::new();
    }
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = BASE64.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        value.map(|value| (key.to_owned(), value))
    });
    let pairs: Option<Vec<_>> = pairs.collect();
    pairs.unwrap_or_else(|| {
        faults.add(pointer, &malformed);
        Vec::new()
    })
}

/// Reads `algorithm base64`.
fn read_checksum(text: &str) -> Result<Checksum, Problem> {
    let malformed = || {
        let known = Checksum::ALGORITHMS.join(", ");
        Problem::new(
            "upload.checksum-malformed",
            format!("`Upload-Checksum` must be one of {known} and its digest in base64"),
        )
    };
    let (algorithm, digest) = text.trim().split_once(' ').ok_or_else(malformed)?;
    let digest = BASE64.decode(digest.trim()).map_err(|_| malformed())?;
    Checksum::new(algorithm, digest).ok_or_else(malformed)
}
