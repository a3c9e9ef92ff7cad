//! Requests to an S3-compatible bucket, by presigned URLs.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use http::{Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use ota_core::ids::UploadId;
use ota_http::{Body, Problem, variable};
use ota_platform::{Platform, whole};
use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CompleteMultipartUploadResponse, CreateMultipartUpload,
    DeleteObject, GetObject, HeadObject, PutObject, S3Action, UploadPart,
};
use rusty_s3::{Credentials, UrlStyle};
use url::Url;

/// How long a signed URL is good for. It is used at once; a part that is streamed into it has begun by then.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);
/// How long a bucket may take to answer a request that carries no file.
const ANSWER_MS_MAX: u64 = 30_000;
/// Bytes of an answer that is read: a document of some hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The variable's value that selects the bucket.
const S3: &str = "s3";
/// The one that selects the store.
const KEY_VALUE: &str = "key-value";

/// A bucket and the key to it.
pub struct Bucket {
    bucket: rusty_s3::Bucket,
    credentials: Credentials,
}

impl Bucket {
    /// Returns the bucket if new files are to go there.
    ///
    /// # Errors
    /// `service.variable`.
    pub async fn for_new_files<P: Platform>(platform: &P) -> Result<Option<Self>, Problem> {
        let chosen = variable(platform.variable("blob_store").await)?;
        match chosen.as_str() {
            KEY_VALUE => Ok(None),
            S3 => Self::open(platform).await.map(Some),
            _ => variable(Err(format!("variable blob_store: neither {KEY_VALUE} nor {S3}"))),
        }
    }

    /// Returns the bucket.
    ///
    /// # Errors
    /// `service.variable`.
    pub async fn open<P: Platform>(platform: &P) -> Result<Self, Problem> {
        let endpoint = variable(platform.variable("s3_endpoint").await)?;
        let endpoint: Url = variable(endpoint.parse().map_err(|why| format!("variable s3_endpoint: {why}")))?;
        let name = variable(platform.variable("s3_bucket").await)?;
        let region = variable(platform.variable("s3_region").await)?;
        let key = variable(platform.variable("s3_access_key_id").await)?;
        let secret = variable(platform.variable("s3_secret_access_key").await)?;
        let bucket = variable(rusty_s3::Bucket::new(endpoint, UrlStyle::Path, name, region))?;
        Ok(Self { bucket, credentials: Credentials::new(key, secret) })
    }

    /// Begins an object in parts, and returns what the bucket calls that.
    ///
    /// # Errors
    /// `bucket.unavailable`.
    pub async fn create<P: Platform>(&self, platform: &P, id: UploadId) -> Result<String, Problem> {
        let object = object(id);
        let url = CreateMultipartUpload::new(&self.bucket, Some(&self.credentials), &object).sign(SIGNED_FOR);
        let answer = text(asked(platform, Method::POST, &url, None).await?).await?;
        let created =
            CreateMultipartUpload::parse_response(&answer).map_err(|why| unavailable(why.to_string()))?;
        Ok(created.upload_id().to_owned())
    }

    /// Puts a part of an object, counted from 1, and returns what the bucket calls it.
    pub(crate) async fn put_part<P: Platform>(
        self,
        platform: P,
        id: UploadId,
        upload: String,
        number: u16,
        len: u64,
        body: Body,
    ) -> Result<String, Problem> {
        let object = object(id);
        let credentials = Some(&self.credentials);
        let url = UploadPart::new(&self.bucket, credentials, &object, number, &upload).sign(SIGNED_FOR);
        let answer = send(&platform, Method::PUT, &url, Some((len, body)), None).await?;
        let etag = answer.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok());
        etag.map(str::to_owned).ok_or_else(|| unavailable("a part without an ETag".into()))
    }

    /// Makes an object of its parts. Safe to be done again.
    pub(crate) async fn complete<P: Platform>(
        &self,
        platform: &P,
        id: UploadId,
        upload: &str,
        etags: &[String],
    ) -> Result<(), Problem> {
        let object = object(id);
        let etags = || etags.iter().map(String::as_str);
        let complete =
            || CompleteMultipartUpload::new(&self.bucket, Some(&self.credentials), &object, upload, etags());
        let url = complete().sign(SIGNED_FOR);
        let body = Bytes::from(complete().body());
        let body = Some((body.len() as u64, whole(body)));
        let answer = asked(platform, Method::POST, &url, body).await;
        let answer = match answer {
            Ok(answer) => text(answer).await.and_then(|answer| {
                // The bucket may find out after it has said that all is well.
                CompleteMultipartUploadResponse::parse(&answer).map_err(|_| unavailable(answer.clone()))
            }),
            Err(problem) => Err(problem),
        };
        match answer {
            Ok(_) => Ok(()),
            // It was completed before, and the bucket does not know the upload any more.
            Err(_) if self.holds(platform, id).await? => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    async fn holds<P: Platform>(&self, platform: &P, id: UploadId) -> Result<bool, Problem> {
        let object = object(id);
        let url = HeadObject::new(&self.bucket, Some(&self.credentials), &object).sign(SIGNED_FOR);
        Ok(asked(platform, Method::HEAD, &url, None).await.is_ok())
    }

    /// Puts an object of `len` bytes in one go. Cut short, it does not come to be.
    pub(crate) async fn put<P: Platform>(
        &self,
        platform: &P,
        id: UploadId,
        len: u64,
        body: Body,
    ) -> Result<(), Problem> {
        let object = object(id);
        let url = PutObject::new(&self.bucket, Some(&self.credentials), &object).sign(SIGNED_FOR);
        send(platform, Method::PUT, &url, Some((len, body)), None).await.map(drop)
    }

    /// Returns bytes of an object, as they come.
    pub(crate) async fn get<P: Platform>(
        &self,
        platform: &P,
        id: UploadId,
        range: Range<u64>,
    ) -> Result<Body, Problem> {
        let object = object(id);
        let url = GetObject::new(&self.bucket, Some(&self.credentials), &object).sign(SIGNED_FOR);
        let asked = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let answer = send(platform, Method::GET, &url, None, Some(&asked)).await?;
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            return Err(unavailable(format!("a range was answered with {}", answer.status())));
        }
        Ok(answer.into_body())
    }

    /// Removes an object, or the parts of one that is not complete. One that is not there is fine.
    pub(crate) async fn remove<P: Platform>(
        &self,
        platform: &P,
        id: UploadId,
        upload: Option<&str>,
    ) -> Result<(), Problem> {
        let (object, credentials) = (object(id), Some(&self.credentials));
        // One that was being completed when its process died may be either.
        if let Some(upload) = upload {
            let url = AbortMultipartUpload::new(&self.bucket, credentials, &object, upload).sign(SIGNED_FOR);
            absent_is_fine(asked(platform, Method::DELETE, &url, None).await)?;
        }
        let url = DeleteObject::new(&self.bucket, credentials, &object).sign(SIGNED_FOR);
        absent_is_fine(asked(platform, Method::DELETE, &url, None).await)
    }
}

/// Where a file is in the bucket.
fn object(id: UploadId) -> String {
    format!("overair/{id}")
}

/// A bucket that does not do what it is asked: what it said is for the log. The URL is not, because it is signed.
fn unavailable(why: String) -> Problem {
    let problem = Problem::new("bucket.unavailable", "the bucket did not take or give the file; try again");
    Problem { log: Some(why.chars().take(500).collect()), ..problem }
}

fn absent_is_fine(answer: Result<Response<Body>, Problem>) -> Result<(), Problem> {
    match answer {
        Err(problem) if problem.log.as_deref().is_some_and(|log| log.starts_with("404")) => Ok(()),
        other => other.map(drop),
    }
}

/// Makes a request that carries no file, and gives the bucket some time to answer.
async fn asked<P: Platform>(
    platform: &P,
    method: Method,
    url: &Url,
    body: Option<(u64, Body)>,
) -> Result<Response<Body>, Problem> {
    let answer = Box::pin(send(platform, method, url, body, None));
    match select(answer, Box::pin(platform.sleep(ANSWER_MS_MAX))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(unavailable("no answer in time".into())),
    }
}

async fn send<P: Platform>(
    platform: &P,
    method: Method,
    url: &Url,
    body: Option<(u64, Body)>,
    range: Option<&str>,
) -> Result<Response<Body>, Problem> {
    let mut request = http::Request::builder().method(method).uri(url.as_str());
    let (len, body) = body.unwrap_or_else(|| (0, whole(Bytes::new())));
    request = request.header(header::CONTENT_LENGTH, len);
    if let Some(range) = range {
        request = request.header(header::RANGE, range);
    }
    let request = request.body(body).map_err(|why| unavailable(why.to_string()))?;
    let answer = platform.fetch(request).await.map_err(|why| unavailable(why.to_string()))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let said = text(answer).await.unwrap_or_default();
    Err(unavailable(format!("{}: {said}", status.as_u16())))
}

async fn text(answer: Response<Body>) -> Result<String, Problem> {
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let bytes = body.map_err(|why| unavailable(why.to_string()))?.to_bytes();
    String::from_utf8(bytes.to_vec()).map_err(|why| unavailable(why.to_string()))
}
