//! What components see of the store: `spin:key-value@3` and `wasi:keyvalue@0.2.0-draft2`.

use std::sync::Arc;

use wasmtime::component::{Access, Accessor, FutureReader, Resource, StreamReader};

use super::{KeyValueError, KeyValueStore, Swap};
use crate::bindings::imports::spin::key_value::key_value as spin;
use crate::bindings::imports::wasi::keyvalue::{atomics, batch, store as draft2};
use crate::state::{Guest, GuestState};

type Fallible<T, E> = wasmtime::Result<Result<T, E>>;

/// A store that a component has opened.
#[derive(Clone, Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct OpenStore {
    name: Arc<str>,
    store: Arc<KeyValueStore>,
}

/// A compare-and-swap that a component has begun.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Cas {
    bucket: OpenStore,
    key: String,
    /// The value as last read; absent until then, so a swap without a look at the value succeeds only on an
    /// absent key.
    seen: Option<Vec<u8>>,
}

impl GuestState {
    /// Opens a store that the manifest grants to the component.
    fn open_store(&mut self, name: &str) -> wasmtime::Result<Option<Resource<OpenStore>>> {
        let Some(name) = self.component.key_value_stores.iter().find(|granted| ***granted == *name) else {
            return Ok(None);
        };
        let open = OpenStore { name: name.clone(), store: self.component.store.clone() };
        Ok(Some(self.table.push(open)?))
    }
}

fn open_store<T>(
    access: &mut Access<'_, T, Guest>,
    store: &Resource<OpenStore>,
) -> wasmtime::Result<OpenStore> {
    Ok(access.get().table.get(store)?.clone())
}

impl From<KeyValueError> for spin::Error {
    fn from(error: KeyValueError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<KeyValueError> for draft2::Error {
    fn from(error: KeyValueError) -> Self {
        Self::Other(error.to_string())
    }
}

impl spin::Host for GuestState {}

impl spin::HostStore for GuestState {
    fn drop(&mut self, store: Resource<OpenStore>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

impl<T: Send> spin::HostStoreWithStore<T> for Guest {
    async fn open(accessor: &Accessor<T, Self>, label: String) -> Fallible<Resource<OpenStore>, spin::Error> {
        accessor.with(|mut access| Ok(access.get().open_store(&label)?.ok_or(spin::Error::AccessDenied)))
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        key: String,
    ) -> Fallible<Option<Vec<u8>>, spin::Error> {
        let open = accessor.with(|mut access| open_store(&mut access, &store))?;
        Ok(open.store.get(&open.name, &key).map_err(spin::Error::from))
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        key: String,
        value: Vec<u8>,
    ) -> Fallible<(), spin::Error> {
        let open = accessor.with(|mut access| open_store(&mut access, &store))?;
        Ok(open.store.set(&open.name, key, value).await.map_err(spin::Error::from))
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        key: String,
    ) -> Fallible<(), spin::Error> {
        let open = accessor.with(|mut access| open_store(&mut access, &store))?;
        Ok(open.store.delete(&open.name, vec![key]).await.map_err(spin::Error::from))
    }

    async fn exists(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        key: String,
    ) -> Fallible<bool, spin::Error> {
        let open = accessor.with(|mut access| open_store(&mut access, &store))?;
        Ok(open.store.exists(&open.name, &key).map_err(spin::Error::from))
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<(), spin::Error>>)> {
        let open = accessor.with(|mut access| open_store(&mut access, &store))?;
        let (keys, outcome) = match open.store.keys(&open.name) {
            Ok(keys) => (keys, Ok(())),
            Err(error) => (Vec::new(), Err(error.into())),
        };
        accessor.with(|mut access| {
            let keys = StreamReader::new(&mut access, keys)?;
            let outcome = FutureReader::new(&mut access, async move { wasmtime::error::Ok(outcome) })?;
            Ok((keys, outcome))
        })
    }
}

impl draft2::Host for GuestState {
    fn open(&mut self, identifier: String) -> Fallible<Resource<OpenStore>, draft2::Error> {
        Ok(self.open_store(&identifier)?.ok_or(draft2::Error::AccessDenied))
    }
}

impl draft2::HostBucket for GuestState {
    fn get(&mut self, bucket: Resource<OpenStore>, key: String) -> Fallible<Option<Vec<u8>>, draft2::Error> {
        let open = self.table.get(&bucket)?;
        Ok(open.store.get(&open.name, &key).map_err(draft2::Error::from))
    }

    async fn set(
        &mut self,
        bucket: Resource<OpenStore>,
        key: String,
        value: Vec<u8>,
    ) -> Fallible<(), draft2::Error> {
        let open = self.table.get(&bucket)?;
        Ok(open.store.set(&open.name, key, value).await.map_err(draft2::Error::from))
    }

    async fn delete(&mut self, bucket: Resource<OpenStore>, key: String) -> Fallible<(), draft2::Error> {
        let open = self.table.get(&bucket)?;
        Ok(open.store.delete(&open.name, vec![key]).await.map_err(draft2::Error::from))
    }

    fn exists(&mut self, bucket: Resource<OpenStore>, key: String) -> Fallible<bool, draft2::Error> {
        let open = self.table.get(&bucket)?;
        Ok(open.store.exists(&open.name, &key).map_err(draft2::Error::from))
    }

    fn list_keys(
        &mut self,
        bucket: Resource<OpenStore>,
        cursor: Option<String>,
    ) -> Fallible<draft2::KeyResponse, draft2::Error> {
        if cursor.is_some() {
            return Ok(Err(draft2::Error::Other(
                "list-keys has no cursors: it answers with all keys".to_owned(),
            )));
        }
        let open = self.table.get(&bucket)?;
        let keys = open.store.keys(&open.name);
        Ok(keys.map(|keys| draft2::KeyResponse { keys, cursor: None }).map_err(draft2::Error::from))
    }

    fn drop(&mut self, bucket: Resource<OpenStore>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl batch::Host for GuestState {
    fn get_many(
        &mut self,
        bucket: Resource<OpenStore>,
        keys: Vec<String>,
    ) -> Fallible<Vec<(String, Option<Vec<u8>>)>, draft2::Error> {
        let open = self.table.get(&bucket)?;
        let found = open.store.get_many(&open.name, keys);
        let found = found.map(|found| found.into_iter().map(|(key, value)| (key, Some(value))).collect());
        Ok(found.map_err(draft2::Error::from))
    }

    async fn set_many(
        &mut self,
        bucket: Resource<OpenStore>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Fallible<(), draft2::Error> {
        let open = self.table.get(&bucket)?;
        Ok(open.store.set_many(&open.name, pairs).await.map_err(draft2::Error::from))
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<OpenStore>,
        keys: Vec<String>,
    ) -> Fallible<(), draft2::Error> {
        let open = self.table.get(&bucket)?;
        Ok(open.store.delete(&open.name, keys).await.map_err(draft2::Error::from))
    }
}

impl atomics::HostCas for GuestState {
    fn new(&mut self, bucket: Resource<OpenStore>, key: String) -> Fallible<Resource<Cas>, draft2::Error> {
        let bucket = self.table.get(&bucket)?.clone();
        Ok(Ok(self.table.push(Cas { bucket, key, seen: None })?))
    }

    fn current(&mut self, cas: Resource<Cas>) -> Fallible<Option<Vec<u8>>, draft2::Error> {
        let cas = self.table.get_mut(&cas)?;
        let value = cas.bucket.store.get(&cas.bucket.name, &cas.key);
        if let Ok(value) = &value {
            cas.seen.clone_from(value);
        }
        Ok(value.map_err(draft2::Error::from))
    }

    fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

impl atomics::Host for GuestState {
    async fn increment(
        &mut self,
        bucket: Resource<OpenStore>,
        key: String,
        delta: i64,
    ) -> Fallible<i64, draft2::Error> {
        let open = self.table.get(&bucket)?;
        Ok(open.store.increment(&open.name, key, delta).await.map_err(draft2::Error::from))
    }

    async fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> Fallible<(), atomics::CasError> {
        let Cas { bucket, key, seen } = self.table.delete(cas)?;
        let failed = |error: KeyValueError| atomics::CasError::StoreError(error.into());
        match bucket.store.swap(&bucket.name, key.clone(), seen, value).await {
            Ok(Swap::Swapped) => Ok(Ok(())),
            // The new handle has seen the present value, as the interface asks.
            Ok(Swap::Stale) => match bucket.store.peek(&bucket.name, &key) {
                Ok(seen) => {
                    Ok(Err(atomics::CasError::CasFailed(self.table.push(Cas { bucket, key, seen })?)))
                }
                Err(error) => Ok(Err(failed(error))),
            },
            Err(error) => Ok(Err(failed(error))),
        }
    }
}
