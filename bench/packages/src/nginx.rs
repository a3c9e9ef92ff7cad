//! nginx as a server of one folder: what a download is compared with.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::bail;

/// Where Debian puts it, which is not among the folders that everybody looks into.
const PROGRAMS: [&str; 2] = ["nginx", "/usr/sbin/nginx"];
/// How long it may take to listen, and how often to look.
const READY_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running server. It ends when this is dropped.
pub(crate) struct Nginx {
    process: Child,
    address: SocketAddr,
}

impl Nginx {
    /// Serves a folder, with what nginx needs of files in `work`; `None` where there is no nginx.
    pub(crate) fn start(folder: &Path, work: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = find() else { return Ok(None) };
        // It cannot be told to take any port: this one was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let file = work.join("nginx.conf");
        std::fs::write(&file, configuration(folder, work, address))?;
        // One process, so that it ends as a child does.
        let mut process = Command::new(program)
            .arg("-c")
            .arg(&file)
            .args(["-p", ".", "-e", "stderr", "-g", "daemon off; master_process off;"])
            .current_dir(work)
            .stdin(Stdio::null())
            .spawn()?;
        let until = Instant::now() + READY_WITHIN;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = process.try_wait()? {
                bail!("nginx has ended: {status}");
            }
            if Instant::now() > until {
                // It is of no use any more, whether it ends or not.
                let _ended = process.kill();
                bail!("nginx does not listen at {address}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(Some(Self { process, address }))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn find() -> Option<PathBuf> {
    let there = |program: &str| {
        let version = Command::new(program).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
        !version.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    PROGRAMS.iter().find(|program| there(program)).map(PathBuf::from)
}

/// The usual settings of a server of files: the kernel copies from the file to the socket, in full packets.
fn configuration(folder: &Path, work: &Path, address: SocketAddr) -> String {
    let (folder, work) = (folder.display(), work.display());
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {work}/nginx-{what};"))
        .join("\n    ");
    format!(
        "pid {work}/nginx.pid;
events {{}}
http {{
    {temporary}
    access_log off;
    sendfile on;
    tcp_nopush on;
    server {{
        listen {address};
        root {folder};
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_serves_the_folder_and_writes_nowhere_else() {
        let text = configuration(Path::new("/f"), Path::new("/w"), "127.0.0.1:8080".parse().unwrap());
        assert!(text.contains("listen 127.0.0.1:8080;") && text.contains("root /f;"));
        let folders = text.lines().filter(|line| line.contains("_temp_path") || line.starts_with("pid"));
        assert!(folders.clone().count() == 6 && folders.clone().all(|line| line.contains(" /w/")), "{text}");
    }
}
