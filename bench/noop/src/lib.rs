//! A do-nothing HTTP function: the yardstick every request rate is compared with.
#![cfg(target_arch = "wasm32")]

use spin_sdk::http::{EmptyBody, IntoResponse, Request};
use spin_sdk::http_service;

#[http_service]
async fn handle(_request: Request) -> impl IntoResponse {
    spin_sdk::http::Response::new(EmptyBody::new())
}
