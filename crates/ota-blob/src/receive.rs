//! A file that comes in one request.

use bytes::Bytes;
use futures::SinkExt;
use futures::channel::mpsc;
use futures::future::{Either, select};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use ota_core::digest::Digests;
use ota_core::ids::UploadId;
use ota_core::package::PackageError;
use ota_http::{Problem, body};
use ota_platform::Platform;
use ota_store::blobs::{self, Pieces, Place};

use crate::bucket::Bucket;
use crate::chunks::Chunks;
use crate::hashes::Hashes;

/// Stores a body of 1 to `max` bytes and returns its size, its digests and where it is. `told` is how long it is, as far as the
/// request said. When it fails, what is stored is removed as well as may be; `true` beside the problem says that all is.
///
/// # Errors
/// `request.body-cut`, `package.empty-file`, `package.file-too-large`, `upload.length-required`; the store's and the bucket's.
pub async fn receive<P, B>(
    platform: &P,
    id: UploadId,
    body: &mut B,
    told: Option<u64>,
    max: u64,
) -> Result<(u64, Digests, Place), (Problem, bool)>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let bucket = Bucket::for_new_files(platform).await.map_err(|problem| (problem, true))?;
    let mut arriving = Arriving { body, told, max, size: 0, hashes: Hashes::default() };
    if let Some(bucket) = bucket {
        // Cut short, it never comes to be.
        let stored = into_bucket(platform, &bucket, id, &mut arriving).await;
        return stored.map_err(|problem| (problem, true)).map(|()| arriving.stored(Place::Bucket));
    }
    let mut chunks = Chunks::new(platform, id);
    match into_store(&mut chunks, &mut arriving).await {
        Ok(()) => Ok(arriving.stored(Place::Chunks)),
        Err(problem) => {
            // Nothing may come to be stored after it was removed; what cannot be stored need not be.
            let _removed_next = chunks.settle().await;
            // The last may be stored though the store failed.
            let range = 0..chunks.full() + 1;
            let removed = blobs::remove_chunks(platform.kv(), id, &Pieces::default(), range).await;
            Err((problem, removed.is_ok()))
        }
    }
}

struct Arriving<'a, B> {
    body: &'a mut B,
    told: Option<u64>,
    max: u64,
    size: u64,
    hashes: Hashes,
}

impl<B> Arriving<'_, B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    /// Returns the next bytes; `None` at the end of a body that is as it should be.
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some(bytes) = body::next(self.body).await? else {
            return match self.told {
                Some(told) if told != self.size => {
                    Err(Problem::new("request.body-cut", "the body is shorter than its Content-Length"))
                }
                _ if self.size == 0 => Err(Problem::of(&PackageError::EmptyFile)),
                _ => Ok(None),
            };
        };
        self.size += bytes.len() as u64;
        if self.size > self.max {
            return Err(Problem::of(&PackageError::FileTooLarge { max: self.max }));
        }
        self.hashes.update(&bytes);
        Ok(Some(bytes))
    }

    fn stored(self, place: Place) -> (u64, Digests, Place) {
        (self.size, self.hashes.finish(), place)
    }
}

async fn into_store<P, B>(chunks: &mut Chunks<P>, arriving: &mut Arriving<'_, B>) -> Result<(), Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    while let Some(mut bytes) = arriving.next().await? {
        while !bytes.is_empty() {
            let now = bytes.split_to(chunks.room().min(bytes.len()));
            chunks.put(&now).await?;
        }
    }
    Ok(chunks.flush().await?)
}

async fn into_bucket<P, B>(
    platform: &P,
    bucket: &Bucket,
    id: UploadId,
    arriving: &mut Arriving<'_, B>,
) -> Result<(), Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let length = "a file that goes to a bucket needs a Content-Length";
    let len = arriving.told.ok_or_else(|| Problem::new("upload.length-required", length))?;
    let (mut sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, anyhow::Error>>(0);
    let body = StreamBody::new(receiver).boxed_unsync();
    let put = Box::pin(bucket.put(platform, id, len, body));
    let feed = Box::pin(async move {
        loop {
            match arriving.next().await {
                Ok(Some(bytes)) => {
                    // When nobody takes it any more, the bucket has answered, and that counts.
                    if sender.send(Ok(Frame::data(bytes))).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(None) => return Ok(()),
                Err(problem) => return Err(problem),
            }
        }
    });
    match select(put, feed).await {
        Either::Left((answer, _)) => {
            answer?;
            Err(Problem::new("bucket.unavailable", "the bucket answered before it had the file; try again"))
        }
        Either::Right((Ok(()), put)) => put.await,
        // The request to the bucket is dropped before it has brought all that it promised: there is no such object.
        Either::Right((Err(problem), _)) => Err(problem),
    }
}
