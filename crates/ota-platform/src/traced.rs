//! The engine as the handler of one request sees it when the request belongs to a trace: its lines in the log have the
//! trace's id, and the requests made for it bear the trace on.

use std::future::Future;

use http::HeaderMap;
use ota_core::time::Timestamp;
use ota_http::trace::{TRACEPARENT, Trace};

use crate::{Broker, FetchBody, Message, Platform, PlatformError};

/// An engine, and the trace of the request that it works for, if it is of one. Clones are the same.
#[derive(Clone)]
pub struct Traced<P> {
    engine: P,
    trace: Option<Trace>,
}

impl<P: Platform> Traced<P> {
    /// Wraps an engine for a request with these headers.
    pub fn new(engine: &P, headers: &HeaderMap) -> Self {
        Self { engine: engine.clone(), trace: Trace::of(headers) }
    }
}

impl<P: Platform> Platform for Traced<P> {
    type Kv = P::Kv;

    fn kv(&self) -> &P::Kv {
        self.engine.kv()
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
        mut request: http::Request<FetchBody>,
    ) -> Result<http::Response<FetchBody>, PlatformError> {
        if let Some(trace) = &self.trace {
            let [span @ .., _, _, _, _, _, _, _, _] = self.random();
            request.headers_mut().insert(TRACEPARENT, trace.header(span));
        }
        self.engine.fetch(request).await
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.engine.spawn(task);
    }

    async fn sleep(&self, ms: u64) {
        self.engine.sleep(ms).await;
    }

    fn log(&self, line: &str) {
        match &self.trace {
            Some(trace) => self.engine.log(&format!("{line} trace_id={}", trace.id_text())),
            None => self.engine.log(line),
        }
    }
}
