//! The engines that the promises are held against.

use std::net::SocketAddr;

use futures::future::join_all;
use kv_probe::{Order, Outcome, carry_out};
use ota_store::memory::{MemoryKv, MemoryToken};
use ota_store::{Kv, KvError, Swap};
use ota_tests::host::{HostProcess, variable};
use ota_tests::redis::RedisServer;
use ota_tests::spin::SpinProcess;
use reqwest::Client;

/// The probe's manifest.
const PROBE: &str = "tests/kv-probe/spin.toml";

/// A store that orders can be given to.
pub(crate) enum Engine {
    /// In this process, with a pause before each operation, so that rivals come in between.
    Memory(Hesitant),
    /// As that, but for a swap that is no single step.
    Torn(Torn),
    /// In the host, behind the guest's adapter.
    Embedded(Box<Embedded>),
    /// In what stands in for a host of wasmCloud, behind the adapter for wasmCloud.
    Wasmcloud(Box<Wasmcloud>),
    /// In the Spin that is on the path.
    Spin(Box<Spin>),
}

/// A running host with the probe in it.
pub(crate) struct Embedded {
    pub(crate) host: HostProcess,
    caller: Caller,
    /// Where the probe keeps everything, if not in the host.
    redis: Option<RedisServer>,
}

/// A running Spin with the probe in it.
pub(crate) struct Spin {
    caller: Caller,
    _spin: SpinProcess,
    _redis: Option<RedisServer>,
}

/// A running stand-in with the probe in it.
pub(crate) struct Wasmcloud {
    caller: Caller,
    _host: HostProcess,
}

/// Somebody who calls the probe.
#[derive(Clone)]
pub(crate) struct Caller {
    http: Client,
    url: String,
}

impl Engine {
    pub(crate) fn memory() -> Self {
        Self::Memory(Hesitant(MemoryKv::new()))
    }

    pub(crate) fn memory_with_the_quirk() -> Self {
        Self::Memory(Hesitant(MemoryKv::with_spin_quirks()))
    }

    pub(crate) fn torn() -> Self {
        Self::Torn(Torn(Hesitant(MemoryKv::new())))
    }

    pub(crate) fn embedded() -> Self {
        Self::Embedded(Box::new(Embedded::start("correct")))
    }

    pub(crate) fn embedded_with_the_quirk() -> Self {
        Self::Embedded(Box::new(Embedded::start("spin")))
    }

    pub(crate) fn wasmcloud() -> Self {
        // So many microseconds as a store on the same network takes, so that rivals come in between.
        let arguments = ["--no-broker", "--store-latency-us", "500"].map(str::to_owned);
        let host = HostProcess::start_wasmcloud("wasmcloud_probe", arguments);
        Self::Wasmcloud(Box::new(Wasmcloud { caller: Caller::of(host.http()), _host: host }))
    }

    pub(crate) fn redis() -> Self {
        Self::Embedded(Box::new(Embedded::start_on_redis()))
    }

    /// Spin with its own store.
    pub(crate) fn spin() -> Self {
        Self::Spin(Box::new(Spin::start(None)))
    }

    /// Spin with everything on a Redis server.
    pub(crate) fn spin_with_redis() -> Self {
        Self::Spin(Box::new(Spin::start(Some(RedisServer::start()))))
    }

    /// Carries out orders, one after the other.
    pub(crate) async fn carry_out(&self, orders: Vec<Order>) -> Vec<Outcome> {
        match self {
            Self::Memory(kv) => carry_out(kv, orders).await,
            Self::Torn(kv) => carry_out(kv, orders).await,
            Self::Embedded(embedded) => embedded.caller.carry_out(&orders).await,
            Self::Spin(spin) => spin.caller.carry_out(&orders).await,
            Self::Wasmcloud(host) => host.caller.carry_out(&orders).await,
        }
    }

    /// Carries out one order.
    pub(crate) async fn one(&self, order: Order) -> Outcome {
        self.carry_out(vec![order]).await.remove(0)
    }

    /// Lets rivals carry out their orders at the same time.
    pub(crate) async fn race(&self, rivals: impl IntoIterator<Item = Vec<Order>>) -> Vec<Vec<Outcome>> {
        join_all(rivals.into_iter().map(|orders| self.carry_out(orders))).await
    }
}

impl Embedded {
    /// Starts the host, with one of the two ways to take a swap from an absent key.
    pub(crate) fn start(mode: &str) -> Self {
        let arguments = ["--key-value-mode", mode].map(str::to_owned);
        Self::start_with(arguments.into(), None)
    }

    /// Starts a server and the host, where the probe keeps everything on that server.
    pub(crate) fn start_on_redis() -> Self {
        let redis = RedisServer::start();
        Self::start_with(redis.variables().into_iter().flat_map(variable).collect(), Some(redis))
    }

    fn start_with(arguments: Vec<String>, redis: Option<RedisServer>) -> Self {
        let host = HostProcess::start(PROBE, arguments);
        let caller = Caller::of(host.http());
        Self { host, caller, redis }
    }

    /// Returns the server that it keeps everything on.
    pub(crate) fn redis(&mut self) -> &mut RedisServer {
        self.redis.as_mut().expect("it was started on one")
    }

    /// Returns somebody who calls the probe without holding on to the host.
    pub(crate) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Starts the killed host again.
    pub(crate) fn start_again(&mut self) {
        self.host.start_again();
        // The old one's connections are dead.
        self.caller = Caller::of(self.host.http());
    }
}

impl Spin {
    fn start(redis: Option<RedisServer>) -> Self {
        let variables = redis.iter().flat_map(RedisServer::variables);
        let spin = SpinProcess::start(PROBE, SpinProcess::free_port(), variables);
        Self { caller: Caller::of(spin.http()), _spin: spin, _redis: redis }
    }
}

impl Caller {
    fn of(server: SocketAddr) -> Self {
        let http = Client::builder().no_proxy().build().expect("an HTTP client");
        Self { http, url: format!("http://{server}/probe/orders") }
    }

    async fn carry_out(&self, orders: &[Order]) -> Vec<Outcome> {
        self.try_carry_out(orders).await.expect("the probe answers")
    }

    /// Carries out orders, or tells that there was no answer: what was done is not known then.
    pub(crate) async fn try_carry_out(&self, orders: &[Order]) -> reqwest::Result<Vec<Outcome>> {
        self.http.post(&self.url).json(orders).send().await?.error_for_status()?.json().await
    }
}

/// A store that keeps no promise of swaps: it looks, lets others go first, and writes.
pub(crate) struct Torn(Hesitant);

impl Kv for Torn {
    type Token = (String, Option<Vec<u8>>);

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        self.0.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), KvError> {
        self.0.set(key, value).await
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        self.0.delete(key).await
    }

    async fn read(&self, key: &str) -> Result<(Option<Vec<u8>>, Self::Token), KvError> {
        let value = self.0.get(key).await?;
        Ok((value.clone(), (key.to_owned(), value)))
    }

    async fn swap(&self, (key, expected): Self::Token, value: &[u8]) -> Result<Swap, KvError> {
        if self.0.get(&key).await? != expected {
            return Ok(Swap::Stale);
        }
        self.0.set(&key, value).await?;
        Ok(Swap::Swapped)
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, KvError> {
        self.0.increment(key, delta).await
    }
}

/// Lets others go first at every step.
pub(crate) struct Hesitant(MemoryKv);

impl Kv for Hesitant {
    type Token = MemoryToken;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        tokio::task::yield_now().await;
        self.0.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), KvError> {
        tokio::task::yield_now().await;
        self.0.set(key, value).await
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        tokio::task::yield_now().await;
        self.0.delete(key).await
    }

    async fn read(&self, key: &str) -> Result<(Option<Vec<u8>>, MemoryToken), KvError> {
        tokio::task::yield_now().await;
        self.0.read(key).await
    }

    async fn swap(&self, token: MemoryToken, value: &[u8]) -> Result<Swap, KvError> {
        tokio::task::yield_now().await;
        self.0.swap(token, value).await
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, KvError> {
        tokio::task::yield_now().await;
        self.0.increment(key, delta).await
    }
}
