//! Requests that come twice.

use ota_tests::{Answer, Call, Value, World, json};

/// Sends a creating request under the key `k`.
fn create(world: &World, uri: &str, body: &Value) -> Answer {
    let answer = world.send(&Call::post(uri, body).key("k"));
    world.settle();
    answer
}

/// The same key and body give the same answer's `id` and another body is refused.
#[track_caller]
fn twice(world: &World, uri: &str, id: &str, body: &Value, other: &Value) {
    let first = create(world, uri, body).expect(201).json()[id].clone();
    assert!(first.is_string(), "{uri} answers with {id}");
    assert_eq!(create(world, uri, body).expect(201).json()[id], first, "{uri}");
    assert_eq!(create(world, uri, other).problem(), "422 request.idempotency-key-reused", "{uri}");
}

#[test]
fn the_same_key_makes_one_product() {
    let world = World::new();
    twice(&world, "/v1/products", "product_key", &json!({"name": "lamp"}), &json!({"name": "bulb"}));
    assert_eq!(world.list("/v1/products", 50).len(), 1);
}

#[test]
fn the_same_key_makes_one_package() {
    let world = World::new().product("lamp");
    let upload = world.upload(b"image").expect(201).text_of("upload_id");
    let body = |name: &str| {
        let key = world.product_key();
        json!({"product_key": key, "name": name, "target_version": "1.1", "upload_id": upload})
    };
    twice(&world, "/v1/packages", "package_id", &body("one"), &body("two"));
    assert_eq!(world.list("/v1/packages", 50).len(), 1);
}

#[test]
fn the_key_of_a_deleted_package_makes_no_other_one() {
    let world = World::new().product("lamp");
    let body = |name: &str| {
        let upload = world.upload(b"image").expect(201).text_of("upload_id");
        let key = world.product_key();
        json!({"product_key": key, "name": name, "target_version": "1.1", "upload_id": upload})
    };
    let first = body("one");
    let id = create(&world, "/v1/packages", &first).expect(201).text_of("package_id");
    let _gone = world.find_package(&id).delete().expect(204);
    for said in [&first, &body("one")] {
        let refused = create(&world, "/v1/packages", said);
        assert_eq!(refused.problem(), "422 request.idempotency-key-reused");
    }
    assert_eq!(world.list("/v1/packages", 50).len(), 0);
    // Its name and version are free for a request with a key of its own.
    let other = Call::post("/v1/packages", &body("one")).key("another");
    let _made = world.send(&other).expect(201);
}

#[test]
fn the_same_key_makes_one_verification_and_one_push() {
    let world = World::new().product("lamp").devices(2);
    let package = world.package("1.1.0");
    let uri = format!("/v1/packages/{}/verification", package.id);
    twice(&world, &uri, "package_id", &json!({"devices": ["lamp-1"]}), &json!({"devices": ["lamp-2"]}));
    assert_eq!(world.list("/v1/batches", 50).len(), 1);
    assert_eq!(world.published().len(), 1);
}

#[test]
fn the_same_key_makes_one_batch_and_one_push() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let body = |timeout: u16| json!({"package_id": package.id, "target": {"selection": "all"}, "timeout_minutes": timeout});
    twice(&world, "/v1/batches", "batch_id", &body(1), &body(2));
    assert_eq!(world.list("/v1/batches", 50).len(), 1);
    assert_eq!(world.published().len(), 1);
}

#[test]
fn the_same_key_answers_with_the_batch_after_it_has_ended() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let body = json!({"package_id": package.id, "target": {"selection": "all"}});
    let made = create(&world, "/v1/batches", &body).expect(201);
    world.device("lamp-1").upgrade();
    world.run(ota_tests::seconds(10));
    let again = create(&world, "/v1/batches", &body).expect(201);
    assert_eq!(again.text_of("batch_id"), made.text_of("batch_id"));
    assert_eq!(again.text_of("status"), "completed");
}

#[test]
fn a_key_is_good_for_one_kind_of_thing() {
    let world = World::new();
    let product = create(&world, "/v1/products", &json!({"name": "lamp"})).expect(201);
    let upload = world.upload(b"image").expect(201).text_of("upload_id");
    let body = json!({
        "product_key": product.text_of("product_key"),
        "name": "lamp", "target_version": "1.1", "upload_id": upload,
    });
    let _made = create(&world, "/v1/packages", &body).expect(201);
}

#[test]
fn without_a_key_each_request_is_its_own() {
    let world = World::new().product("lamp").devices(1);
    let package = world.ready_package("1.1.0");
    let body = json!({"package_id": package.id, "target": {"selection": "all"}});
    let make = || world.send(&Call::post("/v1/batches", &body)).expect(201).text_of("batch_id");
    assert_ne!(make(), make());
}

#[test]
fn a_key_that_is_no_key_is_refused() {
    let world = World::new();
    for key in ["a b", &"k".repeat(129), "é"] {
        let refused = world.send(&Call::post("/v1/products", &json!({"name": "lamp"})).key(key));
        assert_eq!(refused.faults(), ["header:Idempotency-Key value.malformed"], "{key}");
    }
}

#[test]
fn a_package_that_was_refused_leaves_its_upload_for_another_name() {
    let world = World::new().product("lamp");
    let _taken = world.package("1.1.0");
    let upload = world.upload(b"image").expect(201).text_of("upload_id");
    let ask = |name: &str| world.try_package("1.2.0", &json!({"name": name, "upload_id": upload}));
    assert_eq!(ask("lamp-1_1_0").problem(), "409 package.name-taken");
    assert_eq!(ask("another").status, 201);
    assert_eq!(ask("a-third").faults(), ["/upload_id value.malformed"], "an upload makes one package");
}
