//! Who may call what: nobody without the right token, on any route of any function.

use ota_tests::{API_TOKEN, Call, INTERNAL_TOKEN, World, json};

const ID: &str = "00000000000000000000000000000000";

/// Every route of `docs/api.md` but the downloads, with the token it asks for.
fn routes() -> Vec<(&'static str, String, &'static str)> {
    let api = [
        ("POST", "/v1/products"),
        ("GET", "/v1/products"),
        ("GET", "/v1/products/a1"),
        ("POST", "/v1/products/a1/modules"),
        ("DELETE", "/v1/products/a1/modules/mcu"),
        ("POST", "/v1/products/a1/devices"),
        ("GET", "/v1/products/a1/devices"),
        ("GET", "/v1/products/a1/devices/lamp-1"),
        ("DELETE", "/v1/products/a1/devices/lamp-1"),
        ("POST", "/v1/uploads?file_name=a.bin"),
        ("POST", "/v1/packages"),
        ("GET", "/v1/packages"),
        ("GET", "/v1/packages/ID"),
        ("DELETE", "/v1/packages/ID"),
        ("GET", "/v1/packages/ID/download_url"),
        ("POST", "/v1/packages/ID/verification"),
        ("GET", "/v1/packages/ID/verification"),
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
