//! A client of the host: connections that are kept open, each with one request under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::child::{API_TOKEN, INTERNAL_TOKEN};

/// How long an answer may take. A tick of a large fleet takes some seconds.
const ANSWER_MAX: Duration = Duration::from_secs(300);
/// Bytes of an answer. The longest are the secrets of a thousand devices.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How often a request is made again that the service had no time for.
const AGAIN_MAX: usize = 20;

/// A request with all its body.
pub type Call = Request<Full<Bytes>>;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Connection {
    /// Opens a connection.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(server: SocketAddr) -> anyhow::Result<Self> {
        let stream =
            TcpStream::connect(server).await.with_context(|| format!("cannot connect to {server}"))?;
        Self::over(stream, server.to_string()).await
    }

    /// Makes a connection to the server `host` of a stream.
    ///
    /// # Errors
    /// The stream has ended.
    pub async fn over(stream: TcpStream, host: String) -> anyhow::Result<Self> {
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // How it ended is told to whoever waits for an answer.
        tokio::spawn(async move { connection.await.ok() });
        Ok(Self { sender, host })
    }

    /// Sends a request and returns the answer's status and body.
    ///
    /// # Errors
    /// No answer comes, or a longer one than is worth reading.
    pub async fn exchange(&mut self, mut call: Call) -> anyhow::Result<(StatusCode, Bytes)> {
        call.headers_mut().insert(header::HOST, self.host.parse()?);
        let answered = async {
            self.sender.ready().await?;
            let (head, body) = self.sender.send_request(call).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("{error}"))?;
            anyhow::Ok((head.status, body.to_bytes()))
        };
        tokio::time::timeout(ANSWER_MAX, answered).await.context("no answer came")?
    }

    /// Calls the operator's API and returns what it tells, which must come with this status.
    ///
    /// # Errors
    /// Another status, and what came with it.
    pub async fn api(
        &mut self,
        method: Method,
        path: &str,
        body: &Value,
        expected: u16,
    ) -> anyhow::Result<Value> {
        let what = format!("{method} {path}");
        let (status, answer) = self.exchange(call(method, path, API_TOKEN, body)).await?;
        ensure!(status == expected, "{what}: {status} {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).context(what)
    }

    /// Lets the dispatcher look after all batches, and returns what it has done.
    ///
    /// # Errors
    /// The tick failed.
    pub async fn tick(&mut self) -> anyhow::Result<Value> {
        let path = "/internal/dispatch/tick";
        let (status, answer) = self.exchange(call(Method::POST, path, INTERNAL_TOKEN, &Value::Null)).await?;
        ensure!(status == 200, "a tick: {status} {}", String::from_utf8_lossy(&answer));
        Ok(serde_json::from_slice(&answer)?)
    }
}

/// Makes a request with a JSON body, or none if it is null.
///
/// # Panics
/// The path is none.
pub fn call(method: Method, path: &str, token: &str, body: &Value) -> Call {
    text_call(method, path, token, if body.is_null() { String::new() } else { body.to_string() })
}

/// Makes a request with such a body.
///
/// # Panics
/// The path is none.
pub fn text_call(method: Method, path: &str, token: &str, body: String) -> Call {
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    let request = request.header(header::CONTENT_TYPE, "application/json");
    request.body(Full::new(Bytes::from(body))).expect("the paths of benchmarks are paths")
}

/// Makes the message of a device, as the bridge forwards it.
pub fn device_message(topic: &str, payload: String) -> Call {
    text_call(Method::POST, &format!("/internal/device-messages?topic={topic}"), INTERNAL_TOKEN, payload)
}

/// Makes requests number 0 to `count` over several connections, each of which takes the next one as soon as it is free.
/// Returns how often the service had no time and was asked again.
///
/// # Errors
/// An answer with another status.
pub async fn all(
    server: SocketAddr,
    connections: usize,
    count: usize,
    expected: u16,
    make: impl Fn(usize) -> Call + Send + Sync + 'static,
) -> anyhow::Result<usize> {
    let (make, next) = (Arc::new(make), Arc::new(AtomicUsize::new(0)));
    let mut working = JoinSet::new();
    for _ in 0..connections.min(count) {
        let (make, next) = (make.clone(), next.clone());
        working.spawn(async move {
            let mut connection = Connection::open(server).await?;
            let mut again = 0;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(again);
                }
                for tried in 0.. {
                    let call = make(number);
                    let what = call.uri().path().to_owned();
                    let (status, answer) = connection.exchange(call).await?;
                    if status == expected {
                        break;
                    }
                    let answer = String::from_utf8_lossy(&answer).into_owned();
                    ensure!(status == 503 && tried < AGAIN_MAX, "{what}: {status} {answer}");
                    again += 1;
                }
            }
        });
    }
    let mut again = 0;
    while let Some(worked) = working.join_next().await {
        again += worked??;
    }
    Ok(again)
}
