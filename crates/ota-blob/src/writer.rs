//! Going on with a file that arrives in several requests.
//!
//! What is there of a file only grows by whole steps: a full chunk, a full part in a bucket, the end of a request. Each step is
//! stored first and noted then, by a swap that fails if somebody else has come to write meanwhile. So whatever is noted is
//! there, and its digests with it.

use bytes::Bytes;
use ota_core::ids::UploadId;
use ota_http::{Problem, body};
use ota_platform::Platform;
use ota_store::blobs::{self, Arrival, Blob, Hashing, Stored, UNNOTED_CHUNKS_MAX};
use sha2::{Digest, Sha256};

use crate::chunks::Chunks;
use crate::collect::discard;
use crate::hashes::Hashes;
use crate::parts::PartWriter;

/// How far a file is after a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// This many bytes are there, and more are to come.
    Until(u64),
    /// All are.
    Complete(Blob),
}

/// A digest of one request's bytes, which are taken only if it is right.
pub enum Checksum {
    /// MD5.
    Md5(md5::Md5, Vec<u8>),
    /// SHA-1.
    Sha1(sha1::Sha1, Vec<u8>),
    /// SHA-256.
    Sha256(Sha256, Vec<u8>),
}

impl Checksum {
    /// The names that [`Self::new`] knows.
    pub const ALGORITHMS: [&'static str; 3] = ["sha1", "md5", "sha256"];

    /// Expects `digest` by an algorithm; `None` if that is not known.
    pub fn new(algorithm: &str, digest: Vec<u8>) -> Option<Self> {
        match algorithm {
            "md5" => Some(Self::Md5(md5::Md5::new(), digest)),
            "sha1" => Some(Self::Sha1(sha1::Sha1::new(), digest)),
            "sha256" => Some(Self::Sha256(Sha256::new(), digest)),
            _ => None,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hash, _) => hash.update(bytes),
            Self::Sha1(hash, _) => hash.update(bytes),
            Self::Sha256(hash, _) => hash.update(bytes),
        }
    }

    fn fits(self) -> bool {
        match self {
            Self::Md5(hash, expected) => hash.finalize().as_slice() == expected,
            Self::Sha1(hash, expected) => hash.finalize().as_slice() == expected,
            Self::Sha256(hash, expected) => hash.finalize().as_slice() == expected,
        }
    }
}

/// What is stored, and can be noted.
#[derive(Clone)]
struct Step {
    offset: u64,
    hashes: Hashes,
    etags: Vec<String>,
    leftover: (u64, u64),
}

/// Where the bytes go.
enum Sink<P: Platform> {
    Chunks(Chunks<P>),
    Parts(Box<PartWriter<P>>),
}

struct Writer<'a, P: Platform> {
    platform: &'a P,
    id: UploadId,
    writer: u32,
    size: u64,
    offset: u64,
    hashes: Hashes,
    sink: Sink<P>,
    /// The last step that is stored.
    step: Step,
    /// Chunks that were full when that was noted, or looked after.
    looked_at: u64,
}

/// Appends a request's body to a file, for whose writing [`blobs::begin`] has been called. `told` is how long the body is,
/// as far as the request said. Whatever is stored when the body is cut stays, so that the client can go on from there; with a
/// checksum, nothing stays that it does not cover.
///
/// # Errors
/// `request.body-cut`, `upload.beyond-size`, `upload.checksum`, `upload.taken-over`, `upload.length-required`,
/// `package.digest-mismatch`, after which the file is gone; the store's and the bucket's.
pub async fn append<P, B>(
    platform: &P,
    arrival: Arrival,
    body: &mut B,
    told: Option<u64>,
    checksum: Option<Checksum>,
) -> Result<Appended, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let mut writer = match Writer::resume(platform, &arrival, told).await {
        Ok(writer) => writer,
        Err(problem) => {
            // Nothing is written: whoever comes next need not take this one for dead.
            rest(platform, &arrival).await?;
            return Err(problem);
        }
    };
    let whole_or_nothing = checksum.is_some();
    let fed = writer.feed(body, checksum).await;
    if whole_or_nothing && fed.is_err() {
        // What is on its way is of no use to anybody, and may fail as well.
        let _unused = writer.settle().await;
        rest(platform, &arrival).await?;
        return fed.map(|()| Appended::Until(arrival.offset));
    }
    let ended = writer.end().await;
    match (fed, ended) {
        (Err(problem), _) | (Ok(()), Err(problem)) => Err(problem),
        (Ok(()), Ok(arrival)) => finish(platform, arrival).await,
    }
}

/// Says that nobody writes any more, and that nothing has come.
async fn rest<P: Platform>(platform: &P, arrival: &Arrival) -> Result<(), Problem> {
    let writer = arrival.pieces.writer();
    blobs::note(platform.kv(), arrival.id, writer, platform.now(), |mut arrival| {
        arrival.writing = false;
        Stored::Arriving(Box::new(arrival))
    })
    .await?;
    Ok(())
}

/// Declares a file complete if all of it is there. Safe to be done again: what a crash has left undone is done by whoever asks
/// for the file next.
///
/// # Errors
/// `package.digest-mismatch`: the file is not the one that was told of, and is gone. The store's and the bucket's.
pub async fn finish<P: Platform>(platform: &P, arrival: Arrival) -> Result<Appended, Problem> {
    if arrival.offset < arrival.size {
        return Ok(Appended::Until(arrival.offset));
    }
    let digests = resume(&arrival.hashing)?.finish();
    if !arrival.expected.fits(&digests) {
        discard(platform, arrival.id).await?;
        return Err(Problem::of(&arrival.expected.mismatch(&digests)));
    }
    if let Some(parts) = &arrival.parts {
        crate::parts::complete(platform, arrival.id, parts).await?;
    }
    let blob = blobs::completed(platform.kv(), arrival.id, &digests, platform.now()).await?;
    blob.map(Appended::Complete).ok_or_else(gone)
}

fn resume(hashing: &Hashing) -> Result<Hashes, Problem> {
    Hashes::resume(hashing).ok_or_else(|| Problem::corrupt("the state of an upload's digests cannot be read"))
}

fn gone() -> Problem {
    Problem::not_found("upload")
}

fn taken_over() -> Problem {
    Problem::new("upload.taken-over", "another request has gone on with this upload, or it was given up")
}

impl<'a, P: Platform> Writer<'a, P> {
    async fn resume(platform: &'a P, arrival: &Arrival, told: Option<u64>) -> Result<Self, Problem> {
        let (id, offset, pieces) = (arrival.id, arrival.offset, &arrival.pieces);
        if told.is_some_and(|told| told > arrival.size - offset) {
            return Err(beyond(arrival.size));
        }
        let chunks = Chunks::resume(platform, arrival).await?;
        let looked_at = chunks.full();
        let sink = match &arrival.parts {
            None => Sink::Chunks(chunks),
            Some(parts) => {
                let length = "a file that goes to a bucket needs a Content-Length";
                let coming = told.ok_or_else(|| Problem::new("upload.length-required", length))?;
                let last = offset + coming == arrival.size;
                let waiting = crate::parts::Waiting { chunks, pieces: pieces.clone(), until: offset };
                Sink::Parts(Box::new(PartWriter::new(platform, id, parts, waiting, coming, last)))
            }
        };
        let hashes = resume(&arrival.hashing)?;
        let etags = arrival.parts.as_ref().map(|parts| parts.etags.clone()).unwrap_or_default();
        let leftover = arrival.parts.as_ref().map_or((0, 0), |parts| parts.leftover);
        let step = Step { offset, hashes: hashes.clone(), etags, leftover };
        let (writer, size) = (pieces.writer(), arrival.size);
        Ok(Self { platform, id, writer, size, offset, hashes, sink, step, looked_at })
    }

    async fn feed<B>(&mut self, body: &mut B, mut checksum: Option<Checksum>) -> Result<(), Problem>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
    {
        let notes = checksum.is_none();
        while let Some(mut bytes) = body::next(body).await? {
            if bytes.len() as u64 > self.size - self.offset {
                return Err(beyond(self.size));
            }
            if let Some(checksum) = &mut checksum {
                checksum.update(&bytes);
            }
            while !bytes.is_empty() {
                let room = self.room().await?;
                let now = bytes.split_to(room.min(bytes.len()));
                self.put(now, notes).await?;
            }
        }
        if checksum.is_none_or(Checksum::fits) {
            return Ok(());
        }
        Err(Problem::new("upload.checksum", "the bytes have another checksum; none of them is kept"))
    }

    /// Bytes that can be put before the next step is stored.
    async fn room(&mut self) -> Result<usize, Problem> {
        match &mut self.sink {
            Sink::Chunks(chunks) => Ok(chunks.room()),
            Sink::Parts(parts) => parts.room().await,
        }
    }

    async fn put(&mut self, bytes: Bytes, notes: bool) -> Result<(), Problem> {
        self.hashes.update(&bytes);
        self.offset += bytes.len() as u64;
        let (is_step, full) = match &mut self.sink {
            Sink::Chunks(chunks) => {
                chunks.put(&bytes).await?;
                (chunks.is_even(), chunks.full())
            }
            Sink::Parts(parts) => (parts.put(bytes).await?, parts.full()),
        };
        let is_due = match self.sink {
            Sink::Chunks(_) => full - self.looked_at >= UNNOTED_CHUNKS_MAX,
            Sink::Parts(_) => true,
        };
        if !is_step || !is_due {
            return Ok(());
        }
        self.settle().await?;
        self.take_step();
        self.looked_at = full;
        if notes {
            self.note(true).await.map(drop)
        } else if blobs::is_writer(self.platform.kv(), self.id, self.writer).await? {
            Ok(())
        } else {
            // What is not to be noted yet must not be written in somebody's place either.
            Err(taken_over())
        }
    }

    /// Waits until all is stored that can be.
    async fn settle(&mut self) -> Result<(), Problem> {
        match &mut self.sink {
            Sink::Chunks(chunks) => Ok(chunks.settle().await?),
            Sink::Parts(_) => Ok(()),
        }
    }

    fn take_step(&mut self) {
        self.step.offset = self.offset;
        self.step.hashes = self.hashes.clone();
        if let Sink::Parts(parts) = &self.sink {
            self.step.etags = parts.etags.clone();
            self.step.leftover = parts.leftover;
        }
    }

    async fn note(&self, writing: bool) -> Result<Arrival, Problem> {
        let (kv, now, step) = (self.platform.kv(), self.platform.now(), &self.step);
        let noted = blobs::note(kv, self.id, self.writer, now, |mut arrival| {
            arrival.offset = step.offset;
            arrival.hashing = step.hashes.state();
            arrival.writing = writing;
            arrival.tail_writer = self.writer;
            if let Some(parts) = &mut arrival.parts {
                parts.etags.clone_from(&step.etags);
                parts.leftover = step.leftover;
            }
            Stored::Arriving(Box::new(arrival))
        })
        .await?;
        match noted {
            Some(Stored::Arriving(arrival)) => {
                if let Some(parts) = &arrival.parts {
                    crate::parts::remove_leftover(self.platform, self.id, &arrival.pieces, parts).await?;
                }
                Ok(*arrival)
            }
            _ => Err(taken_over()),
        }
    }

    /// Stores what has come of the present step too, if it can be, and says that nobody writes any more.
    async fn end(mut self) -> Result<Arrival, Problem> {
        let stored = match &mut self.sink {
            Sink::Chunks(chunks) if chunks.is_whole() => {
                chunks.flush().await?;
                true
            }
            // What was stored before is noted.
            Sink::Chunks(_) => false,
            Sink::Parts(parts) => parts.flush().await?,
        };
        if stored {
            self.take_step();
        }
        self.note(false).await
    }
}

fn beyond(size: u64) -> Problem {
    Problem::new("upload.beyond-size", format!("the upload was announced with {size} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_that_of_all_bytes() {
        for (name, digest) in [
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            let mut checksum = Checksum::new(name, hex::decode(digest).unwrap()).unwrap();
            checksum.update(b"a");
            checksum.update(b"bc");
            assert!(checksum.fits(), "{name}");
            assert!(!Checksum::new(name, vec![1]).unwrap().fits());
        }
        assert!(Checksum::new("crc32", vec![]).is_none());
    }
}
