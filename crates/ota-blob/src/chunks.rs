//! Writing a file's chunks into the store.

use bytes::Bytes;
use ota_core::ids::UploadId;
use ota_http::Problem;
use ota_store::blobs::{self, Arrival, CHUNK_BYTES};
use ota_store::{Kv, StoreError};

/// The chunk that is being filled, of one writer.
pub(crate) struct Chunks {
    id: UploadId,
    writer: u32,
    index: u64,
    chunk: Vec<u8>,
}

impl Chunks {
    /// Begins a file.
    pub(crate) fn new(id: UploadId) -> Self {
        Self { id, writer: 0, index: 0, chunk: Vec::with_capacity(CHUNK_BYTES) }
    }

    /// Goes on at the end of what is there, as the present writer. What is there of the chunk in which that lies is read again,
    /// and becomes this writer's.
    pub(crate) async fn resume(kv: &impl Kv, arrival: &Arrival) -> Result<Self, Problem> {
        let id = arrival.id;
        let (index, there) =
            (arrival.offset / CHUNK_BYTES as u64, (arrival.offset % CHUNK_BYTES as u64) as usize);
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        if there > 0 {
            let stored = blobs::get_written(kv, id, arrival.tail_writer, index).await?;
            let missing = || Problem {
                log: Some(format!("chunk {index} of upload {id} is missing or short")),
                ..Problem::new("store.corrupt", "a stored value cannot be read")
            };
            chunk.extend_from_slice(
                stored.as_ref().and_then(|stored| stored.get(..there)).ok_or_else(missing)?,
            );
        }
        Ok(Self { id, writer: arrival.pieces.writer(), index, chunk })
    }

    /// What is there of the present chunk.
    pub(crate) fn begun(&self) -> &[u8] {
        &self.chunk
    }

    /// Bytes that the present chunk has room for; never none.
    pub(crate) fn room(&self) -> usize {
        CHUNK_BYTES - self.chunk.len()
    }

    /// Whether all that was put is stored.
    pub(crate) fn is_stored(&self) -> bool {
        self.chunk.is_empty()
    }

    /// Chunks that are full and stored.
    pub(crate) fn full(&self) -> u64 {
        self.index
    }

    /// Puts bytes, not more than there is [`Self::room`] for.
    pub(crate) async fn put(&mut self, kv: &impl Kv, bytes: &Bytes) -> Result<(), StoreError> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK_BYTES {
            blobs::put_chunk(kv, self.id, self.writer, self.index, &self.chunk).await?;
            self.index += 1;
            self.chunk.clear();
        }
        Ok(())
    }

    /// Goes on with a later chunk, before which everything is stored elsewhere.
    pub(crate) fn skip_to(&mut self, index: u64) {
        self.index = index;
        self.chunk.clear();
    }

    /// Stores the last chunk as it is.
    pub(crate) async fn flush(&self, kv: &impl Kv) -> Result<(), StoreError> {
        if !self.chunk.is_empty() {
            blobs::put_chunk(kv, self.id, self.writer, self.index, &self.chunk).await?;
        }
        Ok(())
    }
}
