//! How many instructions of WebAssembly a request of the hot paths takes. Counted, not timed: the figure is the same on every
//! machine, and whoever makes a path dearer learns it here.

use std::time::Instant;

use reqwest::Method;
use serde_json::json;

use crate::operator::firmware;
use crate::service::{PATIENCE, Service};

/// Devices of the fleet: so many that most shards are as full as they become.
const DEVICES: usize = 300;
/// Requests that one instance answers; what it took is known once it has ended.
const REQUESTS_PER_INSTANCE: u64 = 128;
/// Instructions that a request may take at the most, an instance's start shared among its requests. About a fourth above what
/// was counted, for compilers differ.
const VERSION_REPORT_MAX: u64 = 245_000;
const PROGRESS_REPORT_MAX: u64 = 225_000;

#[tokio::test]
async fn reports_take_no_more_instructions_than_they_did() {
    let service = Service::start_as(&[], &["--count-instructions", "--no-triggers"]);
    let (operator, insider) = (service.operator(), service.insider());
    let product_key = operator.product("smart-lamp").await;
    let names: Vec<String> = (1..=DEVICES).map(|n| format!("lamp-{n:04}")).collect();
    operator.devices(&product_key, &names).await;
    let say = async |verb: &str, n: usize, params: serde_json::Value| {
        let topic = format!("/ota/device/{verb}/{product_key}/{}", names[n % DEVICES]);
        let path = format!("/internal/device-messages?topic={topic}");
        let body = json!({ "id": "1", "params": params });
        let answer = insider.send(verb, insider.request(Method::POST, &path).json(&body)).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    };
    for n in 0..DEVICES {
        say("inform", n, json!({ "version": "1.0.0" })).await;
    }
    // One after the other, so that one instance answers all of them until it has answered as many as it may.
    let say_many = async |verb: &str, instances: u64| {
        let before = ended(&service);
        let mut n = 0;
        while ended(&service).0 < before.0 + instances * REQUESTS_PER_INSTANCE {
            for _ in 0..REQUESTS_PER_INSTANCE {
                let params = match verb {
                    "inform" => json!({ "version": "1.0.0" }),
                    _ => json!({ "step": (2 + n % 90).to_string(), "desc": "" }),
                };
                say(verb, n, params).await;
                n += 1;
            }
        }
        let after = ended(&service);
        (after.1 - before.1) / (after.0 - before.0)
    };
    let each = async |verb: &str| {
        // The instance that is there has answered other requests too: its count is nobody's.
        say_many(verb, 1).await;
        say_many(verb, 3).await
    };
    let version = each("inform").await;
    let package_id = operator.trusted_package(&product_key, "lamp", "1.1.0", firmware(1_000, 1)).await;
    let body = json!({
        "package_id": package_id, "target": { "selection": "all" }, "push_per_minute_max": 1000,
    });
    let batch = operator.post("/v1/batches", &body).await.expect(201);
    let path = format!("/v1/batches/{}", crate::operator::text(&batch, "batch_id"));
    let began = Instant::now();
    while operator.get(&path).await.expect(200)["expanded"] != true {
        assert!(began.elapsed() < PATIENCE);
        insider.post("/internal/dispatch/tick", &json!({})).await;
    }
    // Each device begins, so that what follows stays within one status.
    for n in 0..DEVICES {
        say("progress", n, json!({ "step": "1", "desc": "" })).await;
    }

    let progress = each("progress").await;
    println!("instructions_progress: {progress}");
    println!("instructions_version_report: {version}");
    assert!((1..=PROGRESS_REPORT_MAX).contains(&progress), "{progress} for a progress report");
    assert!((1..=VERSION_REPORT_MAX).contains(&version), "{version} for a version report");
}

/// Returns the requests of instances that have ended, and the instructions these took.
fn ended(service: &Service) -> (u64, u64) {
    let told = service.host.tell();
    let line = told.lines().rev().find(|line| line.contains("component=progress-webhook requests="));
    let number = |name: &str| line?.split_once(name)?.1.split_whitespace().next()?.parse().ok();
    // Before the first has ended there is nothing to tell.
    (number(" requests=").unwrap_or(0), number(" instructions=").unwrap_or(0))
}
