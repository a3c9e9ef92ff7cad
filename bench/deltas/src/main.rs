//! Makes deltas of real images for each slice size, restores them, and compares their sizes with those of bsdiff and xdelta3.
//!
//! Prints a table in Markdown.

mod images;
mod way;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Parser;

use images::{PAIRS, Pair};
use way::Way;

/// Deltas of real images, beside bsdiff and xdelta3.
#[derive(Parser)]
struct Arguments {
    /// Where fetched images are kept; a folder in `target` unless it is given.
    #[arg(long)]
    images: Option<PathBuf>,
    /// Two files of one's own in place of the images: the old one and the new one.
    #[arg(num_args = 2, value_names = ["OLD", "NEW"])]
    files: Vec<PathBuf>,
    /// Makes one delta for another process of this program: slice, old, new, delta.
    #[arg(long, hide = true, num_args = 4)]
    make: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let arguments = &Arguments::parse();
    if let [slice, from, to, delta] = arguments.make.as_slice() {
        return way::make_ours(slice.parse()?, from.as_ref(), to.as_ref(), delta.as_ref());
    }
    let (ways, missing): (Vec<Way>, Vec<Way>) = Way::ALL.into_iter().partition(|way| way.is_there());
    if !missing.is_empty() {
        eprintln!("not all programs to compare with are there: `apt-get install bsdiff xdelta3`");
    }
    println!("| Image | Way | Bytes | Of the image | To bsdiff | Time | Memory |");
    println!("|---|---|---|---|---|---|---|");
    if let [old, new] = arguments.files.as_slice() {
        return compare(&format!("{} to {}", old.display(), new.display()), old, new, &ways);
    }
    let folder = match &arguments.images {
        Some(folder) => folder.clone(),
        None => target()?.join("bench-images"),
    };
    for Pair { what, from, to } in &PAIRS {
        let (old, new) = (from.fetch(&folder)?, to.fetch(&folder)?);
        compare(&format!("{what}, {} to {}", from.version, to.version), &old, &new, &ways)?;
    }
    Ok(())
}

/// Prints the rows of one pair.
fn compare(what: &str, old: &Path, new: &Path, ways: &[Way]) -> anyhow::Result<()> {
    let work = tempfile::tempdir().context("a folder for deltas")?;
    let size = std::fs::metadata(new).with_context(|| new.display().to_string())?.len();
    let made = ways.iter().map(|way| Ok((way, way.make(old, new, work.path())?)));
    let made = made.collect::<anyhow::Result<Vec<_>>>()?;
    let bsdiff = made.iter().find(|(way, _)| **way == Way::Bsdiff).map(|(_, made)| made.bytes);
    for (way, made) in &made {
        let of = |whole: u64| made.bytes as f64 / whole as f64;
        println!(
            "| {what} ({size}) | {} | {} | {:.1} % | {} | {:.2} s | {:.0} MiB |",
            way.name(),
            made.bytes,
            of(size) * 100.0,
            bsdiff.map_or(String::new(), |bsdiff| format!("{:.2}", of(bsdiff))),
            made.took.as_secs_f64(),
            made.peak_mib
        );
    }
    Ok(())
}

/// Where cargo builds: this program is in a folder of its profile there.
fn target() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(Path::parent).context("this program is in no target folder")?;
    Ok(target.to_owned())
}
