//! The vendor's cloud API, as far as it is rules: what a request consists of, who may make it, and how its times and
//! pages are written.
//!
//! A request is a flat set of parameters, signed as a whole with an access key (R177). What the operations do is none of
//! this module's business: they are the service's own, under other names.

mod clock;
mod error;
mod page;
mod parameters;
mod signature;

pub use self::clock::{parse_utc, render_gmt, render_utc};
pub use self::error::GatewayError;
pub use self::page::PageNumber;
pub use self::parameters::Parameters;
pub use self::signature::{AccessKey, Nonce, authenticate, encode, sign};
