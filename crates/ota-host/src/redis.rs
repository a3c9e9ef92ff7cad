//! Redis as components reach it: `spin:redis@3`.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, RedisError, Value};
use wasmtime::component::{Accessor, Resource};

use crate::bindings::imports::spin::redis::redis as spin;
use crate::state::{Guest, GuestState};

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server may take to answer a command. One that waits for its disk takes a while under load.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that one instance may hold at once: one for each request that it answers at once, and as many again while those
/// of before end.
const CONNECTIONS_PER_INSTANCE: usize = 32;

/// The most bytes of one answer: a component's memory is small, and nothing it asks for is large.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A connection that a component has opened. Commands may be under way side by side. It closes when the component drops it.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Connection(MultiplexedConnection);

fn failed(error: &RedisError) -> spin::Error {
    match error.kind() {
        ErrorKind::UnexpectedReturnType => spin::Error::TypeError,
        _ => spin::Error::Other(error.to_string()),
    }
}

/// Where an address leads to, if it is one of the kind that is supported: `redis://[:password@]host[:port][/database]`.
fn parse(address: &str) -> Option<(Client, String, u16)> {
    let client = Client::open(address).ok()?;
    match client.get_connection_info().addr() {
        ConnectionAddr::Tcp(host, port) => {
            let (host, port) = (host.clone(), *port);
            Some((client, host, port))
        }
        _ => None,
    }
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(ANSWER_TIMEOUT));
    client.get_multiplexed_async_connection_with_config(&config).await
}

impl Guest {
    /// Sends a command and returns the answer.
    async fn send<T: Send>(
        accessor: &Accessor<T, Self>,
        connection: &Resource<Connection>,
        command: Cmd,
    ) -> wasmtime::Result<Result<Value, spin::Error>> {
        let mut connection = accessor.with(|mut access| {
            let state = access.get();
            state.component.metrics.redis_commands.add(1);
            wasmtime::error::Ok(state.table.get(connection)?.0.clone())
        })?;
        let answer = connection.send_packed_command(&command).await;
        Ok(answer.and_then(Value::extract_error).map_err(|error| failed(&error)))
    }

    /// Sends a command and reads the answer as a type.
    async fn ask<T: Send, A: redis::FromRedisValue>(
        accessor: &Accessor<T, Self>,
        connection: &Resource<Connection>,
        command: Cmd,
    ) -> wasmtime::Result<Result<A, spin::Error>> {
        let answer = Self::send(accessor, connection, command).await?;
        Ok(answer.and_then(|value| A::from_redis_value(value).map_err(|_| spin::Error::TypeError)))
    }
}

fn command(name: &str, arguments: impl IntoIterator<Item = impl redis::ToRedisArgs>) -> Cmd {
    let mut command = redis::cmd(name);
    for argument in arguments {
        command.arg(argument);
    }
    command
}

/// Puts an answer into a flat list, as Spin does.
fn flatten(value: Value, flat: &mut Vec<spin::RedisResult>) -> Result<(), spin::Error> {
    flat.push(match value {
        Value::Nil => spin::RedisResult::Nil,
        Value::Int(number) => spin::RedisResult::Int64(number),
        Value::Boolean(is_true) => spin::RedisResult::Int64(is_true.into()),
        Value::BulkString(bytes) => spin::RedisResult::Binary(bytes),
        Value::Double(number) => spin::RedisResult::Binary(number.to_string().into_bytes()),
        Value::SimpleString(text) => spin::RedisResult::Status(text),
        Value::Okay => spin::RedisResult::Status("OK".to_owned()),
        Value::Array(values) | Value::Set(values) => {
            return values.into_iter().try_for_each(|value| flatten(value, flat));
        }
        _ => return Err(spin::Error::TypeError),
    });
    Ok(())
}

fn bytes_of(results: &[spin::RedisResult]) -> usize {
    let bytes = |result: &spin::RedisResult| match result {
        spin::RedisResult::Nil | spin::RedisResult::Int64(_) => 0,
        spin::RedisResult::Status(text) => text.len(),
        spin::RedisResult::Binary(bytes) => bytes.len(),
    };
    size_of_val(results) + results.iter().map(bytes).sum::<usize>()
}

impl spin::Host for GuestState {}

impl spin::HostConnection for GuestState {
    fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        self.redis_connections -= 1;
        Ok(())
    }
}

type Answered<T> = wasmtime::Result<Result<T, spin::Error>>;

impl<T: Send> spin::HostConnectionWithStore<T> for Guest {
    async fn open(accessor: &Accessor<T, Self>, address: String) -> Answered<Resource<Connection>> {
        let Some((client, host, port)) = parse(&address) else { return Ok(Err(spin::Error::InvalidAddress)) };
        let checked = accessor.with(|mut access| {
            let state = access.get();
            if !state.component.outbound.allows("redis", &host, Some(port)) {
                let refused = format!("{host}:{port} is not among `allowed_outbound_hosts`");
                return Err(spin::Error::Other(refused));
            }
            if state.redis_connections >= CONNECTIONS_PER_INSTANCE {
                return Err(spin::Error::TooManyConnections);
            }
            // Counted before it is open, so that many at once cannot pass the check together.
            state.redis_connections += 1;
            Ok(())
        });
        if let Err(error) = checked {
            return Ok(Err(error));
        }
        let opened = connect(&client).await;
        accessor.with(|mut access| {
            let state = access.get();
            match opened {
                Ok(open) => Ok(Ok(state.table.push(Connection(open))?)),
                Err(error) => {
                    state.redis_connections -= 1;
                    Ok(Err(failed(&error)))
                }
            }
        })
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        channel: String,
        payload: Vec<u8>,
    ) -> Answered<()> {
        let publish = command("PUBLISH", [channel.as_bytes(), &payload]);
        Ok(Self::send(accessor, &connection, publish).await?.map(drop))
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
    ) -> Answered<Option<Vec<u8>>> {
        let found: Result<Option<Vec<u8>>, _> =
            Self::ask(accessor, &connection, command("GET", [key])).await?;
        Ok(found.and_then(|value| match value {
            Some(value) if value.len() > ANSWER_BYTES_MAX => Err(too_large()),
            value => Ok(value),
        }))
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
        value: Vec<u8>,
    ) -> Answered<()> {
        Ok(Self::send(accessor, &connection, command("SET", [key.as_bytes(), &value])).await?.map(drop))
    }

    async fn incr(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
    ) -> Answered<i64> {
        Self::ask(accessor, &connection, command("INCR", [key])).await
    }

    async fn del(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        keys: Vec<String>,
    ) -> Answered<u32> {
        Self::ask(accessor, &connection, command("DEL", keys)).await
    }

    async fn sadd(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> Answered<u32> {
        let sadd = command("SADD", std::iter::once(key).chain(values));
        Self::ask(accessor, &connection, sadd).await
    }

    async fn smembers(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
    ) -> Answered<Vec<String>> {
        Self::ask(accessor, &connection, command("SMEMBERS", [key])).await
    }

    async fn srem(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> Answered<u32> {
        let srem = command("SREM", std::iter::once(key).chain(values));
        Self::ask(accessor, &connection, srem).await
    }

    async fn execute(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        name: String,
        arguments: Vec<spin::RedisParameter>,
    ) -> Answered<Vec<spin::RedisResult>> {
        let mut sent = redis::cmd(&name);
        for argument in arguments {
            match argument {
                spin::RedisParameter::Int64(number) => sent.arg(number),
                spin::RedisParameter::Binary(bytes) => sent.arg(bytes),
            };
        }
        let answer = Self::send(accessor, &connection, sent).await?;
        Ok(answer.and_then(|value| {
            let mut flat = Vec::new();
            flatten(value, &mut flat)?;
            if bytes_of(&flat) > ANSWER_BYTES_MAX { Err(too_large()) } else { Ok(flat) }
        }))
    }
}

fn too_large() -> spin::Error {
    spin::Error::Other(format!("an answer of more than {ANSWER_BYTES_MAX} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_maybe_a_port() {
        let place = |address| parse(address).map(|(_, host, port)| (host, port));
        assert_eq!(place("redis://cache"), Some(("cache".to_owned(), 6379)));
        assert_eq!(place("redis://:secret@127.0.0.1:1/2"), Some(("127.0.0.1".to_owned(), 1)));
        for bad in ["", "cache:6379", "http://cache", "rediss://cache", "unix:/run/redis.sock"] {
            assert_eq!(place(bad), None, "{bad}");
        }
    }

    #[test]
    fn answers_become_flat_lists() {
        let nested = Value::Array(vec![
            Value::Int(1),
            Value::Array(vec![Value::Nil, Value::BulkString(b"x".to_vec())]),
            Value::Okay,
        ]);
        let mut flat = Vec::new();
        assert!(flatten(nested, &mut flat).is_ok());
        assert!(matches!(
            flat.as_slice(),
            [
                spin::RedisResult::Int64(1),
                spin::RedisResult::Nil,
                spin::RedisResult::Binary(_),
                spin::RedisResult::Status(_)
            ]
        ));
        assert!(flatten(Value::Map(Vec::new()), &mut flat).is_err());
    }
}
