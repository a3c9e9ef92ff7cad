//! A product's signing: the switch and the public key (R39).

use bytes::Bytes;
use http::StatusCode;
use ota_core::error::{Faults, ValueError};
use ota_core::ids::ProductKey;
use ota_core::security::SealedKeyPair;
use ota_http::{Problem, Request, Response, json, respond, signing};
use ota_platform::Platform;
use ota_store::security::{self, StoredSecurity};
use serde::Serialize;

use crate::products;

#[derive(Serialize)]
struct SecurityJson {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
}

impl From<Option<StoredSecurity>> for SecurityJson {
    fn from(stored: Option<StoredSecurity>) -> Self {
        // The public key is told only while it counts, so that nobody builds it into devices that would wait in vain for
        // signatures.
        let public_key = stored.filter(|stored| stored.enabled).map(|stored| stored.key_pair.public_key);
        Self { enabled: public_key.is_some(), public_key }
    }
}

/// `GET /v1/products/{product_key}/security`
pub(crate) async fn get<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    product: &ProductKey,
) -> Result<Response, Problem> {
    request.only_query(&[])?;
    products::find(platform, product).await?;
    let stored = security::get(platform.kv(), product).await?;
    Ok(respond::json(StatusCode::OK, &SecurityJson::from(stored)))
}

/// `PUT /v1/products/{product_key}/security`: the first time it is switched on, the product gets its key pair.
pub(crate) async fn put<P, B>(
    platform: &P,
    request: &mut Request<B>,
    product: &ProductKey,
) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let (enabled, reading) = document.read(|fields, faults| fields.flag("enabled", faults));
    let mut rules = Faults::new();
    let enabled = rules.take("/enabled", enabled.ok_or(ValueError::Missing));
    let enabled = json::join(reading, rules.into_result().map(|()| enabled))?.unwrap_or_default();
    products::find(platform, product).await?;
    let made = if enabled { ready(platform, product).await? } else { None };
    let stored = security::switch(platform.kv(), product, enabled, made.as_ref(), platform.now()).await?;
    Ok(respond::json(StatusCode::OK, &SecurityJson::from(stored)))
}

/// Gets ready to be switched on: returns a new key pair if the product has none. One that it has must open, so that who
/// switches it on is told what would else fail every push.
async fn ready<P: Platform>(platform: &P, product: &ProductKey) -> Result<Option<SealedKeyPair>, Problem> {
    let secrets = signing::secrets_key(platform.variable("secrets_key").await)?;
    if let Some(stored) = security::get(platform.kv(), product).await? {
        return signing::open(&stored.key_pair, &secrets, product).map(|_| None);
    }
    let made = SealedKeyPair::make(&secrets, product, [platform.random(), platform.random()]);
    made.map(Some).map_err(|error| signing::failed(error, product))
}
