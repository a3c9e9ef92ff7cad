//! A connection that is kept open, and no more of HTTP than the host speaks: a client that costs little beside it.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A body in chunks that has none: what a function answers with that does not say how long its answer is.
const NO_CHUNKS: &[u8] = b"0\r\n\r\n";
/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// A connection with one request under way at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(HEAD_BYTES_MAX) })
    }

    /// Sends a request and returns the answer's status and body.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let body_at = loop {
            ensure!(self.buffer.len() < HEAD_BYTES_MAX, "the answer's head is too long");
            self.fill().await?;
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let (status, len) = head(&self.buffer[..body_at])?;
        while self.buffer.len() < body_at + len {
            self.fill().await?;
        }
        Ok((status, &self.buffer[body_at..body_at + len]))
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the host has closed a connection");
        }
        Ok(())
    }
}

/// Reads the status and the length of what comes behind.
fn head(bytes: &[u8]) -> anyhow::Result<(u16, usize)> {
    let text = std::str::from_utf8(bytes).context("the answer's head is no text")?;
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.with_context(|| format!("no status in {text:?}"))?;
    let len = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    match (len, status) {
        (Some(len), _) => Ok((status, len.parse()?)),
        (None, 204) => Ok((status, 0)),
        // Any other body in chunks would be cut here, and what is left of it be no answer to the next request.
        (None, _) if text.contains("Transfer-Encoding: chunked") => Ok((status, NO_CHUNKS.len())),
        (None, _) => bail!("the answer has no length: {text:?}"),
    }
}

/// Writes a request.
pub(crate) fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
