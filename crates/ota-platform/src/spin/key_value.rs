//! The store that the engine itself offers.
//!
//! Plain reads and writes go through `spin:key-value@3`, which lets other requests of the instance run meanwhile; only
//! what must be atomic goes through `wasi:keyvalue@0.2.0-draft2`, whose calls hold the instance up.

use std::cell::RefCell;
use std::rc::Rc;

use ota_store::{Kv, KvError, Swap};
use spin_sdk::experimental::wasi::keyvalue::atomics::{self, Cas, CasError};
use spin_sdk::experimental::wasi::keyvalue::store::{self, Bucket};
use spin_sdk::key_value::Store;

use super::store::failed;

/// The label of the store, as in the application's manifest.
const STORE: &str = "default";

/// The store. It is opened when it is first used, and not kept beyond the request.
#[derive(Default)]
pub(super) struct KeyValue {
    plain: RefCell<Option<Rc<Store>>>,
    atomic: RefCell<Option<Rc<Bucket>>>,
}

impl KeyValue {
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

impl Kv for KeyValue {
    /// A compare-and-swap that has begun.
    type Token = Cas;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        self.plain().await?.get(key).await.map_err(failed)
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), KvError> {
        self.plain().await?.set(key, value).await.map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        self.plain().await?.delete(key).await.map_err(failed)
    }

    async fn read(&self, key: &str) -> Result<(Option<Vec<u8>>, Cas), KvError> {
        let cas = Cas::new(&*self.atomic()?, key).map_err(failed)?;
        let value = cas.current().map_err(failed)?;
        Ok((value, cas))
    }

    async fn swap(&self, token: Cas, value: &[u8]) -> Result<Swap, KvError> {
        match atomics::swap(token, value) {
            Ok(()) => Ok(Swap::Swapped),
            Err(CasError::CasFailed(_)) => Ok(Swap::Stale),
            Err(CasError::StoreError(error)) => Err(failed(error)),
        }
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, KvError> {
        atomics::increment(&*self.atomic()?, key, delta).map_err(failed)
    }
}
