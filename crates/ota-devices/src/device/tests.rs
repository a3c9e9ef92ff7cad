//! A device against a broker and a file server.

use std::sync::Arc;
use std::time::Duration;

use super::fake::{Broker, serve_file};
use super::{Device, DeviceConfig, DeviceError, Outcome, Timing, http_client};
use crate::credentials::Credential;
use crate::dialect::Dialect;
use crate::event::{Event, What};
use crate::plan::{Behavior, Failure, Quirk};
use md5::Md5;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

const UPGRADE: &str = "/ota/device/upgrade/a1/lamp-1";

fn file() -> Vec<u8> {
    (0..200_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect()
}

fn data(url: &str) -> Value {
    let bytes = file();
    json!({
        "size": bytes.len(),
        "version": "1.1.0",
        "sign": hex::encode(Sha256::digest(&bytes)),
        "signMethod": "SHA256",
        "md5": hex::encode(Md5::digest(&bytes)),
        "url": url,
    })
}

fn push(url: &str) -> String {
    json!({ "code": "1000", "data": data(url), "id": 1, "message": "success" }).to_string()
}

struct Trial {
    broker: Broker,
    url: String,
    ranges: Arc<std::sync::Mutex<Vec<String>>>,
    events: mpsc::UnboundedReceiver<Event>,
    device: JoinHandle<Result<Outcome, DeviceError>>,
}

impl Trial {
    async fn start(behavior: Behavior) -> Self {
        Self::start_at(Broker::start().await, behavior).await
    }

    async fn start_at(broker: Broker, behavior: Behavior) -> Self {
        let (url, ranges) = serve_file(file()).await;
        let (watcher, events) = mpsc::unbounded_channel();
        let timing = Timing {
            nap: Duration::from_millis(50),
            ask_every: Duration::from_millis(50),
            connect_pause: Duration::from_millis(1),
            ..Timing::default()
        };
        let device = Device::new(DeviceConfig {
            mqtt: ("127.0.0.1".into(), broker.port),
            product_key: "a1".into(),
            credential: Credential { name: "lamp-1".into(), secret: "secret".into() },
            version: "1.0.0".into(),
            behavior,
            timing,
            seed: 1,
            base_url: None,
            http: http_client().unwrap(),
            downloads: Arc::new(Semaphore::new(1)),
            watcher: Some(watcher),
            attempts_max: Some(1),
        });
        Self { broker, url, ranges, events, device: tokio::spawn(device.run()) }
    }

    async fn until(&mut self, wanted: impl Fn(&What) -> bool) -> What {
        loop {
            let event = tokio::time::timeout(Duration::from_secs(20), self.events.recv()).await;
            let event = event.expect("in time").expect("the device lives");
            if wanted(&event.what) {
                return event.what;
            }
        }
    }

    async fn informed(&mut self) {
        self.until(|what| matches!(what, What::Informed { .. })).await;
    }

    /// Pushes the upgrade once the device is there, and waits for its end.
    async fn upgrade(mut self) -> (Broker, Vec<String>, Outcome) {
        self.informed().await;
        self.broker.push("a1/lamp-1", UPGRADE, &push(&self.url));
        let outcome = self.device.await.unwrap().unwrap();
        self.broker.deserted().await;
        let ranges = self.ranges.lock().unwrap().clone();
        (self.broker, ranges, outcome)
    }
}

fn steps(broker: &Broker) -> Vec<String> {
    let read = |text: String| {
        let said: Value = serde_json::from_str(text.trim_end_matches('\0')).unwrap();
        said["params"]["step"].to_string().trim_matches('"').to_owned()
    };
    broker.heard("/ota/device/progress/").into_iter().map(read).collect()
}

#[tokio::test]
async fn a_device_of_every_dialect_is_upgraded() {
    for dialect in Dialect::ALL {
        let trial = Trial::start(Behavior { dialect, ..Behavior::default() }).await;
        let (broker, ranges, outcome) = trial.upgrade().await;
        assert_eq!(outcome, Outcome { version: "1.1.0".into(), failure: None }, "{dialect:?}");
        assert_eq!(ranges, ["0-"]);
        assert_eq!(broker.subscribes(), 0);
        let informs = broker.heard("/ota/device/inform/a1/lamp-1");
        assert_eq!(informs.len(), 4, "twice for each of two boots");
        assert!(informs[1].contains("1.0.0") && informs[2].contains("1.1.0"));
        let mut steps = steps(&broker);
        steps.dedup();
        assert!(steps.len() >= 3 && steps[0] == "0" && steps.last().unwrap() == "100", "{steps:?}");
    }
}

#[tokio::test]
async fn a_device_fails_as_it_was_told_to() {
    for failure in Failure::ALL {
        let trial = Trial::start(Behavior { failure: Some(failure), ..Behavior::default() }).await;
        let (broker, ranges, outcome) = trial.upgrade().await;
        assert_eq!(outcome.version, "1.0.0");
        assert_eq!(outcome.failure.unwrap().0, failure.step());
        assert_eq!(steps(&broker).last(), Some(&failure.step().to_string()));
        assert_eq!(ranges.len(), if failure == Failure::Download { 4 } else { 1 });
    }
}

#[tokio::test]
async fn a_download_that_is_cut_is_resumed_and_still_verified() {
    let trial = Trial::start(Behavior { quirk: Quirk::Resumes, ..Behavior::default() }).await;
    let (_, ranges, outcome) = trial.upgrade().await;
    assert_eq!(outcome.version, "1.1.0");
    assert_eq!(ranges, ["0-", "120000-"]);
}

#[tokio::test]
async fn a_lost_connection_is_not_a_boot() {
    let trial = Trial::start(Behavior { quirk: Quirk::Drops, ..Behavior::default() }).await;
    let (broker, _, outcome) = trial.upgrade().await;
    assert_eq!(outcome.version, "1.1.0");
    assert_eq!(broker.heard("/ota/device/inform/").len(), 4);
    let ids: Vec<String> = broker.connects().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids[0].ends_with("_conn=tcp_1|") && ids[1].ends_with("_conn=tcp_2|"), "{ids:?}");
}

#[tokio::test]
async fn a_device_that_naps_comes_back() {
    let mut trial = Trial::start(Behavior { quirk: Quirk::Naps, ..Behavior::default() }).await;
    trial.informed().await;
    let (_, _, outcome) = trial.upgrade().await;
    assert_eq!(outcome.version, "1.1.0");
}

#[tokio::test]
async fn a_device_that_asks_acts_on_the_reply_and_not_on_the_push() {
    let mut trial = Trial::start(Behavior { quirk: Quirk::Asks, ..Behavior::default() }).await;
    trial.informed().await;
    trial.broker.push("a1/lamp-1", UPGRADE, &push("http://127.0.0.1:1/never/fetched"));
    while trial.broker.heard("/sys/a1/lamp-1/thing/ota/firmware/get").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked: Value =
        serde_json::from_str(&trial.broker.heard("/sys/a1/lamp-1/thing/ota/firmware/get")[0]).unwrap();
    let reply = json!({ "code": 200, "data": data(&trial.url), "id": asked["id"], "message": "success" });
    trial.broker.push("a1/lamp-1", "/sys/a1/lamp-1/thing/ota/firmware/get_reply", &reply.to_string());
    assert_eq!(trial.device.await.unwrap().unwrap().version, "1.1.0");
}

#[tokio::test]
async fn a_push_that_would_break_a_shipped_device_is_complained_of() {
    let mut trial = Trial::start(Behavior::default()).await;
    trial.informed().await;
    let spaced = push(&trial.url).replacen("\":", "\": ", 1);
    trial.broker.push("a1/lamp-1", UPGRADE, &spaced);
    let complaint = trial.until(|what| matches!(what, What::Complaint { .. })).await;
    assert!(matches!(complaint, What::Complaint { text } if text.contains("compact")));
}

#[tokio::test]
async fn a_push_of_the_version_it_runs_is_answered_with_that_version() {
    let mut trial = Trial::start(Behavior::default()).await;
    trial.informed().await;
    trial.broker.push("a1/lamp-1", UPGRADE, &push(&trial.url).replace("1.1.0", "1.0.0"));
    while trial.broker.heard("/ota/device/inform/").len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(trial.ranges.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_device_whose_secret_is_wrong_gives_up() {
    let trial = Trial::start_at(Broker::start_with(true).await, Behavior::default()).await;
    let ended = trial.device.await.unwrap();
    assert!(matches!(ended, Err(DeviceError::Refused(_))), "{ended:?}");
    assert_eq!(trial.broker.connects().len(), 5);
}
