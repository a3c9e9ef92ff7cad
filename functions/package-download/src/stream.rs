//! Sending the bytes of a file, chunk by chunk, as fast as they are taken.

use bytes::Bytes;
use futures::SinkExt;
use futures::channel::mpsc;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use ota_core::ids::UploadId;
use ota_http::Body;
use ota_platform::Platform;
use ota_store::blobs::{self, CHUNK_BYTES};

use crate::parts::Piece;

/// Sends pieces one after the other: at most two chunks are in memory.
pub(crate) fn stream<P: Platform>(platform: &P, blob: UploadId, pieces: Vec<Piece>) -> Body {
    let (mut sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, anyhow::Error>>(0);
    let engine = platform.clone();
    platform.spawn(async move {
        for piece in pieces {
            let (mut at, end) = match piece {
                Piece::File(range) => (range.start, range.end),
                Piece::Lines(lines) => {
                    if sender.send(Ok(Frame::data(lines))).await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            while at < end {
                let bytes = read(&engine, blob, at, end).await;
                if let Err(why) = &bytes {
                    engine.log(&format!("download of {blob} cut: {why}"));
                }
                let taken = bytes.as_ref().map_or(0, Bytes::len) as u64;
                // Nobody takes the rest when the device has gone.
                if sender.send(bytes.map(Frame::data)).await.is_err() || taken == 0 {
                    return;
                }
                at += taken;
            }
        }
    });
    StreamBody::new(receiver).boxed_unsync()
}

/// Reads bytes from `at` on, of one chunk and not beyond `end`; at least one.
async fn read<P: Platform>(platform: &P, blob: UploadId, at: u64, end: u64) -> anyhow::Result<Bytes> {
    let size = CHUNK_BYTES as u64;
    let index = at / size;
    let chunk = blobs::get_chunk(platform.kv(), blob, index).await?;
    let chunk = chunk.ok_or_else(|| anyhow::anyhow!("chunk {index} of {blob} is missing"))?;
    let (from, to) = ((at - index * size) as usize, (end - index * size).min(size) as usize);
    anyhow::ensure!(to <= chunk.len(), "chunk {index} of {blob} is short");
    Ok(Bytes::from(chunk).slice(from..to))
}
