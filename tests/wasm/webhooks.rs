//! Events on their way to a real receiver, over sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

use crate::operator::{Operator, text};
use crate::service::{PATIENCE, Service};

/// Bytes of a request of ours; longer ones are a fault.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// A request, as it came.
struct Received {
    line: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// A receiver on a free port that refuses each event once.
struct Receiver {
    address: SocketAddr,
    received: UnboundedReceiver<Received>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut seen = BTreeMap::<String, u32>::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &mut seen, &told).await;
            }
        });
        Self { address, received }
    }

    async fn next(&mut self) -> Received {
        timeout(PATIENCE, self.received.recv()).await.expect("a request comes in time").expect("it runs")
    }
}

async fn serve(mut stream: TcpStream, seen: &mut BTreeMap<String, u32>, told: &UnboundedSender<Received>) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0 && bytes.len() < REQUEST_BYTES_MAX);
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().to_owned();
    let headers: HeaderMap = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap()))
        .collect();
    let len: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
    let mut body = bytes.split_off(end + 4);
    while body.len() < len {
        assert!(stream.read_buf(&mut body).await.unwrap() > 0);
    }
    let tries = seen.entry(headers["webhook-id"].to_str().unwrap().to_owned()).or_default();
    *tries += 1;
    let status = if *tries == 1 { "500 Internal Server Error" } else { "204 No Content" };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    told.send(Received { line, headers, body }).unwrap();
}

async fn webhook(operator: &Operator, url: &str) -> (String, String) {
    let made = operator.post("/v1/webhooks", &json!({ "url": url })).await.expect(201);
    (text(&made, "webhook_id"), text(&made, "secret"))
}

/// Waits until the only delivery of a webhook is as asked for.
async fn only(operator: &Operator, id: &str, so: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/v1/webhooks/{id}/deliveries");
    let seen = operator.until(&path, |seen| so(&seen["items"][0])).await;
    assert_eq!(seen["items"].as_array().map(Vec::len), Some(1), "{seen:#}");
    seen["items"][0].clone()
}

#[tokio::test]
async fn an_event_arrives_signed_after_a_refusal_and_one_that_is_never_answered_is_given_time() {
    deliver_again(&Service::start()).await;
}

/// Has an event delivered that was refused first, and one that is never answered.
pub(crate) async fn deliver_again(service: &Service) {
    let operator = service.operator();
    let mut receiver = Receiver::start().await;
    // Connections are taken and nothing is ever said.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (id, secret) = webhook(&operator, &format!("http://{}/hook?a=b", receiver.address)).await;
    let (silent_id, _) = webhook(&operator, &format!("http://{}/", silent.local_addr().unwrap())).await;
    for id in [&id, &silent_id] {
        operator.post(&format!("/v1/webhooks/{id}/test"), &json!({})).await.expect(202);
    }

    let library = Webhook::new(&secret).unwrap();
    let (first, second) = (receiver.next().await, receiver.next().await);
    for received in [&first, &second] {
        assert_eq!(received.line, "POST /hook?a=b HTTP/1.1");
        assert_eq!(received.headers["host"], receiver.address.to_string());
        assert_eq!(received.headers["content-type"], "application/cloudevents+json; charset=utf-8");
        assert!(!received.headers.contains_key("authorization"));
        library.verify(&received.body, &received.headers).expect("the library takes the signature");
        let altered = [&received.body[..], b" "].concat();
        assert!(library.verify(&altered, &received.headers).is_err());
    }
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
    assert_eq!(first.body, second.body);
    let event: Value = serde_json::from_slice(&first.body).unwrap();
    assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!("dev.overair.webhook.test")));

    let delivered = only(&operator, &id, |seen| seen["status"] == "delivered").await;
    assert_eq!((&delivered["attempts"], &delivered["last_status"]), (&json!(2), &json!(204)));
    let waits = only(&operator, &silent_id, |seen| seen["attempts"].as_u64() > Some(0)).await;
    assert_eq!(waits["last_error"], "no answer within 10 s");
    let log = service.host.log();
    assert!(!log.contains("a=b") && !log.contains(secret.trim_start_matches("whsec_")), "{log}");
}

#[tokio::test]
async fn an_entry_for_any_host_does_not_open_this_machine() {
    let service = Service::start_with(&[("webhook_hosts", "http://*:*")]);
    let operator = service.operator();
    let receiver = Receiver::start().await;
    let port = receiver.address.port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let (id, _) = webhook(&operator, &format!("http://{host}:{port}/")).await;
        operator.post(&format!("/v1/webhooks/{id}/test"), &json!({})).await.expect(202);
        let failed = only(&operator, &id, |seen| seen["attempts"].as_u64() > Some(0)).await;
        assert!(text(&failed, "last_error").contains("DestinationIpProhibited"), "{host}: {failed}");
    }
    // The service itself, which the host reaches without a socket, is this machine too.
    let (id, _) = webhook(&operator, &format!("{}/v1/events", service.base_url())).await;
    operator.post(&format!("/v1/webhooks/{id}/test"), &json!({})).await.expect(202);
    let failed = only(&operator, &id, |seen| seen["attempts"].as_u64() > Some(0)).await;
    assert!(text(&failed, "last_error").contains("DestinationIpProhibited"), "{failed}");
}

#[tokio::test]
async fn a_host_that_no_entry_allows_is_not_reached() {
    let service = Service::start_with(&[("webhook_hosts", "https://*:*")]);
    let operator = service.operator();
    let receiver = Receiver::start().await;
    let (id, _) = webhook(&operator, &format!("http://{}/", receiver.address)).await;
    operator.post(&format!("/v1/webhooks/{id}/test"), &json!({})).await.expect(202);
    let failed = only(&operator, &id, |seen| seen["attempts"].as_u64() > Some(0)).await;
    assert!(text(&failed, "last_error").contains("HttpRequestDenied"), "{failed}");
}
