//! The gateway that goes to wasmCloud, in what stands in for a host of it: the same stories, by the same devices, which
//! EMQX's stand-in lets in and whose messages it posts.

use serde_json::json;

use crate::fronts::{Nginx, is_there};
use crate::operator::Operator;
use crate::service::Service;
use crate::{cloud, kinds, serving, story, upgrade, webhooks};

#[test]
fn the_demos_story_ends_well_on_wasmcloud() {
    story::tell(&Service::start_wasmcloud());
}

#[tokio::test]
async fn every_function_of_the_operators_api_serves_on_wasmcloud() {
    let service = Service::start_wasmcloud();
    serving::ask_every_function(&service).await;
    // What is nobody's is refused as everywhere, and by a problem.
    service.stranger(None).get("/nowhere").await.expect_problem(404, "request.no-route");
    service.stranger(None).get("/v1/products").await.expect_problem(401, "request.unauthorized");
    let page = service.stranger(None).get("/console/").await;
    assert_eq!(
        (page.status, page.headers["content-type"].to_str().unwrap()),
        (200, "text/html; charset=utf-8")
    );
    service.operator().get("/metrics").await.expect(200);
}

#[tokio::test]
async fn a_device_asks_and_fails_on_wasmcloud() {
    upgrade::ask_and_fail(&Service::start_wasmcloud()).await;
}

#[tokio::test]
async fn a_client_of_the_vendors_cloud_api_upgrades_a_device_on_wasmcloud() {
    cloud::upgrade_by_cloud_api(&Service::start_wasmcloud()).await;
}

#[tokio::test]
async fn r163_a_device_downloads_its_file_in_blocks_on_wasmcloud() {
    kinds::download_in_blocks(&Service::start_wasmcloud()).await;
}

#[tokio::test]
async fn webhooks_are_delivered_on_wasmcloud() {
    webhooks::deliver_again(&Service::start_wasmcloud()).await;
}

/// wasmCloud writes names of headers in lower case, which this device cannot read: the front makes up for it.
#[tokio::test]
async fn a_device_that_speaks_like_the_c_sdk_downloads_through_the_front() {
    if !is_there("nginx") {
        eprintln!("skipped: there is no nginx");
        return;
    }
    let service = Service::start_wasmcloud();
    let front = Nginx::start(service.host.http());
    upgrade::upgrade_as_c_sdk(&service, front.address()).await;
    // What functions ask of each other is nobody's outside.
    let insider = Operator::new(&format!("http://{}", front.address()), Some(&service.internal_token));
    insider.post("/internal/dispatch/tick", &json!({})).await.expect(404);
}
