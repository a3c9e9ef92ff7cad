//! Reading a file that is complete.

use std::ops::Range;

use bytes::Bytes;
use futures::SinkExt;
use futures::channel::mpsc;
use http_body::Frame;
use http_body_util::{BodyExt, Limited, StreamBody};
use ota_core::ids::UploadId;
use ota_http::{Body, Problem};
use ota_platform::Platform;
use ota_platform::line::Line;
use ota_store::blobs::{self, Blob, CHUNK_BYTES, Place};

use crate::bucket::Bucket;

/// A file that is complete.
#[derive(Clone)]
pub struct File<P> {
    platform: P,
    blob: Blob,
}

impl<P: Platform> File<P> {
    /// Finds a file; `None` if there is none that is complete.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(platform: &P, id: UploadId) -> Result<Option<Self>, Problem> {
        Ok(blobs::get(platform.kv(), id).await?.map(|blob| Self::of(platform, blob)))
    }

    /// Returns the file of a record.
    pub fn of(platform: &P, blob: Blob) -> Self {
        Self { platform: platform.clone(), blob }
    }

    /// Returns some bytes, all at once.
    ///
    /// # Errors
    /// The store's and the bucket's.
    pub async fn read(&self, range: Range<u64>) -> Result<Vec<u8>, Problem> {
        let blob = &self.blob;
        match blob.place {
            _ if range.is_empty() => Ok(Vec::new()),
            Place::Chunks => Ok(blobs::read(self.platform.kv(), blob.id, &blob.pieces, range).await?),
            Place::Bucket => {
                let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                let body = Bucket::open(&self.platform).await?.get(&self.platform, blob.id, range).await?;
                let cut = |why: String| {
                    let problem =
                        Problem::new("bucket.unavailable", "the bucket did not give the file; try again");
                    Problem { log: Some(why), ..problem }
                };
                let bytes = Limited::new(body, len).collect().await.map_err(|why| cut(why.to_string()))?;
                let bytes = bytes.to_bytes();
                if bytes.len() == len { Ok(bytes.into()) } else { Err(cut("the answer is short".into())) }
            }
        }
    }

    /// Returns some bytes as a body that is read as fast as it is taken, so that little of it is ever in memory.
    ///
    /// # Errors
    /// The bucket's. What goes wrong later cuts the body short, and the log is told.
    pub async fn stream(&self, range: Range<u64>) -> Result<Body, Problem> {
        match self.blob.place {
            Place::Chunks => Ok(self.stream_chunks(range)),
            Place::Bucket => {
                Bucket::open(&self.platform).await?.get(&self.platform, self.blob.id, range).await
            }
        }
    }

    fn stream_chunks(&self, range: Range<u64>) -> Body {
        let (mut sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, anyhow::Error>>(0);
        let file = self.clone();
        self.platform.spawn(async move {
            let size = CHUNK_BYTES as u64;
            let mut at = range.start;
            while at < range.end {
                let end = ((at / size + 1) * size).min(range.end);
                let part = blobs::read(file.platform.kv(), file.blob.id, &file.blob.pieces, at..end).await;
                if let Err(error) = &part {
                    let line = Line::of("File").with("file", file.blob.id).with("outcome", "cut");
                    line.with("error", error).write(&file.platform);
                }
                let failed = part.is_err();
                let frame = part.map(|bytes| Frame::data(bytes.into())).map_err(Into::into);
                // Nobody takes the rest when the device has gone.
                if sender.send(frame).await.is_err() || failed {
                    return;
                }
                at = end;
            }
        });
        StreamBody::new(receiver).boxed_unsync()
    }
}
