//! What holds for the share of a gray rollout, whatever the fleet and the percentage.

use ota_core::batch::{GrayPercent, GraySearch, gray_key};
use ota_core::ids::{BatchId, DeviceName};
use proptest::prelude::*;

/// Finds the cutoff as the dispatcher does: walk by walk, each in parts.
fn cutoff(keys: &[u64], percent: GrayPercent) -> u64 {
    let mut search = GraySearch::default();
    // Eight bytes are settled in eight walks at the most.
    for _ in 0..8 {
        keys.iter().for_each(|key| search.count(*key));
        if let Some(cutoff) = search.finish_walk(percent) {
            return cutoff;
        }
    }
    panic!("the search does not end")
}

proptest! {
    #[test]
    fn r69_r70_the_share_is_exact_and_from_one_device_to_all(
        batch in any::<[u8; 16]>(),
        devices in 1..400_usize,
        thousandths in 1..=100_000_u32,
    ) {
        let percent = GrayPercent::from_thousandths(thousandths).expect("in range");
        let names = (0..devices).map(|n| DeviceName::new(&format!("lamp-{n:04}")).expect("a device name"));
        let keys: Vec<u64> = names.map(|name| gray_key(BatchId(batch), &name)).collect();
        let cutoff = cutoff(&keys, percent);
        let taken = keys.iter().filter(|key| **key <= cutoff).count();
        prop_assert!((1..=devices).contains(&taken));
        // By arithmetic of its own: hundred-thousandths of the devices, rounded down.
        prop_assert_eq!(taken, (devices * thousandths as usize / 100_000).max(1));
    }
}
