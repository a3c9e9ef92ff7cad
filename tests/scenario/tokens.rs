//! Who may call what: nobody without the right token, on any route of any function.

use ota_http::routes::ROUTES;
use ota_tests::{API_TOKEN, Call, INTERNAL_TOKEN, Token, World, hours, json, seconds};

const ID: &str = "00000000000000000000000000000000";

/// Every route but the downloads, with the token it asks for.
fn routes() -> Vec<(&'static str, String, &'static str)> {
    let internal = [
        ("POST", "/internal/device-auth/login"),
        ("POST", "/internal/device-messages?topic=x"),
        ("POST", "/internal/dispatch/tick"),
        ("POST", "/internal/dispatch/device"),
    ];
    // What a path leaves open is an id, or a name that will do for one.
    let open = |part: &str| match part {
        "{product_key}" | "{sub_product_key}" => "a1".to_owned(),
        part if part.ends_with("_id}") => ID.to_owned(),
        part if part.starts_with('{') => "lamp-1".to_owned(),
        part => part.to_owned(),
    };
    let api = ROUTES.iter().map(|route| {
        let parts: Vec<String> = route.path.split('/').map(open).collect();
        (route.method, parts.join("/"), API_TOKEN)
    });
    let internal = internal.map(|(method, uri)| (method, uri.to_owned(), INTERNAL_TOKEN));
    api.chain(internal).collect()
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
        assert!(answer.status < 500, "{method} {uri} {answer:?}");
        if answer.header("content-type").contains("json") {
            assert_ne!(answer.text_of("code"), "request.forbidden", "{method} {uri}");
            assert_ne!(answer.text_of("code"), "request.no-route", "{method} {uri}");
        }
    }
}

#[test]
fn a_service_whose_secrets_are_not_set_lets_nobody_in() {
    let world = World::new();
    world.engine().set_variable("api_token", "");
    world.engine().set_variable("internal_token", "");
    assert!(routes().len() > 50);
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

fn own(world: &World, text: &str) -> String {
    let answer = world.send(&Call::get("/v1/tokens/self").token(Some(text)));
    if answer.status == 200 { answer.text_of("name") } else { answer.problem() }
}

#[test]
fn a_token_that_was_made_lets_in_and_its_text_is_told_once() {
    let world = World::new().product("lamp");
    let lamp = world.product_key();
    let body = json!({
        "name": "night-shift", "role": "operator", "product_keys": [lamp], "expires_in_days": 90,
    });
    let made = world.try_token(&body).expect(201).json();
    let text = made["token"].as_str().unwrap();
    assert!(text.starts_with("ovr_") && text.len() == 101, "{text}");
    let day = hours(24);
    let mut told = json!({
        "token_id": made["token_id"], "name": "night-shift", "role": "operator", "product_keys": [lamp],
        "created_at": world.now_ms(), "expires_at": world.now_ms() + 90 * day,
    });
    assert_eq!(world.list("/v1/tokens", 10), [told.clone()]);
    let itself = world.send(&Call::get("/v1/tokens/self").token(Some(text))).expect(200).json();
    told.as_object_mut().unwrap().retain(|field, _| field != "token_id" && field != "created_at");
    assert_eq!(itself, told);
    let root = world.get("/v1/tokens/self");
    assert_eq!(root, json!({"name": "root", "role": "admin", "product_keys": []}));
}

#[test]
fn a_token_that_is_not_quite_right_lets_nobody_in() {
    let world = World::new();
    let (one, two) = (world.token("viewer", &[]), world.token("viewer", &[]));
    let (id, secret) = one.text.rsplit_once('_').unwrap();
    let other_secret = two.text.rsplit_once('_').unwrap().1;
    let flipped = if secret.ends_with('0') { "1" } else { "0" };
    for wrong in [
        format!("{id}_{other_secret}"),
        format!("{id}_{}{flipped}", &secret[..63]),
        format!("{id}_{}", &secret[..62]),
        format!("{id}_"),
        id.to_owned(),
        secret.to_owned(),
        format!("ovr_{ID}_{secret}"),
        format!("{}0", one.text),
        one.text.to_uppercase(),
    ] {
        assert_eq!(own(&world, &wrong), "401 request.unauthorized", "{wrong}");
    }
    assert_eq!(own(&world, &one.text), "viewer-1");
}

#[test]
fn a_token_is_of_no_use_the_moment_it_expires_or_is_deleted() {
    let world = World::new();
    let body = |name: &str, days: u32| json!({"name": name, "role": "viewer", "expires_in_days": days});
    let [one, two] = [("one", 1), ("two", 2)].map(|(name, days)| {
        let made = world.try_token(&body(name, days)).expect(201);
        Token { id: made.text_of("token_id"), text: made.text_of("token") }
    });
    world.advance(hours(24) - 1);
    assert_eq!((own(&world, &one.text), own(&world, &two.text)), ("one".to_owned(), "two".to_owned()));
    world.advance(1);
    assert_eq!(own(&world, &one.text), "401 request.unauthorized");
    assert_eq!(own(&world, &two.text), "two");

    let uri = format!("/v1/tokens/{}", two.id);
    let _gone = world.send(&Call::delete(&uri)).expect(204);
    assert_eq!(own(&world, &two.text), "401 request.unauthorized");
    assert_eq!(world.send(&Call::delete(&uri)).problem(), "404 request.not-found");
    // An expired one is listed until it is deleted, and its name is taken.
    assert_eq!(world.list("/v1/tokens", 1).len(), 1);
    assert_eq!(world.try_token(&body("one", 1)).problem(), "409 token.name-taken");
    let _made = world.try_token(&body("two", 1)).expect(201);
}

#[test]
fn a_token_whose_deletion_is_cut_off_lets_nobody_in_and_the_request_made_again_ends_it() {
    let world = World::new();
    let token = world.token("operator", &[]);
    let uri = format!("/v1/tokens/{}", token.id);
    world.kv().set_faults(|key, operation| {
        (key == "catalog/tokens" && operation == "swap").then_some(ota_store::memory::Fault::Refused)
    });
    assert_eq!(world.send_once(&Call::delete(&uri)).problem(), "503 store.contention");
    world.kv().clear_faults();
    assert_eq!(own(&world, &token.text), "401 request.unauthorized");
    assert_eq!(world.list("/v1/tokens", 10).len(), 1);
    let _gone = world.send(&Call::delete(&uri)).expect(204);
    assert_eq!(world.list("/v1/tokens", 10).len(), 0);
}

#[test]
fn every_fault_of_a_token_is_told_at_once() {
    let world = World::new().product("lamp");
    let key = world.product_key();
    let refused = world.try_token(&json!({
        "name": "a b", "role": "boss", "product_keys": [key, "a1none", "a b", key],
        "expires_in_days": 3_651, "token": "mine",
    }));
    assert_eq!(refused.problem(), "422 request.invalid");
    let mut faults = refused.faults();
    faults.sort();
    let expected = [
        "/expires_in_days value.range",
        "/name value.charset",
        "/product_keys/1 value.malformed",
        "/product_keys/2 value.charset",
        "/product_keys/3 value.duplicate",
        "/role value.not-one-of",
        "/token value.not-allowed",
    ];
    assert_eq!(faults, expected);
    let empty = world.try_token(&json!({"name": "ci", "role": "viewer", "product_keys": []}));
    assert_eq!(empty.faults(), ["/product_keys value.missing"]);
    let missing = world.try_token(&json!({}));
    assert_eq!(missing.faults(), ["/name value.missing", "/role value.missing"]);
    let root = world.try_token(&json!({"name": "root", "role": "viewer"}));
    assert_eq!(root.faults(), ["/name value.not-allowed"]);
}

#[test]
fn there_are_at_most_200_tokens_and_they_are_listed_in_pages() {
    let world = World::new();
    let mut made: Vec<String> = (0..200).map(|_| world.token("viewer", &[]).id).collect();
    let one_more = json!({"name": "more", "role": "viewer"});
    assert_eq!(world.try_token(&one_more).problem(), "409 token.too-many");
    made.reverse();
    let listed = world.list("/v1/tokens", 33);
    let ids: Vec<_> = listed.iter().map(|token| token["token_id"].as_str().unwrap_or_default()).collect();
    assert_eq!(ids, made);
    let _gone = world.send(&Call::delete(format!("/v1/tokens/{}", made[7]))).expect(204);
    let _made = world.try_token(&one_more).expect(201);
}

#[test]
fn a_tokens_secret_is_in_no_value_of_the_store_no_log_and_no_other_answer() {
    let world = World::new();
    let token = world.token("admin", &[]);
    let secret = token.text.rsplit_once('_').unwrap().1.to_owned();
    let raw = hex::decode(&secret).unwrap();
    let mut seen = vec![
        world.send_as(&token, Call::get("/v1/tokens")).body,
        world.send_as(&token, Call::get("/v1/tokens/self")).body,
        world.send_as(&token, Call::get("/v1/audit")).body,
        world.send_as(&token, Call::post("/v1/tokens", &json!({"name": "x"}))).body,
        world.send_as(&token, Call::get("/v1/products/a/b/c")).body,
    ];
    world.kv().set_faults(|_, _| Some(ota_store::memory::Fault::Refused));
    seen.push(world.send_once(&Call::get("/v1/products").token(Some(&token.text))).body);
    world.kv().clear_faults();
    world.advance(seconds(1));
    seen.push(world.send_as(&token, Call::delete(format!("/v1/tokens/{}", token.id))).body);
    seen.push(world.engine().log_lines().join("\n").into_bytes());
    seen.extend(world.kv().dump().into_iter().map(|(_, value)| value));
    let holds = |text: &[u8], part: &[u8]| text.windows(part.len()).any(|window| window == part);
    for part in [&secret.as_bytes()[..32], &secret.as_bytes()[32..], &raw[..16], &raw[16..]] {
        assert!(!seen.iter().any(|text| holds(text, part)), "a part of the secret is told");
    }
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
            // Downloads and the console are only read; the cloud API asks for a signature, and has nothing at this path.
            let is_read = route == "/" || route.starts_with("/d/") || route.starts_with("/console");
            let expected = match route.as_str() {
                _ if is_read => 405,
                route if route.starts_with("/cloud-api/") => 404,
                _ => 401,
            };
            assert_eq!(refused.status, expected, "{method} {route}");
        }
    }
    assert_eq!(world.kv().dump(), before, "nothing was written");
    assert_eq!(lamp.get()["versions"][0]["version"], "1.0.0");
}
