//! Makes and applies deltas on a workbench.
//!
//! ```sh
//! overair-delta make old.bin new.bin -o new.delta --slice 64K
//! overair-delta apply old.bin new.delta -o new.bin
//! overair-delta info new.delta
//! ```

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use ota_delta::{HEADER_LEN, Header, RestoreError, Restorer, Storage};

/// Bytes of a delta that are read at once.
const PIECE_LEN: usize = 64 * 1024;

#[derive(Parser)]
#[command(name = "overair-delta", version, about = "Makes and applies deltas between firmware images")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a delta that leads from one image to another.
    Make {
        /// The image that devices have.
        old: PathBuf,
        /// The image that they should have.
        new: PathBuf,
        /// Where to write the delta.
        #[arg(short, long)]
        output: PathBuf,
        /// In slices of how many bytes.
        #[arg(long, value_enum, default_value = "none")]
        slice: Slice,
    },
    /// Restores an image as a device does.
    Apply {
        /// The image that the device has.
        old: PathBuf,
        /// The delta.
        delta: PathBuf,
        /// Where to write the restored image.
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Tells what a delta says of itself.
    Info {
        /// The delta.
        delta: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Slice {
    #[value(name = "none")]
    Whole,
    #[value(name = "2M")]
    Mib2,
    #[value(name = "64K")]
    Kib64,
    #[value(name = "32K")]
    Kib32,
}

impl Slice {
    const fn bytes(self) -> u32 {
        match self {
            Self::Whole => 0,
            Self::Mib2 => 2 * 1024 * 1024,
            Self::Kib64 => 64 * 1024,
            Self::Kib32 => 32 * 1024,
        }
    }
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Make { old, new, output, slice } => make(&old, &new, &output, slice.bytes()),
        Command::Apply { old, delta, output } => apply(&old, &delta, &output),
        Command::Info { delta } => info(&delta),
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("{} cannot be opened", path.display()))
}

fn make(old: &Path, new: &Path, output: &Path, slice_bytes: u32) -> anyhow::Result<()> {
    let (source, target) = (read(old)?, read(new)?);
    let delta = ota_delta::make(&source, &target, slice_bytes)?;
    fs::write(output, &delta).with_context(|| format!("{} cannot be written", output.display()))?;
    let percent = delta.len() as f64 * 100.0 / target.len() as f64;
    println!("{} bytes, {percent:.1} % of the image's {}", delta.len(), target.len());
    if delta.len() >= target.len() {
        println!("it is not smaller than the image: there is no use in it");
    }
    Ok(())
}

/// Files in the places of a device's flash.
struct Files {
    source: File,
    source_size: u32,
    target: BufWriter<File>,
}

impl Storage for Files {
    type Error = io::Error;

    fn source_size(&self) -> u32 {
        self.source_size
    }

    fn read_source(&mut self, offset: u32, buffer: &mut [u8]) -> io::Result<()> {
        self.source.seek(SeekFrom::Start(u64::from(offset)))?;
        self.source.read_exact(buffer)
    }

    fn write_target(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.target.write_all(bytes)
    }
}

/// The image appears under its name only when it is complete and has the right digest.
fn apply(old: &Path, delta: &Path, output: &Path) -> anyhow::Result<()> {
    let mut unfinished = output.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let restored = restore(old, delta, &unfinished);
    if restored.is_err() {
        // Best effort: what stays is overwritten by the next try.
        let _removed = fs::remove_file(&unfinished);
    }
    let size = restored?;
    fs::rename(&unfinished, output).with_context(|| format!("{} cannot be written", output.display()))?;
    println!("{size} bytes restored");
    Ok(())
}

fn restore(old: &Path, delta: &Path, output: &Path) -> anyhow::Result<u32> {
    let source = open(old)?;
    let source_size = u32::try_from(source.metadata()?.len()).context("the old image is too large")?;
    let target = File::create(output).with_context(|| format!("{} cannot be written", output.display()))?;
    let mut files = Files { source, source_size, target: BufWriter::new(target) };
    let mut restorer = Restorer::new();
    let mut delta = open(delta)?;
    let mut piece = vec![0; PIECE_LEN];
    loop {
        let len = delta.read(&mut piece)?;
        if len == 0 {
            break;
        }
        restorer.push(&piece[..len], &mut files).map_err(|error| match error {
            RestoreError::Delta(fault) => anyhow::Error::new(fault),
            RestoreError::Storage(error) => anyhow::Error::new(error),
        })?;
    }
    let size = restorer.header().map_or(0, |header| header.target_size);
    restorer.finish()?;
    files.target.into_inner()?.sync_all()?;
    Ok(size)
}

fn info(delta: &Path) -> anyhow::Result<()> {
    let mut file = open(delta)?;
    let size = file.metadata()?.len();
    let mut bytes = [0; HEADER_LEN];
    file.read_exact(&mut bytes).context("the file is too short for a delta")?;
    let header = Header::parse(&bytes)?;
    println!("source  {} bytes, SHA-256 {}", header.source_size, hex::encode(header.source_sha256));
    println!("target  {} bytes, SHA-256 {}", header.target_size, hex::encode(header.target_sha256));
    println!("delta   {size} bytes");
    match header.slice_bytes {
        0 => println!("slices  none"),
        bytes => println!("slices  {} of {bytes} bytes", header.slice_count()),
    }
    let (mut at, mut longest) = (HEADER_LEN as u64, 0);
    for slice in 0..header.slice_count() {
        let mut len = [0; 4];
        file.read_exact(&mut len).with_context(|| format!("the delta ends before slice {slice}"))?;
        let len = u32::from_le_bytes(len);
        at += 4 + u64::from(len);
        ensure!(at <= size, "the delta ends within slice {slice}");
        longest = longest.max(len);
        file.seek(SeekFrom::Start(at))?;
    }
    if at < size {
        bail!("{} bytes follow behind the last slice", size - at);
    }
    println!("patches {} bytes, the longest {longest}", at - HEADER_LEN as u64);
    Ok(())
}
