//! The audit log: who has changed what.

use std::cell::Cell;
use std::rc::Rc;

use ota_store::memory::Fault;
use ota_tests::{Call, Value, World, hours, json, minutes};

fn entries(world: &World, query: &str) -> Vec<Value> {
    world.list(&format!("/v1/audit{query}"), 50)
}

#[test]
fn each_change_is_listed_once_with_who_what_and_of_which_product() {
    let world = World::new().product("lamp").devices(2);
    let key = world.product_key();
    let before = world.audited().len();
    let token = world.token("operator", &[&key]);
    let send = |call: Call, status: u16| world.send_as(&token, call).expect(status);
    let uri = format!("/v1/products/{key}");
    send(Call::post(format!("{uri}/modules"), &json!({"name": "mcu"})), 201);
    send(Call::patch(format!("{uri}/modules/mcu"), &json!({"description": "x"})), 200);
    send(Call::delete(format!("{uri}/modules/mcu")), 204);
    let upload =
        send(Call::new("POST", "/v1/uploads?file_name=a.bin").bytes("image"), 201).text_of("upload_id");
    let body = json!({"product_key": key, "name": "lamp-2", "target_version": "2", "upload_id": upload});
    let package = send(Call::post("/v1/packages", &body), 201).text_of("package_id");
    let trial = json!({"devices": ["lamp-1"]});
    send(Call::post(format!("/v1/packages/{package}/verification"), &trial), 201);
    world.settle();
    world.device("lamp-1").upgrade();
    world.run(minutes(1));
    let body = json!({"package_id": package, "target": {"selection": "all"}});
    let batch = send(Call::post("/v1/batches", &body), 201).text_of("batch_id");
    send(Call::post("/v1/tasks/cancel", &json!({"package_id": package, "devices": ["lamp-2"]})), 200);
    send(Call::delete(format!("{uri}/devices/lamp-2")), 204);
    send(Call::get(format!("/v1/batches/{batch}")), 200);
    let id = &token.id;
    let actor = "operator-";
    let listed = world.audited().split_off(before);
    assert!(listed[1..].iter().all(|line| line.starts_with(actor)), "{listed:?}");
    let name = listed[1].split(' ').next().unwrap().to_owned();
    let expected = [
        format!("root token.create token/{id} 201"),
        format!("{name} module.create module/mcu {key} 201"),
        format!("{name} module.change module/mcu {key} 200"),
        format!("{name} module.delete module/mcu {key} 204"),
        format!("{name} upload.create upload/{upload} 201"),
        format!("{name} package.create package/{package} {key} 201"),
        format!("{name} package.verify package/{package} {key} 201"),
        format!("{name} batch.create batch/{batch} {key} 201"),
        format!("{name} task.cancel task/lamp-2 {key} 200"),
        format!("{name} device.delete device/lamp-2 {key} 204"),
    ];
    assert_eq!(listed, expected);
    let entry = &entries(&world, &format!("?actor={id}&action=batch.create"))[0];
    assert_eq!(entry["token_id"], id.as_str());
    assert_eq!((&entry["role"], &entry["at"]), (&json!("operator"), &json!(world.now_ms())));
    assert_eq!(entry["request_id"].as_str().map(str::len), Some(36));
}

#[test]
fn what_changes_nothing_is_not_listed() {
    let world = World::new().product("lamp").devices(1);
    let before = world.audited();
    let uri = format!("/v1/products/{}", world.product_key());
    // Reads, and what does not get to anything.
    for call in [
        Call::get(&uri),
        Call::get("/v1/batches/x"),
        Call::post("/v1/products", &json!({"name": "x"})),
        Call::post("/v1/products", &json!({"name": "lamp"})),
        Call::delete(format!("{uri}/devices/lamp-9")),
        Call::post("/v1/products/a/b/c", &json!({})),
        Call::post("/v1/products", &json!({"name": "bulb"})).token(Some("wrong")),
        Call::post("/v1/products", &json!({"name": "bulb"})).token(None),
        Call::patch("/v1/settings", &json!({"settings": {"fast_push": false}})),
    ] {
        let _answer = world.send(&call);
    }
    // Devices and the dispatcher.
    world.device("lamp-1").report("1.0.1");
    world.run(minutes(1));
    assert_eq!(world.audited(), before);
    // The same request again.
    let create = Call::post("/v1/products", &json!({"name": "bulb"})).key("once");
    for _ in 0..3 {
        let _made = world.send(&create).expect(201);
    }
    assert_eq!(world.audited().len(), before.len() + 1);
}

#[test]
fn an_attempt_that_the_role_forbids_is_listed_under_the_id_that_it_was_told() {
    let world = World::new().product("lamp").devices(1);
    let key = world.product_key();
    let token = world.token("viewer", &[&key]);
    let before = world.audited().len();
    let uri = format!("/v1/products/{key}/devices/lamp-1");
    let refused = world.send_as(&token, Call::delete(&uri));
    assert_eq!(refused.problem(), "403 request.forbidden");
    let listed = entries(&world, "");
    assert_eq!(listed.len(), before + 1);
    assert_eq!(
        (&listed[0]["action"], &listed[0]["subject"]),
        (&json!("device.delete"), &json!("device/lamp-1"))
    );
    assert_eq!((&listed[0]["status"], &listed[0]["role"]), (&json!(403), &json!("viewer")));
    assert_eq!(
        refused.text_of("instance"),
        format!("urn:uuid:{}", listed[0]["request_id"].as_str().unwrap())
    );
    // A read that the role forbids is no attempt to change anything.
    assert_eq!(world.send_as(&token, Call::get("/v1/audit")).status, 403);
    // Nor can somebody who may change nothing fill the log.
    (0..100).for_each(|_| assert_eq!(world.send_as(&token, Call::delete(&uri)).status, 403));
    assert_eq!(entries(&world, "").len(), before + 8);
    world.advance(hours(24));
    let _refused = world.send_as(&token, Call::delete(&uri));
    assert_eq!(entries(&world, "").len(), before + 9);
}

#[test]
fn a_change_that_fails_halfway_is_listed_with_its_status() {
    let world = World::new().product("lamp");
    let before = world.audited().len();
    let cut = world.send(&Call::new("POST", "/v1/uploads?file_name=a.bin").bytes("half").cut());
    assert_eq!(cut.problem(), "400 request.body-cut");
    let uri = format!("/v1/products/{}/devices", world.product_key());
    let register = |names: &[(&str, &str)]| {
        let listed: Vec<Value> =
            names.iter().map(|(name, secret)| json!({"name": name, "secret": secret})).collect();
        world.send(&Call::post(&uri, &json!({"devices": listed})))
    };
    let _made = register(&[("lamp-1", "s1")]).expect(201);
    // One of the two is registered.
    let _half = register(&[("lamp-1", "other"), ("lamp-2", "s2")]).expect(409);
    let key = world.product_key();
    let audited = world.audited().split_off(before);
    assert!(audited[0].starts_with("root upload.create upload/") && audited[0].ends_with(" 400"));
    let expected = [
        format!("root device.register device/lamp-1 {key} 201"),
        format!("root device.register device/lamp-1,lamp-2 {key} 409"),
    ];
    assert_eq!(audited[1..], expected);
}

#[test]
fn a_change_by_the_cloud_api_is_listed_by_the_access_keys_id_and_the_requests_own() {
    let world = World::new().product("lamp");
    let key = world.product_key();
    let before = world.audited().len();
    let module = [("ProductKey", key.as_str()), ("ModuleName", "mcu")];
    let told = world.cloud().ask("CreateOTAModule", &module);
    let _again = world.cloud().refusal("CreateOTAModule", &module);
    let _listed = world.cloud().ask("ListOTAModuleByProduct", &module[..1]);
    let listed = entries(&world, "?actor=cloud-api:access-key-id");
    assert_eq!((listed.len(), world.audited().len()), (1, before + 1));
    let expected = format!("cloud-api:access-key-id module.create module/mcu {key} 201");
    assert_eq!(world.audited()[before], expected);
    let id = listed[0]["request_id"].as_str().unwrap().to_ascii_uppercase();
    assert_eq!(told["RequestId"], id.as_str());
}

#[test]
fn the_log_is_read_in_pages_the_newest_first_and_by_product_actor_and_action() {
    let world = World::new().product("lamp");
    let lamp = world.product_key();
    let world = world.product("radio");
    let radio = world.product_key();
    let token = world.token("operator", &[]);
    // More than a page of the store.
    for n in 0..100 {
        let key = if n % 2 == 0 { &lamp } else { &radio };
        let uri = format!("/v1/products/{key}/devices");
        let call = Call::post(uri, &json!({"devices": [{"name": format!("dev-{n}")}]}));
        let call = if n % 4 < 2 { call.token(Some(&token.text)) } else { call };
        let _made = world.send(&call).expect(201);
    }
    let all = entries(&world, "");
    assert_eq!(all.len(), 103);
    assert_eq!(
        (&all[0]["subject"], &all[102]["action"]),
        (&json!("device/dev-99"), &json!("product.create"))
    );
    for limit in [1, 7, 64, 200] {
        assert_eq!(world.list("/v1/audit", limit), all, "{limit}");
    }
    let count = |query: &str| world.list(&format!("/v1/audit?{query}"), 3).len();
    assert_eq!(count(&format!("product_key={lamp}")), 51);
    assert_eq!(count(&format!("actor={}", token.id)), 50);
    assert_eq!(count(&format!("actor={}&product_key={radio}", token.id)), 25);
    assert_eq!((count("actor=root"), count("action=device.register"), count("action=none")), (53, 100, 0));
    assert_eq!(world.send(&Call::get("/v1/audit?product_key=a%20b")).problem(), "422 value.charset");
    assert_eq!(world.send(&Call::get("/v1/audit?since=1")).problem(), "422 value.not-allowed");

    // An admin of one product reads of that product.
    let admin = world.token("admin", &[&radio]);
    let told = world.send_as(&admin, Call::get("/v1/audit?limit=200")).expect(200).json();
    let told = told["items"].as_array().unwrap().clone();
    assert_eq!(told.len(), 51);
    assert!(told.iter().all(|entry| entry["product_key"] == radio.as_str()));
}

/// Everything in the store but the log itself.
fn rest(world: &World) -> Vec<(String, Vec<u8>)> {
    let is_log = |key: &str| key == "audit" || key.starts_with("audit/");
    world.kv().dump().into_iter().filter(|(key, _)| !is_log(key)).collect()
}

/// Dies at the operation of this number: nothing more is done for the request. Tells whether it came that far.
fn die_at(world: &World, at: u64, fault: Fault) -> Rc<Cell<bool>> {
    let (seen, dead) = (Cell::new(0), Rc::new(Cell::new(false)));
    let told = Rc::clone(&dead);
    world.kv().set_faults(move |_, _| {
        seen.set(seen.get() + 1);
        dead.set(dead.get() || seen.get() >= at);
        match seen.get().cmp(&at) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some(fault),
            std::cmp::Ordering::Greater => Some(Fault::Refused),
        }
    });
    told
}

#[test]
fn a_function_that_dies_at_any_operation_has_changed_nothing_that_is_not_listed() {
    for fault in [Fault::Refused, Fault::AnswerLost] {
        for at in 1.. {
            let world = World::new().product("lamp").devices(2);
            let package = world.ready_package("1.1.0");
            let (before, log) = (rest(&world), world.audited());
            let dead = die_at(&world, at, fault);
            let body = json!({"package_id": package.id, "target": {"selection": "all"}});
            let _answer = world.send_once(&Call::post("/v1/batches", &body));
            world.kv().clear_faults();
            let listed = world.audited().split_off(log.len());
            let changed = rest(&world) != before;
            assert!(listed.len() <= 1, "{fault:?} at {at}: {listed:?}");
            assert!(!changed || listed.len() == 1, "{fault:?} at {at}: a change is not listed");
            if let Some(line) = listed.first() {
                // The change and its outcome, or that it is not known.
                assert!(line.starts_with("root batch.create batch"), "{line}");
                assert!(["201", "503", "open"].iter().any(|end| line.ends_with(end)), "{line}");
            }
            if !dead.get() {
                assert!(at > 20, "{at}");
                assert!(listed[0].ends_with("201"), "{listed:?}");
                break;
            }
        }
    }
}

#[test]
fn a_change_that_was_made_is_answered_although_its_outcome_cannot_be_listed() {
    let world = World::new();
    let swaps = Cell::new(0);
    world.kv().set_faults(move |key, operation| {
        let is_swap = key == "audit" && operation == "swap";
        swaps.set(swaps.get() + u32::from(is_swap));
        (is_swap && swaps.get() > 1).then_some(Fault::Refused)
    });
    let _made = world.send_once(&Call::post("/v1/products", &json!({"name": "lamp"}))).expect(201);
    world.kv().clear_faults();
    assert!(world.engine().log_lines().iter().any(|line| line.contains("a change stays open")));
    let listed = world.audited();
    assert!(listed.len() == 1 && listed[0].ends_with(" open"), "{listed:?}");
    assert_eq!(entries(&world, "")[0].get("status"), None);
}

#[test]
fn without_its_log_the_service_changes_nothing() {
    let world = World::new().product("lamp");
    let before = rest(&world);
    world.kv().set_faults(|key, operation| (key == "audit" && operation == "swap").then_some(Fault::Refused));
    let uri = format!("/v1/products/{}/modules", world.product_key());
    let refused = world.send_once(&Call::post(&uri, &json!({"name": "mcu"})));
    assert_eq!((refused.problem().as_str(), refused.header("retry-after")), ("503 store.contention", "1"));
    assert_eq!(world.send(&Call::get("/v1/products")).status, 200, "what reads needs no log");
    world.kv().clear_faults();
    assert_eq!(rest(&world), before);
}

#[test]
fn two_changes_at_once_are_both_listed_whichever_is_first() {
    for at in 1.. {
        let world = World::new().product("lamp");
        let uri = format!("/v1/products/{}/modules", world.product_key());
        let before = world.audited().len();
        let rival = world.interrupt(at, Call::post(&uri, &json!({"name": "theirs"})));
        let _mine = world.send(&Call::post(&uri, &json!({"name": "mine"}))).expect(201);
        world.kv().clear_faults();
        let Some(status) = rival.get() else {
            assert!(at > 5, "{at}");
            return;
        };
        assert_eq!(status, 201);
        let mut listed = world.audited().split_off(before);
        listed.sort();
        let line = |name: &str| format!("root module.create module/{name} {} 201", world.product_key());
        assert_eq!(listed, [line("mine"), line("theirs")], "at {at}");
    }
}
