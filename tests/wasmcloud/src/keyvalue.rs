//! `wasmcloud:keyvalue@0.2.0` over the store.

use std::sync::Arc;

use wasmtime::component::{Accessor, Linker, Resource};

use self::bindings::wasmcloud::keyvalue::types::{Error, KeyResponse, SetOptions};
use self::bindings::wasmcloud::keyvalue::{atomics, cas, store, types};
use crate::state::{Environment, Guest, GuestState};
use crate::store::{Entry, Refusal};

#[allow(missing_docs, unreachable_pub, reason = "generated from the WIT files")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "overair:ota/wasmcloud",
        imports: {
            "wasmcloud:keyvalue/types.[drop]bucket": trappable,
            default: async | trappable,
        },
        with: { "wasmcloud:keyvalue/types.bucket": super::Bucket },
    });
}

/// The only bucket that there is; JetStream's must be made before they are opened.
const BUCKET: &str = "overair";

/// An open bucket.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Bucket;

type Fallible<T> = wasmtime::Result<Result<T, Error>>;

/// Offers the store to components.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    bindings::Wasmcloud::add_to_linker::<GuestState, Guest>(linker, |state| state)
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Other(match refusal {
            Refusal::Key => "JetStream error: invalid key name".to_owned(),
            Refusal::TooLarge => "JetStream error: maximum payload exceeded".to_owned(),
            Refusal::Overflow => "counter overflow".to_owned(),
        })
    }
}

fn environment<T>(accessor: &Accessor<T, Guest>) -> Arc<Environment> {
    accessor.with(|mut access| access.get().environment.clone())
}

fn entry(entry: Entry) -> cas::Entry {
    cas::Entry { value: entry.value, version: entry.revision.to_string() }
}

impl types::Host for GuestState {}
impl store::Host for GuestState {}
impl atomics::Host for GuestState {}
impl cas::Host for GuestState {}

impl types::HostBucket for GuestState {
    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl<T: Send> types::HostBucketWithStore<T> for Guest {
    async fn get(
        accessor: &Accessor<T, Self>,
        _: Resource<Bucket>,
        key: String,
    ) -> Fallible<Option<Vec<u8>>> {
        let found = environment(accessor).store.get(&key).await;
        Ok(found.map(|entry| entry.map(|entry| entry.value)).map_err(Error::from))
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        _: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
        options: Option<SetOptions>,
    ) -> Fallible<()> {
        let is_insert = options.is_some_and(|options| options.if_not_exists);
        let put = environment(accessor).store.put(&key, value, |there| !is_insert || there.is_none()).await;
        Ok(put.map_err(Error::from).and_then(|put| put.map_err(|_| Error::PreconditionFailed)))
    }

    async fn delete(accessor: &Accessor<T, Self>, _: Resource<Bucket>, key: String) -> Fallible<()> {
        Ok(environment(accessor).store.delete(&key).await.map_err(Error::from))
    }

    async fn exists(accessor: &Accessor<T, Self>, _: Resource<Bucket>, key: String) -> Fallible<bool> {
        let found = environment(accessor).store.get(&key).await;
        Ok(found.map(|entry| entry.is_some()).map_err(Error::from))
    }

    async fn list_keys(
        accessor: &Accessor<T, Self>,
        _: Resource<Bucket>,
        prefix: Option<String>,
        _: Option<String>,
    ) -> Fallible<KeyResponse> {
        let keys = environment(accessor).store.keys(&prefix.unwrap_or_default());
        Ok(Ok(KeyResponse { keys, cursor: None }))
    }
}

impl<T: Send> store::HostWithStore<T> for Guest {
    async fn open(accessor: &Accessor<T, Self>, identifier: String) -> Fallible<Resource<Bucket>> {
        if identifier != BUCKET {
            return Ok(Err(Error::NoSuchStore));
        }
        accessor.with(|mut access| Ok(Ok(access.get().table.push(Bucket)?)))
    }
}

impl<T: Send> atomics::HostWithStore<T> for Guest {
    async fn increment(
        accessor: &Accessor<T, Self>,
        _: Resource<Bucket>,
        key: String,
        delta: i64,
    ) -> Fallible<i64> {
        Ok(environment(accessor).store.increment(&key, delta).await.map_err(Error::from))
    }
}

impl<T: Send> cas::HostWithStore<T> for Guest {
    async fn current(
        accessor: &Accessor<T, Self>,
        _: Resource<Bucket>,
        key: String,
    ) -> Fallible<Option<cas::Entry>> {
        let found = environment(accessor).store.get(&key).await;
        Ok(found.map(|found| found.map(entry)).map_err(Error::from))
    }

    async fn swap(
        accessor: &Accessor<T, Self>,
        _: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
        options: cas::CasOptions,
    ) -> Fallible<cas::CasResult> {
        let cas::CasOptions { require_version, require_value } = options;
        if require_version.is_none() && require_value.is_none() {
            return Ok(Err(Error::InvalidArgument));
        }
        // A condition never holds for an absent key.
        let may = |there: Option<&Entry>| {
            there.is_some_and(|there| {
                require_version.is_none_or(|version| version == there.revision.to_string())
                    && require_value.is_none_or(|value| value == there.value)
            })
        };
        let put = environment(accessor).store.put(&key, value, may).await;
        Ok(put.map_err(Error::from).map(|put| match put {
            Ok(()) => cas::CasResult::Swapped,
            Err(there) => cas::CasResult::Stale(there.map(entry)),
        }))
    }
}
