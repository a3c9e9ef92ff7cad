//! The processes that devices run in, as the one that measures sees them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, ensure};
use bench_support::child::Child as Host;

use crate::Arguments;

/// Files that a process has open beside the sockets of its devices.
const OTHER_FILES: u64 = 64;
/// Devices of one process and one loopback address: an address has some 28,000 ports to connect from.
const PER_PROCESS_MAX: usize = 20_000;

/// All of them. They end when this is dropped.
pub(crate) struct Clients(Vec<Client>);

struct Client {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// How the devices are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    /// Whether all have connected that can.
    pub(crate) done: bool,
    /// Devices that have connected and whose first report is acknowledged.
    pub(crate) connected: usize,
    /// Milliseconds that the last of them took from the start.
    pub(crate) connected_ms: u64,
    /// Devices that have been told of an upgrade.
    pub(crate) pushed: usize,
    /// Devices whose connection has ended since.
    pub(crate) lost: usize,
    /// Devices that could not connect, or were left out because the ones before could not.
    pub(crate) failed: usize,
    /// Why the first of them could not.
    pub(crate) first_failure: String,
}

impl Status {
    /// Writes it as one line.
    pub(crate) fn render(&self) -> String {
        let Self { done, connected, connected_ms, pushed, lost, failed, first_failure } = self;
        format!(
            "{done} {connected} {connected_ms} {pushed} {lost} {failed} {}",
            first_failure.replace('\n', " ")
        )
    }

    fn parse(line: &str) -> anyhow::Result<Self> {
        let fields: Vec<&str> = line.trim_end_matches('\n').splitn(7, ' ').collect();
        let [done, connected, connected_ms, pushed, lost, failed, first_failure] = fields[..] else {
            anyhow::bail!("no status: {line:?}");
        };
        Ok(Self {
            done: done.parse()?,
            connected: connected.parse()?,
            connected_ms: connected_ms.parse()?,
            pushed: pushed.parse()?,
            lost: lost.parse()?,
            failed: failed.parse()?,
            first_failure: first_failure.to_owned(),
        })
    }
}

impl Clients {
    /// Starts as many processes as it takes; their devices begin to connect.
    pub(crate) fn start(
        arguments: &Arguments,
        host: &Host,
        product_key: &str,
        credentials: &[String],
        work: &Path,
        files: u64,
    ) -> anyhow::Result<Self> {
        let each = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
        let each = each.min(PER_PROCESS_MAX);
        ensure!(each > 0, "no process may open enough files");
        let mut clients = Self(Vec::new());
        for (index, some) in credentials.chunks(each).enumerate() {
            let file = work.join(format!("credentials-{index}.csv"));
            std::fs::write(&file, some.join("\n"))?;
            // 127.0.0.1 is the host's own.
            let from = format!("127.0.0.{}", index + 2);
            let mut process = Command::new(std::env::current_exe()?)
                .args(["--product", product_key, "--from", &from])
                .args(["--broker", &host.mqtt().to_string()])
                .args(["--at-once", &arguments.at_once.to_string()])
                .args(["--keep-alive", &arguments.keep_alive.to_string()])
                .arg("--credentials")
                .arg(&file)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .context("cannot start a process for devices")?;
            let questions = process.stdin.take().context("it has no input")?;
            let answers = BufReader::new(process.stdout.take().context("it has no output")?);
            clients.0.push(Client { process, questions, answers });
        }
        Ok(clients)
    }

    /// How many processes there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Asks all of them how their devices are.
    pub(crate) fn status(&mut self) -> anyhow::Result<Status> {
        let mut all = Status { done: true, ..Status::default() };
        for client in &mut self.0 {
            writeln!(client.questions, "status")?;
            let mut line = String::new();
            ensure!(client.answers.read_line(&mut line)? > 0, "a process for devices has ended");
            let one = Status::parse(&line)?;
            all.done &= one.done;
            all.connected += one.connected;
            all.connected_ms = all.connected_ms.max(one.connected_ms);
            all.pushed += one.pushed;
            all.lost += one.lost;
            all.failed += one.failed;
            if all.first_failure.is_empty() {
                all.first_failure = one.first_failure;
            }
        }
        Ok(all)
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        for client in &mut self.0 {
            // Nothing is left to be said to it.
            let _ended = client.process.kill();
            let _reaped = client.process.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_it_was_written() {
        let status = Status {
            done: true,
            connected: 3,
            failed: 1,
            first_failure: "too many\nfiles".into(),
            ..Status::default()
        };
        let read = Status::parse(&format!("{}\n", status.render())).unwrap();
        assert_eq!((read.done, read.connected, read.failed), (true, 3, 1));
        assert_eq!(read.first_failure, "too many files");
        assert_eq!(Status::parse(&Status::default().render()).unwrap().first_failure, "");
        assert!(Status::parse("").is_err());
    }
}
