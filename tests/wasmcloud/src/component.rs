//! The component that answers HTTP requests, and the reuse of its instances.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use wasmtime::component::{Component, GuestTaskId, InstancePre, Linker};
use wasmtime::error::Context as _;
use wasmtime::{Cache, CacheConfig, Config, Engine, Store, StoreContextMut};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::{WasiHttpView, p3};

use crate::keyvalue;
use crate::state::{Environment, GuestState};

/// Requests that one instance answers before it is thrown away, as in `deploy/wasmcloud`.
const INVOCATIONS_MAX: usize = 128;
/// Requests that one instance answers at once, as in `deploy/wasmcloud`.
const CONCURRENCY_MAX: usize = 16;
/// How long an instance may be without work, or take over it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds the engine. Compiled components are kept in `cache`.
pub(crate) fn engine(cache: &Path) -> wasmtime::Result<Engine> {
    std::fs::create_dir_all(cache).context("no folder for compiled components")?;
    let mut files = CacheConfig::new();
    // The cache wants an absolute folder.
    files.with_directory(std::fs::canonicalize(cache)?);
    let mut config = Config::new();
    config.wasm_component_model_async(true).cache(Some(Cache::new(files)?));
    Engine::new(&config)
}

/// Compiles a component, or takes it from the cache, and binds its imports.
pub(crate) fn prepare(engine: &Engine, file: &Path) -> wasmtime::Result<InstancePre<GuestState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    keyvalue::add_to_linker(&mut linker)?;
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let component = Component::new(engine, bytes)?;
    linker.instantiate_pre(&component).context("the component imports what wasmCloud does not offer")
}

/// A component that can be instantiated to answer requests.
pub(crate) struct HttpComponent {
    pre: p3::bindings::ServicePre<GuestState>,
    environment: Arc<Environment>,
}

impl HttpComponent {
    pub(crate) fn compile(
        engine: &Engine,
        file: &Path,
        environment: Arc<Environment>,
    ) -> wasmtime::Result<ProxyHandler<Self>> {
        let pre = p3::bindings::ServicePre::new(prepare(engine, file)?)?;
        Ok(ProxyHandler::new(Self { pre, environment }))
    }
}

impl HandlerState for HttpComponent {
    type StoreData = GuestState;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<GuestState, Expiration, Worker>> {
        let mut store = Store::new(self.pre.engine(), GuestState::new(self.environment.clone()));
        let proxy = ProxyPre::P3(self.pre.clone()).instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy,
            view: WasiHttpView::http,
            expiration: Expiration::default(),
            state: Worker,
        })
    }
}

/// Ends an instance that idles or hangs.
#[derive(Default)]
pub(crate) struct Expiration {
    alarm: Option<(Instant, Pin<Box<tokio::time::Sleep>>)>,
}

impl WorkerExpiration for Expiration {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, _: WorkerStatus, since: Instant) -> Poll<()> {
        if self.alarm.as_ref().is_none_or(|(of, _)| *of != since) {
            let until = tokio::time::Instant::from_std(since + PATIENCE);
            self.alarm = Some((since, Box::pin(tokio::time::sleep_until(until))));
        }
        match &mut self.alarm {
            Some((_, alarm)) => alarm.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// Decides which requests an instance takes.
pub(crate) struct Worker;

impl WorkerState for Worker {
    type StoreData = GuestState;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= INVOCATIONS_MAX {
            ShouldAccept::Never
        } else if concurrent >= CONCURRENCY_MAX {
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
        Box::pin(tokio::time::sleep(PATIENCE))
    }

    fn drop(&self, _: Store<GuestState>, result: wasmtime::Result<()>) {
        if let Err(error) = result {
            tracing::error!(error = format_args!("{error:?}"), "an instance failed");
        }
    }
}
