//! A client that costs little: one request a connection, and bodies that are read as they come.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, bail, ensure};
use bench_hash::Content;
use bench_support::child::API_TOKEN;
use serde_json::Value;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// An answer whose body is still to be read.
pub(crate) struct Answer {
    stream: TcpStream,
    status: u16,
    /// Bytes of the body.
    len: u64,
    /// What of the body came with the head.
    early: Vec<u8>,
}

/// Asks for a file; the path may be one of anybody's server.
pub(crate) fn get(server: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    let mut stream = begin(server, "GET", path, 0)?;
    stream.write_all(b"\r\n")?;
    Answer::read(stream)
}

/// Calls the operator's API.
pub(crate) fn call(server: SocketAddr, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = begin(server, method, path, body.len() as u64)?;
    write!(stream, "Authorization: Bearer {API_TOKEN}\r\nContent-Type: application/json\r\n\r\n{body}")?;
    Answer::read(stream)?.json().with_context(|| format!("{method} {path}"))
}

/// Uploads `size` bytes of the benchmark's content.
pub(crate) fn upload(server: SocketAddr, path: &str, size: u64) -> anyhow::Result<Value> {
    let mut stream = begin(server, "POST", path, size)?;
    write!(stream, "Authorization: Bearer {API_TOKEN}\r\n\r\n")?;
    let mut content = Content::new(size);
    while let Some(piece) = content.next_piece() {
        stream.write_all(piece)?;
    }
    Answer::read(stream)?.json().with_context(|| format!("POST {path}"))
}

fn begin(server: SocketAddr, method: &str, path: &str, len: u64) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nContent-Length: {len}\r\n"
    )?;
    Ok(stream)
}

impl Answer {
    fn read(mut stream: TcpStream) -> anyhow::Result<Self> {
        let (mut read, mut piece) = (Vec::new(), [0; 1024]);
        let body_at = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let count = stream.read(&mut piece)?;
            ensure!(count > 0 && read.len() < HEAD_BYTES_MAX, "the answer has no head");
            read.extend_from_slice(&piece[..count]);
        };
        let early = read.split_off(body_at);
        let head = String::from_utf8(read).context("the answer's head is no text")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let len = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
        Ok(Self {
            stream,
            status: status.with_context(|| format!("no status in {head:?}"))?,
            len: len.with_context(|| format!("no length in {head:?}"))?,
            early,
        })
    }

    /// Shows the body piece by piece, and returns how many bytes it has.
    pub(crate) fn body(mut self, mut see: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<u64> {
        ensure!(self.status == 200, "the answer is {}", self.status);
        see(&self.early)?;
        let mut at = self.early.len() as u64;
        let mut piece = vec![0; PIECE_BYTES];
        while at < self.len {
            let count = self.stream.read(&mut piece)?;
            ensure!(count > 0, "cut after {at} of {} bytes", self.len);
            see(&piece[..count])?;
            at += count as u64;
        }
        Ok(at)
    }

    fn json(self) -> anyhow::Result<Value> {
        let status = self.status;
        let mut text = self.early;
        self.stream.take(self.len - text.len() as u64).read_to_end(&mut text)?;
        if !(200..300).contains(&status) {
            bail!("{status} {}", String::from_utf8_lossy(&text));
        }
        Ok(serde_json::from_slice(&text)?)
    }
}
