//! Does to a key-value store what it is told: the guest's side of the store contract.
//!
//! `POST /probe/orders` takes a list of [`Order`]s and answers with an [`Outcome`] for each. The same orders are carried
//! out natively on the store in memory, so that one suite holds both to the same promises. `GET /probe/turn` tells how
//! many such requests the instance has answered, this one included. `POST /probe/panic` panics, for whoever wants to know
//! what becomes of the others then.

mod orders;

pub use orders::{Lines, Order, Outcome, carry_out};

#[cfg(all(feature = "entry", target_arch = "wasm32"))]
#[allow(unsafe_code, reason = "the macro exports the handler by the component model's ABI")]
mod entry {
    use std::sync::atomic::{AtomicU32, Ordering};

    use http::StatusCode;
    use http_body_util::BodyExt;
    use ota_http::{Response, respond};
    use ota_platform::Platform;
    use ota_platform::spin::SpinPlatform;

    /// What outlives a request in an instance.
    static TURNS: AtomicU32 = AtomicU32::new(0);

    #[spin_sdk::http_service]
    async fn entry(request: spin_sdk::http::Request) -> Response {
        match request.uri().path() {
            "/probe/orders" => orders(request).await,
            "/probe/turn" => respond::json(StatusCode::OK, &(TURNS.fetch_add(1, Ordering::Relaxed) + 1)),
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
