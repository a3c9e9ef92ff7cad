//! A Redis server of the benchmark's own (`apt-get install redis-server`).

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long a server may take to come up.
const START_MAX: Duration = Duration::from_secs(10);
/// How often it is asked whether it has come up.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// Ports that are tried: one that was free may be taken before the server has it.
const PORTS_TRIED: usize = 5;

/// When an acknowledged write has to be on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Fsync {
    /// Before it is acknowledged, as with the embedded store.
    #[default]
    Always,
    /// Within a second.
    Everysec,
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    /// Starts a server with its data in a folder.
    ///
    /// # Errors
    /// There is none on this machine, or it does not come up.
    pub fn start(data: &Path, fsync: Fsync) -> anyhow::Result<Self> {
        for _ in 0..PORTS_TRIED {
            let port = free_port()?;
            let process = Command::new("redis-server")
                .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
                .arg(data)
                .args(["--save", "", "--appendonly", "yes", "--appendfsync"])
                .arg(match fsync {
                    Fsync::Always => "always",
                    Fsync::Everysec => "everysec",
                })
                .stdout(Stdio::null())
                .spawn()
                .context("cannot start `redis-server`: `apt-get install redis-server`")?;
            let mut redis = Self { process, port };
            if redis.comes_up()? {
                return Ok(redis);
            }
        }
        bail!("`redis-server` does not come up")
    }

    /// Waits until it answers; `false` if it has ended instead.
    fn comes_up(&mut self) -> anyhow::Result<bool> {
        let began = Instant::now();
        while began.elapsed() < START_MAX {
            if self.process.try_wait()?.is_some() {
                return Ok(false);
            }
            if self.ask(&["ping"]).is_ok_and(|answer| answer.trim() == "PONG") {
                return Ok(true);
            }
            std::thread::sleep(ASK_EVERY);
        }
        bail!("`redis-server` does not answer")
    }

    /// Its address, as the application's variable has it.
    pub fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Commands that it has carried out so far.
    ///
    /// # Errors
    /// It does not tell.
    pub fn commands(&self) -> anyhow::Result<u64> {
        self.info("stats", "total_commands_processed:")
    }

    /// Its resident memory.
    ///
    /// # Errors
    /// It does not tell.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        Ok(self.info("memory", "used_memory_rss:")? as f64 / (1024.0 * 1024.0))
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    fn info(&self, section: &str, figure: &str) -> anyhow::Result<u64> {
        let told = self.ask(&["info", section])?;
        let value = told.lines().find_map(|line| line.strip_prefix(figure));
        Ok(value.with_context(|| format!("redis tells no {figure}"))?.trim().parse()?)
    }

    fn ask(&self, words: &[&str]) -> anyhow::Result<String> {
        let answer = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(words)
            .stderr(Stdio::null())
            .output()
            .context("cannot run `redis-cli`")?;
        Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Its folder goes too.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Finds a port that nobody listens at. The server takes no port 0.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
