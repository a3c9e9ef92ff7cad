//! The process is killed at random, again and again, while operators, devices and the clock are at it; what was acknowledged is
//! there, and what was begun ends.
//!
//! `OVERAIR_KILLS` says how often: a few times in every run of the tests, 200 times by `cargo xtask kills`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ota_devices::{Credential, Event, FleetConfig, Timing, What, run_fleet};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::operator::{firmware, text};
use crate::service::{LOOK_EVERY, PATIENCE, Service};

/// How often the process is killed unless the variable says otherwise.
const KILLS: u64 = 6;
const VARIABLE: &str = "OVERAIR_KILLS";
/// Real devices, which are upgraded from version to version.
const DEVICES: usize = 24;
/// Devices whose reports are counted: each has one speaker, so that its last acknowledged word is known.
const SPEAKERS: usize = 6;
/// How long the process lives, in milliseconds: long enough to be at everything, and short enough to die in the middle of each.
const LIFE_MS: std::ops::Range<u64> = 60..900;
const SEED: u64 = 7;

/// A caller who asks again until there is an answer: the service may be dead at the moment.
#[derive(Clone)]
struct Caller {
    http: Client,
    base_url: String,
    token: String,
}

impl Caller {
    fn new(service: &Service, token: &str) -> Self {
        let http = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { http, base_url: service.base_url(), token: token.to_owned() }
    }

    /// Asks once; no answer is none.
    async fn once(&self, method: &Method, path: &str, key: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.http.request(method.clone(), format!("{}{path}", self.base_url));
        let mut request = request.bearer_auth(&self.token).header("idempotency-key", key);
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.ok()?;
        Some((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    /// Asks until the answer is one of these statuses. The same key each time, so that nothing is done twice.
    async fn ask(&self, method: Method, path: &str, key: &str, body: &Value, fine: &[u16]) -> Value {
        let began = Instant::now();
        let mut last = None;
        // Longer than a claim whose owner died is held.
        while began.elapsed() < PATIENCE {
            match self.once(&method, path, key, body).await {
                Some((status, answer)) if fine.contains(&status) => return answer,
                Some((status, answer)) if status < 500 => panic!("{method} {path}: {status} {answer}"),
                other => last = other,
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("{method} {path} is not answered, at last {last:?}");
    }

    async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, "read", &Value::Null, &[200]).await
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut page = self.get(&format!("{path}?limit=100{cursor}")).await;
            items.append(page["items"].as_array_mut().unwrap());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}

/// What the story is about.
struct Story {
    operator: Caller,
    insider: Caller,
    product_key: String,
    /// Set when the killing is over.
    over: AtomicBool,
    /// Writes that were acknowledged.
    acknowledged: AtomicU64,
}

impl Story {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn acknowledge(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives_any_number_of_kills() {
    let kills = std::env::var(VARIABLE).map_or(KILLS, |text| text.parse().expect("a number of kills"));
    let mut service = Service::start();
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let names: Vec<String> = (1..=DEVICES).map(|n| format!("lamp-{n:04}")).collect();
    let secrets = operator.devices(&product_key, &names).await;
    let speakers: Vec<String> = (1..=SPEAKERS).map(|n| format!("speaker-{n}")).collect();
    operator.devices(&product_key, &speakers).await;
    let story = Arc::new(Story {
        operator: Caller::new(&service, &service.api_token),
        insider: Caller::new(&service, &service.internal_token),
        product_key: product_key.clone(),
        over: AtomicBool::new(false),
        acknowledged: AtomicU64::new(0),
    });

    let (watcher, events) = mpsc::unbounded_channel();
    let mqtt = service.host.mqtt();
    let fleet = tokio::spawn(run_fleet(FleetConfig {
        mqtt: (mqtt.ip().to_string(), mqtt.port()),
        base_url: None,
        product_key: product_key.clone(),
        credentials: names
            .iter()
            .zip(secrets)
            .map(|(name, secret)| Credential { name: name.clone(), secret })
            .collect(),
        only: BTreeSet::new(),
        seed: SEED,
        // A device that fails says so once, and says it to nobody if that is when the process dies.
        fail_percent: 0,
        version: "1.0.0".to_owned(),
        timing: Timing { bytes_per_second: Some(200_000), ..Timing::default() },
        downloads_max: 8,
        attempts_max: None,
        watcher: Some(watcher),
    }));
    let upgrades = tokio::spawn(upgrade_again_and_again(story.clone(), names.clone()));
    let registered = tokio::spawn(register_devices(story.clone()));
    let spoken: Vec<_> =
        speakers.iter().map(|name| tokio::spawn(speak(story.clone(), name.clone()))).collect();

    let mut random = SEED;
    for _ in 0..kills {
        // xorshift64: when the process dies should have no rhythm, and be the same in each run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let life = LIFE_MS.start + random % (LIFE_MS.end - LIFE_MS.start);
        tokio::time::sleep(Duration::from_millis(life)).await;
        tokio::task::block_in_place(|| {
            service.host.kill();
            service.host.start_again();
        });
        assert!(!fleet.is_finished(), "the devices are gone");
    }
    story.over.store(true, Ordering::Relaxed);

    let registered = registered.await.unwrap();
    let batches = upgrades.await.unwrap();
    for (name, spoken) in speakers.iter().zip(spoken) {
        let (sure, unsure) = spoken.await.unwrap();
        let device = story.operator.get(&format!("/v1/products/{product_key}/devices/{name}")).await;
        let version = device["versions"][0]["version"].as_str().map(str::to_owned);
        assert!(
            version == sure || unsure.is_some() && version == unsure,
            "{name} runs {version:?}; acknowledged: {sure:?}, said since: {unsure:?}"
        );
    }
    fleet.abort();
    let known = story.operator.list(&format!("/v1/products/{product_key}/devices")).await;
    let known: BTreeSet<String> = known.iter().map(|device| text(device, "name")).collect();
    assert_eq!(registered.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "devices are lost");
    let listed = story.operator.list("/v1/batches").await;
    let listed: Vec<String> = listed.iter().map(|batch| text(batch, "batch_id")).collect();
    assert_eq!(listed.len(), batches.len(), "no batch is lost, and none is doubled");
    assert!(batches.iter().all(|id| listed.contains(id)), "{batches:?} {listed:?}");
    upgraded_once_each(events, batches.len());
    // Printed for whoever runs this for its figures.
    println!("kills: {kills}");
    println!("acknowledged_writes: {}", story.acknowledged.load(Ordering::Relaxed));
    println!("batches_completed: {}", batches.len());
}

/// Upgrades all devices to the next version, and the next, until the killing is over; returns the batches.
async fn upgrade_again_and_again(story: Arc<Story>, names: Vec<String>) -> Vec<String> {
    let (operator, product_key) = (&story.operator, &story.product_key);
    let mut batches = Vec::new();
    // Nobody is in a batch who has never said what it runs.
    let has_said = |device: &Value| device["versions"].as_array().is_some_and(|said| !said.is_empty());
    let devices = format!("/v1/products/{product_key}/devices");
    loop {
        let known = operator.list(&devices).await;
        let of_fleet = |device: &&Value| names.contains(&text(device, "name"));
        if known.iter().filter(of_fleet).all(has_said) {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    while !story.is_over() || batches.is_empty() {
        let n = batches.len() + 1;
        let path = format!("/v1/uploads?file_name=firmware-{n}.bin");
        let upload = loop {
            // An upload whose answer was lost is made again: nobody refers to the first.
            let request = operator.http.post(format!("{}{path}", operator.base_url));
            let sent = request.bearer_auth(&operator.token).body(firmware(20_000, n as u64)).send().await;
            match sent {
                Ok(answer) if answer.status() == 201 => {
                    if let Ok(upload) = answer.json::<Value>().await {
                        break upload;
                    }
                }
                Ok(answer) => assert!(answer.status().is_server_error(), "an upload: {answer:?}"),
                Err(_) => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let package = json!({
            "product_key": product_key, "name": format!("lamp-{n}"), "target_version": format!("1.{n}.0"),
            "upload_id": upload["upload_id"], "needs_verification": false,
        });
        let package =
            operator.ask(Method::POST, "/v1/packages", &format!("package-{n}"), &package, &[201]).await;
        story.acknowledge();
        let batch = json!({
            "package_id": package["package_id"], "push_per_minute_max": 1000,
            "target": { "selection": "specific", "devices": names },
        });
        let batch = operator.ask(Method::POST, "/v1/batches", &format!("batch-{n}"), &batch, &[201]).await;
        story.acknowledge();
        let id = text(&batch, "batch_id");
        let path = format!("/v1/batches/{id}");
        let mut ended: BTreeMap<String, Value> = BTreeMap::new();
        // While the process dies again and again, devices wait longer and longer before they come back: that takes its time.
        let mut quiet_since = None;
        loop {
            let seen = operator.get(&path).await;
            let tasks = operator.list(&format!("{path}/tasks")).await;
            ends_are_final(&mut ended, &tasks);
            if seen["status"] == "completed" {
                assert_eq!(seen["counts"]["succeeded"], names.len(), "{seen}");
                assert_eq!(seen["counts"]["total"], names.len(), "{seen}");
                break;
            }
            if story.is_over() {
                let quiet = quiet_since.get_or_insert_with(Instant::now).elapsed();
                assert!(quiet < PATIENCE, "the batch stays at {seen:#}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        batches.push(id);
    }
    batches
}

/// A task that has ended stays as it is, and each device has one.
fn ends_are_final(ended: &mut BTreeMap<String, Value>, tasks: &[Value]) {
    let devices: BTreeSet<&str> = tasks.iter().filter_map(|task| task["device_name"].as_str()).collect();
    assert_eq!(devices.len(), tasks.len(), "a device has two tasks: {tasks:?}");
    for task in tasks.iter().filter(|task| task.get("ended_at").is_some()) {
        let before = ended.entry(text(task, "device_name")).or_insert_with(|| task.clone());
        assert_eq!(before, task, "what had ended has changed");
    }
}

/// Registers devices, so that the fleet grows while it is killed; returns those whose registration was acknowledged.
async fn register_devices(story: Arc<Story>) -> BTreeSet<String> {
    let path = format!("/v1/products/{}/devices", story.product_key);
    let mut acknowledged = BTreeSet::new();
    let mut n = 0;
    while !story.is_over() {
        let names: Vec<String> = (n..n + 20).map(|n| format!("grown-{n:06}")).collect();
        n += 20;
        let body: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        let asked = story.operator.once(&Method::POST, &path, "none", &json!({ "devices": body })).await;
        if asked.is_some_and(|(status, _)| status == 201) {
            acknowledged.extend(names);
            story.acknowledge();
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    acknowledged
}

/// Reports one version after the other; returns the last one that was acknowledged, and one said since.
async fn speak(story: Arc<Story>, name: String) -> (Option<String>, Option<String>) {
    let path = format!("/internal/device-messages?topic=/ota/device/inform/{}/{name}", story.product_key);
    let (mut sure, mut unsure) = (None, None);
    let mut n = 0;
    while !story.is_over() {
        n += 1;
        let version = format!("0.{n}");
        let body = json!({ "id": n.to_string(), "params": { "version": version } });
        match story.insider.once(&Method::POST, &path, "none", &body).await {
            Some((204, _)) => {
                (sure, unsure) = (Some(version), None);
                story.acknowledge();
            }
            // It may have been noted, and the answer lost. The next report settles it.
            _ => {
                unsure = Some(version);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
    (sure, unsure)
}

/// Devices were told of each version once, and had nothing to complain of.
fn upgraded_once_each(mut events: mpsc::UnboundedReceiver<Event>, batches: usize) {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while let Ok(Event { device, what, .. }) = events.try_recv() {
        match what {
            What::Upgraded { version } => told.entry(device).or_default().push(version),
            What::Complaint { text } => panic!("{device} complains: {text}"),
            _ => {}
        }
    }
    let expected: Vec<String> = (1..=batches).map(|n| format!("1.{n}.0")).collect();
    assert_eq!(told.len(), DEVICES);
    for (device, versions) in told {
        // The service knows of the last upgrade a moment before the device has done with it.
        let so_far = expected.get(..versions.len());
        let missing = expected.len().saturating_sub(versions.len());
        assert!(so_far == Some(&versions) && missing <= 1, "{device}: {versions:?} of {expected:?}");
    }
}
