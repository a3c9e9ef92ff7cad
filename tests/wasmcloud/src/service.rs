//! A service beside the component: it runs until it ends, and is started again then.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::bindings::CommandPre;

use crate::component::prepare;
use crate::state::{Environment, GuestState};

/// How long until a service that has ended is started again.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// Starts a service.
pub(crate) fn start(engine: &Engine, file: &Path, environment: Arc<Environment>) -> wasmtime::Result<()> {
    let command = CommandPre::new(prepare(engine, file)?)?;
    let engine = engine.clone();
    tokio::spawn(async move {
        loop {
            let mut store = Store::new(&engine, GuestState::new(environment.clone()));
            let ended = async {
                let command = command.instantiate_async(&mut store).await?;
                command.wasi_cli_run().call_run(&mut store).await
            };
            let ended = ended.await;
            tracing::error!(?ended, "the service has ended");
            tokio::time::sleep(RESTART_AFTER).await;
        }
    });
    Ok(())
}
