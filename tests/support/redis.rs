//! A Redis server of its own: Debian's, on a port and in a folder of its own, durable as the service asks for.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// The program.
const PROGRAM: &str = "redis-server";
/// How long it may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often another port is tried: somebody else may have taken the one that was found free.
const PORTS_MAX: u32 = 8;

/// A server that runs until this is dropped. Its data stay for a restart, and go with it at last.
pub struct RedisServer {
    child: Child,
    address: SocketAddr,
    data: TempDir,
}

impl RedisServer {
    /// Starts a server and waits until it is ready.
    ///
    /// # Panics
    /// If the program is missing or does not come up. `cargo xtask test` installs it or leaves out the tests that need it.
    pub fn start() -> Self {
        let data = tempfile::tempdir().expect("a folder for the server's data");
        for _ in 0..PORTS_MAX {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            let address = free.local_addr().expect("its address");
            drop(free);
            if let Some(child) = spawn(address, data.path()) {
                return Self { child, address, data };
            }
        }
        panic!("{PROGRAM} does not start; its log:\n{}", log(data.path()));
    }

    /// Returns `redis://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Returns the variables, as `name=value`, by which components keep everything here.
    pub fn variables(&self) -> [String; 2] {
        ["store=redis".to_owned(), format!("redis_address={}", self.url())]
    }

    /// Ends the server as a power cut does.
    pub fn kill(&mut self) {
        // A child that has ended already is as good.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }

    /// Starts a server again that was killed, on the same data and port.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start_again(&mut self) {
        let child = spawn(self.address, self.data.path());
        self.child =
            child.unwrap_or_else(|| panic!("{PROGRAM} does not start again:\n{}", log(self.data.path())));
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(address: SocketAddr, data: &Path) -> Option<Child> {
    let mut command = Command::new(PROGRAM);
    command.args(["--bind", &address.ip().to_string(), "--port", &address.port().to_string()]);
    command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
    command.args(["--maxmemory-policy", "noeviction", "--daemonize", "no"]);
    command.current_dir(data).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{PROGRAM}: {error}"));
    let output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
    let (told, ready) = mpsc::channel();
    let file = data.join("redis.log");
    // Reads on after the line that tells of it, so that the server can always write.
    thread::spawn(move || {
        let mut log = String::new();
        for line in output.lines().map_while(Result::ok) {
            if line.contains("Ready to accept connections") {
                let _nobody_waits = told.send(());
            }
            log.push_str(&line);
            log.push('\n');
        }
        let _nobody_asks = std::fs::write(file, log);
    });
    if ready.recv_timeout(READY_WITHIN).is_ok() {
        return Some(child);
    }
    let _ended = child.kill();
    let _reaped = child.wait();
    None
}

fn log(data: &Path) -> String {
    std::fs::read_to_string(data.join("redis.log")).unwrap_or_default()
}
