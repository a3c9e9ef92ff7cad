//! What stands around the service, as `deploy/` has it: nginx in front, mosquitto as the broker.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use ota_tests::host::{is_spin, workspace};
use rumqttc::QoS;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use crate::device::{Device, Identity, first_hit};
use crate::operator::{firmware, text};
use crate::service::{LOOK_EVERY, PATIENCE, Service};

/// Tells whether there is a program.
pub(crate) fn is_there(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    found.is_ok_and(|found| found.status.success())
}

/// A program that runs until this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // A child that has ended already is as good.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// nginx with the front's configuration.
pub(crate) struct Nginx {
    address: SocketAddr,
    _running: Running,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it in front of a server.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
        let front = deployed(
            "nginx/overair.conf",
            &[
                ("server 127.0.0.1:3000;", &format!("server {server};")),
                ("listen 80;", &format!("listen {address};")),
            ],
        );
        fs::write(folder.path().join("overair.conf"), front).unwrap();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|of| format!("{of}_temp_path {};\n", folder.path().join(of).display()))
            .concat();
        let main = format!(
            "daemon off; master_process off; error_log stderr; pid {0}/pid; events {{}}\n\
             http {{ access_log off; {temporary} include {0}/overair.conf; }}",
            folder.path().display()
        );
        let config = folder.path().join("nginx.conf");
        fs::write(&config, main).unwrap();
        let mut nginx = Command::new("nginx");
        nginx.arg("-p").arg(folder.path()).arg("-c").arg(&config);
        let running = start(nginx, address);
        Self { address, _running: running, _folder: folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// mosquitto with its configuration.
struct Mosquitto {
    address: SocketAddr,
    running: Running,
    folder: TempDir,
}

impl Mosquitto {
    /// Starts it with the service's account and no device's.
    fn start(service_password: &str) -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = deployed(
            "mosquitto/mosquitto.conf",
            &[
                ("listener 1883", &format!("listener {} {}", address.port(), address.ip())),
                ("/etc/mosquitto/overair.passwd", &path(PASSWORDS)),
                ("/etc/mosquitto/overair.acl", &path(ACCESS)),
            ],
        );
        // Started as root it would go on as another, who may not look into this folder.
        fs::write(path("mosquitto.conf"), config + "\nuser root\n").unwrap();
        fs::copy(workspace().join("deploy/mosquitto/overair.acl"), path(ACCESS)).unwrap();
        fs::write(path(PASSWORDS), "").unwrap();
        add_account(&folder, "overair-service", service_password);
        let mut mosquitto = Command::new("mosquitto");
        mosquitto.args(["-c", &path("mosquitto.conf")]);
        let running = start(mosquitto, address);
        Self { address, running, folder }
    }

    /// Gives a device its account, and the topics that the example in the access list has.
    fn add(&self, device: &Identity) {
        let (_, username, password) = device.login(1);
        let example = [("a1b2c3d4e5f", device.product_key.as_str()), ("lamp-1", &device.name)];
        fs::write(self.folder.path().join(ACCESS), deployed("mosquitto/overair.acl", &example)).unwrap();
        add_account(&self.folder, &username, &password);
        kill_process(Pid::from_child(&self.running.0), Signal::HUP).unwrap();
    }
}

const PASSWORDS: &str = "overair.passwd";
const ACCESS: &str = "overair.acl";

fn add_account(folder: &TempDir, name: &str, password: &str) {
    let file = folder.path().join(PASSWORDS);
    let made = Command::new("mosquitto_passwd").arg("-b").arg(file).args([name, password]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// Returns a file of `deploy/` with some of it replaced, all of which must be there.
fn deployed(path: &str, replaced: &[(&str, &str)]) -> String {
    let text = fs::read_to_string(workspace().join("deploy").join(path)).unwrap();
    replaced.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{path} does not say {from}");
        text.replace(from, to)
    })
}

/// An address that nobody listens on. Somebody might by the time it is used, which is as likely as any port's being taken.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts a program and waits until it listens.
fn start(mut program: Command, address: SocketAddr) -> Running {
    let child = program.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mut running = Running(child);
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        let ended = running.0.try_wait().unwrap();
        assert!(ended.is_none() && Instant::now() < until, "{program:?} does not listen: {ended:?}");
        std::thread::sleep(LOOK_EVERY);
    }
    running
}

#[tokio::test]
async fn a_device_is_upgraded_over_mosquitto_and_uses_no_topic_but_its_own() {
    if !is_there("mosquitto") || !is_there("mosquitto_passwd") {
        eprintln!("skipped: there is no mosquitto");
        return;
    }
    if is_spin() {
        eprintln!("skipped: beside Spin the broker is the embedded host's");
        return;
    }
    let mosquitto = Mosquitto::start("password-of-the-service");
    let address = format!("mqtt://{}", mosquitto.address);
    let service =
        Service::start_with(&[("mqtt_address", &address), ("mqtt_password", "password-of-the-service")]);
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let names = ["lamp-7", "lamp-8"].map(str::to_owned);
    let secret = operator.devices(&product_key, &names).await.remove(0);
    let identity = Identity { product_key: product_key.clone(), name: names[0].clone(), secret };
    let package_id = operator.trusted_package(&product_key, "lamp-2_0", "2.0", firmware(5_000, 9)).await;

    mosquitto.add(&identity);
    let until = Instant::now() + PATIENCE;
    let mut device = loop {
        // It reads its files when it comes to it.
        match Device::connect(&identity, mosquitto.address, identity.login(1)).await {
            Ok(device) => break device,
            Err(code) => assert!(Instant::now() < until, "{code:?}"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let pushes = format!("/ota/device/upgrade/{product_key}/lamp-7");
    device.subscribe(&pushes).await;
    let others = format!("/ota/device/inform/{product_key}/lamp-8");
    let report = r#"{"id":"1","params":{"version":"1.0"}}"#;
    device.publish(&others, QoS::AtLeastOnce, report).await;
    device.inform("1.0").await;
    let path = |name: &str| format!("/v1/products/{product_key}/devices/{name}");
    operator.until(&path("lamp-7"), |device| device["versions"][0]["version"] == "1.0").await;
    // It came before the report that has arrived.
    let other = operator.get(&path("lamp-8")).await.expect(200);
    assert_eq!(other["versions"], json!([]), "{other:#}");

    let body = json!({ "package_id": package_id, "target": { "selection": "all" } });
    let batch = operator.post("/v1/batches", &body).await.expect(201);
    assert_eq!(first_hit(&device.push().await, "version"), "2.0");
    device.progress(100).await;
    device.inform("2.0").await;
    let path = format!("/v1/batches/{}", text(&batch, "batch_id"));
    let ended = operator.until(&path, |batch| batch["status"] == "completed").await;
    assert_eq!(ended["counts"]["succeeded"], 1, "{ended:#}");
}
