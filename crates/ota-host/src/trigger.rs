//! Components that something other than an HTTP request sets off: a fresh instance for each event, as in Spin.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::watch;
use wasmtime::AsContextMut;
use wasmtime::component::{Accessor, InstancePre};

use crate::engine;
use crate::state::{ComponentContext, GuestState};

/// How long a component may take over one event.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(120);

/// How long events in work may take once the host shuts down.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// How handling an event ended, if not well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The component says so; it may be worth another try.
    Refused(String),
    /// There was no room for an instance, which is worth another try.
    NoRoom,
    /// The component trapped or hung.
    Broken(wasmtime::Error),
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "the component returned an error: {reason}"),
            Self::NoRoom => f.write_str("no instance to be had"),
            Self::Broken(error) => write!(f, "the component failed: {error:?}"),
        }
    }
}

/// The bindings of one kind of trigger.
pub(crate) trait Kind: Send + Sync + 'static {
    /// What the component is told.
    type Event: Send + 'static;
    /// The component, its export found.
    type Pre: Send + Sync;
    /// An instance of it.
    type Instance: Send + Sync;

    fn find_export(pre: InstancePre<GuestState>) -> wasmtime::Result<Self::Pre>;
    fn instantiate(
        pre: &Self::Pre,
        store: impl AsContextMut<Data = GuestState> + Send,
    ) -> impl Future<Output = wasmtime::Result<Self::Instance>> + Send;
    fn call(
        instance: &Self::Instance,
        accessor: &Accessor<GuestState>,
        event: Self::Event,
    ) -> impl Future<Output = wasmtime::Result<Result<(), String>>> + Send;
}

/// A component that handles events of one kind.
pub(crate) struct Handler<K: Kind> {
    pre: K::Pre,
    engine: wasmtime::Engine,
    context: Arc<ComponentContext>,
}

impl<K: Kind> Handler<K> {
    pub(crate) fn new(pre: InstancePre<GuestState>, context: Arc<ComponentContext>) -> anyhow::Result<Self> {
        let engine = pre.engine().clone();
        let pre = K::find_export(pre)
            .map_err(|error| anyhow!("component `{}` does not fit its trigger: {error:#}", context.name))?;
        Ok(Self { pre, engine, context })
    }

    pub(crate) fn name(&self) -> &str {
        &self.context.name
    }

    pub(crate) async fn handle(&self, event: K::Event) -> Result<(), Failure> {
        match tokio::time::timeout(HANDLER_TIMEOUT, self.run(event)).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(reason))) => Err(Failure::Refused(reason)),
            Ok(Err(error)) if error.is::<wasmtime::PoolConcurrencyLimitError>() => Err(Failure::NoRoom),
            Ok(Err(error)) => Err(Failure::Broken(error)),
            Err(_) => Err(Failure::Broken(wasmtime::format_err!("no end after {HANDLER_TIMEOUT:?}"))),
        }
    }

    async fn run(&self, event: K::Event) -> wasmtime::Result<Result<(), String>> {
        let mut store = engine::store(&self.engine, GuestState::new(self.context.clone()));
        let instance = K::instantiate(&self.pre, &mut store).await?;
        store.run_concurrent(async |accessor| K::call(&instance, accessor, event).await).await?
    }
}

/// Resolves once the host shuts down.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the host is gone, which is a stop too.
    drop(stop.wait_for(|stop| *stop).await);
}
