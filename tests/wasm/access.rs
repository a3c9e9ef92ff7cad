//! Tokens and the audit log, across the components that ship.

use reqwest::Method;
use serde_json::json;

use crate::operator::text;
use crate::service::Service;

#[tokio::test]
async fn a_viewer_reads_and_is_refused_a_change_until_its_token_is_deleted() {
    let service = Service::start();
    let root = service.operator();
    let (lamp, radio) = (root.product("smart-lamp").await, root.product("radio").await);
    let body = json!({"name": "wall", "role": "viewer", "product_keys": [lamp]});
    let made = root.post("/v1/tokens", &body).await.expect(201);
    let (token, id) = (text(&made, "token"), text(&made, "token_id"));
    let viewer = service.stranger(Some(&token));

    let itself = viewer.get("/v1/tokens/self").await.expect(200);
    assert_eq!(itself, json!({"name": "wall", "role": "viewer", "product_keys": [lamp]}));
    let listed = viewer.list("/v1/products").await;
    assert_eq!(
        listed.iter().map(|product| text(product, "product_key")).collect::<Vec<_>>(),
        [lamp.as_str()]
    );
    viewer.get(&format!("/v1/products/{radio}")).await.expect_problem(404, "request.not-found");
    // One route of each component.
    for (method, path) in [
        (Method::POST, format!("/v1/products/{lamp}/modules")),
        (Method::POST, "/v1/packages".to_owned()),
        (Method::POST, format!("/v1/packages/{id}/verification")),
        (Method::POST, "/v1/batches".to_owned()),
        (Method::GET, "/v1/audit".to_owned()),
    ] {
        let what = format!("{method} {path}");
        let request = viewer.request(method, &path).json(&json!({}));
        viewer.send(&what, request).await.expect_problem(403, "request.forbidden");
    }
    for path in ["/v1/packages", "/v1/batches", "/v1/deltas"] {
        assert!(viewer.list(path).await.is_empty(), "{path}");
    }
    viewer.get("/v1/events").await.expect(200);

    let path = format!("/v1/tokens/{id}");
    root.send(&path, root.request(Method::DELETE, &path)).await.expect(204);
    viewer.get("/v1/products").await.expect_problem(401, "request.unauthorized");
    let told =
        service.cloud("CreateOTAModule", "once", &[("ProductKey", &lamp), ("ModuleName", "mcu")]).await;
    assert_eq!(told.expect(200)["Success"], true);

    let log = root.list("/v1/audit").await;
    let line = |entry: &serde_json::Value| {
        format!("{} {} {}", text(entry, "actor"), text(entry, "action"), entry["status"])
    };
    let lines: Vec<String> = log.iter().rev().map(line).collect();
    let (first, last) = lines.split_at(7);
    let expected = [
        "root product.create 201",
        "root product.create 201",
        "root token.create 201",
        "wall module.create 403",
        "wall package.create 403",
        "wall package.verify 403",
        "wall batch.create 403",
    ];
    assert_eq!(first, expected);
    assert_eq!(last[0], "root token.delete 204");
    assert!(last[1].starts_with("cloud-api:") && last[1].ends_with(" module.create 201"), "{last:?}");
    assert_eq!(last.len(), 2);
    assert!(!service.host.log().contains(&token), "the token is in the log");
}
