//! A small world to tell product stories in: the real handlers over memory, a clock moved by hand, devices that speak
//! MQTT payloads.
//!
//! ```
//! use ota_tests::{World, json, minutes};
//!
//! let world = World::new().product("lamp").devices(3);
//! let package = world.package("1.1.0");
//! world.verify(&package, &["lamp-1"]);
//! world.device("lamp-1").upgrade();
//! world.run(minutes(1));
//! assert_eq!(package.verification(), "verified");
//!
//! let batch = world.batch(&package, json!({"retry": {"after_minutes": 10, "count_max": 1}}));
//! assert_eq!(batch.outcome(), ["lamp-2 notified", "lamp-3 notified"]);
//! ```
//!
//! - Nothing sleeps and nothing runs by itself: [`World::advance`] moves the clock, [`World::tick`] is the cron trigger,
//!   [`World::settle`] delivers what functions asked of the dispatcher, [`World::run`] does all of it for a while.
//! - Devices are `lamp-1`, `lamp-2`, … after their product, on version 1.0.0, unless a story says otherwise.
//! - Whatever a story needs that has no word here goes through [`World::send`] as the request it is.

mod access;
mod answer;
mod block;
mod call;
mod cloud;
mod conforms;
mod device;
mod documented;
mod gateway;
pub mod host;
mod invariants;
mod observer;
mod operator;
mod receiver;
pub mod redis;
pub mod spin;
mod targets;
mod tasks;
mod world;

pub use serde_json::{Value, json};

pub use self::access::Token;
pub use self::answer::Answer;
pub use self::block::Block;
pub use self::call::Call;
pub use self::cloud::{Cloud, Pairs, query, sign};
pub use self::device::{Device, Upgrade};
pub use self::gateway::Gateway;
pub use self::invariants::{
    invariant_bytes_belong_to_packages, invariant_counts_are_the_sum_of_the_tasks,
    invariant_every_task_has_ended, invariant_nothing_is_left_to_do, invariant_one_task_per_device,
    invariant_pushes_within_rate,
};
pub use self::observer::Observer;
pub use self::operator::{Batch, Package};
pub use self::receiver::{Received, Receiver, Reply, reply};
pub use self::world::{API_TOKEN, INTERNAL_TOKEN, Push, START_MS, World};

/// Returns so many seconds in milliseconds.
pub const fn seconds(count: u64) -> u64 {
    count * 1_000
}

/// Returns so many minutes in milliseconds.
pub const fn minutes(count: u64) -> u64 {
    count * 60_000
}

/// Returns so many hours in milliseconds.
pub const fn hours(count: u64) -> u64 {
    count * 3_600_000
}
