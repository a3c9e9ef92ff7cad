//! Resumable uploads by tus 1.0 (<https://tus.io/protocols/resumable-upload>): create, then append; after a break ask how
//! far it is, and go on from there.

use anyhow::{Context as _, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicatif::ProgressBar;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Method, RequestBuilder, Response, Url};

use super::memory::Memory;
use super::{Local, Stored};
use crate::client::{self, Client, TRIES_MAX, is_busy, pause, unreachable_because};
use crate::failure::Failure;

const RESUMABLE: &str = "tus-resumable";
const OFFSET: &str = "upload-offset";
/// Bytes of one request: what is sent again at most when a server keeps nothing of a request that broke off.
const STEP_BYTES: u64 = 16 * 1024 * 1024;

/// Uploads a file; `None` if the server does not speak tus.
pub(super) async fn upload(
    client: &Client,
    local: &Local<'_>,
    bar: &ProgressBar,
) -> Result<Option<(Stored, Memory)>, Failure> {
    let memory = Memory::of(client.server(), local);
    let begun = match memory.recall() {
        Some(path) => offset(client, &path).await?.map(|at| (path, at)),
        None => None,
    };
    let (path, at) = match begun {
        Some(begun) => begun,
        None => match create(client, local).await? {
            Some(path) => (path, 0),
            None => return Ok(None),
        },
    };
    memory.keep(&path);
    append(client, local, &path, at, bar).await?;
    let stored = client::read(repeated(|| client.raw(Method::GET, &path)).await?).await?.stored()?;
    if stored.sha256.is_none() {
        return Err(anyhow!("the server does not tell the digest of the upload {}", stored.upload_id).into());
    }
    Ok(Some((stored, memory)))
}

/// Begins an upload and returns its path. A server that does not speak tus says so by leaving out its header.
async fn create(client: &Client, local: &Local<'_>) -> Result<Option<String>, Failure> {
    let name = STANDARD.encode(&local.name);
    let response = repeated(|| {
        tus(client, Method::POST, "/v1/uploads")
            .header("upload-length", local.size)
            .header("upload-metadata", format!("filename {name}"))
            .header(CONTENT_LENGTH, 0)
    })
    .await?;
    if !response.headers().contains_key(RESUMABLE) {
        return Ok(None);
    }
    let location = header(response.headers(), LOCATION.as_str()).map(str::to_owned);
    client::read(response).await?;
    let location = location.context("the server does not tell where the upload is")?;
    // Only the path is taken: the token goes to the server it is for, whatever name that has for itself.
    let base = Url::parse(&format!("{}/v1/uploads", client.server())).context("the server's URL")?;
    let path = base.join(&location).context("where the upload is")?.path().to_owned();
    Ok(Some(path))
}

/// Asks how far an upload is; `None` if it is gone.
async fn offset(client: &Client, path: &str) -> Result<Option<u64>, Failure> {
    let response = repeated(|| tus(client, Method::HEAD, path)).await?;
    match response.status().as_u16() {
        403 | 404 | 410 => Ok(None),
        _ => {
            let at = told_offset(response.headers());
            client::read(response).await?;
            Ok(Some(at.context("the server does not tell how far the upload is")?))
        }
    }
}

/// Sends the rest of a file. What breaks is gone on with for as long as it moves.
async fn append(
    client: &Client,
    local: &Local<'_>,
    path: &str,
    mut at: u64,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let mut tries = 0;
    while at < local.size {
        bar.set_position(at);
        let len = STEP_BYTES.min(local.size - at);
        let request = tus(client, Method::PATCH, path)
            .header(OFFSET, at)
            .header(CONTENT_TYPE, "application/offset+octet-stream")
            .header(CONTENT_LENGTH, len)
            .body(local.body(at, len, bar)?);
        let broken = match request.send().await {
            Err(error) => unreachable_because(error),
            Ok(response) if response.status().is_success() => {
                let now = told_offset(response.headers()).filter(|now| *now > at);
                at = now.context("the upload does not move")?;
                tries = 0;
                continue;
            }
            // 409: what was sent before has arrived after all; 423: the server has not noticed the break yet.
            Ok(response) => match response.status() {
                status if is_busy(status) || matches!(status.as_u16(), 409 | 423) => {
                    client::read(response).await.err().unwrap_or(Failure::PipeClosed)
                }
                _ => return client::read(response).await.map(|_| ()),
            },
        };
        tries += 1;
        if tries >= TRIES_MAX {
            return Err(broken);
        }
        pause(tries, None).await;
        let found =
            offset(client, path).await?.ok_or_else(|| anyhow!("the upload is gone: begin it again"))?;
        if found > at {
            tries = 0;
        }
        at = found;
    }
    Ok(())
}

fn tus(client: &Client, method: Method, path: &str) -> RequestBuilder {
    client.raw(method, path).header(RESUMABLE, "1.0.0")
}

/// Sends a small request, again if it must be: an upload that was created twice is one that nobody takes.
async fn repeated(request: impl Fn() -> RequestBuilder) -> Result<Response, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        match request().send().await {
            Err(_) if tries < TRIES_MAX => pause(tries, None).await,
            Err(error) => return Err(unreachable_because(error)),
            Ok(response) if is_busy(response.status()) && tries < TRIES_MAX => {
                pause(tries, Some(response.headers())).await;
            }
            Ok(response) => return Ok(response),
        }
    }
}

fn told_offset(headers: &HeaderMap) -> Option<u64> {
    header(headers, OFFSET)?.parse().ok()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
