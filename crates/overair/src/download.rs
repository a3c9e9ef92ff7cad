//! Downloading a package's file: what is there already is not fetched again, and what was fetched must have the digest
//! that the service tells.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use reqwest::StatusCode;
use reqwest::header::RANGE;

use crate::client::{self, TRIES_MAX, is_busy, pause, unreachable_because};
use crate::commands::Context;
use crate::failure::Failure;
use crate::upload::digest;
use crate::watch;

/// A file of a package, as the service tells of it.
pub(crate) struct Wanted {
    /// The signed URL.
    pub(crate) url: String,
    /// Its bytes.
    pub(crate) size: u64,
    /// Their SHA-256.
    pub(crate) sha256: String,
}

/// Downloads to a file. Until it is whole and right it has another name, under which the next try goes on with it.
pub(crate) async fn download(context: &Context, wanted: &Wanted, to: &Path) -> Result<(), Failure> {
    let told = || format!("cannot write {}", to.display());
    let mut part_name = to.as_os_str().to_owned();
    part_name.push(".part");
    let part_name = Path::new(&part_name);
    let mut options = OpenOptions::new();
    let mut part =
        options.read(true).write(true).create(true).truncate(false).open(part_name).with_context(told)?;
    if part.metadata().with_context(told)?.len() > wanted.size {
        part.set_len(0).with_context(told)?;
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let bar = watch::bytes_bar(&context.output, wanted.size, &name);
    let mut tries = 0;
    loop {
        let at = part.seek(SeekFrom::End(0)).with_context(told)?;
        bar.set_position(at);
        if at >= wanted.size {
            break;
        }
        tries += 1;
        let range = format!("bytes={at}-");
        let broken = match context.client.signed(&wanted.url).header(RANGE, range).send().await {
            Err(error) => unreachable_because(error),
            Ok(response) if response.status() == StatusCode::PARTIAL_CONTENT => {
                match receive(response, &mut part, wanted.size - at, &bar).await {
                    Ok(()) => continue,
                    Err(failure) => failure,
                }
            }
            Ok(response) if is_busy(response.status()) => {
                client::read(response).await.err().unwrap_or(Failure::PipeClosed)
            }
            Ok(response) if response.status().is_success() => {
                return Err(anyhow!("the server does not send the part that was asked for").into());
            }
            Ok(response) => return client::read(response).await.map(|_| ()),
        };
        if part.seek(SeekFrom::End(0)).with_context(told)? > at {
            tries = 0;
        }
        if tries >= TRIES_MAX || !matches!(broken, Failure::Unreachable(_) | Failure::Refused { .. }) {
            return Err(broken);
        }
        pause(tries.max(1), None).await;
    }
    bar.finish_and_clear();
    part.seek(SeekFrom::Start(0)).with_context(told)?;
    let (_, sha256) = digest(&mut (&part).take(wanted.size)).with_context(told)?;
    if sha256 != wanted.sha256 {
        let _begun_anew_next_time = std::fs::remove_file(part_name);
        let wanted = &wanted.sha256;
        return Err(anyhow!("the download arrived altered: its SHA-256 is {sha256}, not {wanted}").into());
    }
    part.sync_all().with_context(told)?;
    std::fs::rename(part_name, to).with_context(told)?;
    Ok(())
}

/// Appends what comes, which must be no more than was asked for.
async fn receive(
    mut response: reqwest::Response,
    part: &mut std::fs::File,
    mut left: u64,
    bar: &indicatif::ProgressBar,
) -> Result<(), Failure> {
    while let Some(chunk) = response.chunk().await.map_err(unreachable_because)? {
        left =
            left.checked_sub(chunk.len() as u64).context("the server sends more than the package's size")?;
        part.write_all(&chunk).context("cannot write the download")?;
        bar.inc(chunk.len() as u64);
    }
    Ok(())
}
