//! The promises, each as a check of one engine.

use std::collections::BTreeSet;

use kv_probe::{Order, Outcome};
use ota_store::claim::GRACE_MS;

use crate::engine::Engine;

/// Rivals at once.
const RIVALS: u32 = 24;
/// How often a race is run: each time on another key.
const RACES: u32 = 12;
/// The moment at which everything happens, unless it is about time.
pub(crate) const NOW: u64 = 1_600_000_000_000;
/// The largest value that every engine takes.
const VALUE_BYTES_MAX: usize = 256 * 1024;

pub(crate) async fn the_start_up_check_finds_nothing_broken(engine: &Engine) {
    // Several instances start at once, and more than once.
    let checks = (0..8).map(|n| vec![check(n), check(n + 100)]);
    for outcomes in engine.race(checks).await {
        assert_eq!(outcomes, [Outcome::Done, Outcome::Done]);
    }
}

pub(crate) async fn what_is_written_is_read_byte_for_byte(engine: &Engine) {
    let every_byte: Vec<u8> = (0..=255).collect();
    for value in [every_byte.as_slice(), b"", b"\0", b"text", b"\xff\xff"] {
        let outcomes = engine.carry_out(vec![set("bytes", value), get("bytes"), read("bytes", "t")]).await;
        assert_eq!(outcomes, [Outcome::Done, found(value), found(value)]);
    }
    let outcomes =
        engine.carry_out(vec![delete("bytes"), get("bytes"), delete("bytes"), read("bytes", "t")]).await;
    assert_eq!(outcomes, [Outcome::Done, absent(), Outcome::Done, absent()]);
}

pub(crate) async fn a_write_is_seen_by_every_later_read(engine: &Engine) {
    for n in 0..40 {
        let value = [n];
        let write = match n % 2 {
            0 => vec![set("seen", &value)],
            _ => vec![read("seen", "t"), swap("t", &value)],
        };
        engine.carry_out(write).await;
        // Through other instances and connections than the one that wrote.
        for outcomes in engine.race((0..6).map(|_| vec![get("seen"), read("seen", "t")])).await {
            assert_eq!(outcomes, [found(&value), found(&value)]);
        }
    }
}

pub(crate) async fn keys_are_told_apart_by_every_character(engine: &Engine) {
    let long = "x".repeat(500);
    let keys = ["a", "A", "a/", "a/b", "a_b", "a-b", "a.b", "a=b", "0", "00", &long, &format!("{long}y")];
    for (n, key) in (0..).zip(keys) {
        engine.carry_out(vec![set(key, &[n])]).await;
    }
    for (n, key) in (0..).zip(keys) {
        assert_eq!(engine.one(get(key)).await, found(&[n]), "{key}");
    }
}

pub(crate) async fn a_value_of_256_kib_fits(engine: &Engine) {
    let value = |seed: u32| -> Vec<u8> {
        (0..VALUE_BYTES_MAX as u32)
            .map(|n| (n.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 24) as u8)
            .collect()
    };
    let (first, second) = (value(1), value(77));
    assert_ne!(first, second);
    let orders = vec![set("large", &first), read("large", "t"), swap("t", &second), get("large")];
    let outcomes = engine.carry_out(orders).await;
    assert!(outcomes == [Outcome::Done, found(&first), Outcome::Swapped, found(&second)]);
}

pub(crate) async fn of_swaps_from_one_state_exactly_one_is_made(engine: &Engine) {
    let outcomes = engine
        .carry_out(vec![
            set("state", b"old"),
            read("state", "a"),
            read("state", "b"),
            read("state", "c"),
            swap("b", b"new"),
            swap("a", b"late"),
            get("state"),
            // A plain write is a rival too, and so is a removal.
            read("state", "d"),
            set("state", b"written"),
            swap("d", b"later"),
            swap("c", b"latest"),
            get("state"),
            read("state", "e"),
            delete("state"),
            swap("e", b"again"),
            get("state"),
        ])
        .await;
    assert_eq!(
        outcomes[4..],
        [
            Outcome::Swapped,
            Outcome::Stale,
            found(b"new"),
            found(b"new"),
            Outcome::Done,
            Outcome::Stale,
            Outcome::Stale,
            found(b"written"),
            found(b"written"),
            Outcome::Done,
            Outcome::Stale,
            absent(),
        ]
    );
}

pub(crate) async fn rivals_never_swap_the_same_state_twice(engine: &Engine) {
    for race in 0..RACES {
        let key = format!("contested/{race}");
        engine.one(set(&key, b"first")).await;
        // Every rival writes values that nobody else writes, so a value is a state.
        let rivals = (0..RIVALS).map(|rival| {
            (0..4).flat_map(|n| [read(&key, "t"), swap("t", format!("{rival}.{n}").as_bytes())]).collect()
        });
        let outcomes: Vec<Outcome> = engine.race(rivals).await.into_iter().flatten().collect();
        let (pairs, _) = outcomes.as_chunks::<2>();
        let mut left = BTreeSet::new();
        for [read, swapped] in pairs {
            match (read, swapped) {
                (Outcome::Value { value: Some(state) }, Outcome::Swapped) => {
                    assert!(left.insert(state.clone()), "two swaps were made from {state}");
                }
                (Outcome::Value { value: Some(_) }, Outcome::Stale) => {}
                other => panic!("{other:?}"),
            }
        }
        // The states that were left are a chain from the first to the one that is there now.
        let Outcome::Value { value: Some(last) } = engine.one(get(&key)).await else { panic!("no value") };
        assert!(left.contains(&hex::encode("first")) && !left.contains(&last));
    }
}

pub(crate) async fn rivals_for_one_record_lose_nothing(engine: &Engine) {
    engine.one(append("shared", 0)).await;
    for race in 0..RACES {
        add_all(engine, "shared", race * RIVALS + 1..=(race + 1) * RIVALS).await;
    }
    assert_eq!(lines(engine, "shared").await, (0..=RACES * RIVALS).collect());
}

pub(crate) async fn rivals_in_creating_a_record_lose_nothing(engine: &Engine) {
    for race in 0..RACES {
        let key = format!("created/{race}");
        add_all(engine, &key, 1..=RIVALS).await;
        assert_eq!(lines(engine, &key).await, (1..=RIVALS).collect());
    }
}

pub(crate) async fn a_claim_is_won_once(engine: &Engine) {
    for race in 0..RACES {
        let key = format!("claimed/{race}");
        let outcomes = engine.race((0..RIVALS).map(|_| vec![claim(&key, NOW)])).await;
        let won = outcomes.iter().flatten().filter(|outcome| is_won(outcome)).count();
        assert_eq!(won, 1, "{outcomes:?}");
        // Nobody takes the record for created as long as it is not there.
        let exists = |outcome: &Outcome| matches!(outcome, Outcome::Claim { exists: true, .. });
        assert!(!outcomes.iter().flatten().any(exists), "{outcomes:?}");
    }
}

pub(crate) async fn a_claim_whose_winner_died_is_given_out_once_more(engine: &Engine) {
    for race in 0..RACES {
        let key = format!("abandoned/{race}");
        assert!(is_won(&engine.one(claim(&key, NOW)).await));
        // Somebody finds the claim taken and the record absent. Until the grace is over nobody may create it.
        assert_eq!(engine.one(append_at(&key, 1, NOW + 1)).await, Outcome::Contention);
        assert_eq!(engine.one(append_at(&key, 1, NOW + GRACE_MS)).await, Outcome::Contention);
        let late = NOW + 1 + GRACE_MS;
        let outcomes = engine.race((1..=RIVALS).map(|line| vec![append_at(&key, line, late)])).await;
        let done: BTreeSet<u32> = (1..=RIVALS)
            .zip(outcomes.iter().flatten())
            .filter(|(_, outcome)| **outcome == Outcome::Done)
            .map(|(line, _)| line)
            .collect();
        assert!(!done.is_empty(), "{outcomes:?}");
        assert_eq!(lines(engine, &key).await, done);
    }
}

pub(crate) async fn a_value_that_comes_back_is_not_taken_for_the_old_one(engine: &Engine) {
    let outcomes = engine
        .carry_out(vec![
            put("aba", &[1]),
            read("aba", "old"),
            put("aba", &[2]),
            put("aba", &[1]),
            swap("old", b"whoever swaps this has seen nothing of what came in between"),
            Order::Lines { key: "aba".to_owned() },
        ])
        .await;
    assert_eq!(outcomes[4..], [Outcome::Stale, Outcome::Lines { lines: Some(vec![1]) }]);
}

pub(crate) async fn counters_add_up_and_no_sum_is_told_twice(engine: &Engine) {
    const EACH: u32 = 6;
    assert_eq!(engine.one(increment("count", 0)).await, Outcome::Sum { sum: 0 });
    let rivals = (0..RIVALS).map(|_| (0..EACH).map(|_| increment("count", 1)).collect());
    let outcomes: Vec<Outcome> = engine.race(rivals).await.into_iter().flatten().collect();
    let sums: BTreeSet<i64> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Sum { sum } => *sum,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sums, (1..=i64::from(RIVALS * EACH)).collect());
    let down = engine
        .carry_out(vec![increment("count", -1_000), increment("other", -3), increment("count", 0)])
        .await;
    let sum = |sum| Outcome::Sum { sum };
    let all = i64::from(RIVALS * EACH);
    assert_eq!(down, [sum(all - 1_000), sum(-3), sum(all - 1_000)]);
}

pub(crate) async fn reads_that_are_under_way_together_each_find_their_own(engine: &Engine) {
    let keys: Vec<String> = (0..64).map(|n| format!("together/{n}")).collect();
    // Every third is absent.
    let value = |n: usize| (!n.is_multiple_of(3)).then(|| format!("value {n}").into_bytes());
    let writes = keys.iter().enumerate().filter_map(|(n, key)| Some(set(key, &value(n)?)));
    engine.carry_out(writes.collect()).await;
    let expected: Vec<Option<String>> = (0..keys.len()).map(|n| value(n).map(hex::encode)).collect();
    for outcomes in engine.race((0..4).map(|_| vec![Order::GetTogether { keys: keys.clone() }])).await {
        assert_eq!(outcomes, [Outcome::Values { values: expected.clone() }]);
    }
}

/// Returns how many of two swaps from the same absent key are told that they were made.
pub(crate) async fn two_swaps_from_absent(engine: &Engine) -> usize {
    let orders = vec![read("absent", "a"), read("absent", "b"), swap("a", b"1"), swap("b", b"2")];
    let outcomes = engine.carry_out(orders).await;
    outcomes.iter().filter(|outcome| **outcome == Outcome::Swapped).count()
}

/// Lets rivals add a line each, again and again until each is told that its line is there.
pub(crate) async fn add_all(engine: &Engine, key: &str, lines: impl IntoIterator<Item = u32>) {
    let mut open: Vec<u32> = lines.into_iter().collect();
    while !open.is_empty() {
        let outcomes = engine.race(open.iter().map(|line| vec![append(key, *line)])).await;
        let told: Vec<(u32, Outcome)> = open.drain(..).zip(outcomes.into_iter().flatten()).collect();
        for (line, outcome) in told {
            match outcome {
                Outcome::Done => {}
                // As a caller who is answered with 503 does.
                Outcome::Contention => open.push(line),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Returns a record's lines, of which none may be there twice.
pub(crate) async fn lines(engine: &Engine, key: &str) -> BTreeSet<u32> {
    let Outcome::Lines { lines } = engine.one(Order::Lines { key: key.to_owned() }).await else {
        panic!("{key}")
    };
    let lines = lines.unwrap_or_default();
    let set: BTreeSet<u32> = lines.iter().copied().collect();
    assert_eq!(set.len(), lines.len(), "{key} has a line twice: {lines:?}");
    set
}

pub(crate) fn get(key: &str) -> Order {
    Order::Get { key: key.to_owned() }
}

pub(crate) fn set(key: &str, value: &[u8]) -> Order {
    Order::Set { key: key.to_owned(), value: hex::encode(value) }
}

pub(crate) fn delete(key: &str) -> Order {
    Order::Delete { key: key.to_owned() }
}

pub(crate) fn read(key: &str, token: &str) -> Order {
    Order::Read { key: key.to_owned(), token: token.to_owned() }
}

pub(crate) fn swap(token: &str, value: &[u8]) -> Order {
    Order::Swap { token: token.to_owned(), value: hex::encode(value) }
}

pub(crate) fn increment(key: &str, delta: i64) -> Order {
    Order::Increment { key: key.to_owned(), delta }
}

fn check(nonce: u32) -> Order {
    Order::Check { nonce: nonce.to_string() }
}

fn claim(key: &str, now: u64) -> Order {
    Order::Claim { key: key.to_owned(), now }
}

pub(crate) fn append(key: &str, line: u32) -> Order {
    append_at(key, line, NOW)
}

pub(crate) fn append_at(key: &str, line: u32, now: u64) -> Order {
    Order::Append { key: key.to_owned(), line, now }
}

fn put(key: &str, lines: &[u32]) -> Order {
    Order::Put { key: key.to_owned(), lines: lines.to_vec(), now: NOW }
}

pub(crate) fn found(value: &[u8]) -> Outcome {
    Outcome::Value { value: Some(hex::encode(value)) }
}

fn absent() -> Outcome {
    Outcome::Value { value: None }
}

fn is_won(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Claim { won: true, .. })
}
