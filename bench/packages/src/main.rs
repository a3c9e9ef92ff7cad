//! Measures uploads and downloads of one large file: uploads beside the hashing alone that they consist of for the most part,
//! hashing in a component beside the same code natively, and beside the disk, which has to have every byte before an upload is
//! acknowledged; downloads beside nginx with the same bytes.
//!
//! Rates of a machine that does other things as well go up and down by the minute, so all of them take turns, and what counts
//! is the median of the turns' ratios. The load runs in this process and the host in a child, both on the same cores. A MB is
//! 1,048,576 bytes, as everywhere in this service.
//!
//! Prints one `figure: value` line for each figure.

mod http;
mod nginx;

use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use bench_hash::Content;
use bench_support::child::{self, Child};
use bench_support::median;
use clap::Parser;
use serde_json::{Value, json};

use nginx::Nginx;

/// Where the hashing component is mounted, and its file.
const HASH: (&str, &str) = ("/bench/hash", "bench_hash");
/// The file that nginx serves.
const FILE: &str = "image.bin";
const BYTES_PER_MB: u64 = 1024 * 1024;
/// Bytes that a plain file takes between two waits for the disk: as many as an upload has on their way at once.
const SYNC_BYTES: u64 = 1024 * 1024;

/// Measures uploads and downloads of one large file, beside hashing alone and beside nginx.
#[derive(Parser)]
struct Arguments {
    /// The file's size; 1000 is the largest that a package may have.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1000))]
    mb: u64,
    /// Turns of each kind, after one that warms up. Each turn leaves an upload on the disk until the end.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Runs the host for another process of this program, with its data here.
    #[arg(long, hide = true)]
    host: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = &Arguments::parse();
    match &arguments.host {
        Some(data) => child::run(data, &[HASH]),
        None => measure(arguments),
    }
}

fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let work = tempfile::tempdir().context("a folder for the host's data")?;
    let size = arguments.mb * BYTES_PER_MB;
    let nginx = Nginx::start(&write_file(work.path(), size)?, work.path())?;
    if nginx.is_none() {
        eprintln!("nginx is not there, so nothing is compared with it: `apt-get install nginx-light`");
    }
    let (mut host, _) = Child::start(&work.path().join("data"))?;
    let server = host.http();
    let product = http::call(server, "POST", "/v1/products", &json!({ "name": "bench" }))?;

    let mut rates = Rates::default();
    let mut path = String::new();
    for turn in 0..=arguments.rounds {
        let (native, native_rate) = timed(size, || Ok(bench_hash::digests(size)))?;
        let (hashed, hash_rate) = timed(size, || hash(server, size))?;
        ensure!(hashed == format!("{} {}", native.0, native.1), "the component hashes to {hashed}");
        let (uploaded, upload_rate) =
            timed(size, || http::upload(server, "/v1/uploads?file_name=image.bin", size))?;
        ensure!(uploaded["sha256"] == native.1, "what was uploaded is not what was stored: {uploaded}");
        if turn == 0 {
            path = make_package(server, &product["product_key"], &uploaded["upload_id"])?;
            // All of it is compared once; the other turns count.
            compare(server, &path, size)?;
            if let Some(nginx) = &nginx {
                compare(nginx.address(), &format!("/{FILE}"), size)?;
            }
            continue;
        }
        rates.disk.push(timed(size, || write_durably(work.path(), size))?.1);
        rates.native.push(native_rate);
        rates.hash.push(hash_rate);
        rates.upload.push(upload_rate);
        rates.download.push(timed(size, || download(server, &path, size))?.1);
        if let Some(nginx) = &nginx {
            rates.nginx.push(timed(size, || download(nginx.address(), &format!("/{FILE}"), size))?.1);
        }
    }
    rates.print();
    let upload = host.component_memory_mib("package-upload")?;
    let download = host.component_memory_mib("package-download")?;
    println!("component_memory_mib_upload: {upload:.1}");
    println!("component_memory_mib_download: {download:.1}");
    println!("component_memory_mib: {:.1}", upload.max(download));
    println!("resident_after_mib: {:.1}", host.resident_mib()?);
    Ok(())
}

/// MB per second, of each turn.
#[derive(Default)]
struct Rates {
    native: Vec<f64>,
    hash: Vec<f64>,
    disk: Vec<f64>,
    upload: Vec<f64>,
    download: Vec<f64>,
    nginx: Vec<f64>,
}

impl Rates {
    fn print(&self) {
        println!("upload_mb_s: {:.0}", median(self.upload.clone()));
        println!("hash_mb_s: {:.0}", median(self.hash.clone()));
        println!("hash_native_mb_s: {:.0}", median(self.native.clone()));
        println!("disk_mb_s: {:.0}", median(self.disk.clone()));
        println!("upload_vs_hash: {:.2}", ratio(&self.upload, &self.hash));
        println!("upload_vs_disk: {:.2}", ratio(&self.upload, &self.disk));
        println!("hash_vs_native: {:.2}", ratio(&self.hash, &self.native));
        println!("download_mb_s: {:.0}", median(self.download.clone()));
        if !self.nginx.is_empty() {
            println!("nginx_mb_s: {:.0}", median(self.nginx.clone()));
            println!("download_vs_nginx: {:.2}", ratio(&self.download, &self.nginx));
        }
    }
}

/// Compares turns that were taken one right after the other.
fn ratio(these: &[f64], others: &[f64]) -> f64 {
    median(these.iter().zip(others).map(|(this, other)| this / other).collect())
}

fn timed<T>(size: u64, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, f64)> {
    let began = Instant::now();
    let done = work()?;
    Ok((done, size as f64 / BYTES_PER_MB as f64 / began.elapsed().as_secs_f64()))
}

/// Writes the file in a folder of its own, and returns the folder.
fn write_file(work: &Path, size: u64) -> anyhow::Result<PathBuf> {
    let folder = work.join("files");
    std::fs::create_dir(&folder)?;
    let mut file = BufWriter::new(std::fs::File::create(folder.join(FILE))?);
    let mut content = Content::new(size);
    while let Some(piece) = content.next_piece() {
        file.write_all(piece)?;
    }
    file.flush()?;
    Ok(folder)
}

/// Writes a file and waits for the disk now and then, as whoever promises that nothing is lost must.
fn write_durably(work: &Path, size: u64) -> anyhow::Result<()> {
    let path = work.join("durable.bin");
    let mut file = std::fs::File::create(&path)?;
    let (mut content, mut waiting) = (Content::new(size), 0);
    while let Some(piece) = content.next_piece() {
        file.write_all(piece)?;
        waiting += piece.len() as u64;
        if waiting >= SYNC_BYTES {
            file.sync_data()?;
            waiting = 0;
        }
    }
    file.sync_data()?;
    Ok(std::fs::remove_file(&path)?)
}

fn make_package(server: SocketAddr, product_key: &Value, upload_id: &Value) -> anyhow::Result<String> {
    let body = json!({
        "product_key": product_key, "name": "bench", "target_version": "1.0.0", "upload_id": upload_id,
        "needs_verification": false,
    });
    let package = http::call(server, "POST", "/v1/packages", &body)?;
    let id = package["package_id"].as_str().context("no package id")?;
    let told = http::call(server, "GET", &format!("/v1/packages/{id}/download_url"), &Value::Null)?;
    let url = told["url"].as_str().context("no URL")?;
    let path = url.split_once("//").and_then(|(_, rest)| rest.split_once('/'));
    path.map(|(_, path)| format!("/{path}")).with_context(|| format!("no path in {url}"))
}

fn hash(server: SocketAddr, size: u64) -> anyhow::Result<String> {
    let mut text = Vec::new();
    http::get(server, &format!("{}?bytes={size}", HASH.0))?.body(|bytes| {
        text.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(String::from_utf8(text)?)
}

fn download(server: SocketAddr, path: &str, size: u64) -> anyhow::Result<()> {
    let read = http::get(server, path)?.body(|_| Ok(()))?;
    ensure!(read == size, "{path} has {read} bytes");
    Ok(())
}

/// Downloads, and looks at every byte.
fn compare(server: SocketAddr, path: &str, size: u64) -> anyhow::Result<()> {
    let mut content = Content::new(size);
    let mut expected: Vec<u8> = Vec::new();
    let read = http::get(server, path)?.body(|mut bytes| {
        while !bytes.is_empty() {
            if expected.is_empty() {
                expected = content.next_piece().context("there is more than was uploaded")?.to_vec();
            }
            let (now, later) = bytes.split_at(bytes.len().min(expected.len()));
            ensure!(expected.starts_with(now), "{path} is not what was uploaded");
            expected.drain(..now.len());
            bytes = later;
        }
        Ok(())
    })?;
    ensure!(read == size, "{path} has {read} bytes");
    Ok(())
}
