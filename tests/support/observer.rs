//! Watching the store.

use std::cell::RefCell;
use std::rc::Rc;

use ota_store::memory::MemoryKv;

/// Notes every operation on the store by its key, until it is dropped. It takes the place of the store's faults.
pub struct Observer {
    kv: MemoryKv,
    seen: Rc<RefCell<Vec<(String, &'static str)>>>,
}

impl Observer {
    pub(crate) fn new(kv: MemoryKv) -> Self {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let notes = Rc::clone(&seen);
        kv.set_faults(move |key, operation| {
            notes.borrow_mut().push((key.to_owned(), operation));
            None
        });
        Self { kv, seen }
    }

    /// Returns how many operations of these names there were on keys that `wanted` picks.
    pub fn count(&self, operations: &[&str], wanted: impl Fn(&str) -> bool) -> usize {
        self.seen.borrow().iter().filter(|(key, name)| operations.contains(name) && wanted(key)).count()
    }

    /// Returns the keys of all operations of these names, in order.
    pub fn keys(&self, operations: &[&str]) -> Vec<String> {
        self.seen
            .borrow()
            .iter()
            .filter(|(_, name)| operations.contains(name))
            .map(|(key, _)| key.clone())
            .collect()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.kv.clear_faults();
    }
}
