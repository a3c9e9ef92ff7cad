//! What every engine gives by WASI, and by nothing of its own.

use std::future::Future;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::BodyExt;
use ota_core::time::Timestamp;

use crate::{FetchBody, PlatformError};

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    // The engine's random source does not fail; without randomness there are no secrets to make.
    getrandom::fill(&mut bytes).expect("the engine has a random source");
    bytes
}

/// See [`crate::Platform::fetch`].
pub(crate) async fn fetch(
    request: http::Request<FetchBody>,
) -> Result<http::Response<FetchBody>, PlatformError> {
    let answer = spin_sdk::http::send(request).await;
    answer
        .map(|answer| answer.map(|body| body.map_err(|error| anyhow::anyhow!("{error:?}")).boxed_unsync()))
        .map_err(|error| PlatformError::Fetch(format!("{error:?}")))
}

pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    spin_sdk::wasip3::spawn(task);
}

pub(crate) async fn sleep(ms: u64) {
    spin_sdk::time::sleep(Duration::from_millis(ms)).await;
}

pub(crate) fn log(line: &str) {
    // One write: a line in pieces is a call of the engine for each. A log that cannot be written is nobody's fault here.
    let _unwritten = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
