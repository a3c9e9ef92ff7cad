//! Puts the files of `assets/` into the function, each as it is and compressed, and with them the OpenAPI document.
//!
//! All but the pages themselves are served below a path with a digest of all of them in it. So they never change where they are,
//! and browsers keep them for good; a page and its modules are always of one build.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crc::{CRC_32_ISO_HDLC, Crc};
use miniz_oxide::deflate::compress_to_vec;
use sha2::{Digest, Sha256};

/// The document of the REST API, and what it is called here.
const OPENAPI: (&str, &str) = ("../../docs/openapi.json", "openapi.json");
/// What a page says where the digest belongs.
const VERSION_MARK: &str = "{version}";
/// Digits of a digest that are used: 64 bits tell any two builds, or files, apart.
const DIGEST_DIGITS: usize = 16;
/// How hard the compressor tries: this is done once, and sent often.
const BEST: u8 = 10;
/// How deep folders are nested at the most: a bound for a link that leads in a circle.
const DEPTH_MAX: usize = 4;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=assets");
    println!("cargo::rerun-if-changed={}", OPENAPI.0);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("no OUT_DIR"))?);
    let root = Path::new("assets");
    let mut files = Vec::new();
    find(root, 0, &mut files)?;
    files.sort();

    let mut all = Sha256::new();
    let mut contents = Vec::new();
    for path in &files {
        let name = name(root, path);
        let bytes = fs::read(path)?;
        all.update(name.as_bytes());
        all.update((bytes.len() as u64).to_be_bytes());
        all.update(&bytes);
        contents.push((name, bytes));
    }
    // It has an address of its own, so the digest need not tell of it.
    contents.push((OPENAPI.1.to_owned(), fs::read(OPENAPI.0)?));
    let version = short(all);

    let mut table =
        format!("/// Where all files but the pages are.\npub(crate) const VERSION: &str = {version:?};\n");
    table.push_str("/// The files, by name.\npub(crate) const FILES: &[File] = &[\n");
    for (index, (name, mut bytes)) in contents.into_iter().enumerate() {
        if name.ends_with(".html") {
            bytes = String::from_utf8_lossy(&bytes).replace(VERSION_MARK, &version).into_bytes();
        }
        let (plain, gzip) = (out.join(format!("{index}")), out.join(format!("{index}.gz")));
        fs::write(&plain, &bytes)?;
        fs::write(&gzip, compress(&bytes))?;
        let etag = short(Sha256::new_with_prefix(&bytes));
        writeln!(
            table,
            "    File {{ name: {name:?}, etag: {etag:?}, plain: include_bytes!({plain:?}), gzip: include_bytes!({gzip:?}) }},"
        )
        .map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    fs::write(out.join("files.rs"), table)
}

/// Compresses (RFC 1952), without a name or a time: the same bytes become the same bytes.
fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    file.extend(compress_to_vec(bytes, BEST));
    file.extend(Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(bytes).to_le_bytes());
    file.extend((bytes.len() as u32).to_le_bytes());
    file
}

fn find(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, depth + 1, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn name(root: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap_or(path).iter();
    parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn short(digest: Sha256) -> String {
    let mut text = hex::encode(digest.finalize());
    text.truncate(DIGEST_DIGITS);
    text
}
