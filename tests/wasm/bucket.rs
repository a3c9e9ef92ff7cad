//! Files in a bucket, with a real server for it.

use std::path::{Path, PathBuf};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use reqwest::Method;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::operator::{Operator, firmware, text};
use crate::service::Service;

const BUCKET: &str = "firmware";
const KEY: &str = "overair";
/// Three parts of 5 MiB and some bytes.
const SIZE: usize = 15 * 1024 * 1024 + 70_001;

/// A server of one bucket, in a folder.
struct Server {
    folder: TempDir,
    endpoint: String,
    secret: String,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let secret = "a-secret-of-forty-characters-for-the-test".to_owned();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY, secret.clone()));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
                // Whether a connection ends well is the other side's to tell.
                tokio::spawn(async { drop(connection.await) });
            }
        });
        Self { folder, endpoint, secret }
    }

    /// A service that keeps new files here.
    fn service(&self, secret: &str) -> Service {
        tokio::task::block_in_place(|| {
            Service::start_with(&[
                ("blob_store", "s3"),
                ("s3_endpoint", &self.endpoint),
                ("s3_bucket", BUCKET),
                ("s3_region", "us-east-1"),
                ("s3_access_key_id", KEY),
                ("s3_secret_access_key", secret),
            ])
        })
    }

    /// The files that hold bytes, in the bucket and of uploads that have not ended.
    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_none_or(|kind| kind != "json") {
                    found.push(path);
                }
            }
        }
        found
    }
}

async fn is_gone(server: &Server) {
    let until = std::time::Instant::now() + crate::service::PATIENCE;
    while !server.files().is_empty() {
        assert!(std::time::Instant::now() < until, "still there: {:?}", server.files());
        tokio::time::sleep(crate::service::LOOK_EVERY).await;
    }
}

async fn package(operator: &Operator, product_key: &str, upload: &Value) -> String {
    let body = json!({
        "product_key": product_key, "name": "lamp", "target_version": "2.0.0",
        "upload_id": upload["upload_id"], "needs_verification": false,
    });
    text(&operator.post("/v1/packages", &body).await.expect(201), "package_id")
}

async fn downloaded(
    operator: &Operator,
    service: &Service,
    package_id: &str,
    range: Option<&str>,
) -> Vec<u8> {
    let url = service.base_url() + &operator.download_path(package_id).await;
    let mut request = operator.http.get(url);
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), if range.is_some() { 206 } else { 200 });
    answer.bytes().await.unwrap().to_vec()
}

fn same(path: &Path, bytes: &[u8]) -> bool {
    std::fs::read(path).unwrap() == bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_to_a_bucket_and_come_from_it_and_wrong_ones_are_removed_there() {
    let server = Server::start().await;
    let service = server.service(&server.secret);
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let bytes = firmware(SIZE, 7);
    let uri = "/v1/uploads?file_name=large.bin";
    // A file that is not what was told leaves nothing in the bucket.
    let wrong = format!("{uri}&sha256={}", "0".repeat(64));
    operator.post_bytes(&wrong, bytes.clone()).await.expect_problem(422, "package.digest-mismatch");
    is_gone(&server).await;

    let upload = operator.post_bytes(uri, bytes.clone()).await.expect(201);
    assert_eq!(upload["sha256"], hex::encode(Sha256::digest(&bytes)));
    let files = server.files();
    assert!(files.len() == 1 && same(&files[0], &bytes), "{files:?}");
    let package_id = package(&operator, &product_key, &upload).await;
    assert!(downloaded(&operator, &service, &package_id, None).await == bytes);
    let range = downloaded(&operator, &service, &package_id, Some("bytes=5242870-5242889")).await;
    assert_eq!(range, bytes[5_242_870..5_242_890]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_to_a_bucket_goes_on_after_the_process_was_killed() {
    let server = Server::start().await;
    let mut service = server.service(&server.secret);
    let operator = service.operator();
    let product_key = operator.product("smart-lamp").await;
    let bytes = firmware(SIZE, 8);
    let tus = |request: reqwest::RequestBuilder| request.header("tus-resumable", "1.0.0");
    let begin = operator.request(Method::POST, "/v1/uploads").header("upload-length", SIZE);
    let begin = tus(begin).header("upload-metadata", "filename bGFyZ2UuYmlu");
    let begun = operator.send("creation", begin).await;
    let uri = begun.headers["location"].to_str().unwrap().to_owned();
    begun.expect(201);
    let append = async |operator: &Operator, from: usize, to: usize| {
        let request = tus(operator.request(Method::PATCH, &uri))
            .header("upload-offset", from)
            .header("content-type", "application/offset+octet-stream")
            .body(bytes[from..to].to_vec());
        operator.send("append", request).await.expect(204);
    };
    append(&operator, 0, SIZE / 2).await;
    tokio::task::block_in_place(|| {
        service.host.kill();
        service.host.start_again();
    });
    let operator = service.operator();
    let there = operator.send("offset", tus(operator.request(Method::HEAD, &uri))).await;
    let offset: usize = there.headers["upload-offset"].to_str().unwrap().parse().unwrap();
    assert_eq!(offset, SIZE / 2, "what was acknowledged is there");
    append(&operator, offset, SIZE).await;
    let upload = operator.get(&uri).await.expect(200);
    assert_eq!(upload["sha256"], hex::encode(Sha256::digest(&bytes)));
    let package_id = package(&operator, &product_key, &upload).await;
    assert!(downloaded(&operator, &service, &package_id, None).await == bytes);
    assert_eq!(server.files().len(), 1, "the parts have become one object");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_does_not_know_the_key_is_told_of_and_nothing_is_lost() {
    let server = Server::start().await;
    let service = server.service("another-secret");
    let operator = service.operator();
    let answer = operator.post_bytes("/v1/uploads?file_name=a.bin", firmware(1_000, 9)).await;
    answer.expect_problem(503, "bucket.unavailable");
    assert!(server.files().is_empty());
}
