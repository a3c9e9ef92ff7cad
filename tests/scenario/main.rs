//! Product stories, one file each: the real handlers over memory, with a clock moved by hand.

mod cancel;
mod conflicts;
mod crash;
mod deltas;
mod downloads;
mod failures;
mod figures;
mod fleet;
mod idempotency;
mod login;
mod made_deltas;
mod main_job;
mod modules;
mod offline;
mod packages;
mod paging;
mod problems;
mod rate;
mod requests;
mod retries;
mod rivals;
mod targets;
mod timeouts;
mod tokens;
mod uploads;
mod verification;
