//! A product's signing (R39) and its packages' signatures (R40).
//!
//! A product that has never signed has no record. The first switch-on stores its key pair, and switching changes nothing
//! of it any more. A signature is kept beside its package, because making one takes thousands of times as long as reading it.

use ota_core::ids::{PackageId, ProductKey};
use ota_core::security::SealedKeyPair;
use ota_core::time::Timestamp;

use crate::keys;
use crate::kv::Kv;
use crate::record::to_bytes;
use crate::transact::{Change, StoreError, load, update};

/// The signing of a product that has signed at least once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecurity {
    /// Whether pushes carry a signature now.
    pub enabled: bool,
    /// The key pair, which stays when signing is switched off and on.
    pub key_pair: SealedKeyPair,
    /// When the key pair was made.
    pub created_at: Timestamp,
}

/// A signature, and what it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSignature {
    /// The key pair that made it; see [`SealedKeyPair::id`].
    pub key_id: [u8; 32],
    /// The binary digest that was signed.
    pub digest: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

/// Returns a product's signing; `None` if it has never signed.
///
/// # Errors
/// The store's.
pub async fn get(kv: &impl Kv, product: &ProductKey) -> Result<Option<StoredSecurity>, StoreError> {
    load(kv, &keys::security(product)).await
}

/// Switches a product's signing, and returns how it is then. `made` is the key pair to begin with: it is stored only if
/// the product has none and is switched on, so of two first switch-ons at once one key pair stays, and both are told it.
///
/// # Errors
/// The store's.
pub async fn switch(
    kv: &impl Kv,
    product: &ProductKey,
    enabled: bool,
    made: Option<&SealedKeyPair>,
    now: Timestamp,
) -> Result<Option<StoredSecurity>, StoreError> {
    update(kv, &keys::security(product), now, |stored: Option<StoredSecurity>| {
        let next = match (stored, made) {
            (Some(stored), _) if stored.enabled == enabled => return Change::Keep(Some(stored)),
            (Some(stored), _) => StoredSecurity { enabled, ..stored },
            (None, Some(made)) if enabled => {
                StoredSecurity { enabled, key_pair: made.clone(), created_at: now }
            }
            (None, _) => return Change::Keep(None),
        };
        Change::Put(next.clone(), Some(next))
    })
    .await
}

/// Returns the signature that this key pair has made of this digest of a package, if it is kept.
///
/// # Errors
/// The store's.
pub async fn signature(
    kv: &impl Kv,
    package: PackageId,
    key_id: &[u8; 32],
    digest: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let kept: Option<StoredSignature> = load(kv, &keys::package_signature(package)).await?;
    let kept = kept.filter(|kept| kept.key_id == *key_id && kept.digest == digest);
    Ok(kept.map(|kept| kept.signature))
}

/// Keeps a signature of a package. Two who sign at once keep the same one.
///
/// # Errors
/// The store's.
pub async fn keep_signature(
    kv: &impl Kv,
    package: PackageId,
    signature: &StoredSignature,
) -> Result<(), StoreError> {
    Ok(kv.set(&keys::package_signature(package), &to_bytes(signature, 1)).await?)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::memory::{Fault, MemoryKv};
    use crate::testing::block_on;

    const NOW: Timestamp = Timestamp(1_000);
    const PACKAGE: PackageId = PackageId([7; 16]);

    fn product() -> ProductKey {
        ProductKey::new("a1lamp").unwrap()
    }

    fn pair(name: &str) -> SealedKeyPair {
        SealedKeyPair { public_key: format!("public {name}"), sealed: format!("sealed {name}").into_bytes() }
    }

    fn on(kv: &MemoryKv, made: &SealedKeyPair) -> Result<Option<StoredSecurity>, StoreError> {
        block_on(switch(kv, &product(), true, Some(made), NOW))
    }

    fn off(kv: &MemoryKv) -> Option<StoredSecurity> {
        block_on(switch(kv, &product(), false, None, NOW)).unwrap()
    }

    #[test]
    fn r39_a_product_has_no_key_pair_before_it_is_switched_on_and_keeps_the_first() {
        let kv = MemoryKv::new();
        assert_eq!(off(&kv), None);
        assert_eq!(block_on(switch(&kv, &product(), true, None, NOW)).unwrap(), None);
        assert_eq!(kv.dump(), []);

        let first = on(&kv, &pair("one")).unwrap().unwrap();
        assert_eq!((first.enabled, &first.key_pair), (true, &pair("one")));
        assert_eq!(off(&kv).unwrap(), StoredSecurity { enabled: false, ..first.clone() });
        assert_eq!(on(&kv, &pair("two")).unwrap().unwrap(), first);
        assert_eq!(block_on(get(&kv, &product())).unwrap(), Some(first));
    }

    #[test]
    fn r39_two_first_switch_ons_at_once_end_with_one_key_pair_and_both_are_told_it() {
        for at in 1.. {
            let kv = MemoryKv::with_spin_quirks();
            let (rival, seen) = (Rc::new(Cell::new(None)), Cell::new(0));
            let (told, store) = (Rc::clone(&rival), kv.clone());
            kv.set_faults(move |_, _| {
                seen.set(seen.get() + 1);
                if seen.get() == at {
                    told.set(Some(on(&store, &pair("rival's"))));
                }
                None
            });
            let mine = on(&kv, &pair("mine"));
            kv.clear_faults();
            let Some(rivals) = rival.take() else {
                assert!(at > 3, "a first switch-on has only {at} operations");
                return;
            };
            let stored = block_on(get(&kv, &product())).unwrap().unwrap();
            // Who comes while the other is just writing the record is asked to come again, and is told it then.
            let told: Vec<StoredSecurity> =
                [mine, rivals].into_iter().filter_map(Result::ok).flatten().collect();
            assert!(!told.is_empty() && told.iter().all(|told| *told == stored), "{at}: {told:?}");
            assert_eq!(on(&kv, &pair("a third")).unwrap().unwrap(), stored);
        }
    }

    #[test]
    fn r39_a_first_switch_on_that_dies_can_be_made_again() {
        let kv = MemoryKv::new();
        kv.set_faults(|_, operation| (operation == "swap").then_some(Fault::Refused));
        assert!(on(&kv, &pair("lost")).is_err());
        kv.clear_faults();
        assert!(matches!(on(&kv, &pair("one")), Err(StoreError::Contention { .. })), "its claim is held");
        let later = NOW.plus_ms(crate::claim::GRACE_MS);
        let made = block_on(switch(&kv, &product(), true, Some(&pair("one")), later)).unwrap();
        assert_eq!(made.unwrap().key_pair, pair("one"));
    }

    #[test]
    fn r40_a_kept_signature_counts_for_its_key_pair_and_digest_only() {
        let kv = MemoryKv::new();
        let kept = StoredSignature { key_id: [1; 32], digest: vec![2; 16], signature: vec![3; 256] };
        let find =
            |key_id: [u8; 32], digest: &[u8]| block_on(signature(&kv, PACKAGE, &key_id, digest)).unwrap();
        assert_eq!(find([1; 32], &[2; 16]), None);
        block_on(keep_signature(&kv, PACKAGE, &kept)).unwrap();
        assert_eq!(find([1; 32], &[2; 16]), Some(vec![3; 256]));
        assert_eq!(find([9; 32], &[2; 16]), None);
        assert_eq!(find([1; 32], &[2; 32]), None);
    }
}
