//! The ways to make a delta, each in a process of its own, whose time and memory are then its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// How often the memory of a process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A way to make a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Ours, in slices of so many bytes, or none for 0.
    Ours(u32),
    /// `bsdiff`.
    Bsdiff,
    /// `xdelta3`.
    Xdelta3,
}

/// What making a delta took.
pub(crate) struct Made {
    /// Its bytes.
    pub(crate) bytes: u64,
    /// How long it took, from the start of the process to its end.
    pub(crate) took: Duration,
    /// The most memory that the process held.
    pub(crate) peak_mib: f64,
}

impl Way {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Ours(0),
        Self::Ours(2 * 1024 * 1024),
        Self::Ours(64 * 1024),
        Self::Ours(32 * 1024),
        Self::Bsdiff,
        Self::Xdelta3,
    ];

    /// Tells whether it can be gone here.
    pub(crate) fn is_there(self) -> bool {
        let Some(program) = self.program() else { return true };
        Command::new(program)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok()
    }

    fn program(self) -> Option<&'static str> {
        match self {
            Self::Ours(_) => None,
            Self::Bsdiff => Some("bsdiff"),
            Self::Xdelta3 => Some("xdelta3"),
        }
    }

    /// What the table calls it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Ours(0) => "ours, no slices".to_owned(),
            Self::Ours(bytes) if bytes >= 1024 * 1024 => format!("ours, {}M", bytes / (1024 * 1024)),
            Self::Ours(bytes) => format!("ours, {}K", bytes / 1024),
            Self::Bsdiff => "`bsdiff`".to_owned(),
            Self::Xdelta3 => "`xdelta3 -9`".to_owned(),
        }
    }

    /// Makes a delta, restores the image from it, and compares.
    pub(crate) fn make(self, from: &Path, to: &Path, work: &Path) -> anyhow::Result<Made> {
        let (delta, restored) = (work.join("delta"), work.join("restored"));
        let mut making = match self {
            Self::Ours(slice_bytes) => {
                let mut us = Command::new(std::env::current_exe()?);
                us.arg("--make").arg(slice_bytes.to_string()).args([from, to, &delta]);
                us
            }
            Self::Bsdiff => command("bsdiff", &[from, to, &delta]),
            Self::Xdelta3 => {
                let mut xdelta3 = Command::new("xdelta3");
                xdelta3.args(["-9", "-e", "-f", "-s"]).args([from, to, &delta]);
                xdelta3
            }
        };
        let (took, peak_mib) = watch(&mut making)?;
        let image = std::fs::read(to)?;
        let same = match self {
            Self::Ours(_) => ota_delta::restore(&std::fs::read(from)?, &std::fs::read(&delta)?)? == image,
            Self::Bsdiff => {
                watch(&mut command("bspatch", &[from, &restored, &delta]))?;
                std::fs::read(&restored)? == image
            }
            Self::Xdelta3 => {
                let mut xdelta3 = Command::new("xdelta3");
                watch(xdelta3.args(["-d", "-f", "-s"]).args([from, &delta, &restored]))?;
                std::fs::read(&restored)? == image
            }
        };
        ensure!(same, "{} does not restore the image", self.name());
        Ok(Made { bytes: std::fs::metadata(&delta)?.len(), took, peak_mib })
    }
}

/// Is the process that makes ours.
pub(crate) fn make_ours(slice_bytes: u32, from: &Path, to: &Path, delta: &Path) -> anyhow::Result<()> {
    let bytes = ota_delta::make(&std::fs::read(from)?, &std::fs::read(to)?, slice_bytes)?;
    std::fs::write(delta, bytes).with_context(|| delta.display().to_string())
}

fn command(program: &str, arguments: &[&Path]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs a process to its end.
fn watch(command: &mut Command) -> anyhow::Result<(Duration, f64)> {
    let began = Instant::now();
    let mut process = command.spawn()?;
    let mut peak = 0.0_f64;
    loop {
        if let Some(status) = process.try_wait()? {
            if !status.success() {
                bail!("{} failed: {status}", command.get_program().display());
            }
            return Ok((began.elapsed(), peak));
        }
        // The peak so far: what is missed is only what it comes to in the last moment.
        peak = peak.max(peak_mib(&process).unwrap_or(0.0));
        std::thread::sleep(LOOK_EVERY);
    }
}

fn peak_mib(process: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()? / 1024.0)
}
