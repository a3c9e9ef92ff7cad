//! Which store: the engine's own, or Redis. The variable `store` says it.

use std::cell::OnceCell;
use std::fmt;

use ota_store::{Kv, KvError, Swap};
use spin_sdk::experimental::wasi::keyvalue::atomics::Cas;

use super::key_value::KeyValue;
use super::redis::{self, Redis};
use super::variable;

/// The variable, and what it may be.
const VARIABLE: &str = "store";
const KEY_VALUE: &str = "key-value";
const REDIS: &str = "redis";

thread_local! {
    /// Whether it is Redis. The same for every request, so an instance asks once.
    static IS_REDIS: OnceCell<bool> = const { OnceCell::new() };
}

/// The store of one request.
#[derive(Default)]
pub struct SpinKv {
    key_value: KeyValue,
    redis: Redis,
}

/// A compare-and-swap that has begun.
pub struct SpinToken(Begun);

enum Begun {
    KeyValue(Cas),
    Redis(redis::Token),
}

pub(super) fn failed(error: impl fmt::Debug) -> KvError {
    KvError(format!("{error:?}"))
}

/// Reads the variable.
async fn is_redis() -> Result<bool, KvError> {
    if let Some(is_redis) = IS_REDIS.with(|known| known.get().copied()) {
        return Ok(is_redis);
    }
    // A component that is not told where to keep things must not choose: the others would look elsewhere.
    let told = variable(VARIABLE).await;
    let is_redis = match told.as_deref() {
        Ok(KEY_VALUE) => false,
        Ok(REDIS) => true,
        Ok(other) => return Err(KvError(format!("variable {VARIABLE}: {other:?} is no store"))),
        Err(error) => return Err(KvError(error.to_string())),
    };
    Ok(IS_REDIS.with(|known| *known.get_or_init(|| is_redis)))
}

impl Kv for SpinKv {
    type Token = SpinToken;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        if is_redis().await? { self.redis.get(key).await } else { self.key_value.get(key).await }
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), KvError> {
        if is_redis().await? {
            self.redis.set(key, value).await
        } else {
            self.key_value.set(key, value).await
        }
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        if is_redis().await? { self.redis.delete(key).await } else { self.key_value.delete(key).await }
    }

    async fn read(&self, key: &str) -> Result<(Option<Vec<u8>>, SpinToken), KvError> {
        if is_redis().await? {
            let (value, token) = self.redis.read(key).await?;
            Ok((value, SpinToken(Begun::Redis(token))))
        } else {
            let (value, token) = self.key_value.read(key).await?;
            Ok((value, SpinToken(Begun::KeyValue(token))))
        }
    }

    async fn swap(&self, token: SpinToken, value: &[u8]) -> Result<Swap, KvError> {
        match token.0 {
            Begun::KeyValue(token) => self.key_value.swap(token, value).await,
            Begun::Redis(token) => self.redis.swap(token, value).await,
        }
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, KvError> {
        if is_redis().await? {
            self.redis.increment(key, delta).await
        } else {
            self.key_value.increment(key, delta).await
        }
    }
}
