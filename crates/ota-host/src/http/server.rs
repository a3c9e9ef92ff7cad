//! The HTTP/1.1 server in front of the application.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use wasmtime_wasi_http::WasiBody;

use super::{Application, body};

/// Open connections. More wait in the system's queue.
const CONNECTIONS_MAX: usize = 2048;

/// Requests from outside that are worked on at once. Below the number of instances, so that requests which the
/// application makes to itself always find one.
const REQUESTS_MAX: usize = 256;

/// How long a client may take to send the head of a request, the wait for it included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// How long requests in flight may take once the host shuts down.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// After a failed `accept` (too many open files, say), so as not to spin.
const ACCEPT_RETRY_AFTER: Duration = Duration::from_millis(100);

/// A running server.
pub(crate) struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    connections: Arc<Semaphore>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Begins to serve. The listener comes bound, since its port is needed before the application exists.
    pub(crate) fn start(listener: TcpListener, application: Arc<Application>) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let accepting = tokio::spawn(accept(listener, application, connections.clone(), stopped));
        Ok(Self { address, stop, connections, accepting })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more, lets requests in flight finish, and cuts what takes too long.
    pub(crate) async fn shutdown(self) {
        self.stop.send_replace(true);
        self.accepting.abort();
        let all = u32::try_from(CONNECTIONS_MAX).expect("a small constant");
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, self.connections.acquire_many(all)).await.is_err() {
            tracing::warn!("shutting down with HTTP requests unfinished");
        }
    }
}

async fn accept(
    listener: TcpListener,
    application: Arc<Application>,
    connections: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
) {
    let requests = Arc::new(Semaphore::new(REQUESTS_MAX));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        let (stream, client) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY_AFTER).await;
                continue;
            }
        };
        let serving = serve(stream, client, application.clone(), requests.clone(), stopped.clone());
        tokio::spawn(async move {
            serving.await;
            drop(permit);
        });
    }
}

async fn serve(
    stream: TcpStream,
    client: SocketAddr,
    application: Arc<Application>,
    requests: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) {
    // Small responses on a kept connection would else wait for the client's delayed acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let service = service_fn(move |request| answer(application.clone(), requests.clone(), request, client));
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            // Device SDKs look for `Content-Length` by its exact spelling.
            .title_case_headers(true)
            .serve_connection(TokioIo::new(stream), service)
    );
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = until_stopped(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%client, %error, "connection ended early");
    }
}

async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is a stop too.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

async fn answer(
    application: Arc<Application>,
    requests: Arc<Semaphore>,
    request: Request<Incoming>,
    client: SocketAddr,
) -> Result<Response<WasiBody>, Infallible> {
    // Never closed, so there always is a permit to wait for.
    let _permit = requests.acquire().await;
    Ok(application.handle(request.map(body), client).await)
}
