//! The body of an answer: bytes of the file, and between several parts of it the lines of `multipart/byteranges`
//! (RFC 9110, section 14.6).

use std::ops::Range;

use bytes::Bytes;

/// What every part says of its bytes.
pub(crate) const CONTENT_TYPE: &str = "application/octet-stream";

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes of the file.
    File(Range<u64>),
    /// Lines between parts.
    Lines(Bytes),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::File(range) => range.end - range.start,
            Self::Lines(bytes) => bytes.len() as u64,
        }
    }
}

/// Returns how many bytes pieces have.
pub(crate) fn len(pieces: &[Piece]) -> u64 {
    pieces.iter().map(Piece::len).sum()
}

/// Returns the value of `Content-Range` for a range that is not empty.
pub(crate) fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}

/// Returns the body that tells several parts of a file of `size` bytes.
///
/// The boundary must not occur in the file. A random one of 128 bits does not, and nobody can write a file in which it does.
pub(crate) fn multipart(ranges: &[Range<u64>], size: u64, boundary: &str) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(2 * ranges.len() + 1);
    let mut line_break = "";
    for range in ranges {
        let lines = format!(
            "{line_break}--{boundary}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Range: {}\r\n\r\n",
            content_range(range, size)
        );
        pieces.extend([Piece::Lines(lines.into()), Piece::File(range.clone())]);
        line_break = "\r\n";
    }
    pieces.push(Piece::Lines(format!("{line_break}--{boundary}--\r\n").into()));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_between_their_boundaries() {
        let file = b"0123456789";
        let pieces = multipart(&[0..2, 7..10], 10, "BOUNDARY");
        let mut body = Vec::new();
        for piece in &pieces {
            match piece {
                Piece::File(range) => body.extend(&file[range.start as usize..range.end as usize]),
                Piece::Lines(lines) => body.extend(lines),
            }
        }
        assert_eq!(
            String::from_utf8(body.clone()).unwrap(),
            "--BOUNDARY\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n\
             --BOUNDARY\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 7-9/10\r\n\r\n789\r\n\
             --BOUNDARY--\r\n"
        );
        assert_eq!(len(&pieces), body.len() as u64);
    }
}
