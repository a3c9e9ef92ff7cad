//! The broker over real sockets, with the clients that devices use.

#![allow(clippy::unwrap_used, reason = "in a test a failure may as well be a panic")]

mod delivery;
mod hostile;
mod login;
mod presence;
mod sub_devices;
mod support;
mod topics;
mod version_5;
