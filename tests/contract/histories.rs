//! Is a key linearizable? Rivals read, write and swap one key at once; what each was told, and when, is checked for an order in
//! which all of it could have happened one after the other (`stateright`'s tester).

use std::sync::{Mutex, PoisonError};

use futures::future::join_all;
use kv_probe::{Order, Outcome};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use crate::engine::Engine;
use crate::promises::{delete, get, read, set, swap};

/// Rivals at once, and requests of each. The checker tries orders, of which there are the more the more is under way at once.
const RIVALS: u32 = 4;
const REQUESTS: u32 = 6;
/// How often that is done, each time with another key.
const ROUNDS: u32 = 30;

/// What the key should be: one value, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell(Option<String>);

/// Something done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Done {
    Read,
    Write(Option<String>),
    /// With what the swap expects to find: the value its token came with.
    Swap(Option<String>, String),
}

/// What was told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Value(Option<String>),
    Written,
    Swapped(bool),
}

impl SequentialSpec for Cell {
    type Op = Done;
    type Ret = Told;

    fn invoke(&mut self, done: &Done) -> Told {
        match done {
            Done::Read => Told::Value(self.0.clone()),
            Done::Write(value) => {
                self.0.clone_from(value);
                Told::Written
            }
            Done::Swap(expected, value) => {
                let holds = self.0 == *expected;
                if holds {
                    self.0 = Some(value.clone());
                }
                Told::Swapped(holds)
            }
        }
    }
}

/// When something began or ended, in the order in which it was noticed.
#[derive(Debug)]
enum Moment {
    Began(u32),
    Ended(u32, Done, Told),
}

/// Notes what happens. A request may be two deeds, a read and a swap: then each may have happened at any moment of it, and the
/// deeds get threads of their own.
#[derive(Default)]
struct History(Mutex<Vec<Moment>>);

impl History {
    fn note(&self, moments: impl IntoIterator<Item = Moment>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(moments);
    }

    /// Checks for an order in which everything fits.
    fn is_linearizable(&self) -> bool {
        let moments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tester = LinearizabilityTester::new(Cell(None));
        for (at, moment) in moments.iter().enumerate() {
            let noted = match moment {
                Moment::Began(thread) => {
                    let ended = moments[at..].iter().find_map(|later| match later {
                        Moment::Ended(of, done, _) if of == thread => Some(done.clone()),
                        _ => None,
                    });
                    tester.on_invoke(*thread, ended.expect("whatever began has ended"))
                }
                Moment::Ended(thread, _, told) => tester.on_return(*thread, told.clone()),
            };
            noted.expect("each thread does one thing at a time");
        }
        tester.is_consistent()
    }
}

pub(crate) async fn is_linearizable(engine: &Engine) {
    for round in 0..ROUNDS {
        let history = history(engine, round).await;
        let told = format!("{:?}", history.0);
        assert!(history.is_linearizable(), "round {round}: {told}");
    }
}

/// Lets rivals loose on one key. It exists before they begin: a swap from absent is not promised to have one winner.
async fn history(engine: &Engine, round: u32) -> History {
    let key = format!("line/{round}");
    let first = hex::encode("first");
    let history = History::default();
    history.note([Moment::Began(0), Moment::Ended(0, Done::Write(Some(first.clone())), Told::Written)]);
    assert_eq!(engine.one(set(&key, b"first")).await, Outcome::Done);
    let (key, history_of) = (&key, &history);
    join_all((0..RIVALS).map(|rival| async move {
        for request in 0..REQUESTS {
            // Values are never the same twice, as those of records are not.
            let value = format!("{round}.{rival}.{request}");
            match (rival + request * 3 + round) % 4 {
                0 => one(engine, history_of, rival, get(key), |_| Done::Read).await,
                1 if round % 5 == 4 => {
                    one(engine, history_of, rival, delete(key), |_| Done::Write(None)).await;
                    // Creating it again is a plain write: swaps from absent are not promised to be sound.
                    let again = Some(hex::encode(&value));
                    one(engine, history_of, rival, set(key, value.as_bytes()), |_| {
                        Done::Write(again.clone())
                    })
                    .await;
                }
                1 => {
                    let written = Some(hex::encode(&value));
                    one(engine, history_of, rival, set(key, value.as_bytes()), |_| {
                        Done::Write(written.clone())
                    })
                    .await;
                }
                _ => read_and_swap(engine, history_of, rival, key, &value).await,
            }
        }
    }))
    .await;
    history
}

async fn one(engine: &Engine, history: &History, rival: u32, order: Order, done: impl Fn(&Outcome) -> Done) {
    let thread = rival * 2;
    history.note([Moment::Began(thread)]);
    let outcome = engine.one(order).await;
    let told = told(&outcome);
    history.note([Moment::Ended(thread, done(&outcome), told)]);
}

async fn read_and_swap(engine: &Engine, history: &History, rival: u32, key: &str, value: &str) {
    let (reading, swapping) = (rival * 2, rival * 2 + 1);
    history.note([Moment::Began(reading), Moment::Began(swapping)]);
    let outcomes = engine.carry_out(vec![read(key, "t"), swap("t", value.as_bytes())]).await;
    let Outcome::Value { value: found } = &outcomes[0] else { panic!("{outcomes:?}") };
    let (read, swapped) = (told(&outcomes[0]), told(&outcomes[1]));
    // From absent nothing is promised, so a swap from there is checked as the plain write that it may be.
    let (done, swapped) = match found {
        Some(found) => (Done::Swap(Some(found.clone()), hex::encode(value)), swapped),
        None if swapped == Told::Swapped(true) => (Done::Write(Some(hex::encode(value))), Told::Written),
        None => (Done::Read, Told::Swapped(false)),
    };
    if let (Done::Read, _) = (&done, &swapped) {
        // Refused: it has done nothing, and there is nothing to check. Its thread reads what was read.
        history.note([
            Moment::Ended(reading, Done::Read, read.clone()),
            Moment::Ended(swapping, Done::Read, read),
        ]);
        return;
    }
    history.note([Moment::Ended(reading, Done::Read, read), Moment::Ended(swapping, done, swapped)]);
}

fn told(outcome: &Outcome) -> Told {
    match outcome {
        Outcome::Done => Told::Written,
        Outcome::Value { value } => Told::Value(value.clone()),
        Outcome::Swapped => Told::Swapped(true),
        Outcome::Stale => Told::Swapped(false),
        other => panic!("{other:?}"),
    }
}

/// A store whose swap looks first and writes later loses writes, and the checker says so.
#[tokio::test]
async fn a_store_that_looks_first_and_writes_later_is_found_out() {
    let engine = Engine::torn();
    for round in 0..ROUNDS {
        if !history(&engine, round).await.is_linearizable() {
            return;
        }
    }
    panic!("{ROUNDS} rounds have shown nothing");
}
