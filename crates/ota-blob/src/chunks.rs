//! Writing a file's chunks into the store.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use ota_core::ids::UploadId;
use ota_http::Problem;
use ota_platform::Platform;
use ota_store::StoreError;
use ota_store::blobs::{self, Arrival, CHUNK_BYTES};

/// Chunks on their way to the store at once: while some wait for the disk, the next bytes come in and are hashed. A
/// mebibyte is enough to keep both busy.
const WRITES_MAX: usize = 4;

type Write = Pin<Box<dyn Future<Output = Result<(), StoreError>>>>;

/// The chunk that is being filled, of one writer, and those that are on their way.
pub(crate) struct Chunks<P> {
    platform: P,
    id: UploadId,
    writer: u32,
    index: u64,
    chunk: Vec<u8>,
    writes: FuturesUnordered<Write>,
    /// Whether one of those has failed.
    is_broken: bool,
}

impl<P: Platform> Chunks<P> {
    /// Begins a file.
    pub(crate) fn new(platform: &P, id: UploadId) -> Self {
        Self::at(platform, id, 0, 0)
    }

    fn at(platform: &P, id: UploadId, writer: u32, index: u64) -> Self {
        let (platform, chunk) = (platform.clone(), Vec::with_capacity(CHUNK_BYTES));
        Self { platform, id, writer, index, chunk, writes: FuturesUnordered::new(), is_broken: false }
    }

    /// Goes on at the end of what is there, as the present writer. What is there of the chunk in which that lies is read again,
    /// and becomes this writer's.
    pub(crate) async fn resume(platform: &P, arrival: &Arrival) -> Result<Self, Problem> {
        let id = arrival.id;
        let (index, there) =
            (arrival.offset / CHUNK_BYTES as u64, (arrival.offset % CHUNK_BYTES as u64) as usize);
        let mut chunks = Self::at(platform, id, arrival.pieces.writer(), index);
        if there > 0 {
            let stored = blobs::get_written(platform.kv(), id, arrival.tail_writer, index).await?;
            let missing = || Problem::corrupt(format!("chunk {index} of upload {id} is missing or short"));
            let stored = stored.as_ref().and_then(|stored| stored.get(..there)).ok_or_else(missing)?;
            chunks.chunk.extend_from_slice(stored);
        }
        Ok(chunks)
    }

    /// What is there of the present chunk.
    pub(crate) fn begun(&self) -> &[u8] {
        &self.chunk
    }

    /// Bytes that the present chunk has room for; never none.
    pub(crate) fn room(&self) -> usize {
        CHUNK_BYTES - self.chunk.len()
    }

    /// Whether the present chunk has just begun.
    pub(crate) fn is_even(&self) -> bool {
        self.chunk.is_empty()
    }

    /// Chunks that are full.
    pub(crate) fn full(&self) -> u64 {
        self.index
    }

    /// Puts bytes, not more than there is [`Self::room`] for. They are stored when [`Self::settle`] says so.
    pub(crate) async fn put(&mut self, bytes: &Bytes) -> Result<(), StoreError> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() < CHUNK_BYTES {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES));
        let (platform, id, writer, index) = (self.platform.clone(), self.id, self.writer, self.index);
        self.index += 1;
        self.writes
            .push(Box::pin(async move { blobs::put_chunk(platform.kv(), id, writer, index, &chunk).await }));
        // A write begins when it is looked at.
        while let Poll::Ready(Some(written)) = futures::poll!(self.writes.next()) {
            self.took(written)?;
        }
        if self.writes.len() >= WRITES_MAX
            && let Some(written) = self.writes.next().await
        {
            self.took(written)?;
        }
        Ok(())
    }

    fn took(&mut self, written: Result<(), StoreError>) -> Result<(), StoreError> {
        self.is_broken |= written.is_err();
        written
    }

    /// Whether all chunks that were full have been stored so far. When one was not, those after it are of no use.
    pub(crate) fn is_whole(&self) -> bool {
        !self.is_broken
    }

    /// Waits for all that are on their way.
    pub(crate) async fn settle(&mut self) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        // Also when one has failed: whoever gives up then removes what the others have written.
        while let Some(written) = self.writes.next().await {
            outcome = outcome.and(self.took(written));
        }
        outcome
    }

    /// Goes on with a later chunk, before which everything is stored elsewhere.
    pub(crate) fn skip_to(&mut self, index: u64) {
        self.index = index;
        self.chunk.clear();
    }

    /// Stores the last chunk as it is, and all before.
    pub(crate) async fn flush(&mut self) -> Result<(), StoreError> {
        self.settle().await?;
        if !self.chunk.is_empty() {
            blobs::put_chunk(self.platform.kv(), self.id, self.writer, self.index, &self.chunk).await?;
        }
        Ok(())
    }
}
