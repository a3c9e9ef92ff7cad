//! Spin, and the embedded host, which offers the same interfaces.

mod key_value;
mod redis;
mod store;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use ota_core::time::Timestamp;
use spin_sdk::mqtt::{Connection, Qos};
use spin_sdk::variables;

pub use self::store::{SpinKv, SpinToken};
use crate::{Broker, FetchBody, Message, Platform, PlatformError, wasi};

/// Seconds between keep-alives of a connection that lives for one batch of messages.
const KEEP_ALIVE_SECONDS: u64 = 30;

thread_local! {
    /// The application's variables, as far as they were asked for. They are the same for every request, and an instance, which
    /// remembers them, lives for some hundred requests.
    static VARIABLES: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) };
}

/// One request's view of the engine.
#[derive(Clone, Default)]
pub struct SpinPlatform {
    kv: Rc<SpinKv>,
}

impl SpinPlatform {
    /// Makes the view of one request.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Returns a variable of the application.
async fn variable(name: &str) -> Result<String, PlatformError> {
    if let Some(value) = VARIABLES.with_borrow(|known| known.get(name).cloned()) {
        return Ok(value);
    }
    let why = |error| PlatformError::Variable { name: name.to_owned(), why: format!("{error:?}") };
    let value = variables::get(name).await.map_err(why)?;
    VARIABLES.with_borrow_mut(|known| known.insert(name.to_owned(), value.clone()));
    Ok(value)
}

impl Platform for SpinPlatform {
    type Kv = SpinKv;

    fn kv(&self) -> &SpinKv {
        &self.kv
    }

    fn now(&self) -> Timestamp {
        wasi::now()
    }

    fn random(&self) -> [u8; 16] {
        wasi::random()
    }

    async fn variable(&self, name: &str) -> Result<String, PlatformError> {
        variable(name).await
    }

    async fn publish(&self, broker: &Broker, messages: &[Message]) -> Result<usize, PlatformError> {
        let why = |error| PlatformError::Broker(format!("{error:?}"));
        // Every instance needs a client id of its own, or the broker would close one connection for the other.
        let id: String = self.random().iter().map(|byte| format!("{byte:02x}")).collect();
        let address = format!("{}?client_id=overair-{id}", broker.address);
        let connection = Connection::open(&address, &broker.username, &broker.password, KEEP_ALIVE_SECONDS)
            .await
            .map_err(why)?;
        for (sent, message) in messages.iter().enumerate() {
            if message.is_late(self.now()) {
                return Ok(sent);
            }
            let taken = connection.publish(&message.topic, message.payload.clone(), Qos::AtLeastOnce).await;
            if let Err(error) = taken {
                self.log(&format!("publish {}: {error:?}", message.topic));
                return Ok(sent);
            }
        }
        Ok(messages.len())
    }

    async fn fetch(
        &self,
        request: http::Request<FetchBody>,
    ) -> Result<http::Response<FetchBody>, PlatformError> {
        wasi::fetch(request).await
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        wasi::spawn(task);
    }

    async fn sleep(&self, ms: u64) {
        wasi::sleep(ms).await;
    }

    fn log(&self, line: &str) {
        wasi::log(line);
    }
}
