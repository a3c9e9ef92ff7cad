//! Orders to a store, and how they end.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use ota_core::time::Timestamp;
use ota_store::claim::{self, Claim};
use ota_store::record::{Corrupt, Record};
use ota_store::transact::{Change, load, update};
use ota_store::{Kv, KvError, StoreError, Swap, check};
use serde::{Deserialize, Serialize};

/// Something to do to the store. Values are hexadecimal text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the fields are the arguments of what each order calls")]
pub enum Order {
    /// [`Kv::get`].
    Get { key: String },
    /// [`Kv::get`] of several keys, all under way at once.
    GetTogether { keys: Vec<String> },
    /// [`Kv::set`].
    Set { key: String, value: String },
    /// [`Kv::delete`].
    Delete { key: String },
    /// [`Kv::read`]; the token is kept under a name for the orders that follow.
    Read { key: String, token: String },
    /// [`Kv::swap`] with a token that was kept.
    Swap { token: String, value: String },
    /// [`Kv::increment`].
    Increment { key: String, delta: i64 },
    /// [`check::check`].
    Check { nonce: String },
    /// [`claim::take`].
    Claim { key: String, now: u64 },
    /// Adds a line to a record, which is made if there is none: [`update`].
    Append { key: String, line: u32, now: u64 },
    /// Puts a record in place of what is there: [`update`].
    Put { key: String, lines: Vec<u32>, now: u64 },
    /// Returns a record's lines: [`load`].
    Lines { key: String },
}

/// How an order ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the fields are what each order's call returns")]
pub enum Outcome {
    /// It is done, and there is nothing to tell.
    Done,
    /// The value, if there is one.
    Value { value: Option<String> },
    /// The values, in the order of the keys.
    Values { values: Vec<Option<String>> },
    /// The swap was made.
    Swapped,
    /// The swap came too late.
    Stale,
    /// The counter's sum.
    Sum { sum: i64 },
    /// Who may create the record.
    Claim { won: bool, exists: bool },
    /// The record's lines, if there is one.
    Lines { lines: Option<Vec<u32>> },
    /// Others were faster every time.
    Contention,
    /// The order failed.
    Failed { why: String },
}

/// A record of numbers, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(pub Vec<u32>);

/// Bytes before a record's body: its version and revision.
const HEADER_LEN: usize = 9;

impl Record for Lines {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.0.iter().flat_map(|line| line.to_be_bytes()));
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let body = bytes.get(HEADER_LEN..).ok_or_else(|| Corrupt("no header".to_owned()))?;
        let (lines, rest) = body.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(Corrupt("half a line".to_owned()));
        }
        Ok(Self(lines.iter().map(|line| u32::from_be_bytes(*line)).collect()))
    }
}

/// Carries out orders, one after the other.
pub async fn carry_out<K: Kv>(kv: &K, orders: Vec<Order>) -> Vec<Outcome> {
    let mut tokens = BTreeMap::new();
    let mut outcomes = Vec::with_capacity(orders.len());
    for order in orders {
        let outcome = carry_out_one(kv, &mut tokens, order).await;
        outcomes.push(outcome.unwrap_or_else(|error| match error {
            StoreError::Contention { .. } => Outcome::Contention,
            StoreError::Kv(error) => Outcome::Failed { why: error.to_string() },
            error @ StoreError::Corrupt { .. } => Outcome::Failed { why: error.to_string() },
        }));
    }
    outcomes
}

async fn carry_out_one<K: Kv>(
    kv: &K,
    tokens: &mut BTreeMap<String, K::Token>,
    order: Order,
) -> Result<Outcome, StoreError> {
    Ok(match order {
        Order::Get { key } => value(kv.get(&key).await?),
        Order::GetTogether { keys } => {
            let found = try_join_all(keys.iter().map(|key| kv.get(key))).await?;
            Outcome::Values { values: found.into_iter().map(|value| value.map(hex::encode)).collect() }
        }
        Order::Set { key, value } => {
            kv.set(&key, &bytes(&value)?).await?;
            Outcome::Done
        }
        Order::Delete { key } => {
            kv.delete(&key).await?;
            Outcome::Done
        }
        Order::Read { key, token: name } => {
            let (found, token) = kv.read(&key).await?;
            tokens.insert(name, token);
            value(found)
        }
        Order::Swap { token: name, value } => {
            let token = tokens.remove(&name).ok_or_else(|| KvError(format!("no token {name} was kept")))?;
            match kv.swap(token, &bytes(&value)?).await? {
                Swap::Swapped => Outcome::Swapped,
                Swap::Stale => Outcome::Stale,
            }
        }
        Order::Increment { key, delta } => Outcome::Sum { sum: kv.increment(&key, delta).await? },
        Order::Check { nonce } => match check::check(kv, &nonce).await {
            Ok(()) => Outcome::Done,
            Err(broken) => Outcome::Failed { why: broken.to_string() },
        },
        Order::Claim { key, now } => {
            let claim = claim::take(kv, &key, Timestamp(now)).await?;
            Outcome::Claim { won: claim == Claim::Won, exists: claim == Claim::Exists }
        }
        Order::Append { key, line, now } => {
            update(kv, &key, Timestamp(now), |found: Option<Lines>| {
                let mut lines = found.unwrap_or_default();
                lines.0.push(line);
                Change::Put(lines, ())
            })
            .await?;
            Outcome::Done
        }
        Order::Put { key, lines, now } => {
            let record = Lines(lines);
            update(kv, &key, Timestamp(now), |_: Option<Lines>| Change::Put(record.clone(), ())).await?;
            Outcome::Done
        }
        Order::Lines { key } => Outcome::Lines { lines: load::<Lines>(kv, &key).await?.map(|lines| lines.0) },
    })
}

fn value(found: Option<Vec<u8>>) -> Outcome {
    Outcome::Value { value: found.map(hex::encode) }
}

fn bytes(text: &str) -> Result<Vec<u8>, KvError> {
    hex::decode(text).map_err(|error| KvError(format!("{error}: {text:.20}")))
}
