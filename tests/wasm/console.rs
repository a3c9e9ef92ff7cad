//! The console's files from the shipped component, over a socket, as a browser and as somebody who means no good ask.

use reqwest::Method;

use crate::raw::exchange;
use crate::service::Service;

#[tokio::test]
async fn a_browser_without_a_token_gets_the_console_and_no_data() {
    let service = Service::start();
    let visitor = service.stranger(None);

    let page = visitor.http.get(service.base_url() + "/").send().await.unwrap();
    assert_eq!((page.status().as_u16(), page.url().path()), (200, "/console/"));
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    let tag = page.headers()["etag"].clone();
    let page = page.text().await.unwrap();
    let (_, rest) = page.split_once("src=\"assets/").unwrap();
    let main = format!("/console/assets/{}", rest.split('"').next().unwrap());

    let again = visitor.request(Method::GET, "/console/").header("if-none-match", tag).send().await.unwrap();
    assert_eq!((again.status().as_u16(), again.bytes().await.unwrap().len()), (304, 0));

    let plain = visitor.request(Method::GET, &main).send().await.unwrap();
    assert_eq!(plain.headers()["content-type"], "text/javascript; charset=utf-8");
    let plain = plain.bytes().await.unwrap();
    let packed = visitor.request(Method::GET, &main).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert_eq!(packed.headers()["cache-control"], "public, max-age=31536000, immutable");
    let packed = packed.bytes().await.unwrap();
    assert!(packed.starts_with(&[0x1f, 0x8b]) && packed.len() < plain.len());

    let head = visitor.request(Method::HEAD, &main).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], plain.len().to_string());
    assert!(head.bytes().await.unwrap().is_empty());

    // What the console shows it asks for with a token.
    visitor.get("/v1/products").await.expect_problem(401, "request.unauthorized");
}

#[tokio::test]
async fn nobody_writes_to_the_console_or_gets_out_of_it() {
    let service = Service::start();
    let visitor = service.stranger(None);
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let request = visitor.request(method.clone(), "/console/").body("x");
        let answer = visitor.send(method.as_str(), request).await;
        assert_eq!(answer.headers["allow"], "GET, HEAD", "{method}");
        answer.expect_problem(405, "request.method-not-allowed");
    }
    // As it stands in the request: a client of higher manners would shorten these before it asks.
    let server = service.host.http();
    for path in [
        "/console/../spin.toml",
        "/console/assets/../../../../etc/passwd",
        "/console/assets/%2e%2e/%2e%2e/spin.toml",
        "/console//etc/passwd",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n\r\n");
        let answer = exchange(server, &request).await;
        assert_eq!(answer.status(), 404, "{path}: {}", answer.head);
    }
}
