//! Runs the functions in one process: HTTP, cron and MQTT triggers, key-value on SQLite.

mod assembly;
mod bindings;
mod broker;
mod compiled;
mod cron;
mod engine;
mod host;
mod http;
pub mod keyvalue;
pub mod manifest;
pub mod metrics;
mod mqtt;
mod mqtt_trigger;
pub mod outbound_hosts;
mod outbound_http;
mod redis;
pub mod routes;
mod state;
mod stdio;
pub mod template;
mod trigger;
pub mod variables;
mod variables_guest;

pub use host::{Host, HostBuilder, RunningHost};
