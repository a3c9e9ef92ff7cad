//! Spin, and the embedded host, which offers the same interfaces.
//!
//! Plain reads and writes go through `spin:key-value@3`, which lets other requests of the instance run meanwhile; only
//! what must be atomic goes through `wasi:keyvalue@0.2.0-draft2`, whose calls hold the instance up.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::BodyExt;
use ota_core::time::Timestamp;
use ota_store::{Kv, KvError, Swap};
use spin_sdk::experimental::wasi::keyvalue::atomics::{self, Cas, CasError};
use spin_sdk::experimental::wasi::keyvalue::store::{self, Bucket};
use spin_sdk::key_value::Store;
use spin_sdk::mqtt::{Connection, Qos};
use spin_sdk::variables;

use crate::{Broker, FetchBody, Message, Platform, PlatformError};

/// The label of the store, as in the application's manifest.
const STORE: &str = "default";
/// Seconds between keep-alives of a connection that lives for one batch of messages.
const KEEP_ALIVE_SECONDS: u64 = 30;

/// One request's view of the engine.
#[derive(Clone, Default)]
pub struct SpinPlatform {
    kv: Rc<SpinKv>,
}

/// The store. It is opened when it is first used, and not kept beyond the request.
#[derive(Default)]
pub struct SpinKv {
    plain: RefCell<Option<Rc<Store>>>,
    atomic: RefCell<Option<Rc<Bucket>>>,
}

/// A compare-and-swap that has begun.
pub struct SpinToken(Cas);

impl SpinPlatform {
    /// Makes the view of one request.
    pub fn new() -> Self {
        Self::default()
    }
}

impl SpinKv {
    async fn plain(&self) -> Result<Rc<Store>, KvError> {
        if let Some(store) = &*self.plain.borrow() {
            return Ok(store.clone());
        }
        let store = Rc::new(Store::open(STORE).await.map_err(failed)?);
        *self.plain.borrow_mut() = Some(store.clone());
        Ok(store)
    }

    fn atomic(&self) -> Result<Rc<Bucket>, KvError> {
        if let Some(bucket) = &*self.atomic.borrow() {
            return Ok(bucket.clone());
        }
        let bucket = Rc::new(store::open(STORE).map_err(failed)?);
        *self.atomic.borrow_mut() = Some(bucket.clone());
        Ok(bucket)
    }
}

fn failed(error: impl std::fmt::Debug) -> KvError {
    KvError(format!("{error:?}"))
}

impl Kv for SpinKv {
    type Token = SpinToken;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        self.plain().await?.get(key).await.map_err(failed)
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), KvError> {
        self.plain().await?.set(key, value).await.map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        self.plain().await?.delete(key).await.map_err(failed)
    }

    async fn read(&self, key: &str) -> Result<(Option<Vec<u8>>, SpinToken), KvError> {
        let cas = Cas::new(&*self.atomic()?, key).map_err(failed)?;
        let value = cas.current().map_err(failed)?;
        Ok((value, SpinToken(cas)))
    }

    async fn swap(&self, token: SpinToken, value: &[u8]) -> Result<Swap, KvError> {
        match atomics::swap(token.0, value) {
            Ok(()) => Ok(Swap::Swapped),
            Err(CasError::CasFailed(_)) => Ok(Swap::Stale),
            Err(CasError::StoreError(error)) => Err(failed(error)),
        }
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, KvError> {
        atomics::increment(&*self.atomic()?, key, delta).map_err(failed)
    }
}

impl Platform for SpinPlatform {
    type Kv = SpinKv;

    fn kv(&self) -> &SpinKv {
        &self.kv
    }

    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        // The engine's random source does not fail; without randomness there are no secrets to make.
        getrandom::fill(&mut bytes).expect("the engine has a random source");
        bytes
    }

    async fn variable(&self, name: &str) -> Result<String, PlatformError> {
        let why = |error| PlatformError::Variable { name: name.to_owned(), why: format!("{error:?}") };
        variables::get(name).await.map_err(why)
    }

    async fn publish(&self, broker: &Broker, messages: &[Message]) -> Result<usize, PlatformError> {
        let why = |error| PlatformError::Broker(format!("{error:?}"));
        // Every instance needs a client id of its own, or the broker would close one connection for the other.
        let id: String = self.random().iter().map(|byte| format!("{byte:02x}")).collect();
        let address = format!("{}?client_id=overair-{id}", broker.address);
        let connection = Connection::open(&address, &broker.username, &broker.password, KEEP_ALIVE_SECONDS)
            .await
            .map_err(why)?;
        for (sent, message) in messages.iter().enumerate() {
            let taken = connection.publish(&message.topic, message.payload.clone(), Qos::AtLeastOnce).await;
            if let Err(error) = taken {
                self.log(&format!("publish {}: {error:?}", message.topic));
                return Ok(sent);
            }
        }
        Ok(messages.len())
    }

    async fn fetch(
        &self,
        request: http::Request<FetchBody>,
    ) -> Result<http::Response<FetchBody>, PlatformError> {
        let answer = spin_sdk::http::send(request).await;
        answer
            .map(|answer| {
                answer.map(|body| body.map_err(|error| anyhow::anyhow!("{error:?}")).boxed_unsync())
            })
            .map_err(|error| PlatformError::Fetch(format!("{error:?}")))
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        spin_sdk::wasip3::spawn(task);
    }

    async fn sleep(&self, ms: u64) {
        spin_sdk::time::sleep(Duration::from_millis(ms)).await;
    }

    fn log(&self, line: &str) {
        eprintln!("{line}");
    }
}
