//! What is refused, and that it changes nothing.

use reqwest::Method;
use rumqttc::{ConnectReturnCode, QoS, SubscribeReasonCode};
use serde_json::{Value, json};

use crate::device::{Device, Identity};
use crate::operator::{Operator, firmware, text};
use crate::raw::exchange;
use crate::service::{Service, now_seconds};

/// A fleet of three, of whom the first is online and the second has a task.
struct World {
    service: Service,
    operator: Operator,
    product_key: String,
    identities: Vec<Identity>,
    package_id: String,
    online: Device,
}

impl World {
    async fn new() -> Self {
        let service = Service::start();
        let operator = service.operator();
        let product_key = operator.product("smart-lamp").await;
        let names: Vec<String> = (1..=3).map(|n| format!("lamp-{n:04}")).collect();
        let secrets = operator.devices(&product_key, &names).await;
        let identities: Vec<Identity> = names
            .iter()
            .zip(secrets)
            .map(|(name, secret)| Identity { product_key: product_key.clone(), name: name.clone(), secret })
            .collect();
        let package_id = operator.trusted_package(&product_key, "lamp-2_0", "2.0", firmware(9_000, 5)).await;
        // The second has been there once, is offline, and has a task that waits for it.
        let mut other = identities[1].connect(service.host.mqtt(), 1).await;
        other.inform("1.0").await;
        let path = format!("/v1/products/{product_key}/devices");
        operator
            .until(&format!("{path}/lamp-0002"), |device| device["versions"][0]["version"] == "1.0")
            .await;
        other.disconnect().await;
        operator.until(&format!("{path}/lamp-0002"), |device| device["state"] == "offline").await;
        let body = json!({ "package_id": package_id, "target": { "selection": "specific", "devices": ["lamp-0002"] } });
        operator.post("/v1/batches", &body).await.expect(201);
        let mut online = identities[0].connect(service.host.mqtt(), 1).await;
        online.inform("1.0").await;
        operator
            .until(&format!("{path}/lamp-0001"), |device| device["versions"][0]["version"] == "1.0")
            .await;
        Self { service, operator, product_key, identities, package_id, online }
    }

    /// Everything that the API tells, but for the moments at which the dispatcher last looked.
    async fn everything(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for path in [
            "/v1/products".to_owned(),
            format!("/v1/products/{}/devices", self.product_key),
            "/v1/packages".to_owned(),
            "/v1/batches".to_owned(),
        ] {
            all.extend(self.operator.list(&path).await);
        }
        for batch in self.operator.list("/v1/batches").await {
            all.extend(self.operator.list(&format!("/v1/batches/{}/tasks", text(&batch, "batch_id"))).await);
        }
        for value in &mut all {
            if let Some(object) = value.as_object_mut() {
                object.remove("counted_at");
                object.remove("counts");
            }
        }
        all
    }
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let mut world = World::new().await;
    let before = world.everything().await;
    assert_eq!(before.len(), 1 + 3 + 1 + 1 + 1);

    logins_are_refused(&world).await;
    foreign_topics_are_refused(&mut world).await;
    downloads_are_refused(&world).await;
    bodies_are_refused(&world).await;
    requests_without_the_right_token_are_refused(&world).await;
    odd_requests_are_answered(&world).await;

    assert_eq!(world.everything().await, before);
    let log = world.service.host.log();
    for secret in [&world.service.api_token, &world.service.internal_token, &world.identities[0].secret] {
        assert!(!log.contains(secret.as_str()), "a secret is in the log");
    }
    for fault in ["the component failed", "an instance failed", "panicked"] {
        assert!(!log.contains(fault), "{fault}:\n{log}");
    }
}

async fn logins_are_refused(world: &World) {
    let (identity, broker) = (&world.identities[2], world.service.host.mqtt());
    let (client_id, username, password) = identity.login(1);
    let stranger = Identity { name: "lamp-9999".to_owned(), ..identity.clone() };
    let neighbour = world.identities[0].login(1).2;
    for (what, login) in [
        ("a wrong password", (client_id.clone(), username.clone(), password.replace(['0', '1'], "2"))),
        ("no password", (client_id.clone(), username.clone(), String::new())),
        ("another device's password", (client_id.clone(), username.clone(), neighbour)),
        ("an unknown device", stranger.login(1)),
        ("another product", (client_id.clone(), format!("{}&other", identity.name), password.clone())),
        ("a name that is none", (client_id.clone(), identity.name.clone(), password.clone())),
        ("the service's account", (client_id, "overair-service".to_owned(), password)),
    ] {
        let code = Device::connect(identity, broker, login).await.err();
        assert_eq!(code, Some(ConnectReturnCode::BadUserNamePassword), "{what}");
    }
}

async fn foreign_topics_are_refused(world: &mut World) {
    let key = world.product_key.clone();
    let device = &mut world.online;
    let inform = r#"{"id":"1","params":{"version":"6.6.6"}}"#;
    let presence = r#"{"status":"online","session":"x","at":1}"#;
    for (topic, payload) in [
        (format!("/ota/device/inform/{key}/lamp-0002"), inform),
        (format!("/ota/device/progress/{key}/lamp-0002"), r#"{"id":"1","params":{"step":"-1","desc":"x"}}"#),
        (format!("/ota/device/inform/{key}/lamp-0001/lamp-0002"), inform),
        (format!("/overair/presence/{key}/lamp-0003"), presence),
        (format!("/overair/presence/{key}/lamp-0001"), r#"{"status":"offline","session":"x","at":1}"#),
        (format!("$share/overair//ota/device/inform/{key}/lamp-0002"), inform),
    ] {
        device.publish(&topic, QoS::AtLeastOnce, payload).await;
    }
    for filter in [
        "#".to_owned(),
        format!("/ota/device/upgrade/{key}/+"),
        format!("/ota/device/upgrade/{key}/lamp-0002"),
        format!("$share/overair//ota/device/inform/{key}/lamp-0001"),
        "/overair/presence/+/+".to_owned(),
    ] {
        assert_eq!(device.subscribe(&filter).await, SubscribeReasonCode::Failure, "{filter}");
    }
    // What the device may do still works, and comes after all that: an answer means that the forgeries are through.
    let own = device.subscribe(&format!("/ota/device/upgrade/{key}/lamp-0001")).await;
    assert_eq!(own, SubscribeReasonCode::Success(QoS::AtLeastOnce));
    let reply = device.ask().await;
    assert!(reply.contains(r#""data":{}"#), "{reply}");
}

async fn downloads_are_refused(world: &World) {
    let (service, package_id) = (&world.service, &world.package_id);
    let issued = world.operator.download_path(package_id).await;
    let stranger = service.stranger(None);
    let (head, signature) = issued.split_at(issued.len() - 1);
    let other_end = if signature == "0" { "1" } else { "0" };
    let (path, query) = issued.split_once('?').unwrap();
    let later = format!("{:x}", now_seconds() + 1_000_000);
    let s = query.split_once("&s=").unwrap().1;
    for (what, altered) in [
        ("another signature", format!("{head}{other_end}")),
        ("half a signature", issued[..issued.len() - 16].to_owned()),
        ("a later end", format!("{path}?e={later}&s={s}")),
        ("another package", format!("/d/{}?{query}", "0".repeat(32))),
        ("no query", path.to_owned()),
        ("upper case", issued.replace(package_id.as_str(), &package_id.to_ascii_uppercase())),
    ] {
        if altered != issued {
            let answer = stranger.get(&altered).await;
            assert_eq!((answer.status, &answer.body["code"]), (403, &json!("download.signature")), "{what}");
        }
    }
    let expired = service.sign_download(package_id, now_seconds() - 1);
    stranger.get(&expired).await.expect_problem(403, "download.expired");
    // The same signature with time left is good: it was the time that was wrong.
    let good = stranger.get(&service.sign_download(package_id, now_seconds() + 60)).await;
    assert_eq!((good.status, good.headers["content-length"].to_str().unwrap()), (200, "9000"));
    let beyond = stranger.request(Method::GET, &issued).header("range", "bytes=9000-");
    stranger.send("GET beyond the end", beyond).await.expect_problem(416, "download.range");
}

async fn bodies_are_refused(world: &World) {
    let operator = &world.operator;
    let body = json!({ "name": "x", "colour": "red", "size": 1 });
    let problem = operator.post("/v1/products", &body).await.expect_problem(422, "request.invalid");
    let mut pointers: Vec<String> =
        problem["errors"].as_array().unwrap().iter().map(|fault| text(fault, "pointer")).collect();
    pointers.sort();
    assert_eq!(pointers, ["/colour", "/name", "/size"]);

    let body = json!({
        "package_id": "nonsense", "targets": {}, "target": { "selection": "some", "devices": [7] },
        "push_per_minute_max": "many", "tags": [{ "key": "k", "value": "v", "more": 1 }],
    });
    let problem = operator.post("/v1/batches", &body).await.expect(422);
    let faults: Vec<String> =
        problem["errors"].as_array().unwrap().iter().map(|fault| text(fault, "pointer")).collect();
    for pointer in ["/package_id", "/targets", "/target/devices", "/push_per_minute_max", "/tags/0/more"] {
        assert!(faults.iter().any(|fault| fault == pointer), "{pointer} is not among {faults:?}");
    }

    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(300 * 1024));
    operator.post_bytes("/v1/products", long).await.expect_problem(413, "request.too-large");
    let message = vec![b' '; 256 * 1024 + 1];
    let topic = format!("/internal/device-messages?topic=/ota/device/inform/{}/lamp-0001", world.product_key);
    // A message has nobody who could shorten it, so it is dropped, and nobody sends it again.
    world.service.insider().post_bytes(&topic, message).await.expect(204);
    // A file that is too large is refused before a byte of it is sent.
    let server = world.service.host.http();
    let request = format!(
        "POST /v1/uploads?file_name=x.bin HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n",
        world.service.api_token,
        1000_u64 * 1024 * 1024 + 1
    );
    assert_eq!(exchange(server, &request).await.status(), 413);
    operator.post_bytes("/v1/uploads?file_name=x.bin", "").await.expect(422);
    operator.post_bytes("/v1/uploads?file_name=x.exe", "x").await.expect(422);
}

async fn requests_without_the_right_token_are_refused(world: &World) {
    let service = &world.service;
    let manifest = std::fs::read_to_string(ota_tests::host::workspace().join("spin.toml")).unwrap();
    let routes: Vec<&str> =
        manifest.lines().filter_map(|line| line.strip_prefix("route = \"")?.strip_suffix('"')).collect();
    assert_eq!(routes.len(), 20);
    // A download is signed in its address, and a cloud API call in its parameters: neither takes a token. The console's
    // files hold nothing to be had.
    let without = ["/d/...", "/cloud-api/...", "/", "/console/..."];
    for route in routes.iter().filter(|route| !without.contains(route)) {
        let path = route.replace("/...", "").replace(":package_id", &world.package_id);
        let wrong = if path.starts_with("/internal") { &service.api_token } else { &service.internal_token };
        for token in [None, Some("guess"), Some(""), Some(wrong.as_str())] {
            let stranger = service.stranger(token);
            for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
                let below = [format!("{path}/tick"), format!("{path}/{}", world.package_id)];
                let below = below.into_iter().filter(|_| route.ends_with("/..."));
                for path in std::iter::once(path.clone()).chain(below) {
                    let what = format!("{method} {path} with {token:?}");
                    let answer = stranger.send(&what, stranger.request(method.clone(), &path)).await;
                    assert_eq!(answer.headers["www-authenticate"], "Bearer", "{what}");
                    answer.expect_problem(401, "request.unauthorized");
                }
            }
        }
    }
    for token in [None, Some("guess"), Some(service.api_token.as_str())] {
        let stranger = service.stranger(token);
        let path = "/cloud-api/?Action=ListOTAFirmware&Version=2018-01-20&Format=JSON";
        let answer = stranger.send(path, stranger.request(Method::GET, path)).await;
        assert!(answer.status == 400, "{path} with {token:?}: {}", answer.status);
        assert_eq!(answer.body["Code"], "MissingAccessKeyId", "{path} with {token:?}");
    }
}

/// Requests that nobody sends in earnest: each has an answer, and none makes a component fail.
async fn odd_requests_are_answered(world: &World) {
    let service = &world.service;
    let deep = format!(r#"{{"devices":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let bodies: [&[u8]; 7] =
        [b"{", b"[]", b"\0", b"\xff\xfe", b"{\"name\":1e999}", br#"{"name":"\ud800"}"#, deep.as_bytes()];
    for client in [service.operator(), service.insider()] {
        for path in [
            "/v1/products",
            "/v1/products/%ff",
            "/v1/products/a%00b/devices/%2e%2e",
            "/v1/products?limit=-1&cursor=%ff",
            "/v1/packages?cursor=99999999999999999999999",
            "/v1/batches",
            "/v1/batches/../../x/cancel",
            "/v1/uploads?file_name=%00",
            "/internal/dispatch/tick",
            "/internal/dispatch/device",
            "/internal/device-auth/login",
            "/internal/device-messages?topic=%ff",
            "/d/%00?e=%ff&s=",
        ] {
            for body in bodies.iter().filter(|_| !path.starts_with("/v1/uploads")) {
                let answer = client.post_bytes(path, body.to_vec()).await;
                assert!((200..500).contains(&answer.status), "{answer:?}");
            }
            let answer = client.get(path).await;
            assert!((200..500).contains(&answer.status), "{answer:?}");
        }
    }
    for topic in ["", "/", "/ota/device/inform/a/b", "/ota/device/inform//", "%00", "/sys/+/#/thing"] {
        let path = format!("/internal/device-messages?topic={topic}");
        for body in bodies {
            service.insider().post_bytes(&path, body.to_vec()).await.expect(204);
        }
    }
}
