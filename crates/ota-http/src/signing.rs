//! Signing packages and webhooks' requests: what the functions that switch or make it and the dispatcher share.

use std::fmt::Display;

use ota_core::error::ValueError;
use ota_core::ids::ProductKey;
use ota_core::package::Package;
use ota_core::security::{KeyPair, SealedKeyPair, SecretsKey, SecurityError, render_signature};
use ota_store::Kv;
use ota_store::security::{self, StoredSignature};

use crate::{Problem, variable};

/// Makes the installation's secret of the variable `secrets_key`.
///
/// # Errors
/// `service.variable` when it is not there or not 32 to 1,024 characters.
pub fn secrets_key<E: Display>(text: Result<String, E>) -> Result<SecretsKey, Problem> {
    expand(text, SecretsKey::new)
}

/// Makes the one for webhooks' secrets, likewise.
///
/// # Errors
/// Those of [`secrets_key`].
pub fn webhooks_key<E: Display>(text: Result<String, E>) -> Result<SecretsKey, Problem> {
    expand(text, SecretsKey::for_webhooks)
}

fn expand<E: Display>(
    text: Result<String, E>,
    expand: impl FnOnce(&str) -> Result<SecretsKey, ValueError>,
) -> Result<SecretsKey, Problem> {
    variable(expand(&variable(text)?).map_err(|why| format!("variable secrets_key: {why}")))
}

/// Opens a product's key pair.
///
/// # Errors
/// `security.key-sealed`, whose product the log is told.
pub fn open(
    key_pair: &SealedKeyPair,
    secrets: &SecretsKey,
    product: &ProductKey,
) -> Result<KeyPair, Problem> {
    key_pair.open(secrets, product).map_err(|error| failed(error, product))
}

/// Makes a problem of what went wrong with a product's key pair.
pub fn failed(error: SecurityError, product: &ProductKey) -> Problem {
    Problem { log: Some(format!("product {product}: {error}")), ..Problem::of(&error) }
}

/// Returns the `digestsign` of a package, or `None` while its product does not sign (R39, R40). `random` hides how long
/// signing takes; see [`KeyPair::sign`].
///
/// A product that does not sign costs one read. One that does costs two, and the secret is asked for only by the first
/// push of a package, which signs it.
///
/// # Errors
/// The store's; `service.variable`; `security.key-sealed`. A package that should be signed never goes out without.
pub async fn digest_signature<E: Display>(
    kv: &impl Kv,
    package: &Package,
    secret: Result<String, E>,
    random: [u8; 16],
) -> Result<Option<String>, Problem> {
    let product = &package.product_key;
    let stored = security::get(kv, product).await?.filter(|stored| stored.enabled);
    let Some(key_pair) = stored.map(|stored| stored.key_pair) else { return Ok(None) };
    let (key_id, digest) = (key_pair.id(), package.signed_digest());
    if let Some(kept) = security::signature(kv, package.id, &key_id, &digest).await? {
        return Ok(Some(render_signature(&kept)));
    }
    let open = open(&key_pair, &secrets_key(secret)?, product)?;
    let signature = open.sign(&digest, random).map_err(|error| failed(error, product))?;
    let rendered = render_signature(&signature);
    let kept = StoredSignature { key_id, digest, signature };
    security::keep_signature(kv, package.id, &kept).await?;
    Ok(Some(rendered))
}
