//! wasmCloud: `wasmcloud:keyvalue@0.2.0` for the store, the environment for variables, the broker's REST API for
//! publishing.
//!
//! The store must be one whose compare-and-swap is real: of wasmCloud's backends that is NATS. There a swap from an absent
//! key is sound too, because it is an insert that an existing key refuses.
//!
//! A component has no MQTT client here. So the variable `mqtt_address` is the address of EMQX's REST API rather than of a
//! listener for MQTT, and `mqtt_username` and `mqtt_password` are a key of that API and its secret.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::uri::Authority;
use ota_core::time::Timestamp;
use ota_store::{Kv, KvError, Swap};

use self::bindings::wasmcloud::keyvalue::types::{Bucket, Error, SetOptions};
use self::bindings::wasmcloud::keyvalue::{atomics, cas, store};
use crate::{Broker, FetchBody, Message, Platform, PlatformError, wasi, whole};

mod bindings {
    #![allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated from the WIT files")]

    wit_bindgen::generate!({ path: "../../wit", world: "overair:ota/wasmcloud", generate_all });
}

/// The bucket. On NATS it is one of JetStream's key-value buckets, and must be there before.
const BUCKET: &str = "overair";
/// What the name of a variable begins with in the environment; the rest is in capitals.
const ENVIRONMENT_PREFIX: &str = "OVERAIR_";
/// The host of [`INTERNAL_BASE_URL`]: the top-level domain is reserved, so it is nobody's.
const INTERNAL_HOST: &str = "gateway.invalid";
/// Where the functions reach each other: in the same component, so that nothing has to lead back to it.
const INTERNAL_BASE_URL: &str = "http://gateway.invalid";
/// Where EMQX's REST API takes a message.
const PUBLISH_PATH: &str = "/api/v5/publish";
/// MQTT's "at least once".
const AT_LEAST_ONCE: u8 = 1;

/// A request to one of the component's own functions on its way to the answer.
pub type InternalAnswer = Pin<Box<dyn Future<Output = http::Response<FetchBody>>>>;

/// What the component knows of the application that its parts do not.
#[derive(Debug)]
pub struct Application {
    /// What a variable is worth that the environment does not have.
    pub defaults: &'static [(&'static str, &'static str)],
    /// Hands a request to the function whose route it is.
    pub internal: fn(WasmcloudPlatform, http::Request<FetchBody>) -> InternalAnswer,
}

/// One request's view of the engine.
#[derive(Clone)]
pub struct WasmcloudPlatform {
    kv: Rc<WasmcloudKv>,
    application: &'static Application,
}

/// The store. It is opened when it is first used, and not kept beyond the request.
#[derive(Default)]
pub struct WasmcloudKv {
    bucket: RefCell<Option<Rc<Bucket>>>,
}

/// A key as it was read.
pub struct WasmcloudToken {
    key: String,
    /// `None` if the key was absent.
    version: Option<cas::Version>,
}

impl WasmcloudPlatform {
    /// Makes the view of one request.
    pub fn new(application: &'static Application) -> Self {
        Self { kv: Rc::default(), application }
    }
}

impl WasmcloudKv {
    async fn bucket(&self) -> Result<Rc<Bucket>, KvError> {
        if let Some(bucket) = &*self.bucket.borrow() {
            return Ok(bucket.clone());
        }
        let bucket = Rc::new(store::open(BUCKET.to_owned()).await.map_err(failed)?);
        *self.bucket.borrow_mut() = Some(bucket.clone());
        Ok(bucket)
    }
}

fn failed(error: Error) -> KvError {
    KvError(match error {
        Error::NoSuchStore => format!("there is no bucket `{BUCKET}`"),
        Error::Other(why) => why,
        other => format!("{other:?}"),
    })
}

impl Kv for WasmcloudKv {
    type Token = WasmcloudToken;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        self.bucket().await?.get(key.to_owned()).await.map_err(failed)
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), KvError> {
        self.bucket().await?.set(key.to_owned(), value.to_vec(), None).await.map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        self.bucket().await?.delete(key.to_owned()).await.map_err(failed)
    }

    async fn read(&self, key: &str) -> Result<(Option<Vec<u8>>, WasmcloudToken), KvError> {
        let bucket = self.bucket().await?;
        let entry = cas::current(&bucket, key.to_owned()).await.map_err(failed)?;
        let (value, version) = entry.map(|entry| (entry.value, entry.version)).unzip();
        Ok((value, WasmcloudToken { key: key.to_owned(), version }))
    }

    async fn swap(&self, token: WasmcloudToken, value: &[u8]) -> Result<Swap, KvError> {
        let bucket = self.bucket().await?;
        let WasmcloudToken { key, version } = token;
        if version.is_none() {
            // No version says "absent", so the write says it itself.
            let options = SetOptions { ttl_ms: None, if_not_exists: true };
            return match bucket.set(key, value.to_vec(), Some(options)).await {
                Ok(()) => Ok(Swap::Swapped),
                Err(Error::PreconditionFailed) => Ok(Swap::Stale),
                Err(error) => Err(failed(error)),
            };
        }
        let options = cas::CasOptions { require_version: version, require_value: None };
        match cas::swap(&bucket, key, value.to_vec(), options).await.map_err(failed)? {
            cas::CasResult::Swapped => Ok(Swap::Swapped),
            cas::CasResult::Stale(_) => Ok(Swap::Stale),
        }
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, KvError> {
        let bucket = self.bucket().await?;
        atomics::increment(&bucket, key.to_owned(), delta).await.map_err(failed)
    }
}

impl Platform for WasmcloudPlatform {
    type Kv = WasmcloudKv;

    fn kv(&self) -> &WasmcloudKv {
        &self.kv
    }

    fn now(&self) -> Timestamp {
        wasi::now()
    }

    fn random(&self) -> [u8; 16] {
        wasi::random()
    }

    async fn variable(&self, name: &str) -> Result<String, PlatformError> {
        if name == "internal_base_url" {
            return Ok(INTERNAL_BASE_URL.to_owned());
        }
        let in_environment = format!("{ENVIRONMENT_PREFIX}{}", name.to_ascii_uppercase());
        let default = || self.application.defaults.iter().find(|(of, _)| *of == name);
        std::env::var(&in_environment).ok().or_else(|| Some(default()?.1.to_owned())).ok_or_else(|| {
            PlatformError::Variable {
                name: name.to_owned(),
                why: format!("{in_environment} is not in the environment"),
            }
        })
    }

    /// One request per message: of several in one EMQX goes on with the others after one that has failed.
    async fn publish(&self, broker: &Broker, messages: &[Message]) -> Result<usize, PlatformError> {
        let address = broker.address.trim_end_matches('/');
        if !address.starts_with("http://") && !address.starts_with("https://") {
            return Err(PlatformError::Broker("mqtt_address is no URL of EMQX's REST API".to_owned()));
        }
        let key = STANDARD.encode(format!("{}:{}", broker.username, broker.password));
        for (sent, message) in messages.iter().enumerate() {
            if message.is_late(self.now()) {
                return Ok(sent);
            }
            let taken = publish(&format!("{address}{PUBLISH_PATH}"), &key, message).await;
            match (sent, taken) {
                (_, Ok(())) => {}
                (0, Err(error)) => return Err(error),
                (_, Err(error)) => {
                    self.log(&format!("publish {}: {error}", message.topic));
                    return Ok(sent);
                }
            }
        }
        Ok(messages.len())
    }

    async fn fetch(
        &self,
        request: http::Request<FetchBody>,
    ) -> Result<http::Response<FetchBody>, PlatformError> {
        if request.uri().authority().map(Authority::host) == Some(INTERNAL_HOST) {
            // A view of its own, as a request from outside has.
            return Ok((self.application.internal)(Self::new(self.application), request).await);
        }
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

/// Publishes a message, at least once. That nobody is subscribed to it is told apart by EMQX (202), as MQTT does not.
async fn publish(url: &str, key: &str, message: &Message) -> Result<(), PlatformError> {
    let body = serde_json::json!({
        "topic": message.topic,
        "payload": STANDARD.encode(&message.payload),
        "payload_encoding": "base64",
        "qos": AT_LEAST_ONCE,
    });
    let request = http::Request::post(url)
        .header("authorization", format!("Basic {key}"))
        .header("content-type", "application/json")
        .body(whole(body.to_string()))
        .map_err(|error| PlatformError::Broker(error.to_string()))?;
    let status = wasi::fetch(request).await?.status();
    match status {
        StatusCode::OK | StatusCode::ACCEPTED => Ok(()),
        other => Err(PlatformError::Broker(format!("the REST API answers {other}"))),
    }
}
