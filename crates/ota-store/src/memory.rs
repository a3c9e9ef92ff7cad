//! The store for tests: in memory, counted, with faults on demand.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::kv::{Kv, KvError, Swap};

/// How many operations of each kind were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// [`Kv::get`] and [`Kv::read`].
    pub reads: u64,
    /// [`Kv::set`] and [`Kv::delete`].
    pub writes: u64,
    /// [`Kv::swap`].
    pub swaps: u64,
    /// [`Kv::increment`].
    pub increments: u64,
}

impl Operations {
    /// Returns what came since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            writes: self.writes - earlier.writes,
            swaps: self.swaps - earlier.swaps,
            increments: self.increments - earlier.increments,
        }
    }
}

/// What goes wrong with the operation it is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation is refused and does nothing.
    Refused,
    /// The operation is done, and its answer lost: as when the process dies right after it.
    AnswerLost,
    /// Only for a swap: somebody else was faster.
    Stale,
}

type Faults = Box<dyn FnMut(&str, &'static str) -> Option<Fault>>;

#[derive(Default)]
struct Inner {
    values: BTreeMap<String, Vec<u8>>,
    counters: BTreeMap<String, i64>,
    operations: Operations,
    faults: Option<Faults>,
    /// Whether a swap from absent overwrites, as one engine does.
    upsert_from_absent: bool,
}

/// A store in memory. Clones share the same content.
#[derive(Clone, Default)]
pub struct MemoryKv(Rc<RefCell<Inner>>);

/// The value a swap expects to find.
pub struct MemoryToken {
    key: String,
    expected: Option<Vec<u8>>,
}

impl MemoryToken {
    /// Returns the key that the swap is about.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl MemoryKv {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty store with the quirk of Spin's SQLite: a swap from an absent key overwrites whatever has come
    /// in between.
    pub fn with_spin_quirks() -> Self {
        let store = Self::default();
        store.0.borrow_mut().upsert_from_absent = true;
        store
    }

    /// Returns the operations so far.
    pub fn operations(&self) -> Operations {
        self.0.borrow().operations
    }

    /// Asks `faults` about every operation from now on: it is given the key and the operation's name.
    pub fn set_faults(&self, faults: impl FnMut(&str, &'static str) -> Option<Fault> + 'static) {
        self.0.borrow_mut().faults = Some(Box::new(faults));
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.0.borrow_mut().faults = None;
    }

    /// Returns every key with its bytes, for invariants and sizes.
    pub fn dump(&self) -> Vec<(String, Vec<u8>)> {
        self.0.borrow().values.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Returns the value of one key, for invariants: it is no operation.
    pub fn peek(&self, key: &str) -> Option<Vec<u8>> {
        self.0.borrow().values.get(key).cloned()
    }

    fn fault(&self, key: &str, operation: &'static str) -> Option<Fault> {
        // The closure is taken out while it runs, so that it may look at the store itself.
        let mut faults = self.0.borrow_mut().faults.take()?;
        let fault = faults(key, operation);
        self.0.borrow_mut().faults.get_or_insert(faults);
        fault
    }

    fn run<T>(
        &self,
        key: &str,
        operation: &'static str,
        act: impl FnOnce(&mut Inner) -> T,
    ) -> Result<T, KvError> {
        match self.fault(key, operation) {
            None | Some(Fault::Stale) => Ok(act(&mut self.0.borrow_mut())),
            Some(Fault::Refused) => Err(KvError(format!("{operation} {key}: refused on purpose"))),
            Some(Fault::AnswerLost) => {
                act(&mut self.0.borrow_mut());
                Err(KvError(format!("{operation} {key}: answer lost on purpose")))
            }
        }
    }
}

impl Kv for MemoryKv {
    type Token = MemoryToken;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        self.0.borrow_mut().operations.reads += 1;
        self.run(key, "get", |inner| inner.values.get(key).cloned())
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), KvError> {
        self.0.borrow_mut().operations.writes += 1;
        self.run(key, "set", |inner| {
            inner.values.insert(key.to_owned(), value.to_owned());
        })
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        self.0.borrow_mut().operations.writes += 1;
        self.run(key, "delete", |inner| {
            inner.values.remove(key);
        })
    }

    async fn read(&self, key: &str) -> Result<(Option<Vec<u8>>, MemoryToken), KvError> {
        self.0.borrow_mut().operations.reads += 1;
        self.run(key, "read", |inner| {
            let value = inner.values.get(key).cloned();
            let token = MemoryToken { key: key.to_owned(), expected: value.clone() };
            (value, token)
        })
    }

    async fn swap(&self, token: MemoryToken, value: &[u8]) -> Result<Swap, KvError> {
        self.0.borrow_mut().operations.swaps += 1;
        let fault = self.fault(&token.key, "swap");
        match fault {
            Some(Fault::Refused) => return Err(KvError(format!("swap {}: refused on purpose", token.key))),
            Some(Fault::Stale) => return Ok(Swap::Stale),
            None | Some(Fault::AnswerLost) => {}
        }
        let mut inner = self.0.borrow_mut();
        let upsert = inner.upsert_from_absent && token.expected.is_none();
        if !upsert && inner.values.get(&token.key) != token.expected.as_ref() {
            return Ok(Swap::Stale);
        }
        inner.values.insert(token.key.clone(), value.to_owned());
        match fault {
            Some(_) => Err(KvError(format!("swap {}: answer lost on purpose", token.key))),
            None => Ok(Swap::Swapped),
        }
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, KvError> {
        self.0.borrow_mut().operations.increments += 1;
        self.run(key, "increment", |inner| {
            let counter = inner.counters.entry(key.to_owned()).or_default();
            *counter += delta;
            *counter
        })
    }
}
