//! Who may do what: every route, every role, one's own products and others'.

use ota_core::access::Role;
use ota_http::routes::{ROUTES, Route};
use ota_tests::{Answer, Call, Token, Value, World, json, minutes};

/// One of each thing that routes name, all of one product.
#[derive(Clone, Debug, Default)]
struct Things {
    product: String,
    module: String,
    /// On its own; in a task that waits for consent; in a task that was canceled.
    devices: [String; 3],
    gateway: String,
    sub_device: String,
    package: String,
    /// One that is not verified, and has no batch.
    trial: String,
    /// Two that deltas can be made of with `package`; of the first one is made.
    older: String,
    oldest: String,
    delta: String,
    batch: String,
    /// Whose tasks wait for consent; that is not over.
    asking: String,
    /// Whose task was canceled.
    canceled: String,
    token: String,
    webhook: String,
    /// Something that a webhook is told of.
    delivery: String,
}

const IMAGE_BYTES: u32 = 30_000;

fn tus(call: Call) -> Call {
    call.header("tus-resumable", "1.0.0")
}

fn image(world: &World, n: u8) -> String {
    let bytes: Vec<u8> = (0..IMAGE_BYTES).map(|at| (at * 7 + at / 251) as u8 ^ n).collect();
    world.upload(&bytes).expect(201).text_of("upload_id")
}

/// Makes one of each in a new product.
fn things(world: &World, name: &str) -> (World, Things) {
    let world = world.clone().product(name);
    let product = world.product_key();
    let uri = format!("/v1/products/{product}");
    let settings = json!({"settings": {"editable_tags": true}});
    let _set = world.send(&Call::patch(&uri, &settings)).expect(200);
    let module = format!("{name}-mcu");
    let _made = world.send(&Call::post(format!("{uri}/modules"), &json!({"name": module}))).expect(201);
    let devices = ["one", "two", "three", "gate", "sub"].map(|device| format!("{name}-{device}"));
    let listed: Vec<Value> = devices.iter().map(|name| json!({"name": name})).collect();
    let _made = world.send(&Call::post(format!("{uri}/devices"), &json!({"devices": listed}))).expect(201);
    for device in &devices {
        // A device that has told its version is one that batches know.
        let topic = format!("/ota/device/inform/{product}/{device}");
        let report = json!({"id": 1, "params": {"version": "1.0.0"}});
        let _told = world.send(&Call::post(format!("/internal/device-messages?topic={topic}"), &report));
    }
    let [one, two, three, gateway, sub_device] = devices;
    let subs = json!({"sub_devices": [{"product_key": product, "name": sub_device}]});
    let _joined = world.send(&Call::post(format!("{uri}/devices/{gateway}/sub-devices"), &subs)).expect(204);

    let package = |version: &str, n: u8, more: Value| {
        let mut more = more;
        more["upload_id"] = image(&world, n).into();
        world.try_package(version, &more).expect(201).text_of("package_id")
    };
    let ready = json!({"needs_verification": false});
    let (ready_id, older) = (package("2.0.0", 1, ready.clone()), package("1.0.0", 2, ready));
    let oldest = package("0.9.0", 4, json!({"needs_verification": false}));
    let trial = package("3.0.0", 3, json!({}));
    let delta = json!({"target_package_id": ready_id, "source_package_id": older, "slice": "none"});
    let delta = world.send(&Call::post("/v1/deltas", &delta)).expect(201).text_of("delta_id");
    let batch = |device: &str, more: Value| {
        let mut body = json!({
            "package_id": ready_id, "target": {"selection": "specific", "devices": [device]},
        });
        more.as_object().into_iter().flatten().for_each(|(field, value)| body[field] = value.clone());
        let made = world.send(&Call::post("/v1/batches", &body)).expect(201);
        world.settle();
        made.text_of("batch_id")
    };
    let asking = batch(&two, json!({"needs_confirmation": true}));
    let canceled = batch(&three, json!({}));
    let _canceled =
        world.find_batch(&canceled).cancel(&json!({"queued": true, "notified": true})).expect(202);
    let open = batch(&one, json!({}));
    world.run(minutes(1));
    let token = world.token("viewer", &[&product]).id;
    let webhook = json!({"url": "https://example.com/hook", "product_key": product});
    let webhook = world.send(&Call::post("/v1/webhooks", &webhook)).expect(201).text_of("webhook_id");
    let test = Call::post(format!("/v1/webhooks/{webhook}/test"), &Value::Null);
    let delivery = world.send(&test).expect(202).text_of("delivery_id");
    let things = Things {
        product,
        module,
        devices: [one, two, three],
        gateway,
        sub_device,
        package: ready_id,
        trial,
        older,
        oldest,
        delta,
        batch: open,
        asking,
        canceled,
        token,
        webhook,
        delivery,
    };
    (world, things)
}

/// Things with names as good as any, none of which is there.
fn nothing() -> Things {
    let id = |n: u8| format!("{n:02x}").repeat(16);
    Things {
        product: "a1nothing234".into(),
        module: "ghost-mcu".into(),
        devices: ["ghost-one".into(), "ghost-two".into(), "ghost-three".into()],
        gateway: "ghost-gate".into(),
        sub_device: "ghost-sub".into(),
        package: id(1),
        trial: id(2),
        older: id(3),
        delta: id(4),
        batch: id(5),
        asking: id(6),
        canceled: id(7),
        token: id(8),
        oldest: id(9),
        webhook: id(10),
        delivery: id(11),
    }
}

impl Things {
    fn names(&self) -> Vec<&str> {
        let Self { product, module, devices, gateway, sub_device, package, trial, older, .. } = self;
        let Self { oldest, delta, batch, asking, canceled, token, webhook, delivery, .. } = self;
        let mut names = vec![product, module, gateway, sub_device, package, trial, older];
        names.extend([oldest, delta, batch, asking, canceled, token, webhook, delivery]);
        names.extend(devices);
        names.into_iter().map(String::as_str).collect()
    }
}

/// Makes the request of a route about these things: as good a one as there can be. `upload` is an upload of the caller.
///
/// A new route wants a line here.
fn request(route: &Route, things: &Things, upload: &str) -> Call {
    let Things { product, module, devices: [one, two, three], gateway, sub_device, package, trial, .. } =
        things;
    let Things { older, oldest, delta, batch, asking, canceled, token, webhook, delivery, .. } = things;
    let mut uri = route.path.replace("{product_key}", product);
    let put = |uri: &mut String, parts: &[(&str, &str)]| {
        parts.iter().for_each(|(part, text)| *uri = uri.replace(part, text));
    };
    put(&mut uri, &[("{package_id}", package), ("{delta_id}", delta), ("{token_id}", token)]);
    put(&mut uri, &[("{webhook_id}", webhook), ("{delivery_id}", delivery), ("{upload_id}", upload)]);
    put(&mut uri, &[("{sub_product_key}", product), ("{sub_name}", sub_device)]);
    let named = json!({"selection": "specific", "devices": [one]});
    let body = match (route.method, route.path) {
        ("GET", "/v1/products/{product_key}/devices/{name}/sub-devices") => {
            put(&mut uri, &[("{name}", gateway)]);
            Value::Null
        }
        ("GET", "/v1/packages") => {
            uri.push_str(&format!("?product_key={product}"));
            Value::Null
        }
        ("GET", "/v1/events") => {
            uri.push_str(&format!("?product_key={product}"));
            Value::Null
        }
        ("GET", "/v1/batches") => {
            uri.push_str(&format!("?package_id={package}"));
            Value::Null
        }
        ("GET", "/v1/audit") => {
            uri.push_str(&format!("?product_key={product}"));
            Value::Null
        }
        ("PATCH", "/v1/uploads/{upload_id}") => {
            let call = Call::new("PATCH", uri);
            // All of it is there.
            return tus(call)
                .header("content-type", "application/offset+octet-stream")
                .header("upload-offset", IMAGE_BYTES.to_string());
        }
        ("HEAD", _) => return tus(Call::new("HEAD", uri)),
        ("GET" | "OPTIONS" | "DELETE", _) if route.path.starts_with("/v1/uploads") => Value::Null,
        ("GET", _) => Value::Null,
        ("POST", "/v1/products") => json!({"name": "kettle"}),
        ("PATCH", "/v1/products/{product_key}") => json!({"settings": {"md5_deltas": true}}),
        ("POST", "/v1/products/{product_key}/modules") => json!({"name": "camera"}),
        ("PATCH" | "DELETE", "/v1/products/{product_key}/modules/{name}") => {
            put(&mut uri, &[("{name}", module)]);
            if route.method == "PATCH" { json!({"description": "the eye"}) } else { Value::Null }
        }
        ("PUT", "/v1/products/{product_key}/security") => json!({"enabled": true}),
        ("POST", "/v1/products/{product_key}/devices") => json!({"devices": [{"name": "new-one"}]}),
        ("PATCH", "/v1/products/{product_key}/devices/{name}") => json!({"region": {"province": "11"}}),
        ("DELETE", "/v1/products/{product_key}/devices/{name}") => Value::Null,
        ("POST", "/v1/products/{product_key}/devices/{name}/sub-devices") => {
            put(&mut uri, &[("{name}", gateway)]);
            json!({"sub_devices": [{"product_key": product, "name": one}]})
        }
        ("DELETE", path) if path.contains("/sub-devices/") => {
            put(&mut uri, &[("{name}", gateway)]);
            Value::Null
        }
        ("PATCH", "/v1/settings") => json!({"settings": {"fast_push": true}}),
        ("POST" | "PUT", "/v1/uploads") => {
            uri.push_str("?file_name=image.bin");
            json!("bytes of an image")
        }
        ("POST", "/v1/packages") => json!({
            "product_key": product, "name": "four", "target_version": "4.0.0", "upload_id": upload,
        }),
        ("DELETE", "/v1/packages/{package_id}") => {
            uri = format!("/v1/packages/{older}");
            Value::Null
        }
        ("POST", "/v1/packages/{package_id}/verification") => {
            uri = format!("/v1/packages/{trial}/verification");
            json!({"devices": [three]})
        }
        ("POST", "/v1/deltas") => json!({
            "target_package_id": package, "source_package_id": oldest, "slice": "none", "name": "mine",
        }),
        ("POST", "/v1/batches") => json!({"package_id": package, "target": named, "overwrite": true}),
        ("PATCH", "/v1/batches/{batch_id}") => json!({"tags": [{"key": "a", "value": "b"}]}),
        ("POST", "/v1/batches/{batch_id}/cancel") => json!({"queued": true, "notified": true}),
        ("POST", "/v1/tasks/confirm") => json!({"task_ids": [format!("{asking}.{two}")]}),
        ("POST", "/v1/tasks/reupgrade") => json!({"task_ids": [format!("{canceled}.{three}")]}),
        ("POST", "/v1/tasks/cancel") => json!({"package_id": package, "devices": [one]}),
        ("POST", "/v1/webhooks") => json!({"url": "https://example.com/new", "product_key": product}),
        ("PATCH", "/v1/webhooks/{webhook_id}") => json!({"description": "the night shift's"}),
        ("DELETE" | "POST", path) if path.starts_with("/v1/webhooks/") => Value::Null,
        ("POST", "/v1/tokens") => json!({"name": "new", "role": "admin", "product_keys": [product]}),
        ("DELETE", "/v1/tokens/{token_id}") => Value::Null,
        other => panic!("no request of {other:?} is known"),
    };
    put(&mut uri, &[("{batch_id}", batch), ("{device_name}", one), ("{name}", one)]);
    assert!(!uri.contains('{'), "{uri}");
    let call = Call::new(route.method, uri);
    if body.is_null() { call } else { call.bytes(body.to_string()) }
}

/// The answer in words, without what is different every time, and with the names of what it was asked about taken out.
fn words(answer: &Answer, things: &Things) -> String {
    let mut text = String::from_utf8_lossy(&answer.body).into_owned();
    if let Ok(Value::Object(mut body)) = serde_json::from_str::<Value>(&text) {
        let _ = ["instance", "upload_id", "expires_at"].map(|field| body.remove(field));
        text = Value::from(body).to_string();
    }
    for name in things.names() {
        text = text.replace(name, "_");
    }
    format!("{} {text}", answer.status)
}

fn dump(world: &World) -> Vec<(String, Vec<u8>)> {
    let is_log = |key: &str| key == "audit" || key.starts_with("audit/");
    world.kv().dump().into_iter().filter(|(key, _)| !is_log(key)).collect()
}

#[test]
fn every_route_answers_those_whose_role_is_enough_about_their_own_products() {
    for route in ROUTES {
        let (world, lamp) = things(&World::new(), "lamp");
        let products: &[&str] = if route.unbound { &[] } else { &[&lamp.product] };
        let tokens = Role::ALL.map(|role| (role, world.token(role.as_str(), products)));
        let what = format!("{} {}", route.method, route.path);
        for (role, token) in &tokens {
            let upload = image(&world, 9);
            let call = request(route, &lamp, &upload);
            if *role < route.role {
                let before = dump(&world);
                assert_eq!(
                    world.send_as(token, call).problem(),
                    "403 request.forbidden",
                    "{what} by {role:?}"
                );
                assert_eq!(dump(&world), before, "{what} by {role:?}");
                continue;
            }
            let answer = world.send_as(token, call);
            assert!((200..300).contains(&answer.status), "{what} by {role:?}: {answer:?}");
            // It has been done; the others would be told that it has.
            if route.is_change() {
                break;
            }
        }
    }
}

#[test]
fn a_token_that_is_bound_does_nothing_to_what_belongs_to_no_product() {
    let (world, lamp) = things(&World::new(), "lamp");
    let token = world.token("admin", &[&lamp.product]);
    let unbound: Vec<&Route> = ROUTES.iter().filter(|route| route.unbound).collect();
    assert_eq!(unbound.len(), 2);
    let before = dump(&world);
    for route in unbound {
        let refused = world.send_as(&token, request(route, &lamp, "x"));
        assert_eq!(refused.problem(), "403 request.forbidden", "{} {}", route.method, route.path);
    }
    assert_eq!(dump(&world), before);
}

#[test]
fn what_is_another_products_is_answered_on_every_route_like_what_is_not_there() {
    let (world, lamp) = things(&World::new(), "lamp");
    let (world, radio) = things(&world, "radio");
    let ghost = nothing();
    for role in Role::ALL {
        let token = world.token(role.as_str(), &[&radio.product]);
        for route in ROUTES.iter().filter(|route| route.role <= role && !route.unbound) {
            let what = format!("{} {} by {role:?}", route.method, route.path);
            let is_upload = route.path.starts_with("/v1/uploads");
            let before = dump(&world);
            let upload = "0".repeat(32);
            let theirs = words(&world.send_as(&token, request(route, &lamp, &upload)), &lamp);
            let none = words(&world.send_as(&token, request(route, &ghost, &upload)), &ghost);
            assert_eq!(theirs, none, "{what}");
            assert!(is_upload || dump(&world) == before, "{what} has changed something");
            let own = request(route, &radio, &upload);
            if !route.is_change()
                && !is_upload
                && route.path != "/v1/tokens/self"
                && route.path != "/v1/settings"
            {
                let mine = world.send_as(&token, own).expect(200);
                let told = String::from_utf8_lossy(&mine.body).into_owned();
                assert_ne!(words(&mine, &radio), none, "{what}");
                for name in lamp.names() {
                    assert!(!told.contains(name), "{what} tells of {name}: {told}");
                }
            }
        }
    }
}

#[test]
fn lists_leave_out_what_is_another_products() {
    let (world, lamp) = things(&World::new(), "lamp");
    let (world, radio) = things(&world, "radio");
    let (bound, both) =
        (world.token("admin", &[&radio.product]), world.token("viewer", &[&lamp.product, &radio.product]));
    let all = |token: &Token, uri: &str, limit: usize| {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let join = if uri.contains('?') { '&' } else { '?' };
            let call = Call::get(format!("{uri}{join}limit={limit}{cursor}"));
            let page = world.send_as(token, call).expect(200).json();
            let listed = page["items"].as_array().unwrap().clone();
            let is_last = page["next_cursor"].is_null() || uri.contains("events") && listed.is_empty();
            items.extend(listed);
            if is_last {
                return items;
            }
            cursor = format!("&cursor={}", page["next_cursor"].as_str().unwrap());
        }
    };
    let root = Token { id: String::new(), text: ota_tests::API_TOKEN.to_owned() };
    for uri in ["/v1/products", "/v1/packages", "/v1/batches", "/v1/deltas", "/v1/events"] {
        for limit in [1, 3, 50] {
            let (mine, every) = (all(&bound, uri, limit), all(&root, uri, limit));
            assert_eq!(2 * mine.len(), every.len(), "{uri}: {every:?}");
            assert!(!mine.is_empty() && all(&both, uri, limit).len() == every.len(), "{uri}");
            let is_lamp = |item: &Value| lamp.names().iter().any(|name| item.to_string().contains(name));
            assert!(!mine.iter().any(is_lamp), "{uri}");
        }
    }
}

#[test]
fn a_bound_admin_has_to_do_with_tokens_of_its_own_products_only() {
    let (world, lamp) = things(&World::new(), "lamp");
    let (world, radio) = things(&world, "radio");
    let admin = world.token("admin", &[&radio.product]);
    let free = world.token("viewer", &[]);
    let both = world.token("viewer", &[&lamp.product, &radio.product]);
    let make = |body: &Value| world.send_as(&admin, Call::post("/v1/tokens", body));
    let body = |name: &str, products: Value| json!({"name": name, "role": "admin", "product_keys": products});
    assert_eq!(make(&body("all", Value::Null)).faults(), ["/product_keys value.missing"]);
    let wide = make(&body("wide", json!([radio.product, lamp.product])));
    assert_eq!(wide.faults(), ["/product_keys/1 value.malformed"]);
    let made = make(&body("narrow", json!([radio.product]))).expect(201).text_of("token_id");

    let listed = world.send_as(&admin, Call::get("/v1/tokens")).expect(200).json();
    let ids: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|t| t["token_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [made.as_str(), &admin.id, &radio.token]);
    for (id, status) in [(&free.id, 404), (&both.id, 404), (&lamp.token, 404), (&made, 204), (&admin.id, 204)]
    {
        let uri = format!("/v1/tokens/{id}");
        assert_eq!(world.send_as(&admin, Call::delete(uri)).status, status);
    }
    assert_eq!(world.send_as(&admin, Call::get("/v1/tokens/self")).status, 401, "it has deleted itself");
}

#[test]
fn a_gateway_of_another_product_is_not_told_of_and_its_devices_not_touched() {
    let (world, lamp) = things(&World::new(), "lamp");
    let (world, radio) = things(&world, "radio");
    // A gateway may have sub-devices of any product: whoever may touch both puts them there.
    let under = |gateway: &str, things: &Things| {
        format!("/v1/products/{}/devices/{gateway}/sub-devices", things.product)
    };
    let subs =
        |things: &Things, name: &str| json!({"sub_devices": [{"product_key": things.product, "name": name}]});
    let [lamp_one, ..] = &lamp.devices;
    let [radio_one, ..] = &radio.devices;
    let joined = world.send(&Call::post(under(&lamp.gateway, &lamp), &subs(&radio, radio_one)));
    let _joined = joined.expect(204);
    let joined = world.send(&Call::post(under(&radio.gateway, &radio), &subs(&lamp, lamp_one)));
    let _joined = joined.expect(204);

    let token = world.token("operator", &[&radio.product]);
    let told = world.send_as(&token, Call::get(under(&radio.gateway, &radio))).expect(200).json();
    assert_eq!(told["items"], json!([{"product_key": radio.product, "name": radio.sub_device}]));
    let unknown =
        world.send_as(&token, Call::post(under(&radio.gateway, &radio), &subs(&lamp, &lamp.sub_device)));
    assert_eq!(unknown.faults(), ["/sub_devices/0 device.unknown"]);
    let taken = world.send_as(&token, Call::post(under(&radio.gateway, &radio), &subs(&radio, radio_one)));
    assert_eq!(taken.faults(), ["/sub_devices/0 device.has-gateway"]);
    assert!(!String::from_utf8_lossy(&taken.body).contains(&lamp.gateway), "{taken:?}");
    let away = format!("{}/{}/{lamp_one}", under(&radio.gateway, &radio), lamp.product);
    let _said = world.send_as(&token, Call::delete(away)).expect(204);
    assert_eq!(world.list(&under(&radio.gateway, &radio), 50).len(), 2, "it is there as before");
}

#[test]
fn an_idempotency_key_is_its_tokens_own() {
    let (world, lamp) = things(&World::new(), "lamp");
    let (world, radio) = things(&world, "radio");
    let tokens = [&lamp, &radio].map(|things| world.token("operator", &[&things.product]));
    let mut made = Vec::new();
    for (token, things) in tokens.iter().zip([&lamp, &radio]) {
        let body = json!({
            "product_key": things.product, "name": format!("pkg-{}", things.module), "target_version": "9",
            "upload_id": image(&world, 9),
        });
        for _ in 0..2 {
            let answer = world.send_as(token, Call::post("/v1/packages", &body).key("first"));
            made.push(answer.expect(201).text_of("package_id"));
        }
    }
    assert_eq!((&made[0], &made[2]), (&made[1], &made[3]));
    assert_ne!(made[0], made[2]);
}
