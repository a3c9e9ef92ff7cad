//! Instances of a component that answers HTTP requests, and their reuse.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::time::Sleep;
use wasmtime::component::{GuestTaskId, InstancePre};
use wasmtime::{Store, StoreContextMut};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::{WasiHttpView, p2, p3};

use crate::engine;
use crate::state::{ComponentContext, GuestState};

/// Requests that one instance answers before it is thrown away; Spin's figure.
const REQUESTS_PER_INSTANCE: usize = 128;

/// Requests that one instance answers at once; Spin's figure.
const CONCURRENT_REQUESTS_PER_INSTANCE: usize = 16;

/// How long an instance without work is kept; Spin's figure.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a component may take to begin its response, and to finish what it does after it. Long, since the
/// response to an upload begins when the last byte has come in.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// A component that can be instantiated to answer requests.
pub(crate) struct HttpComponent {
    pre: ProxyPre<GuestState>,
    context: Arc<ComponentContext>,
}

impl HttpComponent {
    /// Finds out which of the two HTTP interfaces the component exports.
    pub(crate) fn new(pre: InstancePre<GuestState>, context: Arc<ComponentContext>) -> anyhow::Result<Self> {
        let pre = match p3::bindings::ServicePre::new(pre.clone()) {
            Ok(service) => ProxyPre::P3(service),
            Err(_) => match p2::bindings::ProxyPre::new(pre) {
                Ok(proxy) => ProxyPre::P2(proxy),
                Err(_) => bail!(
                    "component `{}` has an HTTP trigger but exports neither `wasi:http/handler@0.3.0` nor \
                     `wasi:http/incoming-handler@0.2`",
                    context.name
                ),
            },
        };
        Ok(Self { pre, context })
    }

    pub(crate) fn name(&self) -> &str {
        &self.context.name
    }

    fn store(&self) -> Store<GuestState> {
        let engine = match &self.pre {
            ProxyPre::P2(pre) => pre.engine(),
            ProxyPre::P3(pre) => pre.engine(),
        };
        engine::store(engine, GuestState::new(self.context.clone()))
    }
}

impl HandlerState for HttpComponent {
    type StoreData = GuestState;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<GuestState, Expiration, Worker>> {
        let mut store = self.store();
        let proxy = self.pre.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy,
            view: WasiHttpView::http,
            expiration: Expiration { alarm: Box::pin(tokio::time::sleep(IDLE_TIMEOUT)) },
            state: Worker { context: self.context.clone(), requests: AtomicUsize::new(0) },
        })
    }
}

/// Ends an instance that idles or hangs.
pub(crate) struct Expiration {
    alarm: Pin<Box<Sleep>>,
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        let timeout = match status {
            WorkerStatus::Idle => IDLE_TIMEOUT,
            WorkerStatus::Requests | WorkerStatus::PostReturn => RESPONSE_TIMEOUT,
        };
        let deadline = tokio::time::Instant::from_std(since + timeout);
        // An alarm that rings too early is set again then: moving it at each request would cost more.
        if deadline < self.alarm.deadline() {
            self.alarm.as_mut().reset(deadline);
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            if self.alarm.deadline() >= deadline {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// Decides which requests an instance takes, and counts them.
pub(crate) struct Worker {
    context: Arc<ComponentContext>,
    requests: AtomicUsize,
}

impl WorkerState for Worker {
    type StoreData = GuestState;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= REQUESTS_PER_INSTANCE {
            ShouldAccept::Never
        } else if concurrent >= CONCURRENT_REQUESTS_PER_INSTANCE {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, GuestState>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Box::pin(tokio::time::sleep(RESPONSE_TIMEOUT))
    }

    fn drop(&self, store: Store<GuestState>, result: wasmtime::Result<()>) {
        self.context.usage.ended(self.requests.load(Ordering::Relaxed), engine::instructions(&store));
        if let Err(error) = result {
            tracing::error!(component = %self.context.name, error = format_args!("{error:?}"), "an instance failed");
        }
    }
}
