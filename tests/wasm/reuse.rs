//! One instance answers many requests, of different callers, and of several at once.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream;
use reqwest::Method;
use serde_json::json;

use crate::device::Identity;
use crate::service::Service;

/// How many requests are under way together: several for each instance.
const AT_ONCE: usize = 24;
/// How many there are in all: some instances come to the end of their days meanwhile.
const REQUESTS: usize = 900;
/// More than the first shards hold: this fleet has been split, and an instance that took one fleet's shape for the
/// other's would not find its devices.
const LARGE_FLEET: usize = 1_500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_of_one_instance_do_not_see_each_other() {
    let service = Service::start();
    let operator = service.operator();
    let (small, large) = (operator.product("small-fleet").await, operator.product("large-fleet").await);
    let few: Vec<String> = (1..=5).map(|n| format!("unit-{n:04}")).collect();
    let many: Vec<String> = (1..=LARGE_FLEET).map(|n| format!("unit-{n:04}")).collect();
    let mut identities = Vec::new();
    for (product_key, names) in [(&small, &few), (&large, &many)] {
        for names in names.chunks(1_000) {
            let secrets = operator.devices(product_key, names).await;
            identities.extend(names.iter().zip(secrets).map(|(name, secret)| Identity {
                product_key: product_key.clone(),
                name: name.clone(),
                secret,
            }));
        }
    }
    let by_product: BTreeMap<&str, usize> =
        BTreeMap::from([(small.as_str(), 0), (large.as_str(), few.len())]);

    // Else there is nothing to see here.
    let turns = stream::iter(0..100).map(|_| operator.get("/probe/turn")).buffer_unordered(AT_ONCE);
    let latest = turns.map(|answer| answer.expect(200).as_u64()).collect::<Vec<_>>().await.into_iter().max();
    assert!(latest.flatten() > Some(4), "instances are not reused: {latest:?}");

    let callers = (0..REQUESTS).map(|n| {
        let identity =
            identities[by_product[if n % 2 == 0 { &*small } else { &*large }] + n / 2 % few.len()].clone();
        // Devices of both fleets have the same names; only one of the large fleet is far from the first shards.
        let far = &identities[few.len() + n % LARGE_FLEET];
        let (service, far) = (&service, far.clone());
        async move {
            match n % 3 {
                0 => a_device_is_shown(service, if n % 2 == 0 { &identity } else { &far }).await,
                1 => a_stranger_is_refused(service, &identity).await,
                _ => a_login_is_checked(service, &far, n % 2 == 0).await,
            }
        }
    });
    stream::iter(callers).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

async fn a_device_is_shown(service: &Service, identity: &Identity) {
    let path = format!("/v1/products/{}/devices/{}", identity.product_key, identity.name);
    let shown = service.operator().get(&path).await.expect(200);
    assert_eq!(
        (&shown["product_key"], &shown["name"]),
        (&json!(identity.product_key), &json!(identity.name))
    );
}

async fn a_stranger_is_refused(service: &Service, identity: &Identity) {
    let path = format!("/v1/products/{}/devices/{}", identity.product_key, identity.name);
    let problem =
        service.stranger(Some("guess")).get(&path).await.expect_problem(401, "request.unauthorized");
    assert!(!problem.to_string().contains(&identity.secret));
}

async fn a_login_is_checked(service: &Service, identity: &Identity, good: bool) {
    let (client_id, username, mut password) = identity.login(1);
    if !good {
        password = password.replace(['0', '1', '2'], "3");
    }
    let body = json!({ "client_id": client_id, "username": username, "password": password });
    let answer = service.insider().post("/internal/device-auth/login", &body).await;
    if good {
        let told = answer.expect(200);
        let told = (&told["product_key"], &told["device_name"]);
        assert_eq!(told, (&json!(identity.product_key), &json!(identity.name)));
    } else {
        answer.expect_problem(403, "device.login-refused");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_panics_takes_nobody_with_it_but_the_requests_of_its_instance() {
    let service = Service::start();
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let path = format!("/v1/products/{product_key}");
    let requests = (0..200).map(|n| {
        let (operator, path) = (&operator, &path);
        async move {
            if n % 4 == 0 {
                let answer = operator.post("/probe/panic", &json!({})).await;
                assert_eq!(answer.status, 500, "{answer:?}");
                assert_eq!(answer.body, "", "a stranger is told nothing of it");
            } else {
                operator.get(path).await.expect(200);
            }
        }
    });
    stream::iter(requests).buffer_unordered(16).collect::<Vec<()>>().await;
    // The component itself serves again, in a new instance.
    let answer = operator.send("GET /probe", operator.request(Method::GET, "/probe/well")).await;
    assert_eq!(answer.status, 204);
    assert!(service.host.log().contains("on purpose"), "the log tells why");
}
