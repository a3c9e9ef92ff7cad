//! Requests that are wrong.

use ota_tests::{Call, World, json};

#[test]
fn every_fault_of_a_batch_is_told_at_once() {
    let world = World::new().product("lamp").devices(1);
    let package = world.package("1.1.0");
    let refused = world.try_batch(
        &package,
        &json!({
            "target": {"selection": "some", "percent": 3},
            "source_versions": ["1.1.0", "a b"],
            "push_per_minute_max": 9,
            "timeout_minutes": 0,
            "retry": {"after_minutes": 7, "count_max": 3},
            "overwrite": "yes",
            "tags": [{"key": "version", "value": ""}],
            "color": "red",
        }),
    );
    assert_eq!(refused.problem(), "422 request.invalid");
    let mut faults = refused.faults();
    faults.sort();
    assert_eq!(
        faults,
        [
            "/color value.not-allowed",
            "/overwrite value.malformed",
            "/package_id batch.package-not-verified",
            "/push_per_minute_max value.range",
            "/retry/after_minutes value.not-one-of",
            "/retry/count_max value.not-one-of",
            "/source_versions/0 batch.source-is-target",
            "/source_versions/1 value.charset",
            "/tags/0/key value.not-allowed",
            "/tags/0/value value.length",
            "/target/percent value.not-allowed",
            "/target/selection value.not-one-of",
            "/timeout_minutes value.range",
        ]
    );
}

#[test]
fn every_fault_of_a_package_is_told_at_once() {
    let world = World::new().product("lamp");
    let refused = world.send(&Call::post(
        "/v1/packages",
        &json!({
            "name": "-a",
            "target_version": "a b",
            "kind": "half",
            "digest_algorithm": "CRC",
            "size": -1,
            "needs_verification": 1,
            "product": "lamp",
        }),
    ));
    let mut faults = refused.faults();
    faults.sort();
    assert_eq!(
        faults,
        [
            "/digest_algorithm value.not-one-of",
            "/kind value.not-one-of",
            "/name value.malformed",
            "/needs_verification value.malformed",
            "/product value.not-allowed",
            "/product_key value.missing",
            "/size value.malformed",
            "/target_version value.charset",
            "/upload_id value.missing",
        ]
    );
}

#[test]
fn a_problem_has_all_its_members() {
    let world = World::new();
    let refused = world.send(&Call::post("/v1/products", &json!({"name": "x"})));
    assert_eq!(refused.status, 422);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let body = refused.json();
    assert_eq!(body["code"], "value.length");
    assert!(body["type"].as_str().unwrap().ends_with("value.length"));
    assert_eq!(body["status"], 422);
    assert!(body["instance"].as_str().unwrap().starts_with("urn:uuid:"));
    assert!(body["title"].is_string() && body["detail"].is_string());
}

#[test]
fn unknown_fields_are_refused_by_every_route_that_takes_some() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let batch = world.batch(&package, json!({}));
    let key = world.product_key();
    for uri in [
        "/v1/products".to_owned(),
        format!("/v1/products/{key}/modules"),
        format!("/v1/products/{key}/devices"),
        "/v1/packages".to_owned(),
        format!("/v1/packages/{}/verification", package.id),
        "/v1/batches".to_owned(),
        format!("/v1/batches/{}/cancel", batch.id),
        "/internal/device-auth/login".to_owned(),
        "/internal/dispatch/tick".to_owned(),
        "/internal/dispatch/device".to_owned(),
    ] {
        let refused = world.send(&Call::post(&uri, &json!({"color": "red"})));
        assert!(
            refused.faults().contains(&"/color value.not-allowed".to_owned()),
            "{uri} {:?}",
            refused.faults()
        );
    }
}

#[test]
fn a_body_that_is_no_json_object_is_malformed() {
    let world = World::new();
    for body in ["{", "[]", "1", "\"a\"", "{\"name\": \"lamp\"} x", "\u{0}", "{\"name\": 1e999}"] {
        let refused = world.send(&Call::new("POST", "/v1/products").bytes(body));
        assert_eq!(refused.problem(), "400 request.malformed", "{body:?}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(world.send(&Call::new("POST", "/v1/products").bytes(deep)).problem(), "400 request.malformed");
    assert_eq!(
        world.send(&Call::new("POST", "/v1/products").bytes([0xff, 0xfe])).problem(),
        "400 request.malformed"
    );
}

#[test]
fn a_body_of_more_than_256_kib_is_too_large() {
    let world = World::new().product("lamp");
    let padded = |len: usize| {
        let body = r#"{"name": "bulb"}"#;
        format!("{body}{}", " ".repeat(len - body.len()))
    };
    let send = |len| world.send(&Call::new("POST", "/v1/products").bytes(padded(len)));
    assert_eq!(send(256 * 1024).status, 201);
    assert_eq!(send(256 * 1024 + 1).problem(), "413 request.too-large");
}

#[test]
fn a_body_that_is_cut_is_told_so() {
    let world = World::new();
    let cut = world.send(&Call::new("POST", "/v1/products").bytes(r#"{"name": "lamp"}"#).cut());
    assert_eq!(cut.problem(), "400 request.body-cut");
    assert!(world.list("/v1/products", 50).is_empty());
}

#[test]
fn what_is_not_there_is_not_found() {
    let world = World::new().product("lamp").devices(1);
    let (key, none) = (world.product_key(), "0".repeat(32));
    let batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    for (method, uri) in [
        ("GET", "/v1/products/a1none".to_owned()),
        ("GET", "/v1/products/no+key".to_owned()),
        ("GET", format!("/v1/products/{key}/devices/lamp-9")),
        ("GET", format!("/v1/products/{key}/devices/x")),
        ("GET", "/v1/products/a1none/devices".to_owned()),
        ("GET", "/v1/products/a1none/devices/lamp-1".to_owned()),
        ("DELETE", format!("/v1/products/{key}/devices/lamp-9")),
        ("DELETE", "/v1/products/a1none/modules/mcu".to_owned()),
        ("GET", format!("/v1/packages/{none}")),
        ("GET", "/v1/packages/1".to_owned()),
        ("GET", format!("/v1/packages/{none}/download_url")),
        ("GET", format!("/v1/packages/{none}/verification")),
        ("DELETE", format!("/v1/packages/{none}")),
        ("GET", format!("/v1/batches/{none}")),
        ("GET", format!("/v1/batches/{}", none.to_uppercase() + "A")),
        ("GET", format!("/v1/batches/{none}/tasks")),
        ("GET", format!("/v1/batches/{none}/tasks/lamp-1")),
        ("GET", format!("/v1/batches/{}/tasks/lamp-9", batch.id)),
        ("GET", format!("/v1/batches/{}/tasks/x", batch.id)),
    ] {
        assert_eq!(world.send(&Call::new(method, &uri)).problem(), "404 request.not-found", "{method} {uri}");
    }
    for (uri, body) in [
        ("/v1/products/a1none/modules".to_owned(), json!({"name": "mcu"})),
        ("/v1/products/a1none/devices".to_owned(), json!({"devices": [{"name": "lamp-1"}]})),
        (format!("/v1/packages/{none}/verification"), json!({"devices": ["lamp-1"]})),
        (format!("/v1/batches/{none}/cancel"), json!({"queued": true})),
    ] {
        assert_eq!(world.send(&Call::post(&uri, &body)).problem(), "404 request.not-found", "{uri}");
    }
    let of_none =
        world.send(&Call::post("/v1/batches", &json!({"package_id": none, "target": {"selection": "all"}})));
    assert_eq!(of_none.faults(), ["/package_id value.malformed"]);
}

#[test]
fn a_path_without_a_route_is_told_so() {
    let world = World::new().product("lamp");
    for (method, uri) in [
        ("GET", "/v1/products/a1/b/c/d"),
        ("GET", "/internal/device-messages"),
        ("GET", "/internal/device-auth/login"),
        ("GET", "/internal/dispatch/tick"),
        ("POST", "/internal/dispatch/all"),
        ("GET", "/d/x/y/z"),
    ] {
        assert_eq!(world.send(&Call::new(method, uri)).problem(), "404 request.no-route", "{method} {uri}");
    }
}

#[test]
fn a_path_that_has_other_methods_tells_them() {
    let world = World::new().product("lamp");
    for (method, uri, allow) in [
        ("PATCH", "/v1/products", "POST, GET"),
        ("DELETE", "/v1/products", "POST, GET"),
        ("POST", "/v1/uploads/x", "PATCH, HEAD, GET, DELETE"),
        ("GET", "/v1/uploads", "POST, PUT, OPTIONS"),
        ("PUT", "/v1/packages", "POST, GET"),
        ("DELETE", "/v1/batches/x", "GET, PATCH"),
        ("PUT", "/v1/packages/00000000000000000000000000000000/verification", "POST, GET"),
        ("POST", "/d/x", "GET, HEAD"),
        ("DELETE", "/d/x/1", "GET, HEAD"),
    ] {
        let answer = world.send(&Call::new(method, uri));
        assert_eq!(answer.problem(), "405 request.method-not-allowed", "{method} {uri}");
        assert_eq!(answer.header("allow"), allow, "{method} {uri}");
    }
    let without_token = world.send(&Call::new("PATCH", "/v1/products").token(None));
    assert_eq!(without_token.problem(), "401 request.unauthorized", "strangers learn nothing");
}

#[test]
fn a_store_that_is_not_there_is_a_503_that_asks_to_come_again() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    world.kv().set_faults(|_, _| Some(ota_store::memory::Fault::Refused));
    for uri in ["/v1/products".to_owned(), "/v1/packages".to_owned(), format!("/v1/packages/{}", package.id)]
    {
        let answer = world.send_once(&Call::get(uri));
        assert_eq!(answer.problem(), "503 store.contention");
        assert_eq!(answer.header("retry-after"), "1");
        assert!(!answer.text_of("detail").contains("purpose"), "what the store says is for the log only");
    }
}
