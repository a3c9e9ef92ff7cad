//! HTTP shared by the functions: reading requests, paging, and answering with problems (RFC 9457).
//!
//! [`problem`] is the only place that maps a fault's code to a status, [`routes`] the one that says who may ask for what.

pub mod about;
pub mod auth;
pub mod body;
pub mod idempotency;
pub mod json;
pub mod page;
pub mod problem;
pub mod request;
pub mod respond;
pub mod routes;
pub mod signing;
pub mod trace;
pub mod wire;

/// The body of every answer.
pub type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, anyhow::Error>;
/// Every answer.
pub type Response = http::Response<Body>;

pub use self::problem::Problem;
pub use self::request::Request;

/// Unwraps what was made of the application's variables; without them the service cannot work.
///
/// # Errors
/// `service.variable`, whose cause only the log is told.
pub fn variable<T, E: std::fmt::Display>(value: Result<T, E>) -> Result<T, Problem> {
    value.map_err(|error| {
        let problem = Problem::new("service.variable", "the service is not set up");
        Problem { log: Some(error.to_string()), ..problem }
    })
}
