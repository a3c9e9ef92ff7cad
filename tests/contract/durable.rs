//! What the embedded store has acknowledged is there after the process was killed.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use kv_probe::Outcome;
use ota_store::claim::GRACE_MS;

use crate::engine::{Caller, Embedded, Engine};
use crate::promises::{NOW, append, append_at, found, get, increment, lines, set};

/// Callers that write at once.
const WRITERS: u32 = 12;
/// Records that they write to, each several of them. They are created in the middle of it, too.
const RECORDS: u32 = 40;
/// How long they write before the process is killed.
const WRITE_FOR: Duration = Duration::from_millis(600);
/// How often the process is killed.
const DEATHS: u32 = 3;

/// What is killed.
#[derive(Clone, Copy)]
enum Victim {
    /// The host, with the store in it.
    Host,
    /// The store's server. The host goes on: its connections are dead, and it makes new ones.
    Redis,
}

#[tokio::test]
async fn acknowledged_writes_survive_a_kill() {
    survive(Embedded::start("correct"), Victim::Host).await;
}

#[tokio::test]
async fn acknowledged_writes_survive_a_kill_with_the_quirk_too() {
    survive(Embedded::start("spin"), Victim::Host).await;
}

#[tokio::test]
async fn on_redis_acknowledged_writes_survive_a_kill_of_the_server() {
    survive(Embedded::start_on_redis(), Victim::Redis).await;
}

impl Victim {
    fn kill(self, embedded: &mut Embedded) {
        match self {
            Self::Host => embedded.host.kill(),
            Self::Redis => embedded.redis().kill(),
        }
    }

    fn start_again(self, embedded: &mut Embedded) {
        match self {
            Self::Host => embedded.start_again(),
            Self::Redis => embedded.redis().start_again(),
        }
    }
}

/// What one caller was told.
#[derive(Default)]
struct Told {
    written: Vec<u32>,
    appended: Vec<(String, u32)>,
    counted: i64,
    asked_to_count: i64,
}

async fn survive(mut embedded: Embedded, victim: Victim) {
    let mut all = Told::default();
    for death in 0..DEATHS {
        let writers = (0..WRITERS).map(|writer| write(embedded.caller(), writer + death * WRITERS));
        let (told, ()) = tokio::join!(join_all(writers), async {
            tokio::time::sleep(WRITE_FOR).await;
            victim.kill(&mut embedded);
        });
        victim.start_again(&mut embedded);
        for told in told {
            all.written.extend(told.written);
            all.appended.extend(told.appended);
            all.counted += told.counted;
            all.asked_to_count += told.asked_to_count;
        }
    }
    assert!(all.written.len() > 100, "only {} writes were acknowledged", all.written.len());

    let engine = Engine::Embedded(Box::new(embedded));
    for some in all.written.chunks(200) {
        let outcomes = engine.carry_out(some.iter().map(|n| get(&written_key(*n))).collect()).await;
        assert!(some.iter().zip(outcomes).all(|(n, outcome)| outcome == found(&n.to_be_bytes())));
    }
    for record in 0..RECORDS {
        let key = record_key(record);
        let acknowledged: BTreeSet<u32> =
            all.appended.iter().filter(|(to, _)| *to == key).map(|(_, line)| *line).collect();
        let there = lines(&engine, &key).await;
        assert!(there.is_superset(&acknowledged), "{key} has lost {:?}", acknowledged.difference(&there));
        // A record whose creator died before it was there can be created still.
        let first = engine.one(append_at(&key, u32::MAX, NOW + 1)).await;
        if first == Outcome::Contention {
            assert_eq!(engine.one(append_at(&key, u32::MAX, NOW + 2 + GRACE_MS)).await, Outcome::Done);
        }
        assert!(lines(&engine, &key).await.contains(&u32::MAX));
    }
    let counted = engine.carry_out(vec![get("nothing"), increment("count", 0)]).await;
    let Outcome::Sum { sum } = counted[1] else { panic!("no counter: {counted:?}") };
    assert!((all.counted..=all.asked_to_count).contains(&sum), "{sum} of {}", all.counted);
}

/// Writes until there is no answer any more, or it tells of a failure.
async fn write(caller: Caller, writer: u32) -> Told {
    let mut told = Told::default();
    for n in 0_u32.. {
        let number = writer * 1_000_000 + n;
        let key = record_key((n / 4 + writer % 3) % RECORDS);
        told.asked_to_count += 1;
        let order =
            [set(&written_key(number), &number.to_be_bytes()), append(&key, number), increment("count", 1)];
        // One request each: an answer acknowledges one write.
        for (at, order) in order.into_iter().enumerate() {
            // A read before it: an instance finds out then that its connection is dead, and makes another.
            let Ok(outcomes) = caller.try_carry_out(&[get("nothing"), order]).await else { return told };
            match (at, &outcomes[1]) {
                (0, Outcome::Done) => told.written.push(number),
                (1, Outcome::Done) => told.appended.push((key.clone(), number)),
                (2, Outcome::Sum { .. }) => told.counted += 1,
                (1, Outcome::Contention) => {}
                // The store has gone away; whether this was written is not known.
                (_, Outcome::Failed { .. }) => return told,
                (_, other) => panic!("{other:?}"),
            }
        }
    }
    told
}

fn written_key(number: u32) -> String {
    format!("written/{number}")
}

fn record_key(record: u32) -> String {
    format!("record/{record}")
}
