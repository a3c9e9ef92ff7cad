//! Does to a key-value store what it is told: the guest's side of the store contract.
//!
//! `POST /probe/orders` takes a list of [`Order`]s and answers with an [`Outcome`] for each. The same orders are carried
//! out natively on the store in memory, so that one suite holds both to the same promises. `POST /probe/panic` panics,
//! for whoever wants to know what becomes of the others then.

mod orders;

pub use orders::{Lines, Order, Outcome, carry_out};

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "the macro exports the handler by the component model's ABI")]
mod entry {
    use http::StatusCode;
    use http_body_util::BodyExt;
    use ota_http::{Response, respond};
    use ota_platform::Platform;
    use ota_platform::spin::SpinPlatform;

    #[spin_sdk::http_service]
    async fn entry(request: spin_sdk::http::Request) -> Response {
        match request.uri().path() {
            "/probe/orders" => orders(request).await,
            "/probe/panic" => panic!("on purpose"),
            _ => respond::empty(StatusCode::NO_CONTENT),
        }
    }

    async fn orders(request: spin_sdk::http::Request) -> Response {
        let Ok(body) = request.into_body().collect().await else {
            return respond::empty(StatusCode::BAD_REQUEST);
        };
        let Ok(orders) = serde_json::from_slice::<Vec<crate::Order>>(&body.to_bytes()) else {
            return respond::empty(StatusCode::UNPROCESSABLE_ENTITY);
        };
        respond::json(StatusCode::OK, &crate::carry_out(SpinPlatform::new().kv(), orders).await)
    }
}
