//! The engine as a handler of the operators' API sees it: the store takes no write of a request before the audit log has it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use ota_core::access::AuditEntry;
use ota_core::time::Timestamp;
use ota_http::about::About;
use ota_store::{Kv, KvError, StoreError, Swap, audit};

use crate::{Broker, FetchBody, Message, Platform, PlatformError};

/// An engine whose store lists the request in the audit log before it writes anything for it. Clones are the same.
#[derive(Clone)]
pub struct Audited<P> {
    engine: P,
    kv: AuditedKv<P>,
}

/// See [`Audited`].
#[derive(Clone)]
pub struct AuditedKv<P> {
    engine: P,
    request: Rc<Noted>,
}

/// What is to be listed, and how far that is.
struct Noted {
    entry: RefCell<Option<AuditEntry>>,
    about: About,
    listed: Cell<Listed>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Listed {
    Not,
    /// Whether it is in the log is not known: the store has failed.
    Perhaps,
    Yes,
}

impl<P: Platform> Audited<P> {
    /// Wraps an engine for one request: a change is listed as `entry` says, a read is not. `about` tells what it is about,
    /// as far as that is known by then.
    pub(crate) fn new(engine: &P, entry: Option<AuditEntry>, about: About) -> Self {
        let request = Noted { entry: RefCell::new(entry), about, listed: Cell::new(Listed::Not) };
        let kv = AuditedKv { engine: engine.clone(), request: Rc::new(request) };
        Self { engine: engine.clone(), kv }
    }

    /// Lists how the request ended, if it has come as far as to write anything.
    ///
    /// # Errors
    /// The store's. The request stays listed as one whose outcome is open.
    pub(crate) async fn end(&self, status: u16) -> Result<(), StoreError> {
        if self.kv.request.listed.get() == Listed::Not {
            return Ok(());
        }
        let Some(mut entry) = self.kv.entry() else { return Ok(()) };
        entry.status = Some(status);
        audit::end(self.engine.kv(), &entry, self.engine.now()).await
    }
}

impl<P: Platform> AuditedKv<P> {
    fn entry(&self) -> Option<AuditEntry> {
        let entry = self.request.entry.borrow().clone();
        let (subject, product) = self.request.about.told();
        entry.map(|entry| AuditEntry { subject, product, ..entry })
    }

    /// Lists the request if it is not listed yet. Without that nothing is written.
    async fn list(&self) -> Result<(), KvError> {
        if self.request.listed.get() == Listed::Yes {
            return Ok(());
        }
        let Some(entry) = self.entry() else { return Ok(()) };
        self.request.listed.set(Listed::Perhaps);
        audit::begin(self.engine.kv(), &entry, self.engine.now()).await.map_err(|error| match error {
            StoreError::Kv(error) => error,
            other => KvError(format!("audit log: {other}")),
        })?;
        self.request.listed.set(Listed::Yes);
        Ok(())
    }
}

impl<P: Platform> Kv for AuditedKv<P> {
    type Token = <P::Kv as Kv>::Token;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        self.engine.kv().get(key).await
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), KvError> {
        self.list().await?;
        self.engine.kv().set(key, value).await
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        self.list().await?;
        self.engine.kv().delete(key).await
    }

    async fn read(&self, key: &str) -> Result<(Option<Vec<u8>>, Self::Token), KvError> {
        self.engine.kv().read(key).await
    }

    async fn swap(&self, token: Self::Token, value: &[u8]) -> Result<Swap, KvError> {
        self.list().await?;
        self.engine.kv().swap(token, value).await
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, KvError> {
        self.list().await?;
        self.engine.kv().increment(key, delta).await
    }
}

impl<P: Platform> Platform for Audited<P> {
    type Kv = AuditedKv<P>;

    fn kv(&self) -> &AuditedKv<P> {
        &self.kv
    }

    fn now(&self) -> Timestamp {
        self.engine.now()
    }

    fn random(&self) -> [u8; 16] {
        self.engine.random()
    }

    async fn variable(&self, name: &str) -> Result<String, PlatformError> {
        self.engine.variable(name).await
    }

    async fn publish(&self, broker: &Broker, messages: &[Message]) -> Result<usize, PlatformError> {
        self.engine.publish(broker, messages).await
    }

    async fn fetch(
        &self,
        request: http::Request<FetchBody>,
    ) -> Result<http::Response<FetchBody>, PlatformError> {
        self.engine.fetch(request).await
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.engine.spawn(task);
    }

    async fn sleep(&self, ms: u64) {
        self.engine.sleep(ms).await;
    }

    fn log(&self, line: &str) {
        self.engine.log(line);
    }
}
