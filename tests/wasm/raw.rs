//! HTTP as device SDKs do it: by hand, on a socket, looking for header names by their exact spelling.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Bytes of an answer's head; the C SDKs have room for less.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// An answer whose body is still to be read.
pub(crate) struct RawAnswer {
    stream: TcpStream,
    /// The status line and the header lines.
    pub(crate) head: String,
    /// What of the body came with the head.
    early: Vec<u8>,
}

/// What a slow reader's socket takes in before its reader has: little, so that the server has to wait.
const SLOW_BUFFER_BYTES: u32 = 64 * 1024;

/// Sends a request and reads the head of its answer.
pub(crate) async fn exchange(server: SocketAddr, request: &str) -> RawAnswer {
    exchange_on(TcpStream::connect(server).await.unwrap(), request).await
}

/// Sends a request over a connection that takes in no more than is read.
pub(crate) async fn exchange_slowly(server: SocketAddr, request: &str) -> RawAnswer {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(SLOW_BUFFER_BYTES).unwrap();
    exchange_on(socket.connect(server).await.unwrap(), request).await
}

async fn exchange_on(mut stream: TcpStream, request: &str) -> RawAnswer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let end = loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0 && read.len() < HEAD_BYTES_MAX, "no head: {:?}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&buffer[..count]);
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let early = read.split_off(end + 4);
    let head = String::from_utf8(read).unwrap();
    RawAnswer { stream, head, early }
}

/// Gets a path the way the C SDK does.
pub(crate) async fn get_as_c_sdk(server: SocketAddr, path: &str, from: usize) -> RawAnswer {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nAccept: text/html, application/xhtml+xml, application/xml;q=0.9, \
         */*;q=0.8\r\nRange: bytes={from}-\r\nContent-Length: 0\r\n\r\n"
    );
    exchange(server, &request).await
}

impl RawAnswer {
    /// Returns the status.
    pub(crate) fn status(&self) -> u16 {
        let status = self.head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        status.unwrap_or_else(|| panic!("no status in {:?}", self.head))
    }

    /// Returns the value of a header whose name is spelled exactly so.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Reads up to `len` bytes of the body.
    pub(crate) async fn read(&mut self, len: usize) -> Vec<u8> {
        let mut body = std::mem::take(&mut self.early);
        while body.len() < len {
            let mut buffer = [0; 8192];
            let count = self.stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "cut after {} of {len} bytes", body.len());
            body.extend_from_slice(&buffer[..count]);
        }
        self.early = body.split_off(len);
        body
    }

    /// Reads the body, as long as `Content-Length` says.
    pub(crate) async fn body(&mut self) -> Vec<u8> {
        let len = self.header("Content-Length").unwrap_or_else(|| panic!("no length in {:?}", self.head));
        let len = len.parse().unwrap();
        self.read(len).await
    }
}
