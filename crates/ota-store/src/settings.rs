//! The settings of the service.

use ota_core::batch::Terms;
use ota_core::ids::ProductKey;
use ota_core::product::ProductSettings;
use ota_core::settings::{ServiceSettings, ServiceSettingsChange};
use ota_core::time::Timestamp;

use crate::keys;
use crate::kv::Kv;
use crate::products;
use crate::transact::{Change, StoreError, load, update};

/// Returns the settings; the defaults as long as nobody has changed one.
///
/// # Errors
/// The store's.
pub async fn get(kv: &impl Kv) -> Result<ServiceSettings, StoreError> {
    Ok(load(kv, keys::SETTINGS).await?.unwrap_or_default())
}

/// Changes the settings, and returns them.
///
/// # Errors
/// The store's.
pub async fn change(
    kv: &impl Kv,
    change: &ServiceSettingsChange,
    now: Timestamp,
) -> Result<ServiceSettings, StoreError> {
    update(kv, keys::SETTINGS, now, |before: Option<ServiceSettings>| {
        let before = before.unwrap_or_default();
        let after = change.of(before);
        if after == before { Change::Keep(after) } else { Change::Put(after, after) }
    })
    .await
}

/// Returns what the service and a product allow a batch, and the product's settings; `None` if there is no such product.
///
/// # Errors
/// The store's.
pub async fn terms(
    kv: &impl Kv,
    product: &ProductKey,
) -> Result<Option<(Terms, ProductSettings)>, StoreError> {
    let Some(product) = products::get(kv, product).await? else { return Ok(None) };
    let (service, product) = (get(kv).await?, product.settings);
    let terms = Terms {
        push_per_minute_max: service.push_per_minute_max(),
        forgive_source_version: product.forgive_source_version,
        narrow_retries: product.narrow_retries,
        strict_retry_interval: product.strict_retry_interval,
    };
    Ok(Some((terms, product)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryKv;
    use crate::testing::block_on;
    use ota_core::settings::{PackageLimits, ServiceSettingsFields};

    const NOW: Timestamp = Timestamp(1_000);

    #[test]
    fn settings_are_the_defaults_until_they_are_changed_one_by_one() {
        let kv = MemoryKv::new();
        assert_eq!(block_on(get(&kv)).unwrap(), ServiceSettings::default());
        let legacy = ServiceSettingsFields { package_limits: Some("legacy"), fast_push: None };
        let fast = ServiceSettingsFields { package_limits: None, fast_push: Some(true) };
        for fields in [legacy, fast] {
            let asked = ServiceSettingsChange::check(&fields).unwrap();
            let _after = block_on(change(&kv, &asked, NOW)).unwrap();
        }
        let expected = ServiceSettings { package_limits: PackageLimits::Legacy, fast_push: true };
        assert_eq!(block_on(get(&kv)).unwrap(), expected);
    }
}
