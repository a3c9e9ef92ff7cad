//! Devices that log in to the broker.

use ota_core::device::auth::{SignMethod, password};
use ota_core::ids::{DeviceName, DeviceRef, ProductKey};
use ota_tests::{Answer, Call, World, json};

fn device(world: &World, name: &str) -> DeviceRef {
    DeviceRef {
        product_key: ProductKey::new(&world.product_key()).unwrap(),
        device_name: DeviceName::new(name).unwrap(),
    }
}

fn login(world: &World, client_id: &str, username: &str, password: &str) -> Answer {
    let body = json!({"client_id": client_id, "username": username, "password": password});
    world.send(&Call::post("/internal/device-auth/login", &body))
}

#[test]
fn r166_every_documented_way_to_sign_in_works() {
    let world = World::new().product("lamp").devices(1);
    let (lamp, key) = (device(&world, "lamp-1"), world.product_key());
    let secret = world.device("lamp-1").secret().to_owned();
    for method in SignMethod::ALL {
        for timestamp in [None, Some("1700000000000")] {
            let stamp = timestamp.map(|at| format!(",timestamp={at}")).unwrap_or_default();
            let client_id = format!("my-client|securemode=3,signmethod={}{stamp}|", method.as_str());
            let password = password("my-client", &lamp, timestamp, method, &secret);
            let answer = login(&world, &client_id, &format!("lamp-1&{key}"), &password).expect(200).json();
            let identity = json!({"product_key": key, "device_name": "lamp-1"});
            let mut expected = json!({"result": "allow", "client_attrs": identity});
            expected.as_object_mut().unwrap().extend(identity.as_object().unwrap().clone());
            assert_eq!(answer, expected, "{client_id}");
            let lower = login(&world, &client_id, &format!("lamp-1&{key}"), &password.to_lowercase());
            assert_eq!(lower.status, 200);
        }
    }
}

#[test]
fn r166_a_wrong_login_is_refused_and_is_not_told_why() {
    let world = World::new().product("lamp").devices(2);
    let key = world.product_key();
    let client_id = "c|securemode=3,signmethod=hmacsha256|";
    let sign =
        |name: &str, secret: &str| password("c", &device(&world, name), None, SignMethod::HmacSha256, secret);
    let right = sign("lamp-1", world.device("lamp-1").secret());
    let others = sign("lamp-1", world.device("lamp-2").secret());
    let mut answers = Vec::new();
    for (client_id, username, password) in [
        (client_id, format!("lamp-1&{key}"), "00".to_owned()),
        (client_id, format!("lamp-1&{key}"), String::new()),
        (client_id, format!("lamp-1&{key}"), others),
        (client_id, format!("lamp-2&{key}"), right.clone()),
        (client_id, format!("lamp-9&{key}"), right.clone()),
        (client_id, "lamp-1&a1none".to_owned(), right.clone()),
        (client_id, "lamp-1".to_owned(), right.clone()),
        ("d|signmethod=hmacsha256|", format!("lamp-1&{key}"), right.clone()),
        ("c|signmethod=hmacmd5|", format!("lamp-1&{key}"), right.clone()),
        ("c|signmethod=none|", format!("lamp-1&{key}"), right.clone()),
        ("", format!("lamp-1&{key}"), right.clone()),
    ] {
        let refused = login(&world, client_id, &username, &password);
        assert_eq!(refused.problem(), "403 device.login-refused", "{client_id} {username}");
        answers.push(refused.text_of("detail"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(login(&world, client_id, &format!("lamp-1&{key}"), &right).status, 200);
}

#[test]
fn a_device_that_was_deleted_cannot_log_in() {
    let world = World::new().product("lamp").devices(1);
    let key = world.product_key();
    let password =
        password("c", &device(&world, "lamp-1"), None, SignMethod::HmacMd5, world.device("lamp-1").secret());
    assert_eq!(login(&world, "c", &format!("lamp-1&{key}"), &password).status, 200);
    let _gone = world.send(&Call::delete(format!("/v1/products/{key}/devices/lamp-1"))).expect(204);
    assert_eq!(login(&world, "c", &format!("lamp-1&{key}"), &password).status, 403);
}
