//! Standard input as a leash: whoever started this process holds the other end, and when they end, however they end,
//! so does this process.
//!
//! Read by threads of its own: a runtime cannot end while one of its threads sits in a read that nobody will answer.

use std::io::Read;

use anyhow::bail;
use tokio::sync::oneshot;

/// The longest first line: credentials of some hundred thousand devices.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Reads the first line and nothing behind it.
pub(crate) fn first_line() -> anyhow::Result<String> {
    // The handle of the standard library buffers, and keeps what it buffered: what follows is still found there.
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    let mut byte = [0];
    while input.read(&mut byte)? == 1 && byte != [b'\n'] {
        line.extend_from_slice(&byte);
        if line.len() > LINE_BYTES_MAX {
            bail!("the first line has no end");
        }
    }
    Ok(String::from_utf8(line)?)
}

/// Waits until the other end is closed.
pub(crate) async fn released() {
    let (done, released) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _copied = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(done);
    });
    let _closed = released.await;
}
