//! Who may call what: nobody without the right token, on any route of any function.

use ota_tests::{API_TOKEN, Call, INTERNAL_TOKEN, World, json};

const ID: &str = "00000000000000000000000000000000";

/// Every route of `docs/api.md` but the downloads, with the token it asks for.
fn routes() -> Vec<(&'static str, String, &'static str)> {
    let api = [
        ("POST", "/v1/products"),
        ("GET", "/v1/products"),
        ("GET", "/v1/products/a1"),
        ("PATCH", "/v1/products/a1"),
        ("POST", "/v1/products/a1/modules"),
        ("PATCH", "/v1/products/a1/modules/mcu"),
        ("DELETE", "/v1/products/a1/modules/mcu"),
        ("POST", "/v1/products/a1/devices"),
        ("GET", "/v1/products/a1/devices"),
        ("GET", "/v1/products/a1/devices/lamp-1"),
        ("GET", "/v1/products/a1/devices/lamp-1/versions"),
        ("DELETE", "/v1/products/a1/devices/lamp-1"),
        ("GET", "/v1/settings"),
        ("PATCH", "/v1/settings"),
        ("POST", "/v1/uploads?file_name=a.bin"),
        ("POST", "/v1/packages"),
        ("GET", "/v1/packages"),
        ("GET", "/v1/packages/ID"),
        ("DELETE", "/v1/packages/ID"),
        ("GET", "/v1/packages/ID/download_url"),
        ("POST", "/v1/packages/ID/verification"),
        ("GET", "/v1/packages/ID/verification"),
        ("POST", "/v1/webhooks"),
        ("GET", "/v1/webhooks"),
        ("GET", "/v1/webhooks/ID"),
        ("PATCH", "/v1/webhooks/ID"),
        ("DELETE", "/v1/webhooks/ID"),
        ("POST", "/v1/webhooks/ID/secret"),
        ("POST", "/v1/webhooks/ID/test"),
        ("GET", "/v1/webhooks/ID/deliveries"),
        ("POST", "/v1/webhooks/ID/deliveries/ID/replay"),
        ("POST", "/v1/batches"),
        ("GET", "/v1/batches"),
        ("GET", "/v1/batches/ID"),
        ("POST", "/v1/batches/ID/cancel"),
        ("GET", "/v1/batches/ID/tasks"),
        ("GET", "/v1/batches/ID/tasks/lamp-1"),
    ];
    let internal = [
        ("POST", "/internal/device-auth/login"),
        ("POST", "/internal/device-messages?topic=x"),
        ("POST", "/internal/dispatch/tick"),
        ("POST", "/internal/dispatch/device"),
    ];
    let api = api.map(|(method, uri)| (method, uri.replace("ID", ID), API_TOKEN));
    let internal = internal.map(|(method, uri)| (method, uri.to_owned(), INTERNAL_TOKEN));
    api.into_iter().chain(internal).collect()
}

#[test]
fn no_route_answers_without_its_token() {
    let world = World::new();
    for (method, uri, token) in routes() {
        let other = if token == API_TOKEN { INTERNAL_TOKEN } else { API_TOKEN };
        let longer = format!("{token}x");
        for wrong in [None, Some(""), Some("wrong"), Some(other), Some(&token[1..]), Some(longer.as_str())] {
            let refused = world.send(&Call::new(method, &uri).token(wrong));
            assert_eq!(refused.problem(), "401 request.unauthorized", "{method} {uri} with {wrong:?}");
            assert_eq!(refused.header("www-authenticate"), "Bearer");
        }
        let basic = Call::new(method, &uri).token(None).header("authorization", format!("Basic {token}"));
        assert_eq!(world.send(&basic).status, 401, "{method} {uri}");
    }
    assert_eq!(world.kv().dump().len(), 0, "nothing was written");
}

#[test]
fn every_route_answers_with_its_token() {
    let world = World::new();
    for (method, uri, token) in routes() {
        let answer = world.send(&Call::new(method, &uri).token(Some(token)));
        assert_ne!(answer.status, 401, "{method} {uri}");
        assert_ne!(answer.text_of("code"), "request.no-route", "{method} {uri}");
        assert!(answer.status < 500, "{method} {uri} {answer:?}");
    }
}

#[test]
fn a_service_whose_secrets_are_not_set_lets_nobody_in() {
    let world = World::new();
    world.engine().set_variable("api_token", "");
    world.engine().set_variable("internal_token", "");
    for (method, uri, _) in routes() {
        for token in [None, Some("")] {
            assert_eq!(world.send(&Call::new(method, &uri).token(token)).status, 401, "{method} {uri}");
        }
    }
}

#[test]
fn a_token_is_never_told() {
    let world = World::new().product("lamp");
    let refused = world.send(&Call::post("/v1/products", &json!({"name": "lamp"})).token(Some("api-tokem")));
    let told = String::from_utf8(refused.body).unwrap();
    assert!(!told.contains("api-toke"), "{told}");
}

/// The HTTP routes of `spin.toml`, with something in the place of what they leave open.
fn manifest_routes() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spin.toml");
    let manifest = std::fs::read_to_string(path).expect("spin.toml is there");
    let routes = manifest.lines().filter_map(|line| line.strip_prefix("route = \"")?.strip_suffix('"'));
    routes.map(|route| route.replace("...", "x").replace(":package_id", ID)).collect()
}

#[test]
fn r104_a_device_reports_over_mqtt_and_no_http_route_takes_its_word() {
    let world = World::new().product("lamp").devices(1);
    let lamp = world.device("lamp-1");
    let (topic, report) = lamp.version_report("6.6.6");
    let before = world.kv().dump();

    // What the broker's bridge may post, whoever else tries, with all that a device knows.
    let bridge = format!("/internal/device-messages?topic={topic}");
    for token in [None, Some(lamp.secret()), Some(API_TOKEN)] {
        let refused = world.send(&Call::post(&bridge, &report).token(token));
        assert_eq!(refused.problem(), "401 request.unauthorized", "with {token:?}");
    }
    // And no other route of the service takes anything from somebody without a token.
    let routes = manifest_routes();
    assert!(routes.len() > 8 && routes.contains(&"/internal/device-messages/x".to_owned()), "{routes:?}");
    for route in routes {
        for method in ["POST", "PUT", "PATCH"] {
            let uri = format!("{route}?topic={topic}");
            let refused = world.send(&Call::new(method, uri).bytes(report.to_string()).token(None));
            // These two ask for a signature, and have nothing at this path.
            let signed = route.starts_with("/d/") || route.starts_with("/cloud-api/");
            let expected = if signed { 404 } else { 401 };
            assert_eq!(refused.status, expected, "{method} {route}");
        }
    }
    assert_eq!(world.kv().dump(), before, "nothing was written");
    assert_eq!(lamp.get()["versions"][0]["version"], "1.0.0");
}
