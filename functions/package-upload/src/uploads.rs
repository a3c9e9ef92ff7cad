//! Uploads: the bytes pass through in chunks and are hashed as they pass, so memory stays flat however large the file.

use bytes::Bytes;
use http::{StatusCode, header};
use md5::{Digest, Md5};
use ota_core::digest::Digests;
use ota_core::error::{Faults, ValueError};
use ota_core::ids::UploadId;
use ota_core::limits::DEVICE_LIST_BYTES_MAX;
use ota_core::package::{PackageError, check_file_name, is_device_list};
use ota_http::{Problem, Request, Response, body, respond};
use ota_platform::Platform;
use ota_store::blobs::{self, Blob, CHUNK_BYTES};
use ota_store::settings;
use ota_store::work::{self, OpenUpload};
use serde::Serialize;
use sha2::Sha256;

use crate::packages::too_many_uploads;

#[derive(Serialize)]
struct UploadJson {
    upload_id: String,
    file_name: String,
    size: u64,
    md5: String,
    sha256: String,
    expires_at: u64,
}

/// `POST /v1/uploads?file_name=…`
///
/// The upload is listed before its first chunk is stored, so that whatever a cut connection or a crash leaves behind is
/// found and collected.
pub(crate) async fn receive<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&["file_name"])?;
    let limits = settings::get(platform.kv()).await?.package_limits;
    let mut faults = Faults::new();
    let file_name = request.query("file_name").unwrap_or_default().to_owned();
    let is_list = is_device_list(&file_name);
    let max = if is_list { DEVICE_LIST_BYTES_MAX } else { limits.package_bytes_max() };
    if file_name.is_empty() {
        faults.add("query:file_name", &ValueError::Missing);
    } else if !is_list {
        faults.take("query:file_name", check_file_name(&file_name, limits));
    }
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
    let chunks_max = told.unwrap_or(max).div_ceil(CHUNK_BYTES as u64);
    let open = OpenUpload { id, since: started, chunks_max, taken_by: None };
    if !work::add_upload(kv, open, started).await? {
        return Err(too_many_uploads());
    }
    match store(platform, &mut request.body, id, told, max).await {
        Ok((size, digests)) => {
            let created_at = platform.now();
            let blob = Blob { id, file_name, size, chunk_bytes: CHUNK_BYTES as u32, digests, created_at };
            blobs::complete(kv, &blob).await?;
            let answer = UploadJson {
                upload_id: id.to_string(),
                size,
                md5: hex::encode(blob.digests.md5),
                sha256: hex::encode(blob.digests.sha256),
                expires_at: blob.expires_at().0,
                file_name: blob.file_name,
            };
            Ok(respond::json(StatusCode::CREATED, &answer))
        }
        Err((stored, problem)) => {
            // Best effort: what stays behind is collected later.
            if blobs::remove(kv, id, 0, stored).await.is_ok() {
                let _ = work::remove_upload(kv, id, platform.now()).await;
            }
            Err(problem)
        }
    }
}

/// Stores the body of at most `max` bytes; on failure returns how many chunks there are to remove.
async fn store<P, B>(
    platform: &P,
    body: &mut B,
    id: UploadId,
    told: Option<u64>,
    max: u64,
) -> Result<(u64, Digests), (u64, Problem)>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let kv = platform.kv();
    let (mut md5, mut sha256) = (Md5::new(), Sha256::new());
    let (mut size, mut chunks) = (0_u64, 0_u64);
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    while let Some(bytes) = body::next(body).await.map_err(|problem| (chunks, problem))? {
        size += bytes.len() as u64;
        if size > max {
            return Err((chunks, Problem::of(&PackageError::FileTooLarge { max })));
        }
        md5.update(&bytes);
        sha256.update(&bytes);
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(CHUNK_BYTES - chunk.len()));
            chunk.extend_from_slice(now);
            rest = later;
            if chunk.len() == CHUNK_BYTES {
                blobs::put_chunk(kv, id, chunks, &chunk).await.map_err(|error| (chunks + 1, error.into()))?;
                chunks += 1;
                chunk.clear();
            }
        }
    }
    if told.is_some_and(|told| told != size) {
        return Err((
            chunks,
            Problem::new("request.body-cut", "the body is shorter than its Content-Length"),
        ));
    }
    if size == 0 {
        return Err((chunks, Problem::of(&PackageError::EmptyFile)));
    }
    if !chunk.is_empty() {
        blobs::put_chunk(kv, id, chunks, &chunk).await.map_err(|error| (chunks + 1, error.into()))?;
    }
    Ok((size, Digests { md5: md5.finalize().into(), sha256: sha256.finalize().into() }))
}
