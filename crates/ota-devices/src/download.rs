//! How a device downloads: one range after another, digests on the way, a step at a time.

use std::time::Duration;

use md5::{Digest as _, Md5};
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, RANGE, TRANSFER_ENCODING};
use reqwest::{Client, Response, StatusCode};
use sha2::Sha256;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long the server may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long a device waits before it resumes.
const RESUME_AFTER: Duration = Duration::from_millis(200);
/// A report is due every so many percent.
const STEP_PERCENT: u8 = 5;

/// What a download suffers on purpose, and how much of it it takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hardships {
    /// Bytes after which the connection is cut, ascending.
    pub(crate) cuts_at: Vec<u64>,
    /// How many cuts, on purpose or not, until the device gives up.
    pub(crate) cuts_max: u32,
    /// The byte in which a bit is flipped.
    pub(crate) corrupt_at: Option<u64>,
    /// How fast the device can take the bytes.
    pub(crate) bytes_per_second: Option<u32>,
}

/// What happened in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    /// So many percent have arrived, and it is time to say so.
    Percent(u8),
    /// The connection was cut after so many bytes.
    Cut(u64),
}

/// The digests of what arrived, in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) md5: String,
    pub(crate) sha256: String,
}

/// A download under way.
pub(crate) struct Download {
    http: Client,
    url: String,
    size: u64,
    hardships: Hardships,
    response: Option<Response>,
    received: u64,
    cuts: u32,
    said: Option<u8>,
    began: Instant,
    md5: Md5,
    sha256: Sha256,
}

impl Download {
    /// Prepares a download; nothing is sent before the first step.
    pub(crate) fn new(http: Client, url: String, size: u64, hardships: Hardships) -> Self {
        Self {
            http,
            url,
            size,
            hardships,
            response: None,
            received: 0,
            cuts: 0,
            said: None,
            began: Instant::now(),
            md5: Md5::new(),
            sha256: Sha256::new(),
        }
    }

    /// Goes on until there is something to tell; `None` once the file is complete.
    ///
    /// # Errors
    /// Why the device gives up, in the words it reports.
    pub(crate) async fn advance(&mut self) -> Result<Option<Advance>, String> {
        loop {
            if self.said.is_some() && self.received == self.size {
                return Ok(None);
            }
            let Some(response) = &mut self.response else {
                match self.open().await? {
                    Some(response) => self.response = Some(response),
                    None => return self.cut().await.map(Some),
                }
                // The first report comes right after the first answer.
                if self.said.is_none() {
                    self.said = Some(0);
                    return Ok(Some(Advance::Percent(0)));
                }
                continue;
            };
            match timeout(SILENCE_MAX, response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    if self.take(&chunk)? {
                        return self.cut().await.map(Some);
                    }
                    self.hold_pace().await;
                    if let Some(percent) = self.due() {
                        self.said = Some(percent);
                        return Ok(Some(Advance::Percent(percent)));
                    }
                }
                // Ended early, broken, or silent: all of it is a cut.
                Ok(Ok(None) | Err(_)) | Err(_) => return self.cut().await.map(Some),
            }
        }
    }

    /// Returns the digests of a complete download.
    pub(crate) fn finish(self) -> Digests {
        Digests { md5: hex::encode(self.md5.finalize()), sha256: hex::encode(self.sha256.finalize()) }
    }

    /// Asks for what is missing. `None` is a fault that passes.
    async fn open(&self) -> Result<Option<Response>, String> {
        let request = self.http.get(&self.url).header(RANGE, format!("bytes={}-", self.received));
        let response = match timeout(SILENCE_MAX, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_builder() => return Err(format!("the url cannot be used: {error}")),
            Ok(Err(_)) | Err(_) => return Ok(None),
        };
        let status = response.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Ok(None);
        }
        let whole = status == StatusCode::OK && self.received == 0;
        if !whole && status != StatusCode::PARTIAL_CONTENT {
            return Err(format!("the server answered {} to a range request", status.as_u16()));
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        if header(TRANSFER_ENCODING).is_some() || header(CONTENT_ENCODING).is_some() {
            return Err("the body is encoded, which devices cannot undo".to_owned());
        }
        let rest = self.size - self.received;
        if header(CONTENT_LENGTH) != Some(rest.to_string().as_str()) {
            let length = header(CONTENT_LENGTH).unwrap_or("absent");
            return Err(format!("Content-Length is {length} where {rest} bytes are due"));
        }
        let range = format!("bytes {}-{}/{}", self.received, self.size.saturating_sub(1), self.size);
        if !whole && header(CONTENT_RANGE) != Some(range.as_str()) {
            return Err(format!(
                "Content-Range is {}, not {range}",
                header(CONTENT_RANGE).unwrap_or("absent")
            ));
        }
        Ok(Some(response))
    }

    /// Takes a chunk, or as much of it as arrives before the next cut. Tells whether the cut has come.
    fn take(&mut self, chunk: &[u8]) -> Result<bool, String> {
        let end = self.received + chunk.len() as u64;
        if end > self.size {
            return Err(format!("more than the {} bytes announced", self.size));
        }
        let cut = self.hardships.cuts_at.first().copied().filter(|at| *at < end);
        let len = match cut {
            Some(at) => usize::try_from(at.saturating_sub(self.received)).unwrap_or(chunk.len()),
            None => chunk.len(),
        };
        let taken = chunk.get(..len).unwrap_or(chunk);
        let corrupt = self.hardships.corrupt_at.and_then(|at| at.checked_sub(self.received));
        match corrupt.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < taken.len()) {
            Some(at) => {
                let mut spoiled = taken.to_vec();
                if let Some(byte) = spoiled.get_mut(at) {
                    *byte ^= 0x40;
                }
                self.digest(&spoiled);
            }
            None => self.digest(taken),
        }
        self.received += taken.len() as u64;
        if cut.is_some() {
            self.hardships.cuts_at.remove(0);
        }
        Ok(cut.is_some())
    }

    fn digest(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sha256.update(bytes);
    }

    /// Drops the connection and waits a moment, or gives up.
    async fn cut(&mut self) -> Result<Advance, String> {
        self.response = None;
        self.cuts += 1;
        if self.cuts > self.hardships.cuts_max {
            return Err(format!(
                "the connection was cut {} times, {} of {} bytes received",
                self.cuts, self.received, self.size
            ));
        }
        sleep(RESUME_AFTER * self.cuts.min(10)).await;
        Ok(Advance::Cut(self.received))
    }

    fn due(&self) -> Option<u8> {
        let percent = u8::try_from(self.received * 100 / self.size.max(1)).unwrap_or(100);
        let last = self.said.unwrap_or(0);
        (percent >= last + STEP_PERCENT || (percent == 100 && last < 100)).then_some(percent)
    }

    async fn hold_pace(&self) {
        if let Some(rate) = self.hardships.bytes_per_second {
            let millis = self.received * 1000 / u64::from(rate.max(1));
            sleep_until(self.began + Duration::from_millis(millis)).await;
        }
    }
}
