//! Large files: they stream through, and come out as they went in.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{Body, Method};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::operator::{firmware, text};
use crate::raw::{exchange, exchange_slowly};
use crate::service::Service;

/// More than the memory that the host gives to one instance (64 MiB): a function that kept the file would be ended.
const SIZE: usize = 72 * 1024 * 1024;
/// Pieces that the client sends; not a divisor of the chunks that are stored.
const PIECE: usize = 100_003;
/// What the host may grow by while files pass: some instances, the store's caches and buffers of sockets.
const GROWTH_MAX: u64 = 48 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_larger_than_an_instance_passes_through_it() {
    let service = Service::start();
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    // A small file first: what the first request costs is not what is looked at.
    operator.trusted_package(&product_key, "small", "0.1", firmware(1_000, 2)).await;
    let before = service.host.peak_memory();

    let bytes = Bytes::from(firmware(SIZE, 5));
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let pieces: Vec<Bytes> =
        (0..SIZE).step_by(PIECE).map(|at| bytes.slice(at..SIZE.min(at + PIECE))).collect();
    // Without a length, as a client sends what it does not have yet itself.
    let body = Body::wrap_stream(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)));
    let request = operator.request(Method::POST, "/v1/uploads?file_name=large.bin").body(body);
    let upload = operator.send("POST /v1/uploads", request).await.expect(201);
    assert_eq!((&upload["size"], &upload["sha256"]), (&json!(SIZE), &json!(sha256)));
    let body = json!({
        "product_key": product_key, "name": "large", "target_version": "9.0", "upload_id": upload["upload_id"],
        "digest": sha256, "size": SIZE,
    });
    let package_id = text(&operator.post("/v1/packages", &body).await.expect(201), "package_id");

    let path = operator.download_path(&package_id).await;
    let download = async || {
        let answer = operator.http.get(service.base_url() + &path).send().await.unwrap();
        let headers = answer.headers().clone();
        assert_eq!(answer.status(), 200);
        assert_eq!(headers["content-length"], SIZE.to_string().as_str());
        assert_eq!((headers.get("transfer-encoding"), headers.get("content-encoding")), (None, None));
        assert_eq!(headers["etag"], format!("\"{sha256}\"").as_str());
        let mut body = answer.bytes_stream();
        let mut digest = Sha256::new();
        while let Some(piece) = body.next().await {
            digest.update(piece.unwrap());
        }
        assert_eq!(hex::encode(digest.finalize()), sha256);
    };
    tokio::join!(download(), download());

    let grown = service.host.peak_memory() - before;
    assert!(grown < GROWTH_MAX, "the host grew by {} KiB", grown / 1024);
}

/// Readers at once. Sixteen of them share an instance.
const READERS: usize = 50;
/// More than the system keeps of an answer on its way, so that all are served until they have read most of it.
const READ: usize = 8 * 1024 * 1024;
/// What a slow reader takes before the others get their turn.
const READ_PIECE: usize = 256 * 1024;
/// What an instance may take.
const INSTANCE_MAX: u64 = 32 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_are_not_waited_for_in_memory() {
    let mut service = Service::start();
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let bytes = firmware(READ, 6);
    let package_id = operator.trusted_package(&product_key, "lamp", "1.0", bytes.clone()).await;
    let path = operator.download_path(&package_id).await;
    let server = service.host.http();
    let before = service.host.peak_memory();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n\r\n");
        let answer = exchange_slowly(server, &request).await;
        assert_eq!(answer.status(), 200);
        readers.push(answer);
    }
    for piece in bytes.chunks(READ_PIECE) {
        for reader in &mut readers {
            assert!(reader.read(piece.len()).await == piece);
        }
    }
    let grown = service.host.peak_memory() - before;
    assert!(grown < (READERS * READ / 3) as u64, "the host grew by {} KiB", grown / 1024);
    service.host.stop();
    let held = service.host.component_memory("package-download");
    assert!(held < INSTANCE_MAX, "an instance held {} KiB", held / 1024);
}

#[tokio::test]
async fn any_part_of_a_file_can_be_had() {
    let service = Service::start();
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    // Chunks are smaller than this, so parts begin and end in them and between them.
    let size = 700_001;
    let bytes = firmware(size, 8);
    let package_id = operator.trusted_package(&product_key, "lamp", "1.0", bytes.clone()).await;
    let path = operator.download_path(&package_id).await;
    let server = service.host.http();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, size),
        ("bytes=131071-131073", 131_071, 131_074),
        ("bytes=262143-524289", 262_143, 524_290),
        ("bytes=-5", size - 5, size),
        ("bytes=700000-999999999", size - 1, size),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nRange: {range}\r\n\r\n");
        let mut answer = exchange(server, &request).await;
        assert_eq!(answer.status(), 206, "{range}");
        let content_range = format!("bytes {from}-{}/{size}", to - 1);
        assert_eq!(answer.header("Content-Range"), Some(content_range.as_str()), "{range}");
        assert_eq!(answer.body().await, bytes[from..to], "{range}");
    }
    let ranges = "bytes=0-9,262143-524289,-5";
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nRange: {ranges}\r\n\r\n");
    let mut answer = exchange(server, &request).await;
    assert_eq!((answer.status(), answer.header("Content-Range")), (206, None));
    let boundary = answer.header("Content-Type").unwrap().strip_prefix("multipart/byteranges; boundary=");
    let boundary = boundary.unwrap().to_owned();
    let mut expected: Vec<u8> = Vec::new();
    for (from, to) in [(0, 10), (262_143, 524_290), (size - 5, size)] {
        let line_break = if expected.is_empty() { "" } else { "\r\n" };
        let lines = format!(
            "{line_break}--{boundary}\r\nContent-Type: application/octet-stream\r\n\
             Content-Range: bytes {from}-{}/{size}\r\n\r\n",
            to - 1
        );
        expected.extend(lines.as_bytes());
        expected.extend(&bytes[from..to]);
    }
    expected.extend(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert_eq!(answer.body().await, expected);
    let head = exchange(server, &format!("HEAD {path} HTTP/1.1\r\nHost: {server}\r\n\r\n")).await;
    assert_eq!((head.status(), head.header("Content-Length")), (200, Some(size.to_string().as_str())));
}

#[tokio::test]
async fn an_upload_that_is_cut_leaves_nothing_and_one_that_hangs_holds_nobody_up() {
    let service = Service::start();
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let server = service.host.http();
    let head = format!(
        "POST /v1/uploads?file_name=x.bin HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 1000000\r\n\r\n",
        service.api_token
    );
    use tokio::io::AsyncWriteExt;
    let mut hanging = Vec::new();
    for _ in 0..20 {
        let mut stream = tokio::net::TcpStream::connect(server).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&firmware(300_000, 3)).await.unwrap();
        hanging.push(stream);
    }
    let small = tokio::time::timeout(
        Duration::from_secs(20),
        operator.trusted_package(&product_key, "lamp", "1.0", firmware(5_000, 4)),
    );
    let package_id = small.await.expect("others are served meanwhile");
    drop(hanging);
    let path = operator.download_path(&package_id).await;
    let answer = operator.http.get(service.base_url() + &path).send().await.unwrap();
    assert_eq!(answer.bytes().await.unwrap(), firmware(5_000, 4));
}
