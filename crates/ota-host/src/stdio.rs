//! The output of components, line by line, with the component's name in front.

use std::io::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// A line longer than this is cut in two, so that output without line ends cannot fill the memory.
const LINE_BYTES_MAX: usize = 16 * 1024;

#[derive(Clone, Copy)]
enum Target {
    Stdout,
    Stderr,
}

/// Collects lines and passes on whole ones, so that instances do not write into each other's.
#[derive(Clone)]
pub(crate) struct Lines {
    component: Arc<str>,
    target: Target,
    pending: Arc<Mutex<Vec<u8>>>,
}

impl Lines {
    pub(crate) fn stdout(component: &Arc<str>) -> Self {
        Self { component: component.clone(), target: Target::Stdout, pending: Arc::default() }
    }

    pub(crate) fn stderr(component: &Arc<str>) -> Self {
        Self { component: component.clone(), target: Target::Stderr, pending: Arc::default() }
    }

    fn write(&self, bytes: &[u8]) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            pending.extend_from_slice(piece);
            if piece.ends_with(b"\n") || pending.len() >= LINE_BYTES_MAX {
                self.emit(&pending);
                pending.clear();
            }
        }
    }

    fn emit(&self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut out = Vec::with_capacity(line.len() + self.component.len() + 4);
        out.extend_from_slice(b"[");
        out.extend_from_slice(self.component.as_bytes());
        out.extend_from_slice(b"] ");
        out.extend_from_slice(line);
        out.push(b'\n');
        // A closed terminal is no reason to fail a request.
        let _ = match self.target {
            Target::Stdout => std::io::stdout().lock().write_all(&out),
            Target::Stderr => std::io::stderr().lock().write_all(&out),
        };
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // The last of the clones passes on an unfinished line.
        if Arc::strong_count(&self.pending) == 1 {
            let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
            if !pending.is_empty() {
                self.emit(&pending);
            }
        }
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    /// Without this each stream would be served by a task of its own, and a component opens one for each line.
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Lines::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_BYTES_MAX)
    }
}

impl AsyncWrite for Lines {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
