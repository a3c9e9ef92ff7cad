//! Clients that others have written.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::operator::{firmware, text};
use crate::service::{PATIENCE, Service};

/// MB of the file, unless the variable of this name says otherwise: 1000 is the largest.
const MB: (&str, usize) = ("OVERAIR_TUS_MB", 96);
const MB_BYTES: usize = 1024 * 1024;
/// What an instance may take.
const INSTANCE_MAX: u64 = 32 * 1024 * 1024;

/// An upload by `tus-js-client`.
struct Client {
    child: Child,
    lines: Receiver<String>,
}

impl Client {
    fn start(service: &Service, file: &Path, notes: &Path) -> Self {
        let mut child = Command::new("node")
            .arg(folder().join("tus.js"))
            .arg(service.base_url() + "/v1/uploads")
            .args([file, notes])
            .env("OVERAIR_TOKEN", &service.api_token)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                if line.is_err() || sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the client says something")
    }

    /// Waits until the client has sent so many bytes.
    fn until(&self, bytes: usize) {
        while self.line().strip_prefix("at ").is_none_or(|at| at.parse::<usize>().unwrap() < bytes) {}
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn folder() -> std::path::PathBuf {
    ota_tests::host::workspace().join("tests/clients")
}

/// Writes a file of so many bytes, and returns their digest.
fn write(path: &Path, bytes: usize) -> String {
    let mut file = File::create(path).unwrap();
    let mut digest = Sha256::new();
    for (n, at) in (0..bytes).step_by(MB_BYTES).enumerate() {
        let piece = firmware(MB_BYTES.min(bytes - at), 1 + n as u64);
        digest.update(&piece);
        file.write_all(&piece).unwrap();
    }
    hex::encode(digest.finalize())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_by_a_client_from_npm_goes_on_where_it_and_then_the_service_were_killed() {
    if !folder().join("node_modules/tus-js-client").is_dir() {
        eprintln!("skipped: `cargo xtask test` installs the client, if there is npm");
        return;
    }
    let size = std::env::var(MB.0).map_or(MB.1, |mb| mb.parse().unwrap()) * MB_BYTES;
    let work = tempfile::tempdir().unwrap();
    let (file, notes) = (work.path().join("image.bin"), work.path().join("notes.json"));
    let sha256 = write(&file, size);
    let mut service = Service::start();

    let mut client = Client::start(&service, &file, &notes);
    client.until(size / 3);
    client.kill();
    let client = Client::start(&service, &file, &notes);
    assert_eq!(client.line(), "resumed");
    let first: usize = client.line().strip_prefix("at ").unwrap().parse().unwrap();
    assert!(first > 0, "what was sent before is not sent again");
    client.until(size / 3 * 2);
    tokio::task::block_in_place(|| {
        service.host.kill();
        service.host.start_again();
    });
    let url = loop {
        if let Some(url) = client.line().strip_prefix("done ") {
            break url.to_owned();
        }
    };

    let operator = service.operator();
    let upload = operator.get(&url[service.base_url().len()..]).await.expect(200);
    assert_eq!((&upload["sha256"], &upload["size"]), (&json!(sha256), &json!(size)));
    let product_key = operator.product("smart-lamp").await;
    let body = json!({
        "product_key": product_key, "name": "large", "target_version": "9.0", "upload_id": upload["upload_id"],
        "needs_verification": false,
    });
    let package_id = text(&operator.post("/v1/packages", &body).await.expect(201), "package_id");
    let url = service.base_url() + &operator.download_path(&package_id).await;
    let mut answer = operator.http.get(url).send().await.unwrap();
    let mut digest = Sha256::new();
    while let Some(piece) = answer.chunk().await.unwrap() {
        digest.update(&piece);
    }
    assert_eq!(hex::encode(digest.finalize()), sha256);
    service.host.stop();
    for component in ["package-upload", "package-download"] {
        let held = service.host.component_memory(component);
        eprintln!("the most that an instance of {component} has held: {} KiB", held / 1024);
        assert!(held < INSTANCE_MAX, "an instance of {component} held {} KiB", held / 1024);
    }
}
