//! The process is killed in the middle of a batch, twice, and nothing is lost or done double. Devices that come back at the
//! first possible moment are heard.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use ota_devices::{Credential, Event, FleetConfig, Timing, What, run_fleet};
use rumqttc::{ConnectReturnCode, QoS};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::device::{Device, Identity};
use crate::operator::{firmware, text};
use crate::service::Service;

const DEVICES: usize = 60;
const SEED: u64 = 11;
/// Devices that wait at the broker's door, and how long before they knock again.
const EARLY_DEVICES: usize = 24;
const KNOCK_EVERY: Duration = Duration::from_millis(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_survives_the_death_of_the_process() {
    let mut service = Service::start();
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let names: Vec<String> = (1..=DEVICES).map(|n| format!("lamp-{n:04}")).collect();
    let secrets = operator.devices(&product_key, &names).await;
    let package_id = operator.trusted_package(&product_key, "lamp-1_1_0", "1.1.0", firmware(60_000, 1)).await;

    let (watcher, events) = mpsc::unbounded_channel();
    let mqtt = service.host.mqtt();
    let credentials = names.iter().zip(secrets);
    let fleet = tokio::spawn(run_fleet(FleetConfig {
        mqtt: (mqtt.ip().to_string(), mqtt.port()),
        base_url: None,
        product_key: product_key.clone(),
        credentials: credentials.map(|(name, secret)| Credential { name: name.clone(), secret }).collect(),
        only: BTreeSet::new(),
        seed: SEED,
        // A device that fails says so once, and says it to nobody if that is when the process dies: it would be given up
        // at the end of its time, and no sooner.
        fail_percent: 0,
        version: "1.0.0".to_owned(),
        // Slow enough that there is a middle to be killed in.
        timing: Timing { bytes_per_second: Some(40_000), ..Timing::default() },
        downloads_max: 12,
        attempts_max: None,
        watcher: Some(watcher),
    }));
    let devices_path = format!("/v1/products/{product_key}/devices");
    loop {
        let devices = operator.list(&devices_path).await;
        if devices.iter().all(|device| device["versions"][0]["version"] == "1.0.0") {
            break;
        }
        assert!(!fleet.is_finished(), "the devices are gone");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let body = json!({
        "package_id": package_id, "target": { "selection": "all" }, "timeout_minutes": 10, "push_per_minute_max": 1000,
    });
    let batch = operator.post("/v1/batches", &body).await.expect(201);
    let batch_path = format!("/v1/batches/{}", text(&batch, "batch_id"));
    // Right after the promise was given: it has to be kept all the same.
    kill_and_start_again(&mut service).await;
    assert_eq!(operator.get(&batch_path).await.expect(200)["counts"]["total"], DEVICES);
    // And where devices are at every stage.
    let middle = |batch: &Value| {
        batch["counts"]["succeeded"].as_u64() >= Some(10)
            && batch["counts"]["in_progress"].as_u64() >= Some(5)
    };
    operator.until(&batch_path, middle).await;
    let ended_before = ended(&operator.list(&format!("{batch_path}/tasks")).await);
    kill_and_start_again(&mut service).await;

    let batch = operator.until(&batch_path, |batch| batch["status"] == "completed").await;
    assert!(!fleet.is_finished(), "the devices are gone");
    fleet.abort();
    let tasks = operator.list(&format!("{batch_path}/tasks")).await;
    assert_eq!(
        batch["counts"],
        json!({
            "total": DEVICES, "unconfirmed": 0, "queued": 0, "notified": 0, "in_progress": 0,
            "succeeded": DEVICES, "failed": 0, "canceled": 0,
        }),
        "{:#?}",
        tasks.iter().filter(|task| task["status"] != "succeeded").collect::<Vec<_>>()
    );
    let mut of: Vec<String> = tasks.iter().map(|task| text(task, "device_name")).collect();
    of.sort();
    assert_eq!(of, names, "each device has one task");
    let ended_after = ended(&tasks);
    for (device, task) in &ended_before {
        assert_eq!(ended_after.get(device), Some(task), "what had ended has not changed");
    }
    assert!(tasks.iter().all(|task| task["status"] == "succeeded"));
    let devices = operator.list(&devices_path).await;
    assert_eq!(devices.len(), DEVICES);
    for device in &devices {
        assert_eq!(
            (&device["versions"][0]["version"], device.get("task")),
            (&json!("1.1.0"), None),
            "{device}"
        );
    }
    no_device_was_upgraded_twice(events);
    assert_eq!(operator.list("/v1/batches").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_first_devices_say_after_a_start_is_heard() {
    let mut service = Service::start();
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let names: Vec<String> = (1..=EARLY_DEVICES).map(|n| format!("lamp-{n:04}")).collect();
    let secrets = operator.devices(&product_key, &names).await;
    let broker = service.host.mqtt();
    service.host.kill();

    let mut knocking = JoinSet::new();
    for (name, secret) in names.into_iter().zip(secrets) {
        let identity = Identity { product_key: product_key.clone(), name, secret };
        knocking.spawn(speak_at_the_first_chance(identity, broker));
    }
    tokio::task::block_in_place(|| service.host.start_again());
    let connected = knocking.join_all().await;
    let path = format!("/v1/products/{product_key}/devices?limit=100");
    let all_were_heard = |page: &Value| {
        let devices = page["items"].as_array().unwrap();
        devices
            .iter()
            .all(|device| device["state"] == "online" && device["versions"][0]["version"] == "1.0.1")
    };
    operator.until(&path, all_were_heard).await;
    assert_eq!(connected.len(), EARLY_DEVICES);
}

/// Tries to log in until the broker takes it, and tells a version at once, with an acknowledgement.
async fn speak_at_the_first_chance(identity: Identity, broker: SocketAddr) -> Device {
    while TcpStream::connect(broker).await.is_err() {
        tokio::time::sleep(KNOCK_EVERY).await;
    }
    loop {
        match Device::connect(&identity, broker, identity.login(1)).await {
            Ok(mut device) => {
                let topic = format!("/ota/device/inform/{}/{}", identity.product_key, identity.name);
                device.publish(&topic, QoS::AtLeastOnce, r#"{"id":1,"params":{"version":"1.0.1"}}"#).await;
                return device;
            }
            Err(ConnectReturnCode::ServiceUnavailable) => tokio::time::sleep(KNOCK_EVERY).await,
            Err(code) => panic!("{} is refused: {code:?}", identity.name),
        }
    }
}

async fn kill_and_start_again(service: &mut Service) {
    tokio::task::block_in_place(|| {
        service.host.kill();
        service.host.start_again();
    });
}

/// The tasks that have ended, by device.
fn ended(tasks: &[Value]) -> BTreeMap<String, Value> {
    let ended = tasks.iter().filter(|task| task.get("ended_at").is_some());
    ended.map(|task| (text(task, "device_name"), task.clone())).collect()
}

fn no_device_was_upgraded_twice(mut events: mpsc::UnboundedReceiver<Event>) {
    let mut begun: BTreeMap<String, u32> = BTreeMap::new();
    while let Ok(Event { device, what, .. }) = events.try_recv() {
        match what {
            What::Told { .. } => *begun.entry(device).or_default() += 1,
            What::Complaint { text } => panic!("{device} complains: {text}"),
            _ => {}
        }
    }
    assert_eq!(begun.len(), DEVICES);
    assert!(begun.values().all(|times| *times == 1), "{begun:?}");
}
