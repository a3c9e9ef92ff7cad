//! The program, as somebody runs it, against a server that answers as it is told to and remembers what it was asked.
//!
//! The lines of `docs/cli.md` are run against the real service by the workspace's `tests/wasm/documents`.

#![allow(clippy::unwrap_used, reason = "in a test a failure may as well be a panic")]

mod requests;
mod run;
mod server;
mod shown;
mod uploads;
mod usage;
