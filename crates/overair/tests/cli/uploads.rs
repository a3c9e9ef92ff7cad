//! Uploads: resumable where the server speaks tus, plain where it does not.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::run::{Place, Ran};
use crate::server::{Reply, Seen, Server, Site, json as reply};

/// A server that speaks tus and makes packages.
#[derive(Clone, Default)]
struct Tus(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    length: usize,
    stored: Vec<u8>,
    created: usize,
    /// The next `PATCH` is cut after so many bytes, and then for ever, as if the client had been killed.
    cut_after: Option<usize>,
    /// Packages are refused.
    refuses: bool,
    /// It spoils what it stores.
    spoils: bool,
    /// It has forgotten the upload.
    gone: bool,
}

impl Site for Tus {
    fn breaks_after(&self, line: &str) -> usize {
        let state = self.0.lock().unwrap();
        if line.starts_with("PATCH") { state.cut_after.unwrap_or(usize::MAX) } else { usize::MAX }
    }

    fn answer(&self, seen: &Seen, broke: bool) -> Reply {
        let mut state = self.0.lock().unwrap();
        let with = |status: u16, mut headers: Vec<(&'static str, String)>, body: String| {
            headers.push(("tus-resumable", "1.0.0".to_owned()));
            Reply::Whole(status, headers, body)
        };
        match seen.line.as_str() {
            "POST /v1/uploads" => {
                assert_eq!(seen.header("tus-resumable"), Some("1.0.0"));
                assert_eq!(seen.header("upload-metadata"), Some("filename ZncuYmlu"));
                state.length = seen.header("upload-length").unwrap().parse().unwrap();
                state.stored.clear();
                state.created += 1;
                state.gone = false;
                // A proxy's client sees another host than the service knows of.
                with(201, vec![("location", "http://inside.example/v1/uploads/u1".to_owned())], String::new())
            }
            "HEAD /v1/uploads/u1" if state.gone => with(404, vec![], String::new()),
            "HEAD /v1/uploads/u1" => {
                with(200, vec![("upload-offset", state.stored.len().to_string())], String::new())
            }
            "PATCH /v1/uploads/u1" => {
                assert_eq!(seen.header("upload-offset"), Some(state.stored.len().to_string().as_str()));
                assert_eq!(seen.header("content-type"), Some("application/offset+octet-stream"));
                state.stored.extend_from_slice(&seen.body);
                if broke {
                    state.cut_after = Some(0);
                    return Reply::Cut;
                }
                with(204, vec![("upload-offset", state.stored.len().to_string())], String::new())
            }
            "GET /v1/uploads/u1" => {
                let mut stored = state.stored.clone();
                if state.spoils {
                    stored[0] ^= 1;
                }
                let sha256: String =
                    Sha256::digest(&stored).iter().map(|byte| format!("{byte:02x}")).collect();
                let complete = stored.len() == state.length;
                reply(200, json!({ "upload_id": "u1", "complete": complete, "sha256": sha256 }).to_string())
            }
            "POST /v1/packages" if state.refuses => {
                reply(409, json!({ "code": "package.name-taken", "detail": "taken" }).to_string())
            }
            "POST /v1/packages" => reply(201, json!({ "package_id": "p1" }).to_string()),
            other => panic!("{other}"),
        }
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 7 + index / 251) as u8).collect()
}

fn upload(place: &Place, file: &str) -> Ran {
    place.run(&["-q", "package", "upload", file, "--product", "a1", "--name", "n", "--version", "1.1.0"])
}

fn package_body(server: &Server) -> Value {
    serde_json::from_str(&server.seen().last().unwrap().text()).unwrap()
}

#[test]
fn a_file_is_uploaded_in_steps_and_made_a_package() {
    let tus = Tus::default();
    let server = Server::start(tus.clone());
    let place = Place::with(&server);
    // A bit more than two steps.
    let content = bytes(2 * 16 * 1024 * 1024 + 5);
    let ran = upload(&place, &place.file("fw.bin", &content));
    assert_eq!((ran.code, ran.out.as_str()), (0, "p1\n"), "{ran:?}");
    assert!(tus.0.lock().unwrap().stored == content);
    let patches = server.lines().iter().filter(|line| line.starts_with("PATCH")).count();
    assert_eq!(patches, 3);
    let wanted = json!({ "product_key": "a1", "name": "n", "target_version": "1.1.0", "upload_id": "u1" });
    assert_eq!(package_body(&server), wanted);
    assert!(server.seen().iter().all(|seen| seen.header("authorization") == Some("Bearer the-token")));
}

#[test]
fn the_same_command_goes_on_with_an_upload_that_broke_off() {
    let tus = Tus::default();
    tus.0.lock().unwrap().cut_after = Some(100_000);
    let server = Server::start(tus.clone());
    let place = Place::with(&server);
    let content = bytes(300_000);
    let file = place.file("fw.bin", &content);
    let ran = upload(&place, &file);
    assert_eq!(ran.code, 6, "{ran:?}");
    assert_eq!(tus.0.lock().unwrap().stored.len(), 100_000);

    tus.0.lock().unwrap().cut_after = None;
    let ran = upload(&place, &file);
    assert_eq!((ran.code, ran.out.as_str()), (0, "p1\n"), "{ran:?}");
    let state = tus.0.lock().unwrap();
    assert!(state.stored == content && state.created == 1);
}

#[test]
fn a_refused_package_costs_no_second_upload_and_another_content_is_another_upload() {
    let tus = Tus::default();
    tus.0.lock().unwrap().refuses = true;
    let server = Server::start(tus.clone());
    let place = Place::with(&server);
    let file = place.file("fw.bin", &bytes(1000));
    let ran = upload(&place, &file);
    assert_eq!((ran.code, ran.err.as_str()), (3, "error: package.name-taken: taken\n"));
    tus.0.lock().unwrap().refuses = false;
    assert_eq!(upload(&place, &file).code, 0);
    assert_eq!(tus.0.lock().unwrap().created, 1);
    // It is a package now, so it is uploaded anew.
    assert_eq!(upload(&place, &file).code, 0);
    assert_eq!(tus.0.lock().unwrap().created, 2);
    assert_eq!(upload(&place, &place.file("fw.bin", &bytes(1001))).code, 0);
    assert_eq!(tus.0.lock().unwrap().created, 3);
}

#[test]
fn an_upload_that_the_server_forgot_is_begun_anew() {
    let tus = Tus::default();
    tus.0.lock().unwrap().refuses = true;
    let server = Server::start(tus.clone());
    let place = Place::with(&server);
    let file = place.file("fw.bin", &bytes(1000));
    assert_eq!(upload(&place, &file).code, 3);
    {
        let mut state = tus.0.lock().unwrap();
        (state.refuses, state.gone) = (false, true);
    }
    assert_eq!(upload(&place, &file).code, 0);
    assert_eq!(tus.0.lock().unwrap().created, 2);
}

#[test]
fn what_arrived_altered_becomes_no_package() {
    let tus = Tus::default();
    tus.0.lock().unwrap().spoils = true;
    let server = Server::start(tus);
    let place = Place::with(&server);
    let ran = upload(&place, &place.file("fw.bin", &bytes(1000)));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("arrived altered"), "{ran:?}");
    assert!(!server.lines().contains(&"POST /v1/packages".to_owned()));
}

#[test]
fn a_server_without_tus_gets_the_file_by_one_request() {
    let content = bytes(200_000);
    let sha256: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    let server = Server::start(move |seen: &Seen| match seen.line.as_str() {
        "POST /v1/uploads" => reply(422, r#"{"code":"value.missing","detail":"file_name"}"#),
        "PUT /v1/uploads?file_name=fw.bin" => {
            reply(201, json!({ "upload_id": "u2", "sha256": sha256 }).to_string())
        }
        "POST /v1/packages" => reply(201, r#"{"package_id":"p1"}"#),
        other => panic!("{other}"),
    });
    let place = Place::with(&server);
    let ran = upload(&place, &place.file("fw.bin", &content));
    assert_eq!((ran.code, ran.out.as_str()), (0, "p1\n"), "{ran:?}");
    assert!(server.seen()[1].body == content);
    assert_eq!(package_body(&server)["upload_id"], json!("u2"));
}
