//! What is asked for and shown of every noun that this workspace's service may not have yet, in the shapes agreed on.

use serde_json::{Value, json};

use crate::run::Place;
use crate::server::Server;

/// Runs a command against a server with one answer; returns what was asked, and what was printed.
fn ask(status: u16, answer: &Value, line: &[&str]) -> (String, Value, String) {
    let server =
        Server::that_says(status, &if answer.is_null() { String::new() } else { answer.to_string() });
    let out = Place::with(&server).prints(line);
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "{line:?}");
    let body =
        if seen[0].body.is_empty() { Value::Null } else { serde_json::from_str(&seen[0].text()).unwrap() };
    (seen[0].line.clone(), body, out)
}

fn token() -> Value {
    json!({ "token_id": "t1", "name": "ci", "role": "operator", "product_keys": ["a1"], "created_at": 0, "expires_at": 1000 })
}

#[test]
fn a_token_is_made_and_told_once() {
    let mut made = token();
    made["token"] = json!("ovr_x");
    let line = &["token", "create", "ci", "--role", "operator", "--product", "a1", "--expires-in-days", "90"];
    let (asked, body, out) = ask(201, &made, line);
    assert_eq!(asked, "POST /v1/tokens");
    let wanted = json!({ "name": "ci", "role": "operator", "product_keys": ["a1"], "expires_in_days": 90 });
    assert_eq!(body, wanted);
    let wanted = "\
token_id      t1
name          ci
role          operator
product_keys  a1
created_at    1970-01-01T00:00:00Z
expires_at    1970-01-01T00:00:01Z
token         ovr_x
";
    assert_eq!(out, wanted);
    let (_, body, out) = ask(201, &made, &["-q", "token", "create", "ci", "--role", "viewer"]);
    assert_eq!((body, out.as_str()), (json!({ "name": "ci", "role": "viewer" }), "ovr_x\n"));
}

#[test]
fn tokens_are_listed_and_revoked() {
    let (asked, _, out) = ask(200, &json!({ "items": [token()] }), &["token", "list"]);
    assert_eq!(asked, "GET /v1/tokens?limit=100");
    let wanted = "\
TOKEN  NAME  ROLE      PRODUCTS  CREATED               EXPIRES
t1     ci    operator  a1        1970-01-01T00:00:00Z  1970-01-01T00:00:01Z
";
    assert_eq!(out, wanted);
    let (asked, _, out) = ask(204, &Value::Null, &["token", "revoke", "t1"]);
    assert_eq!((asked.as_str(), out.as_str()), ("DELETE /v1/tokens/t1", "token t1 is revoked\n"));
    let (asked, _, out) =
        ask(200, &json!({ "name": "root", "role": "admin", "product_keys": [] }), &["token", "self"]);
    assert_eq!(asked, "GET /v1/tokens/self");
    assert_eq!(out, "name          root\nrole          admin\nproduct_keys  -\n");
}

#[test]
fn the_audit_is_listed_by_what_is_asked_for() {
    let item = json!({ "at": 0, "actor": "ci", "role": "operator", "action": "batch.create", "subject": "b1", "status": 201, "request_id": "r" });
    let line =
        &["audit", "list", "--product", "a1", "--actor", "ci", "--action", "batch.create", "--limit", "5"];
    let (asked, _, out) = ask(200, &json!({ "items": [item] }), line);
    assert_eq!(asked, "GET /v1/audit?product_key=a1&actor=ci&action=batch.create&limit=5");
    let wanted = "\
AT                    ACTOR  ROLE      ACTION        SUBJECT  PRODUCT  STATUS
1970-01-01T00:00:00Z  ci     operator  batch.create  b1       -           201
";
    assert_eq!(out, wanted);
}

fn webhook() -> Value {
    json!({ "webhook_id": "w1", "url": "https://x.example/h", "event_types": ["batch.status"], "description": "",
        "enabled": true, "created_at": 0 })
}

#[test]
fn a_webhook_is_made_shown_changed_and_deleted() {
    let mut made = webhook();
    made["secret"] = json!("whsec_x");
    let line = &[
        "webhook",
        "create",
        "https://x.example/h",
        "--type",
        "batch.status,task.finished",
        "--product",
        "a1",
    ];
    let (asked, body, out) = ask(201, &made, line);
    assert_eq!(asked, "POST /v1/webhooks");
    let wanted = json!({ "url": "https://x.example/h", "event_types": ["batch.status", "task.finished"], "product_key": "a1" });
    assert_eq!(body, wanted);
    assert!(out.contains("secret       whsec_x\n"), "{out}");

    let (asked, _, out) = ask(200, &json!({ "items": [webhook()] }), &["webhook", "list"]);
    assert_eq!(asked, "GET /v1/webhooks?limit=100");
    assert!(out.contains("w1       https://x.example/h  batch.status  -        true"), "{out}");
    assert_eq!(ask(200, &webhook(), &["-q", "webhook", "show", "w1"]).2, "w1\n");

    let line =
        &["webhook", "edit", "w1", "--disable", "--description", "not now", "--url", "https://y.example"];
    let (asked, body, _) = ask(200, &webhook(), line);
    assert_eq!(asked, "PATCH /v1/webhooks/w1");
    assert_eq!(body, json!({ "enabled": false, "description": "not now", "url": "https://y.example" }));
    assert_eq!(ask(204, &Value::Null, &["webhook", "delete", "w1"]).0, "DELETE /v1/webhooks/w1");
}

#[test]
fn a_webhooks_deliveries_are_listed_tried_and_sent_again() {
    assert_eq!(ask(202, &json!({}), &["webhook", "test", "w1"]).0, "POST /v1/webhooks/w1/test");
    let delivery = json!({ "delivery_id": "d1", "event_id": "e", "event_type": "batch.status", "status": "dead", "attempts": 8,
        "last_status": 500, "last_error": "refused", "created_at": 0 });
    let line = &["webhook", "deliveries", "w1", "--status", "dead"];
    let (asked, _, out) = ask(200, &json!({ "items": [delivery] }), line);
    assert_eq!(asked, "GET /v1/webhooks/w1/deliveries?status=dead&limit=100");
    let wanted = "\
DELIVERY  EVENT         STATUS  TRIES  LAST STATUS  LAST ERROR  NEXT TRY  CREATED
d1        batch.status  dead        8          500  refused     -         1970-01-01T00:00:00Z
";
    assert_eq!(out, wanted);
    let (asked, _, _) = ask(202, &Value::Null, &["webhook", "replay", "w1", "d1"]);
    assert_eq!(asked, "POST /v1/webhooks/w1/deliveries/d1/replay");
    let (asked, _, out) =
        ask(200, &json!({ "secret": "whsec_y" }), &["-q", "webhook", "rotate-secret", "w1"]);
    assert_eq!((asked.as_str(), out.as_str()), ("POST /v1/webhooks/w1/secret", "whsec_y\n"));
}

#[test]
fn a_dry_run_tells_who_would_be_upgraded_and_who_not() {
    let answer = json!({ "devices": 7, "walked": true, "minutes_at_rate": 1,
        "refused": [{ "code": "offline", "count": 2, "devices": ["lamp-1", "lamp-2"] }] });
    let (asked, body, out) = ask(200, &answer, &["batch", "create", "--package", "p", "--all", "--dry-run"]);
    assert_eq!(asked, "POST /v1/batches?dry_run=true");
    assert_eq!(body, json!({ "package_id": "p", "target": { "selection": "all" } }));
    let wanted = "\
devices          7
minutes_at_rate  1
walked           true

refused
REFUSED  COUNT  SUCH AS
offline      2  lamp-1, lamp-2
";
    assert_eq!(out, wanted);
}

#[test]
fn a_batch_shows_how_it_went() {
    let point = json!({ "at": 0, "queued": 1, "notified": 2, "in_progress": 3, "succeeded": 4, "failed": 5, "canceled": 6 });
    let (asked, _, out) = ask(200, &json!({ "items": [point] }), &["batch", "history", "b1"]);
    assert_eq!(asked, "GET /v1/batches/b1/history");
    assert!(
        out.ends_with("1970-01-01T00:00:00Z       1         2            3          4       5         6\n"),
        "{out}"
    );
}
