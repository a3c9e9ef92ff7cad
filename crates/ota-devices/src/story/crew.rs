//! The process full of devices that a story starts, and what it hears of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::credentials::Credential;
use crate::event::{Event, What};

/// How long the devices' process may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What devices have told so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// The last failure of each device: step and words.
    pub(super) failures: BTreeMap<String, (i8, String)>,
    /// What they complained of, and who gave up.
    pub(super) complaints: Vec<String>,
    /// Who is offline, and why.
    pub(super) offline: BTreeMap<String, String>,
}

impl Heard {
    fn take(&mut self, event: Event) {
        match event.what {
            What::Failed { step, desc } => {
                self.failures.insert(event.device, (step, desc));
            }
            What::Complaint { text } => self.complaints.push(format!("{}: {text}", event.device)),
            What::GaveUp { why } => self.complaints.push(format!("{}: gave up: {why}", event.device)),
            What::Online => {
                self.offline.remove(&event.device);
            }
            What::Offline { why } => {
                self.offline.insert(event.device, why);
            }
            What::Informed { .. }
            | What::Told { .. }
            | What::Progress { .. }
            | What::Cut { .. }
            | What::Upgraded { .. } => {}
        }
    }
}

/// A running process of devices. Dropping it ends the process.
pub(super) struct Crew {
    child: Child,
    // The devices live as long as somebody holds this end.
    leash: ChildStdin,
    heard: Arc<Mutex<Heard>>,
}

impl Crew {
    /// Starts `program run` with these arguments. Secrets go through a pipe: not on a disk, nor on a command line.
    pub(super) async fn start(
        program: &Path,
        arguments: &[String],
        credentials: &[Credential],
    ) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .arg("run")
            .args(arguments)
            .args(["--credentials", "-", "--leash", "--events"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let (Some(mut leash), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the devices' process has no pipes");
        };
        let mut line = serde_json::to_vec(credentials)?;
        line.push(b'\n');
        leash.write_all(&line).await.context("the devices' process takes no credentials")?;
        leash.flush().await?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        tokio::spawn(listen(stdout, heard.clone()));
        Ok(Self { child, leash, heard })
    }

    /// Fails if the devices' process has ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the devices' process ended early: {status}"),
            None => Ok(()),
        }
    }

    /// Returns what was heard so far.
    pub(super) fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets go of the devices and waits until their process has ended, or ends it.
    pub(super) async fn stop(self) {
        let Self { mut child, leash, .. } = self;
        drop(leash);
        if timeout(STOP_WITHIN, child.wait()).await.is_err() {
            let _ended_meanwhile = child.kill().await;
        }
    }

    /// Waits until the devices' process ends.
    pub(super) async fn ended(&mut self) {
        let _status = self.child.wait().await;
    }
}

async fn listen(stdout: ChildStdout, heard: Arc<Mutex<Heard>>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(event) = serde_json::from_str::<Event>(&line) {
            heard.lock().unwrap_or_else(PoisonError::into_inner).take(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_complaints_are_kept() {
        let mut heard = Heard::default();
        for what in [
            What::Online,
            What::Failed { step: -2, desc: "first".into() },
            What::Failed { step: -2, desc: "second".into() },
            What::Complaint { text: "not compact".into() },
        ] {
            heard.take(Event { at: 0, device: "lamp-1".into(), what });
        }
        assert_eq!(heard.failures["lamp-1"], (-2, "second".to_owned()));
        assert_eq!(heard.complaints, ["lamp-1: not compact"]);
    }
}
