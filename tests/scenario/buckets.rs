//! Files in a bucket.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use ota_blob::PART_BYTES;
use ota_tests::{Call, World, invariant_nothing_is_left_to_do, json, minutes};

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
const PART: usize = PART_BYTES as usize;

/// As much of an S3 server as is asked for.
#[derive(Default)]
struct Server {
    objects: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, BTreeMap<u16, Vec<u8>>>,
    /// Requests of this method fail.
    down: Option<Method>,
}

impl Server {
    fn answer(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        let query: BTreeMap<&str, &str> =
            request.uri().query().unwrap_or("").split('&').filter_map(|pair| pair.split_once('=')).collect();
        assert!(query.contains_key("X-Amz-Signature"), "a request is signed: {}", request.uri());
        assert!(request.uri().path().starts_with("/firmware/overair/"), "{}", request.uri());
        let told = request.headers()["content-length"].to_str().unwrap();
        let key = request.uri().path().to_owned();
        if self.down.as_ref() == Some(request.method()) || told != request.body().len().to_string() {
            return status(StatusCode::SERVICE_UNAVAILABLE);
        }
        match (request.method().as_str(), query.get("uploadId")) {
            ("POST", None) => {
                let upload = format!("upload-{}", self.uploads.len());
                self.uploads.insert(upload.clone(), BTreeMap::new());
                xml("InitiateMultipartUploadResult", &format!("<UploadId>{upload}</UploadId>"))
            }
            ("PUT", Some(upload)) => {
                let Some(parts) = self.uploads.get_mut(*upload) else { return status(StatusCode::NOT_FOUND) };
                let number: u16 = query["partNumber"].parse().unwrap();
                parts.insert(number, request.body().to_vec());
                Response::builder().header("etag", format!("\"part-{number}\"")).body(Bytes::new()).unwrap()
            }
            ("POST", Some(upload)) => {
                let Some(parts) = self.uploads.remove(*upload) else { return status(StatusCode::NOT_FOUND) };
                let asked = std::str::from_utf8(request.body()).unwrap();
                let last = *parts.keys().last().unwrap();
                let mut whole = Vec::new();
                for (number, bytes) in parts {
                    assert!(bytes.len() == PART || number == last, "part {number} has {} bytes", bytes.len());
                    assert!(asked.contains(&format!("part-{number}")), "{asked}");
                    whole.extend(bytes);
                }
                self.objects.insert(key, whole);
                xml("CompleteMultipartUploadResult", "<ETag>\"whole\"</ETag>")
            }
            ("PUT", None) => {
                self.objects.insert(key, request.body().to_vec());
                status(StatusCode::OK)
            }
            ("GET" | "HEAD", None) => {
                let Some(object) = self.objects.get(&key) else { return status(StatusCode::NOT_FOUND) };
                let Some(range) = request.headers().get("range") else { return status(StatusCode::OK) };
                let (first, last) =
                    range.to_str().unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                let bytes = object[first.parse().unwrap()..=last.parse().unwrap()].to_vec();
                Response::builder().status(206).body(bytes.into()).unwrap()
            }
            ("DELETE", upload) => {
                let there = match upload {
                    Some(upload) => self.uploads.remove(*upload).is_some(),
                    None => self.objects.remove(&key).is_some(),
                };
                status(if there { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND })
            }
            other => panic!("{other:?}"),
        }
    }
}

fn status(status: StatusCode) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::new()).unwrap()
}

fn xml(root: &str, inner: &str) -> Response<Bytes> {
    Response::new(format!("<{root} xmlns=\"{NAMESPACE}\">{inner}</{root}>").into())
}

fn world() -> (World, Rc<RefCell<Server>>) {
    let world = World::new().product("lamp");
    for (name, value) in [
        ("blob_store", "s3"),
        ("s3_endpoint", "http://s3.test"),
        ("s3_bucket", "firmware"),
        ("s3_region", "us-east-1"),
        ("s3_access_key_id", "key"),
        ("s3_secret_access_key", "secret"),
    ] {
        world.engine().set_variable(name, value);
    }
    let server = Rc::new(RefCell::new(Server::default()));
    let answering = server.clone();
    world.engine().set_server(move |request| Ok(answering.borrow_mut().answer(&request)));
    (world, server)
}

fn image(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n / 251 + n % 249) as u8).collect()
}

fn begin(world: &World, size: usize) -> String {
    let creation = Call::new("POST", "/v1/uploads")
        .header("tus-resumable", "1.0.0")
        .header("upload-length", size.to_string())
        .header("upload-metadata", "filename aW1hZ2UuYmlu");
    world.send(&creation).expect(201).header("location").to_owned()
}

fn patch(uri: &str, offset: usize, bytes: &[u8]) -> Call {
    Call::new("PATCH", uri)
        .header("tus-resumable", "1.0.0")
        .header("content-type", "application/offset+octet-stream")
        .header("upload-offset", offset.to_string())
        .header("content-length", bytes.len().to_string())
        .bytes(bytes)
}

fn offset(world: &World, uri: &str) -> usize {
    let told = world.send(&Call::new("HEAD", uri).header("tus-resumable", "1.0.0")).expect(200);
    told.header("upload-offset").parse().unwrap()
}

/// Chunks in the store.
fn chunks(world: &World) -> usize {
    world
        .kv()
        .dump()
        .iter()
        .filter(|(key, _)| key.starts_with("blob/") && key.matches('/').count() > 1)
        .count()
}

fn package(world: &World, upload: &str) -> String {
    let made = world.try_package("9.9.9", &json!({"upload_id": upload})).expect(201);
    made.text_of("package_id")
}

#[test]
fn a_file_goes_to_a_bucket_part_by_part_and_comes_back() {
    let (world, server) = world();
    let bytes = image(2 * PART + 700_000);
    let uri = begin(&world, bytes.len());
    let mut at = 0;
    for len in [300_000, 300_000, PART, 1, PART - 1_000, usize::MAX] {
        let end = at + len.min(bytes.len() - at);
        let _appended = world.send(&patch(&uri, at, &bytes[at..end])).expect(204);
        assert_eq!(offset(&world, &uri), end);
        at = end;
    }
    assert_eq!(chunks(&world), 0, "nothing is left of what waited for its part");
    let id = package(&world, uri.rsplit('/').next().unwrap());
    let url = world.find_package(&id).url();
    let get = || Call::get(&url).token(None);
    assert!(world.send(&get()).expect(200).body == bytes);
    let part = world.send(&get().header("range", "bytes=5242870-5242889")).expect(206);
    assert!(part.body == bytes[5_242_870..5_242_890]);
    // The files that are there already are read where they are, whatever new ones do.
    world.engine().set_variable("blob_store", "key-value");
    assert!(world.send(&get()).expect(200).body == bytes);
    let _deleted = world.find_package(&id).delete().expect(204);
    world.run(minutes(62));
    assert!(server.borrow().objects.is_empty());
    assert_eq!(chunks(&world), 0);
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn a_part_that_the_bucket_does_not_take_is_sent_again() {
    let (world, server) = world();
    let bytes = image(PART + 500_000);
    let uri = begin(&world, bytes.len());
    let _some = world.send(&patch(&uri, 0, &bytes[..400_000])).expect(204);
    server.borrow_mut().down = Some(Method::PUT);
    assert_eq!(world.send_once(&patch(&uri, 400_000, &bytes[400_000..])).problem(), "503 bucket.unavailable");
    server.borrow_mut().down = None;
    assert_eq!(offset(&world, &uri), 400_000);
    let cut = patch(&uri, 400_000, &bytes[400_000..]).header("content-length", "5342880").cut();
    let _cut = world.send_once(&cut);
    let there = offset(&world, &uri);
    if there < bytes.len() {
        let _appended = world.send(&patch(&uri, there, &bytes[there..])).expect(204);
    }
    let url = world.find_package(&package(&world, uri.rsplit('/').next().unwrap())).url();
    assert!(world.send(&Call::get(url).token(None)).expect(200).body == bytes);
}

#[test]
fn a_file_in_one_request_goes_to_the_bucket_whole_or_not_at_all() {
    let (world, server) = world();
    let bytes = image(700_000);
    let put = || Call::new("PUT", "/v1/uploads?file_name=a.bin").bytes(bytes.clone());
    assert_eq!(world.send(&put()).problem(), "411 upload.length-required");
    let cut = put().header("content-length", "700001");
    assert_eq!(world.send(&cut).problem(), "400 request.body-cut");
    assert!(server.borrow().objects.is_empty());
    let made = world.send(&put().header("content-length", "700000")).expect(201);
    let url = world.find_package(&package(&world, &made.text_of("upload_id"))).url();
    assert!(world.send(&Call::get(url).token(None)).expect(200).body == bytes);
    server.borrow_mut().down = Some(Method::PUT);
    let failed = world.send_once(&put().header("content-length", "700000"));
    assert_eq!(failed.problem(), "503 bucket.unavailable");
    let log = world.engine().log_lines().join("\n");
    assert!(!log.contains("X-Amz-Signature"), "{log}");
}

#[test]
fn an_upload_that_is_given_up_is_taken_out_of_the_bucket() {
    let (world, server) = world();
    let uri = begin(&world, PART + 1);
    let _part = world.send(&patch(&uri, 0, &image(PART))).expect(204);
    let _ended = world.send(&Call::delete(&uri).header("tus-resumable", "1.0.0")).expect(204);
    world.run(minutes(1));
    assert!(server.borrow().uploads.is_empty() && server.borrow().objects.is_empty());
    assert_eq!(chunks(&world), 0);
    invariant_nothing_is_left_to_do(&world);
}
