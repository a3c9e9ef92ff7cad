//! The cron trigger's shim: one POST to dispatch.
#![cfg(target_arch = "wasm32")]

use core::time::Duration;

use bindings::{Error, Guest, Metadata};
use ota_shim::{Patience, post};

mod bindings {
    #![allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated from the WIT files")]

    wit_bindgen::generate!({ path: "../../wit", world: "overair:ota/dispatch-cron", generate_all });

    export!(DispatchCron);

    use super::DispatchCron;
}

/// One try: the next tick is seconds away, finds what this one left, and may run beside one that is slow.
const PATIENCE: Patience = Patience { waits: &[], answer_timeout: Duration::from_secs(30) };

struct DispatchCron;

impl Guest for DispatchCron {
    async fn handle_cron_event(_metadata: Metadata) -> Result<(), Error> {
        // Which moment it is, dispatch asks its own clock: the trigger's may be another machine's.
        post("/internal/dispatch/tick", b"", &PATIENCE).await.map_err(|error| {
            let text = format!("a tick is given up: {error}");
            eprintln!("{text}");
            Error::Other(text)
        })
    }
}
