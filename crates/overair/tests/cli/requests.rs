//! What is sent, how often, and what is said of the answers.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::run::Place;
use crate::server::{Reply, Seen, Server, json};

const PRODUCT: &str = r#"{"product_key":"a1x","name":"lamp","modules":[],"created_at":0,"settings":{}}"#;
const BUSY: &str = r#"{"type":"t","title":"The service is busy","status":503,"detail":"try again","code":"store.contention"}"#;

/// A server that is busy for the first requests.
fn busy_for(times: usize, status: u16, body: &'static str) -> Server {
    let asked = AtomicUsize::new(0);
    Server::start(move |_: &Seen| {
        if asked.fetch_add(1, Ordering::SeqCst) < times {
            Reply::Whole(503, vec![("retry-after", "0".to_owned())], BUSY.to_owned())
        } else {
            json(status, body)
        }
    })
}

#[test]
fn what_may_be_sent_twice_is_sent_again_when_the_service_is_busy() {
    let server = busy_for(2, 200, PRODUCT);
    let place = Place::with(&server);
    assert!(place.prints(&["product", "show", "a1x"]).contains("lamp"));
    assert_eq!(server.lines(), vec!["GET /v1/products/a1x"; 3]);
    assert_eq!(server.seen()[0].header("authorization"), Some("Bearer the-token"));
}

#[test]
fn what_is_made_is_made_once_however_often_it_is_sent() {
    let server = busy_for(2, 201, PRODUCT);
    assert_eq!(Place::with(&server).prints(&["-q", "product", "create", "lamp"]), "a1x\n");
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    let key = seen[0].header("idempotency-key").unwrap();
    assert_eq!(key.len(), 32);
    assert!(seen.iter().all(|seen| seen.header("idempotency-key") == Some(key)));
    assert!(seen.iter().all(|seen| seen.text() == r#"{"name":"lamp"}"#));
}

#[test]
fn what_may_not_be_sent_twice_is_sent_once() {
    let server = busy_for(1, 201, "{}");
    let ran = Place::with(&server).run(&["module", "add", "a1x", "mcu"]);
    assert_eq!(ran.code, 6, "{ran:?}");
    assert_eq!(ran.err, "error: store.contention: try again\n");
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_service_that_stays_busy_or_away_is_given_up() {
    let server = busy_for(usize::MAX, 200, "{}");
    let ran = Place::with(&server).run(&["product", "list"]);
    assert_eq!((ran.code, server.seen().len()), (6, 5), "{ran:?}");

    let nobody = Place::new().run(&["--server", "http://127.0.0.1:9", "module", "add", "a1x", "mcu"]);
    assert_eq!(nobody.code, 6, "{nobody:?}");
    assert!(nobody.err.starts_with("error: the service cannot be reached: "), "{nobody:?}");
}

#[test]
fn a_connection_that_breaks_is_made_again_for_what_may_be_sent_twice() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |_: &Seen| {
        if asked.fetch_add(1, Ordering::SeqCst) == 0 { Reply::Cut } else { json(200, PRODUCT) }
    });
    assert!(Place::with(&server).prints(&["product", "show", "a1x"]).contains("lamp"));
}

#[test]
fn a_refusal_is_told_with_its_faults_and_its_exit_code() {
    let problem = r#"{"type":"t","title":"The request breaks a rule","status":422,"detail":"2 fields of the request are wrong","instance":"urn:uuid:x","code":"request.invalid","errors":[{"pointer":"/name","code":"value.length","detail":"too short"},{"pointer":"/x","code":"value.not-allowed","detail":"unknown\u001b[2J"}]}"#;
    let server = Server::that_says(422, problem);
    let place = Place::with(&server);
    let ran = place.run(&["product", "create", "x"]);
    assert_eq!((ran.code, ran.out.as_str()), (3, ""));
    let wanted = "error: request.invalid: 2 fields of the request are wrong\n  /name: value.length: too short\n  \
                  /x: value.not-allowed: unknown\u{fffd}[2J\n";
    assert_eq!(ran.err, wanted);
    let ran = place.run(&["-o", "json", "product", "create", "x"]);
    assert_eq!((ran.code, ran.out.as_str()), (3, ""));
    assert_eq!(ran.err, format!("{problem}\n"));
}

#[test]
fn statuses_become_exit_codes() {
    for (status, code) in [(400, 3), (401, 5), (403, 5), (404, 4), (409, 3), (413, 3), (500, 6)] {
        let server = Server::that_says(status, "<html>");
        let ran = Place::with(&server).run(&["device", "delete", "a1x", "lamp-1"]);
        assert_eq!(ran.code, code, "{status}: {ran:?}");
        assert_eq!(ran.err, format!("error: the answer was {status} <html>\n"));
    }
}

#[test]
fn an_answer_that_is_not_as_documented_ends_with_1() {
    for body in ["", "[]", "nonsense", r#"{"items":5}"#] {
        let server = Server::that_says(200, body);
        assert_eq!(Place::with(&server).run(&["product", "list"]).code, 1, "{body}");
    }
}

/// A list of seven items, with an empty page in the middle.
fn pages(seen: &Seen) -> Reply {
    let item = |n: usize| format!(r#"{{"product_key":"a{n}","name":"x","b":1,"a":2}}"#);
    let page = |from: usize, to: usize| (from..to).map(item).collect::<Vec<_>>().join(",");
    let (items, next) = match seen.line.split("cursor=").nth(1) {
        None => (page(0, 3), r#","next_cursor":"c 1""#),
        Some("c+1") => (String::new(), r#","next_cursor":"c2""#),
        Some("c2") => (page(3, 7), ""),
        Some(other) => panic!("{other}"),
    };
    json(200, format!(r#"{{"items":[{items}]{next}}}"#))
}

#[test]
fn a_list_is_read_to_its_end_or_to_the_limit() {
    let server = Server::start(pages);
    let place = Place::with(&server);
    assert_eq!(place.prints(&["-q", "product", "list", "--limit", "all"]), "a0\na1\na2\na3\na4\na5\na6\n");
    let wanted = [
        "GET /v1/products?limit=100",
        "GET /v1/products?limit=100&cursor=c+1",
        "GET /v1/products?limit=100&cursor=c2",
    ];
    assert_eq!(server.lines(), wanted);

    let server = Server::start(pages);
    let ran = Place::with(&server).run(&["product", "list", "--limit", "3"]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 4), "{ran:?}");
    assert!(ran.err.contains("--limit all"), "{ran:?}");
    assert_eq!(server.lines(), ["GET /v1/products?limit=3"]);
}

#[test]
fn a_list_as_json_is_one_array_of_the_items_as_they_came() {
    let server = Server::start(pages);
    let out = Place::with(&server).prints(&["-o", "json", "product", "list"]);
    let items: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(items.len(), 7);
    assert!(out.starts_with(r#"[{"product_key":"a0","name":"x","b":1,"a":2},"#), "{out}");
}

#[test]
fn a_cursor_that_does_not_move_is_no_endless_list() {
    let server = Server::that_says(200, r#"{"items":[],"next_cursor":"c"}"#);
    let ran = Place::with(&server).run(&["product", "list"]);
    assert_eq!((ran.code, server.seen().len()), (1, 2), "{ran:?}");
}

#[test]
fn a_login_is_kept_for_its_server_and_its_owner() {
    let server = Server::that_says(200, r#"{"items":[]}"#);
    let place = Place::new();
    let token = place.file("token.txt", b"ovr_5012\n");
    let ran = place.run(&["login", "--server", &server.url(), "--token-file", &token]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let file = place.folder().join(".config/overair/login.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    place.prints(&["product", "list"]);
    assert_eq!(server.seen().last().unwrap().header("authorization"), Some("Bearer ovr_5012"));

    // Another server is not told the token.
    let other = Server::that_says(200, r#"{"items":[]}"#);
    place.prints(&["product", "list", "--server", &other.url()]);
    assert_eq!(other.seen()[0].header("authorization"), None);

    assert_eq!(place.prints(&["logout"]), "logged out\n");
    assert!(!file.exists());
    assert!(!format!("{ran:?}").contains("5012"));
}

#[test]
fn a_token_that_is_refused_is_not_kept() {
    let server = Server::that_says(401, r#"{"code":"request.unauthorized","detail":"no"}"#);
    let place = Place::new();
    let token = place.file("token.txt", b"wrong");
    let ran = place.run(&["login", "--server", &server.url(), "--token-file", &token]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(!place.folder().join(".config/overair/login.json").exists());
    assert_eq!(
        place.run(&["login", "--server", &server.url()]).code,
        2,
        "an empty standard input holds no token"
    );
}

#[test]
fn names_stay_in_their_place_of_the_path() {
    let server = Server::that_says(204, "");
    Place::with(&server).prints(&["device", "delete", "a1x", "a/b?c#d"]);
    assert_eq!(server.lines(), ["DELETE /v1/products/a1x/devices/a%2Fb%3Fc%23d"]);
}

#[test]
fn following_events_ends_with_its_reader() {
    let server = Server::start(|seen: &Seen| {
        let event =
            r#"{"event_id":"e1","type":"task-ended","product_key":"a1","at":0,"topic":"t","payload":{}}"#;
        let items = if seen.line.contains("cursor=1") { "" } else { event };
        json(200, format!(r#"{{"items":[{items}],"next_cursor":"1"}}"#))
    });
    let place = Place::with(&server);
    let line = ["-o", "json", "event", "list", "--follow"];
    let mut child = place.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut told).unwrap();
    assert!(told.starts_with(r#"{"event_id":"e1","#), "{told}");
    drop(out);
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.is_empty()), (Some(0), true));
}
