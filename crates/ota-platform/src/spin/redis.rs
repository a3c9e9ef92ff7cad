//! Redis as the store, reached by `spin:redis@3`.
//!
//! Spin's own key-value interface can be put on Redis too, but its compare-and-swap there tells every swap as failed, also
//! one that was made, and its batch reads ask for keys instead of values. So what must be atomic is a script, which Redis
//! runs with nothing in between.
//!
//! A swap compares the whole value, as Spin's SQLite does. Every record has a growing revision in its bytes, so a value
//! that comes back is another one.

use std::cell::RefCell;
use std::rc::Rc;

use futures::lock::Mutex;
use ota_store::{Kv, KvError, Swap};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use spin_sdk::redis::{Connection, RedisParameter, RedisResult};

use super::store::failed;
use super::variable;

/// Before every key, so that the server may hold other things beside.
const PREFIX: &str = "overair/";

/// Writes the third argument if the key still holds the second.
const SWAP: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
                    redis.call('SET', KEYS[1], ARGV[2]) return 1 end return 0";

thread_local! {
    /// The connection, kept by the instance beyond a request: making one takes longer than most requests. It holds nothing
    /// of a caller, because each operation is one command.
    static CONNECTION: RefCell<Option<Rc<Connection>>> = const { RefCell::new(None) };
}

/// The store on a Redis server, at the address that the variable `redis_address` names.
#[derive(Default)]
pub(super) struct Redis {
    /// Held while the request makes a connection, so that reads which begin together do not make one each.
    opening: Mutex<()>,
}

/// What a swap expects to find.
pub(super) struct Token {
    key: String,
    expected: Option<Vec<u8>>,
}

/// Returns the connection that the instance has made before.
fn kept() -> Option<Rc<Connection>> {
    CONNECTION.with_borrow(Clone::clone)
}

/// Makes a connection.
async fn open() -> Result<Connection, KvError> {
    let variable = async |name: &str| variable(name).await.map_err(|error| KvError(error.to_string()));
    let (address, password) = (variable("redis_address").await?, variable("redis_password").await?);
    Connection::open(with_password(&address, &password)?).await.map_err(failed)
}

/// Puts the password into the address. It is a variable of its own because the address is told in the manifest, as a place
/// that may be reached.
fn with_password(address: &str, password: &str) -> Result<String, KvError> {
    let (scheme, rest) = address
        .split_once("://")
        .ok_or_else(|| KvError("redis_address: not redis://host:port".to_owned()))?;
    if password.is_empty() {
        return Ok(address.to_owned());
    }
    Ok(format!("{scheme}://:{}@{rest}", utf8_percent_encode(password, NON_ALPHANUMERIC)))
}

/// Lets go of a connection that has failed, so that the next request makes another. What failed is not tried again here:
/// whether a write was done is not known.
fn dropped<T, E: std::fmt::Debug>(outcome: Result<T, E>) -> Result<T, KvError> {
    outcome.map_err(|error| {
        CONNECTION.set(None);
        failed(error)
    })
}

impl Redis {
    /// Returns the instance's connection, or makes it. Of two requests that make one the later one's stays, and the other's ends
    /// with its request.
    async fn connection(&self) -> Result<Rc<Connection>, KvError> {
        if let Some(connection) = kept() {
            return Ok(connection);
        }
        let _opening = self.opening.lock().await;
        if let Some(connection) = kept() {
            return Ok(connection);
        }
        let connection = Rc::new(open().await?);
        CONNECTION.set(Some(Rc::clone(&connection)));
        Ok(connection)
    }

    async fn execute(&self, command: &str, arguments: Vec<RedisParameter>) -> Result<RedisResult, KvError> {
        let connection = self.connection().await?;
        let results = dropped(connection.execute(command, arguments).await)?;
        results.into_iter().next().ok_or_else(|| KvError(format!("{command}: Redis answers with nothing")))
    }
}

fn full(key: &str) -> String {
    format!("{PREFIX}{key}")
}

fn bytes(text: impl AsRef<[u8]>) -> RedisParameter {
    RedisParameter::Binary(text.as_ref().to_vec())
}

impl Kv for Redis {
    type Token = Token;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let is_kept = kept().is_some();
        let connection = self.connection().await?;
        match dropped(connection.get(full(key)).await) {
            // The server may have been away since an earlier request. Reading again does no harm, and whatever is written
            // is read first.
            Err(_) if is_kept => dropped(self.connection().await?.get(full(key)).await),
            found => found,
        }
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), KvError> {
        let connection = self.connection().await?;
        dropped(connection.set(full(key), value).await)
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        let connection = self.connection().await?;
        dropped(connection.del([full(key)]).await).map(drop)
    }

    async fn read(&self, key: &str) -> Result<(Option<Vec<u8>>, Token), KvError> {
        let value = self.get(key).await?;
        let token = Token { key: full(key), expected: value.clone() };
        Ok((value, token))
    }

    async fn swap(&self, token: Token, value: &[u8]) -> Result<Swap, KvError> {
        let (command, arguments) = match token.expected {
            Some(expected) => {
                let script = [bytes(SWAP), RedisParameter::Int64(1), bytes(token.key)];
                let values = [RedisParameter::Binary(expected), bytes(value)];
                ("EVAL", script.into_iter().chain(values).collect())
            }
            None => ("SET", vec![bytes(token.key), bytes(value), bytes("NX")]),
        };
        match self.execute(command, arguments).await? {
            RedisResult::Int64(1) | RedisResult::Status(_) => Ok(Swap::Swapped),
            RedisResult::Int64(0) | RedisResult::Nil => Ok(Swap::Stale),
            other => Err(KvError(format!("{command}: Redis answers with {other:?}"))),
        }
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, KvError> {
        match self.execute("INCRBY", vec![bytes(full(key)), RedisParameter::Int64(delta)]).await? {
            RedisResult::Int64(sum) => Ok(sum),
            other => Err(KvError(format!("INCRBY: Redis answers with {other:?}"))),
        }
    }
}
