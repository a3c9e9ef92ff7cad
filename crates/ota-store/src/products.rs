//! Products.

use ota_core::ids::ProductKey;
use ota_core::limits;
use ota_core::product::{Product, ProductError};
use ota_core::time::Timestamp;

use crate::claim::{self, Claim};
use crate::keys;
use crate::kv::Kv;
use crate::record::to_bytes;
use crate::shards;
use crate::transact::{Change, StoreError, load, update};

/// The keys and names of all products, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductCatalog(pub Vec<(ProductKey, String)>);

/// Returns all products' keys and names.
///
/// # Errors
/// The store's.
pub async fn catalog(kv: &impl Kv) -> Result<ProductCatalog, StoreError> {
    Ok(load(kv, keys::PRODUCTS).await?.unwrap_or_default())
}

/// Returns a product.
///
/// # Errors
/// The store's.
pub async fn get(kv: &impl Kv, key: &ProductKey) -> Result<Option<Product>, StoreError> {
    load(kv, &keys::product(key)).await
}

/// Makes a product with an empty fleet. A key that was made before gives what was made then.
///
/// The name is taken in the catalogue first; everything after that can be done again by whoever asks with the same key.
///
/// # Errors
/// The store's; the inner one when the name is taken or there are too many products.
pub async fn create(
    kv: &impl Kv,
    product: Product,
    now: Timestamp,
) -> Result<Result<Product, ProductError>, StoreError> {
    let listed = update(kv, keys::PRODUCTS, now, |catalog: Option<ProductCatalog>| {
        let mut catalog = catalog.unwrap_or_default();
        match catalog.0.iter().find(|(key, name)| *key == product.key || *name == product.name) {
            Some((key, _)) if *key == product.key => Change::Keep(Ok(())),
            Some(_) => Change::Keep(Err(ProductError::NameTaken { name: product.name.clone() })),
            None if catalog.0.len() >= limits::PRODUCTS_MAX => {
                Change::Keep(Err(ProductError::TooManyProducts))
            }
            None => {
                catalog.0.push((product.key.clone(), product.name.clone()));
                Change::Put(catalog, Ok(()))
            }
        }
    });
    if let Err(refused) = listed.await? {
        return Ok(Err(refused));
    }
    let key = keys::product(&product.key);
    if let Some(existing) = load(kv, &key).await? {
        return Ok(Ok(existing));
    }
    match claim::take(kv, &key, now).await? {
        Claim::Won => {
            shards::create_fleet(kv, &product.key).await?;
            kv.set(&key, &to_bytes(&product, 1)).await?;
            Ok(Ok(product))
        }
        Claim::Exists => Ok(Ok(load(kv, &key).await?.unwrap_or(product))),
        Claim::Pending => Err(StoreError::Contention { key }),
    }
}

/// Changes a product; `None` if there is no such product.
///
/// # Errors
/// The store's.
pub async fn change<T>(
    kv: &impl Kv,
    key: &ProductKey,
    now: Timestamp,
    mut decide: impl FnMut(&mut Product) -> Result<T, ProductError>,
) -> Result<Option<Result<T, ProductError>>, StoreError> {
    update(kv, &keys::product(key), now, |product: Option<Product>| match product {
        None => Change::Keep(None),
        Some(mut product) => match decide(&mut product) {
            Ok(answer) => Change::Put(product, Some(Ok(answer))),
            Err(refused) => Change::Keep(Some(Err(refused))),
        },
    })
    .await
}
