//! A device that is not ours is upgraded: from its login to the package that is verified by it.

use std::net::SocketAddr;

use ota_tests::host::is_spin;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::device::{Identity, first_hit};
use crate::fronts::Nginx;
use crate::operator::{firmware, text};
use crate::raw::get_as_c_sdk;
use crate::service::{LOOK_EVERY, Service};

const SIZE: usize = 300_000;
/// Where the device loses its download.
const CUT_AT: usize = 123_456;
/// Devices that say much at once.
const ORDERLY_DEVICES: usize = 40;

#[tokio::test]
async fn a_device_that_speaks_like_the_c_sdk_is_pushed_downloads_and_proves_the_package() {
    let service = Service::start();
    if is_spin() {
        // It writes names of headers in lower case, which this device cannot read: the front makes up for it.
        let front = Nginx::start(service.host.http());
        upgrade_as_c_sdk(&service, front.address()).await;
    } else {
        upgrade_as_c_sdk(&service, service.host.http()).await;
    }
}

/// A report of the old version fails a task that is in progress (T12): one that was said before the device began, and is
/// heard after, would fail it for nothing.
#[tokio::test]
async fn what_a_device_says_on_several_topics_is_heard_in_order() {
    let service = Service::start();
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let names: Vec<String> = (1..=ORDERLY_DEVICES).map(|n| format!("lamp-{n:04}")).collect();
    let secrets = operator.devices(&product_key, &names).await;
    let mut devices = Vec::new();
    for (name, secret) in names.iter().cloned().zip(secrets) {
        let identity = Identity { product_key: product_key.clone(), name, secret };
        let mut device = identity.connect(service.host.mqtt(), 1).await;
        device.inform("1.0.0").await;
        devices.push(device);
    }
    let path = format!("/v1/products/{product_key}/devices");
    let has_said = |device: &Value| device["versions"][0]["version"] == "1.0.0";
    while !operator.list(&path).await.iter().all(has_said) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let package_id = operator.trusted_package(&product_key, "lamp-1_1_0", "1.1.0", firmware(SIZE, 7)).await;
    let body =
        json!({ "package_id": package_id, "target": { "selection": "all" }, "push_per_minute_max": 1000 });
    let batch = operator.post("/v1/batches", &body).await.expect(201);

    for device in &mut devices {
        device.push().await;
    }
    for device in &mut devices {
        for _ in 0..3 {
            device.inform("1.0.0").await;
        }
        for step in [0, 50, 100] {
            device.progress(step).await;
        }
        device.inform("1.1.0").await;
    }
    let path = format!("/v1/batches/{}", text(&batch, "batch_id"));
    let ended = operator.until(&path, |batch| batch["status"] == "completed").await;
    assert_eq!(ended["counts"]["succeeded"], ORDERLY_DEVICES, "{ended:#}");
}

/// Upgrades a device by a trial, that downloads from `front`.
pub(crate) async fn upgrade_as_c_sdk(service: &Service, front: SocketAddr) {
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let name = "lamp-0001".to_owned();
    let secret = operator.devices(&product_key, std::slice::from_ref(&name)).await.remove(0);
    let bytes = firmware(SIZE, 7);
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let package_id = operator.package(&product_key, "lamp-1_1_0", "1.1.0", bytes.clone()).await;
    let device_path = format!("/v1/products/{product_key}/devices/{name}");
    let verification_path = format!("/v1/packages/{package_id}/verification");

    // It comes online and tells what it runs.
    let identity = Identity { product_key, name: name.clone(), secret };
    let mut device = identity.connect(service.host.mqtt(), 1).await;
    device.inform("1.0.0").await;
    let seen = operator.until(&device_path, |device| device["versions"][0]["version"] == "1.0.0").await;
    assert_eq!((&seen["state"], &seen["versions"][0]["module"]), (&json!("online"), &json!("default")));

    // It is told to upgrade, though it subscribed to nothing.
    let body = json!({ "devices": [name], "timeout_minutes": 10 });
    let trial = operator.post(&verification_path, &body).await.expect(201);
    assert_eq!(trial["status"], "verifying");
    let push = device.push().await;
    assert!(!push.contains("\": ") && !push.contains("\\/") && !push.contains("\\u0026"), "{push}");
    let told = |key| first_hit(&push, key);
    assert_eq!((told("code"), told("version"), told("message")), ("1000", "1.1.0", "success"));
    assert_eq!((told("signMethod"), told("sign")), ("SHA256", sha256.as_str()));
    assert_eq!((told("size"), told("md5").len()), (SIZE.to_string().as_str(), 32));
    assert!(told("id").parse::<u64>().is_ok(), "{push}");

    // It downloads, is cut off, goes on from there, and checks what it got.
    let path = told("url").strip_prefix(&service.base_url()).expect("a URL of this service").to_owned();
    device.progress(0).await;
    let mut answer = get_as_c_sdk(front, &path, 0).await;
    let whole_range = format!("bytes 0-{}/{SIZE}", SIZE - 1);
    assert_eq!((answer.status(), answer.header("Content-Range")), (206, Some(whole_range.as_str())));
    assert_eq!(answer.header("Content-Length"), Some(SIZE.to_string().as_str()), "{}", answer.head);
    assert_eq!(answer.header("Transfer-Encoding"), None);
    let mut received = answer.read(CUT_AT).await;
    drop(answer);
    let mut rest = get_as_c_sdk(front, &path, CUT_AT).await;
    assert_eq!(rest.header("Content-Length"), Some((SIZE - CUT_AT).to_string().as_str()));
    received.extend(rest.body().await);
    assert_eq!(hex::encode(Sha256::digest(&received)), told("sign"));
    // The SDK reports in a burst.
    for step in (5..=100).step_by(5) {
        device.progress(step).await;
    }
    let seen = operator.until(&verification_path, |seen| seen["tasks"][0]["progress"] == 100).await;
    assert_eq!(seen["tasks"][0]["status"], "in-progress");

    // It restarts and tells its new version, which is what counts.
    device.disconnect().await;
    let mut device = identity.connect(service.host.mqtt(), 2).await;
    device.inform("1.1.0").await;
    let seen = operator.until(&verification_path, |seen| seen["status"] == "verified").await;
    assert_eq!((&seen["tasks"][0]["status"], &seen["progress_percent"]), (&json!("succeeded"), &json!(100)));
    let package = operator.get(&format!("/v1/packages/{package_id}")).await.expect(200);
    assert_eq!(package["verification"]["status"], "verified");
    let seen = operator.get(&device_path).await.expect(200);
    assert_eq!(text(&seen["versions"][0], "version"), "1.1.0");
    assert_eq!(text(&seen["versions"][0], "previous"), "1.0.0");
    assert_eq!(seen["tasks"], json!([]));
    assert!(!device.has_message(), "an upgraded device is left alone");
}

#[tokio::test]
async fn a_device_that_asks_is_answered_and_a_failure_it_reports_is_kept_with_its_words() {
    ask_and_fail(&Service::start()).await;
}

/// Lets a device ask for its upgrade, and fail.
pub(crate) async fn ask_and_fail(service: &Service) {
    let operator = service.operator();
    let product_key = operator.product("smart-lock").await;
    let name = "lock-0001".to_owned();
    let secret = operator.devices(&product_key, std::slice::from_ref(&name)).await.remove(0);
    let package_id = operator.trusted_package(&product_key, "lock-2_0", "2.0", firmware(5_000, 9)).await;
    let identity = Identity { product_key: product_key.clone(), name: name.clone(), secret };
    let mut device = identity.connect(service.host.mqtt(), 1).await;
    device.inform("1.0").await;
    let device_path = format!("/v1/products/{product_key}/devices/{name}");
    operator.until(&device_path, |device| device["versions"][0]["version"] == "1.0").await;

    let nothing = device.ask().await;
    assert!(nothing.contains(r#""code":200,"data":{},"#), "{nothing}");

    let body = json!({ "package_id": package_id, "target": { "selection": "all" } });
    let batch = operator.post("/v1/batches", &body).await.expect(201);
    assert_eq!((&batch["counts"]["total"], &batch["expanded"]), (&json!(1), &json!(true)));
    assert_eq!(first_hit(&device.push().await, "version"), "2.0");
    let reply = device.ask().await;
    assert_eq!((first_hit(&reply, "code"), first_hit(&reply, "version")), ("200", "2.0"));

    device.progress(30).await;
    device.progress(-3).await;
    let batch_path = format!("/v1/batches/{}", text(&batch, "batch_id"));
    let ended = operator.until(&batch_path, |batch| batch["status"] == "completed").await;
    assert_eq!((&ended["counts"]["failed"], &ended["counts"]["total"]), (&json!(1), &json!(1)));
    let task = operator.get(&format!("{batch_path}/tasks/{name}")).await.expect(200);
    assert_eq!((&task["status"], &task["progress"]), (&json!("failed"), &json!(30)));
    assert!(task["reason"]["code"].is_string(), "{task}");
}
