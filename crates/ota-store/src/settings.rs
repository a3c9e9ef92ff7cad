//! The settings of the service.

use ota_core::settings::{ServiceSettings, ServiceSettingsChange};
use ota_core::time::Timestamp;

use crate::keys;
use crate::kv::Kv;
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
