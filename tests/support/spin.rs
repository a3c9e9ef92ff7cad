//! Spin as a child process: the `spin` on the path, with the HTTP functions of a manifest.
//!
//! Clocks and brokers come to Spin by plugins, which are not everywhere: those triggers are taken out of the manifest, and whoever
//! starts this lets something else tick and carry messages.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use toml::{Table, Value};

use crate::host::{component, workspace};

/// The program.
const PROGRAM: &str = "spin";
/// How long it may take to answer: it compiles every component at its start.
const READY_WITHIN: Duration = Duration::from_secs(240);
/// How long to wait before looking again.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Where it answers that it is alive.
const HEALTH: &str = "/.well-known/spin/health";

/// A Spin that runs until this is dropped.
pub struct SpinProcess {
    child: Child,
    address: SocketAddr,
    data: TempDir,
}

impl SpinProcess {
    /// Finds a port that is free at the moment.
    ///
    /// # Panics
    /// If there is none.
    pub fn free_port() -> u16 {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        free.local_addr().expect("its address").port()
    }

    /// Starts Spin on a manifest of this workspace, with variables as `name=value`, and waits until it answers.
    ///
    /// # Panics
    /// If it is not there, or does not come up.
    pub fn start(manifest: &str, port: u16, variables: impl IntoIterator<Item = String>) -> Self {
        let data = tempfile::tempdir().expect("a folder for Spin's data");
        let manifest = http_only(&workspace().join(manifest), data.path());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let log = File::create(data.path().join("spin.log")).expect("a log file");
        let mut command = Command::new(PROGRAM);
        command.arg("up").arg("--from").arg(&manifest).args(["--listen", &address.to_string()]);
        command.arg("--state-dir").arg(data.path().join("state"));
        for variable in variables {
            command.args(["--variable", &variable]);
        }
        let child = command
            .current_dir(data.path())
            // `spin up` starts a process for its triggers, which would outlive it when it is killed.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file twice"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{PROGRAM}: {error}"));
        let mut spin = Self { child, address, data };
        spin.wait_until_ready();
        spin
    }

    /// Where HTTP is served.
    pub fn http(&self) -> SocketAddr {
        self.address
    }

    fn wait_until_ready(&mut self) {
        let began = Instant::now();
        while began.elapsed() < READY_WITHIN {
            let ended = self.child.try_wait().expect("the child can be asked");
            assert!(ended.is_none(), "{PROGRAM} has ended ({ended:?}):\n{}", self.log());
            if is_healthy(self.address) {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
        panic!("{PROGRAM} is not ready in time:\n{}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.data.path().join("spin.log")).unwrap_or_default()
    }
}

impl Drop for SpinProcess {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Processes that have ended already are as good.
            let _ended = kill_process_group(group, Signal::KILL);
        }
        let _reaped = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the log of {PROGRAM}\n{}", self.log());
        }
    }
}

fn is_healthy(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, LOOK_EVERY)?;
        stream.set_read_timeout(Some(READY_WITHIN))?;
        write!(stream, "GET {HEALTH} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Writes a copy of a manifest with nothing but its HTTP triggers, and with the components where they were built to.
fn http_only(manifest: &Path, folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(manifest).expect("the manifest is there");
    let mut table: Table = text.parse().expect("the manifest is TOML");
    let triggers = table["trigger"].as_table_mut().expect("triggers by their type");
    triggers.retain(|kind, _| kind == "http");
    let used: Vec<String> = triggers["http"].as_array().into_iter().flatten().map(component_of).collect();
    table["application"].as_table_mut().expect("what the application is").remove("trigger");
    let components = table["component"].as_table_mut().expect("components by name");
    components.retain(|name, _| used.iter().any(|used| used == name));
    for (name, described) in components.iter_mut() {
        let file = component(&name.replace('-', "_")).display().to_string();
        described.as_table_mut().expect("a component").insert("source".to_owned(), Value::String(file));
    }
    let copy = folder.join("spin.toml");
    std::fs::write(&copy, table.to_string()).expect("a copy of the manifest");
    copy
}

fn component_of(trigger: &Value) -> String {
    trigger["component"].as_str().expect("the component's name").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_http_triggers_only_and_the_components_they_need() {
        let folder = tempfile::tempdir().unwrap();
        let copy = std::fs::read_to_string(http_only(&workspace().join("spin.toml"), folder.path())).unwrap();
        let copy: Table = copy.parse().unwrap();
        assert_eq!(copy["trigger"].as_table().unwrap().keys().collect::<Vec<_>>(), ["http"]);
        let components = copy["component"].as_table().unwrap();
        assert!(components.contains_key("fleet") && !components.contains_key("mqtt-bridge"));
        assert!(Path::new(components["fleet"]["source"].as_str().unwrap()).is_absolute());
    }
}
