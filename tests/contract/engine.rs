//! The engines that the promises are held against.

use futures::future::join_all;
use kv_probe::{Order, Outcome, carry_out};
use ota_store::memory::{MemoryKv, MemoryToken};
use ota_store::{Kv, KvError, Swap};
use ota_tests::host::HostProcess;
use reqwest::Client;

/// A store that orders can be given to.
pub(crate) enum Engine {
    /// In this process, with a pause before each operation, so that rivals come in between.
    Memory(Hesitant),
    /// In the host, behind the guest's adapter.
    Embedded(Box<Embedded>),
}

/// A running host with the probe in it.
pub(crate) struct Embedded {
    pub(crate) host: HostProcess,
    caller: Caller,
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

    pub(crate) fn embedded() -> Self {
        Self::Embedded(Box::new(Embedded::start("correct")))
    }

    pub(crate) fn embedded_with_the_quirk() -> Self {
        Self::Embedded(Box::new(Embedded::start("spin")))
    }

    /// Carries out orders, one after the other.
    pub(crate) async fn carry_out(&self, orders: Vec<Order>) -> Vec<Outcome> {
        match self {
            Self::Memory(kv) => carry_out(kv, orders).await,
            Self::Embedded(embedded) => {
                embedded.caller.try_carry_out(&orders).await.expect("the probe answers")
            }
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
        let host = HostProcess::start("tests/kv-probe/spin.toml", arguments);
        let caller = Caller::of(&host);
        Self { host, caller }
    }

    /// Returns somebody who calls the probe without holding on to the host.
    pub(crate) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Starts the killed host again.
    pub(crate) fn start_again(&mut self) {
        self.host.start_again();
        // The old one's connections are dead.
        self.caller = Caller::of(&self.host);
    }
}

impl Caller {
    fn of(host: &HostProcess) -> Self {
        let http = Client::builder().no_proxy().build().expect("an HTTP client");
        Self { http, url: format!("http://{}/probe/orders", host.http()) }
    }

    /// Carries out orders, or tells that there was no answer: what was done is not known then.
    pub(crate) async fn try_carry_out(&self, orders: &[Order]) -> reqwest::Result<Vec<Outcome>> {
        self.http.post(&self.url).json(orders).send().await?.error_for_status()?.json().await
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
