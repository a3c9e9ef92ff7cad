//! Webhooks as an operator makes, sees and changes them.

use ota_tests::{Call, Value, World, json, seconds};

fn uri(id: &str) -> String {
    format!("/v1/webhooks/{id}")
}

#[test]
fn a_webhook_is_made_shown_changed_and_deleted() {
    let world = World::new().product("lamp");
    let asked = json!({
        "url": "https://hooks.test/a?b=c",
        "event_types": ["batch.status", "task.finished"],
        "product_key": world.product_key(),
        "description": "the ticket system",
    });
    let made = world.try_webhook(&asked).expect(201).json();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let id = made["webhook_id"].as_str().unwrap();
    let expected = json!({
        "webhook_id": id,
        "url": "https://hooks.test/a?b=c",
        "event_types": ["batch.status", "task.finished"],
        "product_key": world.product_key(),
        "description": "the ticket system",
        "enabled": true,
        "counts": {"behind": 0, "pending": 0, "delivered": 0, "dead": 0, "dropped": 0, "missed": 0},
        "created_at": world.now_ms(),
    });
    assert_eq!(world.get(uri(id)), expected, "the secret is told once");
    assert_eq!(world.list("/v1/webhooks", 10), [expected]);

    let change = json!({"enabled": false, "url": "http://other.test", "event_types": ["version.changed"]});
    let changed = world.send(&Call::patch(uri(id), &change)).expect(200).json();
    assert_eq!(
        (&changed["enabled"], &changed["disabled_because"], &changed["url"], &changed["event_types"]),
        (&json!(false), &json!("operator"), &json!("http://other.test"), &json!(["version.changed"]))
    );
    assert_eq!(changed["description"], "the ticket system", "what is not named stays");
    assert_eq!(world.get(uri(id)), changed);
    let enabled = world.send(&Call::patch(uri(id), &json!({"enabled": true}))).expect(200).json();
    assert_eq!((&enabled["enabled"], enabled.get("disabled_because")), (&json!(true), None));

    let _gone = world.send(&Call::delete(uri(id))).expect(204);
    assert_eq!(world.send(&Call::delete(uri(id))).status, 404);
    assert_eq!(world.list("/v1/webhooks", 10), Vec::<Value>::new());
    let left: Vec<String> = world.kv().dump().into_iter().map(|(key, _)| key).collect();
    assert!(!left.iter().any(|key| key.starts_with("webhook/")), "{left:?}");
}

#[test]
fn a_webhook_that_names_only_its_url_is_told_everything() {
    let world = World::new();
    let made = world.try_webhook(&json!({})).expect(201).json();
    assert_eq!(made["event_types"], json!(["task.finished", "version.changed", "batch.status"]));
    assert_eq!((made.get("product_key"), &made["description"]), (None, &json!("")));
}

#[test]
fn a_wrong_request_is_told_all_its_faults() {
    let world = World::new();
    let asked = json!({
        "url": "https://user:password@hooks.test/",
        "event_types": ["task.finished", "task-ended"],
        "product_key": "a1nobody",
        "description": "x".repeat(101),
        "secret": "whsec_mine",
    });
    let mut faults = world.try_webhook(&asked).expect(422).faults();
    faults.sort();
    let expected = [
        "/description value.length",
        "/event_types/1 value.not-one-of",
        "/product_key value.malformed",
        "/secret value.not-allowed",
        "/url value.malformed",
    ];
    assert_eq!(faults, expected);
    let none = world.send(&Call::post("/v1/webhooks", &json!({})));
    assert_eq!(none.faults(), ["/url value.missing"]);
    let long = json!({"url": format!("https://h/{}", "a".repeat(503))});
    assert_eq!(world.try_webhook(&long).faults(), ["/url value.length"]);

    let (id, _) = world.webhook(&json!({}));
    let change = json!({"url": "ftp://x", "enabled": 1, "product_key": "a1lamp"});
    let mut faults = world.send(&Call::patch(uri(&id), &change)).expect(422).faults();
    faults.sort();
    let expected = ["/enabled value.malformed", "/product_key value.not-allowed", "/url value.malformed"];
    assert_eq!(faults, expected);
    let deliveries = |query: &str| world.send(&Call::get(format!("{}/deliveries?{query}", uri(&id))));
    assert_eq!(deliveries("status=lost").faults(), ["query:status value.not-one-of"]);
    assert_eq!(deliveries("cursor=1").faults(), ["query:cursor value.malformed"]);
    assert_eq!(deliveries("webhook=1").faults(), ["query:webhook value.not-allowed"]);
}

#[test]
fn what_is_not_there_is_not_found() {
    let world = World::new();
    let (id, _) = world.webhook(&json!({}));
    for other in ["00000000000000000000000000000000", "x"] {
        for (method, path) in [
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/secret"),
            ("POST", "/test"),
            ("GET", "/deliveries"),
        ] {
            let answer = world.send(&Call::new(method, format!("{}{path}", uri(other))));
            assert_eq!(answer.problem(), "404 request.not-found", "{method} {path}");
        }
        let replay = format!("{}/deliveries/{other}/replay", uri(&id));
        assert_eq!(world.send(&Call::new("POST", replay)).problem(), "404 request.not-found");
    }
    assert_eq!(world.send(&Call::new("PUT", uri(&id))).problem(), "405 request.method-not-allowed");
}

#[test]
fn the_same_request_twice_makes_one_webhook_and_tells_its_secret_again() {
    let world = World::new();
    let ask = |body: &Value| world.send(&Call::post("/v1/webhooks", body).key("k"));
    let body = json!({"url": "https://hooks.test/"});
    let first = ask(&body).expect(201).json();
    assert_eq!(ask(&body).expect(201).json(), first);
    assert_eq!(ask(&json!({"url": "https://other.test/"})).problem(), "422 request.idempotency-key-reused");
    assert_eq!(world.list("/v1/webhooks", 10).len(), 1);
}

#[test]
fn webhooks_are_bounded_and_listed_in_pages_oldest_first() {
    let world = World::new();
    let mut made: Vec<String> = Vec::new();
    for n in 0..50 {
        if n % 3 == 0 {
            world.advance(seconds(1));
        }
        made.push(world.webhook(&json!({"description": n.to_string()})).0);
    }
    assert_eq!(world.try_webhook(&json!({})).problem(), "409 webhook.too-many");
    let listed = world.list("/v1/webhooks", 7);
    let ids = |webhooks: &[Value]| -> Vec<String> {
        webhooks.iter().map(|one| one["webhook_id"].as_str().unwrap().to_owned()).collect()
    };
    let mut all = ids(&listed);
    assert!(listed.windows(2).all(|two| two[0]["created_at"].as_u64() <= two[1]["created_at"].as_u64()));
    all.sort();
    made.sort();
    assert_eq!(all, made);
    let _gone = world.send(&Call::delete(uri(&made[3]))).expect(204);
    assert_eq!(world.try_webhook(&json!({})).status, 201);
}
