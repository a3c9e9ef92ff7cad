//! Uploads in one request: the bytes pass through in chunks and are hashed as they pass, so memory stays flat however large
//! the file. Uploads that may take several requests are in [`crate::tus`].

use bytes::Bytes;
use http::{StatusCode, header};
use ota_core::error::{Faults, ValueError};
use ota_core::ids::UploadId;
use ota_core::limits::DEVICE_LIST_BYTES_MAX;
use ota_core::package::{PackageError, check_file_name, is_device_list};
use ota_core::settings::PackageLimits;
use ota_http::{Problem, Request, Response, respond};
use ota_platform::Platform;
use ota_store::blobs::{self, Arrival, Blob, CHUNK_BYTES, Expected, Pieces, Remains};
use ota_store::settings;
use ota_store::work::{self, OpenUpload};
use serde::Serialize;

use crate::packages::too_many_uploads;

/// Chunks of a file with a wrong digest that are removed before the answer; the clock removes the rest.
const MISMATCH_CHUNKS_MAX: u64 = 256;

/// An upload. It has digests when all of it is there.
#[derive(Serialize)]
pub(crate) struct UploadJson {
    upload_id: String,
    file_name: String,
    size: u64,
    offset: u64,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    md5: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    expires_at: u64,
}

impl UploadJson {
    pub(crate) fn complete(blob: Blob) -> Self {
        Self {
            upload_id: blob.id.to_string(),
            size: blob.size,
            offset: blob.size,
            complete: true,
            md5: Some(hex::encode(blob.digests.md5)),
            sha256: Some(hex::encode(blob.digests.sha256)),
            expires_at: blob.expires_at().0,
            file_name: blob.file_name,
        }
    }

    pub(crate) fn arriving(arrival: Arrival) -> Self {
        Self {
            upload_id: arrival.id.to_string(),
            size: arrival.size,
            offset: arrival.offset,
            complete: false,
            md5: None,
            sha256: None,
            expires_at: arrival.expires_at().0,
            file_name: arrival.file_name,
        }
    }
}

/// Checks the name that a file is to have, and returns how large it may be.
pub(crate) fn check_name(file_name: &str, pointer: &str, limits: PackageLimits, faults: &mut Faults) -> u64 {
    if is_device_list(file_name) {
        return DEVICE_LIST_BYTES_MAX;
    }
    if file_name.is_empty() {
        faults.add(pointer, &ValueError::Missing);
    } else {
        faults.take(pointer, check_file_name(file_name, limits));
    }
    limits.package_bytes_max()
}

/// Reads the digests that a client may tell beforehand, in hexadecimal digits.
pub(crate) fn expected<'a>(
    told: impl Fn(&str) -> Option<&'a str>,
    place: &str,
    faults: &mut Faults,
) -> Expected {
    let mut read = |name: &str, len: usize, expected: &'static str| {
        let bytes = hex::decode(told(name)?).ok().filter(|bytes| bytes.len() == len);
        if bytes.is_none() {
            faults.add(&format!("{place}{name}"), &ValueError::Malformed { expected });
        }
        bytes
    };
    let md5 = read("md5", 16, "32 hexadecimal digits");
    let sha256 = read("sha256", 32, "64 hexadecimal digits");
    Expected { md5: md5.and_then(|b| b.try_into().ok()), sha256: sha256.and_then(|b| b.try_into().ok()) }
}

/// `POST /v1/uploads?file_name=…&md5=…&sha256=…`, of which the digests may be left out.
///
/// The upload is listed before its first chunk is stored, so that whatever a cut connection or a crash leaves behind is
/// found and collected.
pub(crate) async fn receive<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&["file_name", "md5", "sha256"])?;
    let limits = settings::get(platform.kv()).await?.package_limits;
    let mut faults = Faults::new();
    let file_name = request.query("file_name").unwrap_or_default().to_owned();
    let max = check_name(&file_name, "query:file_name", limits, &mut faults);
    let expected = expected(|name| request.query(name), "query:", &mut faults);
    let told = request.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    // A size that is told is judged before anything is stored (R12).
    if told.is_some_and(|size| size > max) {
        return Err(Problem::of(&PackageError::FileTooLarge { max }));
    }
    if told == Some(0) {
        faults.add("", &PackageError::EmptyFile);
    }
    faults.into_result()?;

    let (kv, started) = (platform.kv(), platform.now());
    let id = UploadId(platform.random());
    request.about.names([id]);
    let chunks_max = told.unwrap_or(max).div_ceil(CHUNK_BYTES as u64);
    let open = OpenUpload { id, since: started, chunks_max, taken_by: None };
    if !work::add_upload(kv, open, started).await? {
        return Err(too_many_uploads());
    }
    let stored = ota_blob::receive(platform, id, &mut request.body, told, max).await;
    let problem = match stored {
        Ok((size, digests, place)) if expected.fits(&digests) => {
            let created_at = platform.now();
            let (chunk_bytes, pieces) = (CHUNK_BYTES as u32, Pieces::default());
            let blob = Blob { id, file_name, size, chunk_bytes, digests, created_at, place, pieces };
            blobs::complete(kv, &blob).await?;
            return Ok(respond::json(StatusCode::CREATED, &UploadJson::complete(blob)));
        }
        Ok((size, digests, place)) => {
            // The record tells the clock where the bytes are.
            let remains = Remains { place, ..Remains::default() };
            let problem = Problem::of(&expected.mismatch(&digests));
            blobs::leave(kv, id, &remains).await?;
            let open = OpenUpload { chunks_max: size.div_ceil(CHUNK_BYTES as u64), ..open };
            ota_blob::collect(platform, &open, MISMATCH_CHUNKS_MAX).await?;
            problem
        }
        Err((problem, removed)) => {
            // Best effort: what stays behind is collected later.
            if removed {
                let _ = work::remove_upload(kv, id, platform.now()).await;
            }
            problem
        }
    };
    Err(problem)
}
