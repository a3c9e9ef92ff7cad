//! Uploading a file: resumably if the server speaks tus, else by one request. Either way the digests must agree in the
//! end.

mod memory;
mod tus;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use indicatif::ProgressBar;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::client::{self, Answer, Client, TRIES_MAX, is_busy, pause, unreachable_because};
use crate::commands::Context;
use crate::failure::Failure;
use crate::watch;
use memory::Memory;

/// How much of a file is read at once.
const READ_BYTES: u64 = 64 * 1024;

/// A file on this machine.
struct Local<'a> {
    path: &'a Path,
    name: String,
    size: u64,
    sha256: String,
}

/// What the service has of an upload.
#[derive(Deserialize)]
struct Stored {
    upload_id: String,
    #[serde(default)]
    sha256: Option<String>,
}

/// A complete upload.
pub(crate) struct Uploaded {
    /// Its id.
    pub(crate) id: String,
    memory: Option<Memory>,
}

impl Uploaded {
    /// Forgets where the upload is, once it is a package: until then the same command finds it again.
    pub(crate) fn taken(self) {
        if let Some(memory) = self.memory {
            memory.forget();
        }
    }
}

/// Uploads a file under the name it has.
pub(crate) async fn upload(context: &Context, path: &Path) -> Result<Uploaded, Failure> {
    let local = Local::read(path)?;
    let bar = watch::bytes_bar(&context.output, local.size, &local.name);
    let uploaded = match tus::upload(&context.client, &local, &bar).await? {
        Some((stored, memory)) => (stored, Some(memory)),
        None => (plain(&context.client, &local, &bar).await?, None),
    };
    bar.finish_and_clear();
    let (stored, memory) = uploaded;
    if let Some(theirs) = stored.sha256.filter(|theirs| *theirs != local.sha256) {
        if let Some(memory) = memory {
            memory.forget();
        }
        let (name, ours) = (&local.name, &local.sha256);
        return Err(
            anyhow!("{name} arrived altered: its SHA-256 is {ours}, that of the upload {theirs}").into()
        );
    }
    Ok(Uploaded { id: stored.upload_id, memory })
}

/// Uploads by one request, which is made anew if it breaks.
async fn plain(client: &Client, local: &Local<'_>, bar: &ProgressBar) -> Result<Stored, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        bar.set_position(0);
        let request = client
            .raw(Method::PUT, "/v1/uploads")
            .query(&[("file_name", &local.name)])
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, local.size)
            .body(local.body(0, local.size, bar)?);
        match request.send().await {
            Err(_) if tries < TRIES_MAX => pause(tries, None).await,
            Err(error) => return Err(unreachable_because(error)),
            Ok(response) if is_busy(response.status()) && tries < TRIES_MAX => {
                pause(tries, Some(response.headers())).await;
            }
            Ok(response) => return client::read(response).await?.read(),
        }
    }
}

impl<'a> Local<'a> {
    fn read(path: &'a Path) -> anyhow::Result<Self> {
        let told = || format!("cannot read {}", path.display());
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{} has no name", path.display()))?.to_owned();
        let (size, sha256) = digest(&mut File::open(path).with_context(told)?).with_context(told)?;
        Ok(Self { path, name, size, sha256 })
    }

    /// Returns a part of the file as a request's body.
    fn body(&self, from: u64, len: u64, bar: &ProgressBar) -> anyhow::Result<Body> {
        let mut file =
            File::open(self.path).with_context(|| format!("cannot read {}", self.path.display()))?;
        file.seek(SeekFrom::Start(from))?;
        let bar = bar.clone();
        let chunks = futures::stream::try_unfold((file, len), move |(file, left)| {
            let read = read_chunk(file, left, &bar);
            async move { read }
        });
        Ok(Body::wrap_stream(chunks))
    }
}

type Chunk = std::io::Result<Option<(Bytes, (File, u64))>>;

fn read_chunk(mut file: File, left: u64, bar: &ProgressBar) -> Chunk {
    let mut chunk = Vec::new();
    let read = file.by_ref().take(left.min(READ_BYTES)).read_to_end(&mut chunk)? as u64;
    if left == 0 {
        return Ok(None);
    }
    if read == 0 {
        let shorter = "the file has become shorter while it was read";
        return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, shorter));
    }
    bar.inc(read);
    Ok(Some((Bytes::from(chunk), (file, left - read))))
}

/// Returns how long a file is from here on, and its SHA-256.
pub(crate) fn digest(file: &mut impl Read) -> std::io::Result<(u64, String)> {
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; READ_BYTES as usize];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((size, hex::encode(hasher.finalize())));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        size += read as u64;
    }
}

impl Answer {
    fn stored(&self) -> Result<Stored, Failure> {
        self.read()
    }
}
