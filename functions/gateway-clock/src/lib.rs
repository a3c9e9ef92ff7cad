//! The clock beside the gateway: wasmCloud knows no cron, but services, which run for as long as their workload.
//!
//! It posts a tick, waits for the answer, sleeps, and posts the next. So its own ticks do not overlap; those of the clocks
//! of several replicas do, which a tick is made for.
#![cfg(target_arch = "wasm32")]
#![allow(unsafe_code, reason = "the macro exports `run` by the component model's ABI")]

use core::time::Duration;

use ota_shim::{DeliveryError, Patience, Target};
use wasip2::clocks::monotonic_clock;

/// As often as the cron trigger of `spin.toml`.
const EVERY: Duration = Duration::from_secs(5);
/// One try: the next tick is seconds away, and finds what this one left.
const PATIENCE: Patience = Patience { waits: &[], answer_timeout: Duration::from_secs(30) };

struct Clock;

wasip2::cli::command::export!(Clock);

impl wasip2::exports::cli::run::Guest for Clock {
    fn run() -> Result<(), ()> {
        loop {
            if let Err(error) = tick() {
                eprintln!("a tick is given up: {error}");
            }
            sleep(EVERY);
        }
    }
}

fn tick() -> Result<(), DeliveryError> {
    let base_url = variable("internal_base_url", "OVERAIR_INTERNAL_BASE_URL")?;
    let token = variable("internal_token", "OVERAIR_INTERNAL_TOKEN")?;
    Target::new(&base_url, token)?.post("/internal/dispatch/tick", b"", &PATIENCE)
}

fn variable(name: &'static str, in_environment: &str) -> Result<String, DeliveryError> {
    std::env::var(in_environment)
        .map_err(|error| DeliveryError::Variable { name, why: format!("{in_environment}: {error}") })
}

fn sleep(time: Duration) {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    monotonic_clock::subscribe_duration(nanoseconds).block();
}
