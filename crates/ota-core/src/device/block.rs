//! Downloading over MQTT: a device asks for a file block by block, and each is answered with a binary frame (R163).
//!
//! The file is named by a *stream*, a number that its notice told the device. It is made from the batch, and looked up
//! at the task of the very device that asks, so that a number somebody guessed, or two batches with the same one, give
//! nobody another's bytes (R165).
//!
//! Requests are read as leniently as the other messages, and more so: widely shipped firmware sends a comma behind the
//! last member of `fileInfo` (R164).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crc::{CRC_16_ARC, Crc};
use serde::Serialize;

use super::message::json::{BlockEnvelope, Scalar};
use super::message::{MessageError, MessageId, malformed, read_id, whole_number};
use super::push::EchoedId;
use crate::error::Coded;
use crate::ids::BatchId;
use crate::limits;

/// The number of the one file of a stream: packages of several files are not downloaded over MQTT (R31).
pub const STREAM_FILE_ID: u64 = 1;

/// CRC-16/IBM, also known as CRC-16/ARC: polynomial 0x8005 reflected, from 0, nothing added at the end.
const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_ARC);

/// Returns the number of the stream by which a batch's package is downloaded over MQTT.
///
/// From 1 to 2^31 - 1: some devices keep it in 32 bits with a sign.
pub fn stream_id(batch: BatchId) -> u32 {
    let [a, b, c, d, ..] = batch.0;
    (u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff).max(1)
}

/// A device's request for a part of a file. A number that is missing, negative or none is absent; the request is
/// answered all the same, because the device waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRequest {
    /// To be echoed.
    pub id: MessageId,
    /// `fileToken`, to be echoed. Empty when there is none, or one of more than [`limits::FILE_TOKEN_LEN_MAX`]
    /// characters.
    pub file_token: String,
    /// `fileInfo.streamId`.
    pub stream_id: Option<u64>,
    /// `fileInfo.fileId`.
    pub file_id: Option<u64>,
    /// `fileBlock.size`: bytes wanted.
    pub size: Option<u64>,
    /// `fileBlock.offset`: the first byte wanted.
    pub offset: Option<u64>,
}

/// Why a block is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockRefusal {
    /// The request asks for no bytes.
    Size,
    /// The device is in no upgrade that has this stream and file (R165).
    Stream,
    /// The file is larger than [`limits::MQTT_FILE_BYTES_MAX`] (R165).
    FileTooLarge,
    /// The block would begin at or behind the end of the file.
    Offset,
}

impl BlockRefusal {
    /// Every refusal there is.
    pub const ALL: [Self; 4] = [Self::Size, Self::Stream, Self::FileTooLarge, Self::Offset];

    /// Returns the `code` of the reply. The vendor's are not published, so these are what HTTP would say.
    pub const fn wire_code(self) -> u16 {
        match self {
            Self::Size => 400,
            Self::Stream => 404,
            Self::FileTooLarge => 413,
            Self::Offset => 416,
        }
    }
}

impl Coded for BlockRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Size => "message.block-size",
            Self::Stream => "message.block-stream",
            Self::FileTooLarge => "message.block-file-too-large",
            Self::Offset => "message.block-offset",
        }
    }
}

impl fmt::Display for BlockRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "size must be at least 1",
            Self::Stream => "no such stream or file for this device",
            // The vendor's words.
            Self::FileTooLarge => "file size has exceeded the limit 16 MB",
            Self::Offset => "offset is not within the file",
        })
    }
}

impl core::error::Error for BlockRefusal {}

impl BlockRequest {
    /// Tells whether the request names the stream of a batch, and the file in it.
    pub fn names_stream_of(&self, batch: BatchId) -> bool {
        self.stream_id == Some(stream_id(batch).into()) && self.file_id == Some(STREAM_FILE_ID)
    }

    /// Decides which bytes of a file of `file_len` bytes answer the request: at most [`limits::BLOCK_BYTES_MAX`], and
    /// fewer at the end of the file.
    ///
    /// # Errors
    /// A file that is too large, no bytes, or a beginning outside the file.
    pub fn range(&self, file_len: u64) -> Result<Range<u64>, BlockRefusal> {
        if file_len > limits::MQTT_FILE_BYTES_MAX {
            return Err(BlockRefusal::FileTooLarge);
        }
        let size = self.size.filter(|size| *size > 0).ok_or(BlockRefusal::Size)?;
        let from = self.offset.filter(|offset| *offset < file_len).ok_or(BlockRefusal::Offset)?;
        let to = from.saturating_add(size.min(limits::BLOCK_BYTES_MAX)).min(file_len);
        Ok(from..to)
    }
}

/// Reads a request.
///
/// # Errors
/// [`MessageError::Malformed`].
pub(super) fn read(payload: &[u8]) -> Result<BlockRequest, MessageError> {
    let payload = without_dangling_commas(payload);
    let BlockEnvelope { id, params } = serde_json::from_slice(&payload).map_err(malformed)?;
    let token = params.fileToken.text().unwrap_or_default();
    let fits = token.chars().count() <= limits::FILE_TOKEN_LEN_MAX;
    Ok(BlockRequest {
        id: read_id(id),
        file_token: if fits { token.to_owned() } else { String::new() },
        stream_id: number(&params.fileInfo.streamId),
        file_id: number(&params.fileInfo.fileId),
        size: number(&params.fileBlock.size),
        offset: number(&params.fileBlock.offset),
    })
}

fn number(scalar: &Scalar<'_>) -> Option<u64> {
    match scalar {
        Scalar::Text(text) => whole_number(text).and_then(|number| u64::try_from(number).ok()),
        other => other.unsigned(),
    }
}

/// Takes out the commas that stand before a closing bracket, but for those inside texts.
fn without_dangling_commas(payload: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(payload.len());
    let (mut in_text, mut escaped) = (false, false);
    for (at, byte) in payload.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' if !in_text && is_closed_next(payload.get(at + 1..).unwrap_or_default()) => continue,
            _ => {}
        }
        kept.push(*byte);
    }
    kept
}

fn is_closed_next(rest: &[u8]) -> bool {
    let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(next, Some(b'}' | b']'))
}

#[derive(Serialize)]
struct Head<'a, D> {
    id: EchoedId<'a>,
    code: u16,
    msg: &'a str,
    data: D,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Served<'a> {
    file_token: &'a str,
    file_length: u64,
    b_size: u64,
    b_offset: u64,
}

#[derive(Serialize)]
struct Nothing {}

/// Renders the reply with bytes of a file of `file_len` bytes from `offset` on: the length of the JSON in two bytes, the
/// higher first; the JSON; the bytes; their CRC in two bytes, the lower first (R163).
pub fn render_block(request: &BlockRequest, file_len: u64, offset: u64, bytes: &[u8]) -> Vec<u8> {
    let file_token = request.file_token.as_str();
    let b_size = bytes.len() as u64;
    let data = Served { file_token, file_length: file_len, b_size, b_offset: offset };
    let mut frame = framed(&Head { id: EchoedId(&request.id), code: 200, msg: "success", data });
    frame.extend_from_slice(bytes);
    frame.extend_from_slice(&CRC.checksum(bytes).to_le_bytes());
    frame
}

/// Renders a reply that refuses: it ends after the JSON. A CRC of no bytes would do harm: a widely shipped SDK goes on
/// after a code it does not like, and notices by nothing but the length that there is no block.
pub fn render_refusal(request: &BlockRequest, refusal: BlockRefusal) -> Vec<u8> {
    let msg = alloc::format!("{refusal}");
    framed(&Head { id: EchoedId(&request.id), code: refusal.wire_code(), msg: &msg, data: Nothing {} })
}

fn framed(head: &impl Serialize) -> Vec<u8> {
    let json =
        serde_json::to_vec(head).expect("texts and numbers under names that are texts can always be written");
    let len = u16::try_from(json.len()).expect("an id and a token of bounded length fit in 64 KiB");
    let mut frame = len.to_be_bytes().to_vec();
    frame.extend_from_slice(&json);
    frame
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
