//! Simulated devices that are real MQTT and HTTP clients, and the demo's story.
//!
//! A [`Device`] logs in, informs its version, waits for an upgrade, downloads and checks it, "flashes", "reboots" and
//! informs the new version, each step the way one of the shipped SDKs does it (see [`Dialect`]). What it does wrong it
//! does on purpose and by a [`Plan`] that follows from a seed, so that a test or a demo can tell what must come of
//! each device before it has happened.
//!
//! **Invariant**: nothing here comes from the service's own crates. Devices are strangers to the service: their logins,
//! messages and checks are written from what real devices do, so that a mistake is not made on both sides at once.

mod credentials;
mod device;
mod dialect;
mod download;
mod event;
mod fleet;
mod link;
mod login;
mod plan;
mod push;
mod random;
pub mod story;

pub use credentials::{Credential, parse_credentials};
pub use device::{Device, DeviceConfig, DeviceError, Outcome, Timing, http_client};
pub use dialect::Dialect;
pub use event::{Event, What};
pub use fleet::{FleetConfig, run_fleet};
pub use login::Login;
pub use plan::{Behavior, Failure, Plan, Quirk};
