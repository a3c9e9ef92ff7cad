//! The shipping components in the host that runs them on one machine: wiring, headers, triggers, crashes.
//!
//! Each test starts the host's program with secrets and data of its own, on free ports, and talks to it over sockets as
//! operators and devices do. Rules have their tests elsewhere, where they are quicker to ask.

#![allow(clippy::unwrap_used, reason = "also what tests share may end a test")]

mod access;
mod bucket;
mod clients;
mod cloud;
mod console;
mod crash;
mod device;
mod documents;
mod fronts;
mod instructions;
mod kills;
mod kinds;
mod operator;
mod raw;
mod refusals;
mod reuse;
mod service;
mod serving;
mod story;
mod transfer;
mod upgrade;
mod wasmcloud;
mod webhooks;
