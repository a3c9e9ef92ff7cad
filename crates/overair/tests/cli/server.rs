//! A server that answers as it is told to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Method, path and query: `GET /v1/products?limit=100`.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// What is answered.
pub(crate) enum Reply {
    /// A status, headers and a body.
    Whole(u16, Vec<(&'static str, String)>, String),
    /// Nothing: the connection is closed.
    Cut,
}

/// Answers with JSON.
pub(crate) fn json(status: u16, body: impl Into<String>) -> Reply {
    Reply::Whole(status, Vec::new(), body.into())
}

/// What a server is like.
pub(crate) trait Site: Send + Sync + 'static {
    /// How many bytes of a body are read before the connection breaks.
    fn breaks_after(&self, _line: &str) -> usize {
        usize::MAX
    }

    /// Answers a request. One whose connection broke is told with what of it came, and gets no answer.
    fn answer(&self, seen: &Seen, broke: bool) -> Reply;
}

impl<F: Fn(&Seen) -> Reply + Send + Sync + 'static> Site for F {
    fn answer(&self, seen: &Seen, _: bool) -> Reply {
        self(seen)
    }
}

/// A running server; it ends with the test's process.
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) fn start(site: impl Site) -> Self {
        let (site, seen) = (Arc::new(site), Arc::new(Mutex::new(Vec::new())));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let kept = seen.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let (site, seen) = (site.clone(), kept.clone());
                    let service = service_fn(move |request| handle(request, site.clone(), seen.clone()));
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    tokio::spawn(connection);
                }
            });
        });
        Self { address, seen }
    }

    /// A server that gives one answer to everything.
    pub(crate) fn that_says(status: u16, body: &str) -> Self {
        let body = body.to_owned();
        Self::start(move |_: &Seen| json(status, body.clone()))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The lines of what it was asked.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

async fn handle(
    request: Request<Incoming>,
    site: Arc<impl Site>,
    seen: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Full<Bytes>>, Broken> {
    let (head, mut body) = request.into_parts();
    let line = format!("{} {}", head.method, head.uri);
    let limit = site.breaks_after(&line);
    let mut bytes = Vec::new();
    let mut broke = false;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map(|frame| frame.into_data().unwrap_or_default()) else { break };
        bytes.extend_from_slice(&data);
        if bytes.len() >= limit {
            bytes.truncate(limit);
            broke = true;
            break;
        }
    }
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), value.to_str().unwrap_or_default().to_owned())
    };
    let told = Seen { line, headers: head.headers.iter().map(header).collect(), body: bytes };
    seen.lock().unwrap().push(told.clone());
    match site.answer(&told, broke) {
        Reply::Whole(status, headers, body) if !broke => {
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                response.headers_mut().insert(name, HeaderValue::from_str(&value).unwrap());
            }
            Ok(response)
        }
        _ => Err(Broken),
    }
}

/// Ends a connection without an answer.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is to break")
    }
}

impl std::error::Error for Broken {}

impl From<Infallible> for Broken {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
