//! The components answer: with the right statuses, and in the spelling that devices look for.

use serde_json::json;

use crate::operator::{firmware, text};
use crate::raw::exchange;
use crate::service::Service;

#[tokio::test]
async fn an_answer_is_spelled_as_devices_look_for_it() {
    let service = Service::start();
    let server = service.host.http();
    let request = format!("GET /v1/products HTTP/1.1\r\nHost: {server}\r\n\r\n");
    let mut answer = exchange(server, &request).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.header("Content-Type"), Some("application/problem+json"), "{}", answer.head);
    assert_eq!(answer.header("Www-Authenticate"), Some("Bearer"), "{}", answer.head);
    let problem: serde_json::Value = serde_json::from_slice(&answer.body().await).unwrap();
    assert_eq!(problem["code"], "request.unauthorized");
    for line in answer.head.lines().skip(1).filter(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap();
        let title = name.split('-').all(|word| word.starts_with(|first: char| !first.is_ascii_lowercase()));
        assert!(title, "{name} is not in title case");
    }
}

#[tokio::test]
async fn every_function_of_the_operators_api_serves() {
    let service = Service::start();
    ask_every_function(&service).await;
    let health = service.operator().get("/.well-known/spin/health").await;
    assert_eq!((health.status, &health.body), (200, &json!("OK")));
}

/// Asks every function of the operators' API for something.
pub(crate) async fn ask_every_function(service: &Service) {
    let operator = service.operator();

    let product = operator.post("/v1/products", &json!({ "name": "smart-lamp" })).await.expect(201);
    let key = text(&product, "product_key");
    assert_eq!(operator.get(&format!("/v1/products/{key}")).await.expect(200), product);
    assert_eq!(operator.list("/v1/products").await, [product]);
    let module = json!({ "name": "mcu", "alias": "main-mcu", "description": "the motor's controller" });
    let modules = format!("/v1/products/{key}/modules");
    operator.post(&modules, &module).await.expect(201);

    let names: Vec<String> = (1..=40).map(|n| format!("lamp-{n:04}")).collect();
    let secrets = operator.devices(&key, &names).await;
    assert_eq!(operator.devices(&key, &names).await, secrets, "to register again changes nothing");
    let mut listed: Vec<String> = operator
        .list(&format!("/v1/products/{key}/devices"))
        .await
        .iter()
        .map(|device| text(device, "name"))
        .collect();
    listed.sort();
    assert_eq!(listed, names);

    let bytes = firmware(70_000, 3);
    let upload = operator.post_bytes("/v1/uploads?file_name=lamp.bin", bytes.clone()).await.expect(201);
    assert_eq!((&upload["size"], &upload["file_name"]), (&json!(70_000), &json!("lamp.bin")));
    let body = json!({
        "product_key": key, "name": "lamp-2", "target_version": "2.0", "module": "mcu",
        "upload_id": upload["upload_id"], "digest_algorithm": "MD5", "digest": upload["md5"],
    });
    let package = operator.post("/v1/packages", &body).await.expect(201);
    assert_eq!(package["verification"]["status"], "unverified");
    assert_eq!((&package["module"], &package["digest"]), (&json!("mcu"), &upload["md5"]));
    let package_id = text(&package, "package_id");
    assert_eq!(
        operator.list(&format!("/v1/packages?product_key={key}")).await,
        std::slice::from_ref(&package)
    );
    let downloaded = operator.http.get(service.base_url() + &operator.download_path(&package_id).await);
    let downloaded = downloaded.send().await.unwrap();
    assert_eq!((downloaded.status().as_u16(), downloaded.content_length()), (200, Some(70_000)));
    assert_eq!(downloaded.bytes().await.unwrap(), bytes);

    // A module is there for its packages, a batch for a package that was tried, and both for devices that ever came.
    let removal = operator.request(reqwest::Method::DELETE, &format!("{modules}/mcu"));
    operator.send("DELETE module", removal).await.expect_problem(409, "module.in-use");
    let verification = format!("/v1/packages/{package_id}/verification");
    let seen = operator.get(&verification).await.expect(200);
    assert_eq!((&seen["status"], seen.get("batch")), (&json!("unverified"), None));
    let trial = operator.post(&verification, &json!({ "devices": ["lamp-0001"] })).await;
    assert!((400..500).contains(&trial.status), "{trial:?}");
    let batch = json!({ "package_id": package_id, "target": { "selection": "all" } });
    let refused = operator.post("/v1/batches", &batch).await;
    assert_eq!(refused.status / 100, 4, "{refused:?}");
    assert_eq!(operator.list("/v1/batches").await, Vec::<serde_json::Value>::new());

    let ticked = service.insider().post("/internal/dispatch/tick", &json!({})).await.expect(200);
    assert_eq!(ticked["batches"], 0);
    operator.get("/v2/products").await.expect(404);
}

#[tokio::test]
async fn the_same_key_and_body_are_answered_with_what_the_first_made() {
    let service = Service::start();
    let operator = service.operator();
    let make = |name: &'static str| {
        let request = operator.request(reqwest::Method::POST, "/v1/products");
        operator.send(
            "POST /v1/products",
            request.header("Idempotency-Key", "k-1").json(&json!({ "name": name })),
        )
    };
    // At once, as a client does whose first request hangs.
    let (first, second) = tokio::join!(make("smart-lamp"), make("smart-lamp"));
    let made: Vec<_> = [first, second].into_iter().filter(|answer| answer.status == 201).collect();
    assert!(!made.is_empty());
    let again = make("smart-lamp").await.expect(201);
    assert!(made.iter().all(|answer| answer.body == again), "{made:?} {again}");
    make("smart-lock").await.expect_problem(422, "request.idempotency-key-reused");
    assert_eq!(operator.list("/v1/products").await, [again]);
}
