//! The kinds of batches and devices beyond the ordinary one, on real sockets: dynamic batches and what is told of them,
//! sub-devices behind a gateway, downloads over MQTT.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use rumqttc::QoS;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::device::{Identity, first_hit};
use crate::operator::{Operator, firmware, text};
use crate::service::Service;

/// Registers devices and returns who they are.
async fn identities(operator: &Operator, product_key: &str, names: &[&str]) -> Vec<Identity> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let secrets = operator.devices(product_key, &names).await;
    let identity = |(name, secret)| Identity { product_key: product_key.to_owned(), name, secret };
    names.into_iter().zip(secrets).map(identity).collect()
}

/// The words of an event that say what happened: its type, the device, and the status or version.
fn gist(event: &Value) -> String {
    let payload = &event["payload"];
    let words = [&event["type"], &payload["deviceName"], &payload["status"], &payload["moduleVersion"]];
    words.iter().filter_map(|word| word.as_str()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn r106_r110_devices_join_a_dynamic_batch_until_its_strategy_is_canceled_and_all_of_it_is_told() {
    let service = Service::start();
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let devices = identities(&operator, &product_key, &["lamp-1", "lamp-2", "lamp-3"]).await;
    let package_id = operator.trusted_package(&product_key, "lamp-2_0", "2.0", firmware(5_000, 3)).await;
    let mut present = devices[0].connect(service.host.mqtt(), 1).await;
    present.inform("1.0").await;
    let path = |name: &str| format!("/v1/products/{product_key}/devices/{name}");
    operator.until(&path("lamp-1"), |device| device["versions"][0]["version"] == "1.0").await;

    let body = json!({
        "package_id": package_id, "mode": "dynamic", "source_versions": ["1.0"], "target": {"selection": "all"},
    });
    let batch = operator.post("/v1/batches", &body).await.expect(201);
    let batch_path = format!("/v1/batches/{}", text(&batch, "batch_id"));
    assert_eq!((&batch["mode"], &batch["new_reports_only"]), (&json!("dynamic"), &json!(false)));
    operator.post("/v1/batches", &body).await.expect_problem(409, "batch.dynamic-exists");
    assert_eq!(first_hit(&present.push().await, "version"), "2.0");

    // One that comes later joins by what it reports.
    let mut later = devices[1].connect(service.host.mqtt(), 1).await;
    later.inform("1.0").await;
    assert_eq!(first_hit(&later.push().await, "version"), "2.0");
    present.inform("2.0").await;
    operator.until(&batch_path, |batch| batch["counts"]["succeeded"] == 1).await;

    // Without a body, a cancel of a dynamic batch means its strategy.
    let cancel = operator.request(Method::POST, &format!("{batch_path}/cancel"));
    let canceled = operator.send("cancel", cancel).await.expect(202);
    assert_eq!(canceled["status"], "canceled");
    let mut late = devices[2].connect(service.host.mqtt(), 1).await;
    late.inform("1.0").await;
    operator.until(&path("lamp-3"), |device| device["versions"][0]["version"] == "1.0").await;
    let why = operator.get(&format!("{batch_path}/devices/lamp-3/why")).await.expect(200);
    assert_eq!((&why["code"], &why["rule"]), (&json!("strategy-canceled"), &json!("R110")));
    assert!(!late.has_message());

    // What happened is listed, in the vendor's words.
    let told =
        |events: &Value| -> Vec<String> { events["items"].as_array().unwrap().iter().map(gist).collect() };
    let wanted = [
        "version-changed lamp-1 1.0",
        "version-changed lamp-2 1.0",
        "version-changed lamp-3 1.0",
        "version-changed lamp-1 2.0",
        "task-ended lamp-1 SUCCEEDED",
        "batch-status IN_PROGRESS",
        "batch-status CANCELED",
    ];
    let events = format!("/v1/events?product_key={product_key}");
    let all_told =
        |events: &Value| wanted.iter().all(|wanted| told(events).iter().any(|told| told == wanted));
    operator.until(&events, all_told).await;
    // The second task goes on although the batch is canceled.
    later.inform("2.0").await;
    operator.until(&batch_path, |batch| batch["counts"]["succeeded"] == 2).await;
}

#[tokio::test]
async fn r168_a_meter_is_upgraded_over_its_gateways_connection() {
    let service = Service::start();
    let operator = service.operator();
    let gateways = operator.product("gateway").await;
    let meters = operator.product("meter").await;
    let gateway = identities(&operator, &gateways, &["gate-1"]).await.remove(0);
    let meter = identities(&operator, &meters, &["meter-1"]).await.remove(0);
    let behind = format!("/v1/products/{gateways}/devices/gate-1/sub-devices");
    let sub_devices = json!({"sub_devices": [{"product_key": meters, "name": "meter-1"}]});
    let _added = operator.post(&behind, &sub_devices).await.expect(204);
    let package_id = operator.trusted_package(&meters, "meter-2_0", "2.0", firmware(5_000, 4)).await;

    let mut connection = gateway.connect(service.host.mqtt(), 1).await;
    let content = format!("clientIdmeterdeviceNamemeter-1productKey{meters}timestamp1");
    let mut mac = Hmac::<Sha256>::new_from_slice(meter.secret.as_bytes()).unwrap();
    mac.update(content.as_bytes());
    let params = json!({
        "productKey": meters, "deviceName": "meter-1", "clientId": "meter", "timestamp": "1",
        "signMethod": "hmacSha256", "sign": hex::encode(mac.finalize().into_bytes()), "cleanSession": "true",
    });
    let login = format!("/ext/session/{gateways}/gate-1/combine/login");
    let request = json!({"id": "7", "params": params}).to_string();
    connection.publish(&login, QoS::AtMostOnce, request).await;
    let reply = connection.message(&format!("{login}_reply")).await;
    assert_eq!((first_hit(&reply, "id"), first_hit(&reply, "code")), ("7", "200"), "{reply}");

    let inform = format!("/ota/device/inform/{meters}/meter-1");
    let report = |version: &str| json!({"id": "1", "params": {"version": version}}).to_string();
    connection.publish(&inform, QoS::AtMostOnce, report("1.0")).await;
    let path = format!("/v1/products/{meters}/devices/meter-1");
    operator.until(&path, |device| device["versions"][0]["version"] == "1.0").await;
    let body = json!({"package_id": package_id, "target": {"selection": "all"}});
    let batch = operator.post("/v1/batches", &body).await.expect(201);
    let push = connection.message(&format!("/ota/device/upgrade/{meters}/meter-1")).await;
    assert_eq!(first_hit(&push, "version"), "2.0");
    connection.publish(&inform, QoS::AtMostOnce, report("2.0")).await;
    let batch_path = format!("/v1/batches/{}", text(&batch, "batch_id"));
    operator.until(&batch_path, |batch| batch["status"] == "completed").await;

    // The meter goes with its gateway.
    connection.disconnect().await;
    operator.until(&path, |device| device["state"] == "offline").await;
}

#[tokio::test]
async fn r163_a_device_that_speaks_nothing_but_mqtt_downloads_its_file_in_blocks() {
    download_in_blocks(&Service::start()).await;
}

/// Upgrades a device that downloads over MQTT.
pub(crate) async fn download_in_blocks(service: &Service) {
    const SIZE: usize = 300_001;
    const BLOCK: usize = 100_000;
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let lamp = identities(&operator, &product_key, &["lamp-1"]).await.remove(0);
    let bytes = firmware(SIZE, 5);
    let package_id = operator.trusted_package(&product_key, "lamp-2_0", "2.0", bytes.clone()).await;
    let mut device = lamp.connect(service.host.mqtt(), 1).await;
    device.inform("1.0").await;
    let path = format!("/v1/products/{product_key}/devices/lamp-1");
    operator.until(&path, |device| device["versions"][0]["version"] == "1.0").await;
    let body = json!({
        "package_id": package_id, "target": {"selection": "all"}, "download_protocol": "mqtt",
    });
    let _batch = operator.post("/v1/batches", &body).await.expect(201);
    let push = device.push().await;
    assert_eq!(first_hit(&push, "dProtocol"), "mqtt");
    assert!(!push.contains("\"url\""), "{push}");
    let stream = first_hit(&push, "streamId").to_owned();

    let topic = format!("/sys/{product_key}/lamp-1/thing/file/download");
    let mut received = Vec::new();
    while received.len() < SIZE {
        // With the comma that shipped devices send.
        let request = format!(
            r#"{{"id":"1","version":"1.0","params":{{"fileToken":"default","fileInfo":{{"streamId":{stream},"fileId":1,}},"fileBlock":{{"size":{BLOCK},"offset":{}}}}}}}"#,
            received.len()
        );
        device.publish(&topic, QoS::AtMostOnce, request).await;
        let frame = device.bytes(&format!("{topic}_reply")).await;
        let json_len = usize::from(u16::from_be_bytes([frame[0], frame[1]]));
        let told: Value = serde_json::from_slice(&frame[2..2 + json_len]).unwrap();
        assert_eq!(
            (&told["code"], &told["data"]["bOffset"], &told["data"]["fileLength"]),
            (&json!(200), &json!(received.len()), &json!(SIZE))
        );
        let block = &frame[2 + json_len..frame.len() - 2];
        assert_eq!(told["data"]["bSize"], json!(block.len()));
        received.extend_from_slice(block);
    }
    assert!(received == bytes, "the blocks are not the file");
}
