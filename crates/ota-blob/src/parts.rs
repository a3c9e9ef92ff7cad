//! Writing a file into a bucket, part by part.
//!
//! A part must have five mebibytes; only the last may have less. What a request brings beyond the last full part waits in the
//! store, in chunks, and begins the next request's first part.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures::SinkExt;
use futures::channel::mpsc;
use futures::future::{Either, select};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use ota_core::ids::UploadId;
use ota_http::Problem;
use ota_platform::Platform;
use ota_store::blobs::{self, CHUNK_BYTES, Parts, Pieces};

use crate::bucket::Bucket;
use crate::chunks::Chunks;

/// Bytes of each part but the last: what every bucket takes, and whole chunks.
pub const PART_BYTES: u64 = 5 * 1024 * 1024;

/// Bytes that wait in the store: from the end of the last part until here.
pub(crate) struct Waiting<P> {
    pub(crate) chunks: Chunks<P>,
    pub(crate) pieces: Pieces,
    pub(crate) until: u64,
}

/// The part that is being sent.
struct Part {
    len: u64,
    sent: u64,
    sender: mpsc::Sender<Result<Frame<Bytes>, anyhow::Error>>,
    answer: Pin<Box<dyn Future<Output = Result<String, Problem>>>>,
}

/// One request's writing into a bucket.
pub(crate) struct PartWriter<P: Platform> {
    platform: P,
    id: UploadId,
    upload: String,
    pub(crate) etags: Vec<String>,
    pub(crate) leftover: (u64, u64),
    waiting: Waiting<P>,
    /// Bytes of the request that have not come yet.
    coming: u64,
    /// Whether they are the file's last.
    last: bool,
    part: Option<Part>,
}

impl<P: Platform> PartWriter<P> {
    pub(crate) fn new(
        platform: &P,
        id: UploadId,
        parts: &Parts,
        waiting: Waiting<P>,
        coming: u64,
        last: bool,
    ) -> Self {
        let Parts { upload, etags, leftover } = parts.clone();
        let platform = platform.clone();
        Self { platform, id, upload, etags, leftover, waiting, coming, last, part: None }
    }

    /// Where the parts end that the bucket has.
    fn part_end(&self) -> u64 {
        self.etags.len() as u64 * PART_BYTES
    }

    /// Full chunks that wait, as places in the file.
    pub(crate) fn full(&self) -> u64 {
        self.waiting.chunks.full()
    }

    /// Bytes that can be put before the next step is stored.
    pub(crate) async fn room(&mut self) -> Result<usize, Problem> {
        if self.part.is_none() {
            self.open().await?;
        }
        Ok(match &self.part {
            Some(part) => usize::try_from(part.len - part.sent).unwrap_or(usize::MAX),
            None => self.waiting.chunks.room(),
        })
    }

    /// Begins a part if this request can fill one, with what waits for it.
    async fn open(&mut self) -> Result<(), Problem> {
        let (begin, until) = (self.part_end(), self.waiting.until);
        self.waiting.chunks.settle().await?;
        let there = until - begin + self.coming;
        if there < PART_BYTES && !self.last {
            return Ok(());
        }
        let len = there.min(PART_BYTES);
        let number = u16::try_from(self.etags.len() + 1).unwrap_or(u16::MAX);
        let (sender, receiver) = mpsc::channel(0);
        let body = StreamBody::new(receiver).boxed_unsync();
        let bucket = Bucket::open(&self.platform).await?;
        let put = bucket.put_part(self.platform.clone(), self.id, self.upload.clone(), number, len, body);
        let mut part = Part { len, sent: 0, sender, answer: Box::pin(put) };
        let chunk = CHUNK_BYTES as u64;
        for index in begin / chunk..until / chunk {
            let range = index * chunk..(index + 1) * chunk;
            let bytes = blobs::read(self.platform.kv(), self.id, &self.waiting.pieces, range).await?;
            part.send(bytes.into()).await?;
        }
        if !self.waiting.chunks.begun().is_empty() {
            part.send(Bytes::copy_from_slice(self.waiting.chunks.begun())).await?;
        }
        self.part = Some(part);
        Ok(())
    }

    /// Puts bytes, not more than there is [`Self::room`] for. Returns whether all that was put is stored.
    pub(crate) async fn put(&mut self, bytes: Bytes) -> Result<bool, Problem> {
        self.coming = self.coming.saturating_sub(bytes.len() as u64);
        let Some(part) = &mut self.part else {
            self.waiting.until += bytes.len() as u64;
            self.waiting.chunks.put(&bytes).await?;
            return Ok(false);
        };
        part.send(bytes).await?;
        if part.sent < part.len {
            return Ok(false);
        }
        // Until the bucket has said so, the part is not there, and what came of it does not count.
        let (len, etag) = (part.len, part.finish().await?);
        let begin = self.part_end();
        self.etags.push(etag);
        self.part = None;
        let chunk = CHUNK_BYTES as u64;
        self.leftover = (begin / chunk, self.waiting.until.div_ceil(chunk));
        let end = begin + len;
        self.waiting.until = end;
        self.waiting.chunks.skip_to(end / chunk);
        Ok(true)
    }

    /// Stores what waits; `false` when a part was cut short, or a chunk not stored, and what came of it is lost.
    pub(crate) async fn flush(&mut self) -> Result<bool, Problem> {
        if self.part.is_some() || !self.waiting.chunks.is_whole() {
            return Ok(false);
        }
        self.waiting.chunks.flush().await?;
        Ok(true)
    }
}

impl Part {
    /// Hands bytes on as fast as the bucket takes them.
    async fn send(&mut self, bytes: Bytes) -> Result<(), Problem> {
        self.sent += bytes.len() as u64;
        let sending = self.sender.send(Ok(Frame::data(bytes)));
        match select(sending, &mut self.answer).await {
            Either::Left((Ok(()), _)) => Ok(()),
            // The bucket has hung up; its answer tells why.
            Either::Left((Err(_), answer)) => answer.await.map(drop).and_then(|()| Err(early())),
            Either::Right((answer, _)) => answer.map(drop).and_then(|()| Err(early())),
        }
    }

    async fn finish(&mut self) -> Result<String, Problem> {
        self.sender.close_channel();
        (&mut self.answer).await
    }
}

fn early() -> Problem {
    let problem = Problem::new("bucket.unavailable", "the bucket did not take the file; try again");
    Problem { log: Some("it answered before it had the whole part".into()), ..problem }
}

/// Removes what waited in the store for the part that it has become.
pub(crate) async fn remove_leftover<P: Platform>(
    platform: &P,
    id: UploadId,
    pieces: &Pieces,
    parts: &Parts,
) -> Result<(), Problem> {
    let (first, end) = parts.leftover;
    blobs::remove_chunks(platform.kv(), id, pieces, first..end).await?;
    Ok(())
}

/// Makes an object of the parts.
pub(crate) async fn complete<P: Platform>(platform: &P, id: UploadId, parts: &Parts) -> Result<(), Problem> {
    Bucket::open(platform).await?.complete(platform, id, &parts.upload, &parts.etags).await
}
