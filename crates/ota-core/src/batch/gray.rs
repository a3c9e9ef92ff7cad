//! The share of a gray rollout (灰度, R69-R71), by exact arithmetic and chosen at random.
//!
//! Every device has a number that follows from its name and the batch, and looks random: its [`gray_key`]. The chosen
//! devices are those with the smallest numbers, so the choice needs no memory but one number, the cutoff, and is the
//! same however often a step is repeated. [`GraySearch`] finds the cutoff in a few walks over a fleet of any size.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest, Sha256};

use crate::error::ValueError;
use crate::ids::{BatchId, DeviceName};
use crate::limits;

/// Thousandths of a percent in a whole.
const WHOLE: u32 = 100_000;
/// Buckets of one walk: one for each value of a byte.
const BUCKETS: usize = 256;
/// Bytes of a key.
const KEY_BYTES: u8 = 8;

/// A percentage above 0 and up to 100, with up to three decimals (R71).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrayPercent(u32);

impl GrayPercent {
    /// Reads a decimal number such as `33.33`.
    ///
    /// # Errors
    /// [`ValueError::Malformed`] for what is no plain decimal number or has more than three decimals,
    /// [`ValueError::Range`] for 0 and for more than 100.
    pub fn new(text: &str) -> Result<Self, ValueError> {
        let malformed = || ValueError::Malformed { expected: "a decimal number with up to 3 decimals" };
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |digits: &str, max: usize| {
            (1..=max).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
        };
        if !is_number(whole, 9) || !is_number(decimals, limits::GRAY_DECIMALS_MAX) {
            return Err(malformed());
        }
        let scale = 10_u64.pow((limits::GRAY_DECIMALS_MAX - decimals.len()) as u32);
        let whole: u64 = whole.parse().map_err(|_| malformed())?;
        let decimals: u64 = decimals.parse().map_err(|_| malformed())?;
        u32::try_from(whole * 1_000 + decimals * scale)
            .ok()
            .and_then(Self::from_thousandths)
            .ok_or(ValueError::Range { min: 0, max: 100 })
    }

    /// Wraps thousandths of a percent; `None` for 0 and for more than 100 percent.
    pub fn from_thousandths(thousandths: u32) -> Option<Self> {
        (1..=WHOLE).contains(&thousandths).then_some(Self(thousandths))
    }

    /// Returns the thousandths of a percent.
    pub const fn thousandths(self) -> u32 {
        self.0
    }

    /// Returns how many of `eligible` devices are taken: rounded down, but at least one (R69, R70).
    pub fn of(self, eligible: u64) -> u64 {
        let exact = u128::from(eligible) * u128::from(self.0) / u128::from(WHOLE);
        // A part of a 64-bit number is one.
        u64::try_from(exact).unwrap_or(eligible).max(1)
    }
}

impl fmt::Display for GrayPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = alloc::format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Returns a device's number in a gray rollout. It follows from a cryptographic hash, so nobody can choose a name that is
/// always among the first, and another batch chooses other devices.
pub fn gray_key(batch: BatchId, device: &DeviceName) -> u64 {
    let digest = Sha256::new().chain_update(batch.0).chain_update(device.as_str()).finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(bytes)
}

/// The search for the cutoff of a gray rollout: each walk over the eligible devices settles one byte of it, from the
/// first; a fleet of a million devices takes three or four walks, a small one takes one or two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraySearch {
    /// The bytes of the cutoff that are settled.
    pub prefix: Vec<u8>,
    /// How many devices that share the prefix are to be taken; none before the first walk has counted them all.
    pub wanted: Option<u64>,
    /// Devices that share the prefix, by their next byte.
    pub buckets: Vec<u32>,
}

impl Default for GraySearch {
    fn default() -> Self {
        Self { prefix: Vec::new(), wanted: None, buckets: vec![0; BUCKETS] }
    }
}

impl GraySearch {
    /// Counts one eligible device.
    pub fn count(&mut self, key: u64) {
        let bytes = key.to_be_bytes();
        let depth = self.prefix.len();
        if bytes.get(..depth) == Some(&self.prefix)
            && let Some(next) = bytes.get(depth)
            && let Some(bucket) = self.buckets.get_mut(usize::from(*next))
        {
            *bucket = bucket.saturating_add(1);
        }
    }

    /// Forgets what the present walk has counted.
    pub fn restart_walk(&mut self) {
        self.buckets = vec![0; BUCKETS];
    }

    /// Ends a walk: returns the cutoff, or `None` if another walk is needed to find it.
    pub fn finish_walk(&mut self, percent: GrayPercent) -> Option<u64> {
        let counted: u64 = self.buckets.iter().map(|count| u64::from(*count)).sum();
        let mut left = self.wanted.unwrap_or_else(|| percent.of(counted));
        for (next, count) in (0_u8..=u8::MAX).zip(core::mem::replace(&mut self.buckets, vec![0; BUCKETS])) {
            let count = u64::from(count);
            if left > count {
                left -= count;
                continue;
            }
            self.prefix.push(next);
            self.wanted = Some(left);
            // All of the bucket, or nothing left to tell apart.
            let found = left == count || self.prefix.len() >= usize::from(KEY_BYTES);
            return found.then(|| self.last_key());
        }
        // Fewer devices than before share the prefix: some were deleted meanwhile. All that are left are taken.
        Some(self.last_key())
    }

    /// The greatest key that begins with the prefix.
    fn last_key(&self) -> u64 {
        let mut bytes = [u8::MAX; KEY_BYTES as usize];
        for (byte, settled) in bytes.iter_mut().zip(&self.prefix) {
            *byte = *settled;
        }
        u64::from_be_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn percent(text: &str) -> GrayPercent {
        GrayPercent::new(text).unwrap()
    }

    #[test]
    fn r69_the_share_is_rounded_down_by_exact_arithmetic() {
        for (text, of, expected) in [
            ("33.33", 100, 33),
            ("29", 100, 29),
            ("57", 100, 57),
            ("0.001", 1_000_000, 10),
            ("99.999", 100_000, 99_999),
            ("100", 7, 7),
            ("50", u64::MAX, u64::MAX / 2),
        ] {
            assert_eq!(percent(text).of(of), expected, "{text} % of {of}");
        }
    }

    #[test]
    fn r70_at_least_one_device_is_taken() {
        assert_eq!(percent("1").of(3), 1);
        assert_eq!(percent("0.001").of(1), 1);
    }

    #[test]
    fn r71_a_percentage_is_above_0_and_up_to_100_with_up_to_3_decimals() {
        for good in ["0.001", "1", "01", "33.33", "99.999", "100", "100.000"] {
            assert!(GrayPercent::new(good).is_ok(), "{good}");
        }
        for bad in ["0", "0.000", "100.001", "101", "999999999"] {
            assert_eq!(GrayPercent::new(bad), Err(ValueError::Range { min: 0, max: 100 }), "{bad}");
        }
        for bad in ["", "1.", ".5", "1.2345", "-1", "+1", "1e1", "1,5", "1 %", "１", "9999999999"] {
            assert!(matches!(GrayPercent::new(bad), Err(ValueError::Malformed { .. })), "{bad}");
        }
    }

    #[test]
    fn a_percentage_reads_as_it_was_written() {
        for text in ["33.33", "100", "0.001", "10"] {
            assert_eq!(percent(text).to_string(), text);
        }
    }

    fn search(keys: &[u64], percent: GrayPercent) -> (u64, usize) {
        let mut search = GraySearch::default();
        for walks in 1.. {
            keys.iter().for_each(|key| search.count(*key));
            if let Some(cutoff) = search.finish_walk(percent) {
                return (cutoff, walks);
            }
        }
        unreachable!("a search ends")
    }

    #[test]
    fn r69_the_search_takes_exactly_the_share_whatever_the_keys() {
        let batch = BatchId([7; 16]);
        let keys: Vec<u64> = (0..5_000)
            .map(|n| gray_key(batch, &DeviceName::new(&alloc::format!("lamp-{n}")).unwrap()))
            .collect();
        for count in [1, 2, 3, 100, 999, 5_000] {
            for share in ["0.001", "1", "29", "33.33", "99.999", "100"] {
                let (cutoff, walks) = search(&keys[..count], percent(share));
                let taken = keys[..count].iter().filter(|key| **key <= cutoff).count();
                assert_eq!(taken as u64, percent(share).of(count as u64), "{share} % of {count}");
                assert!(walks <= 4, "{walks} walks");
            }
        }
    }

    #[test]
    fn keys_that_differ_in_their_last_byte_only_are_told_apart() {
        let keys: Vec<u64> = (0..100).map(|n| 0xabcd_0000_0000_0000 + n).collect();
        assert_eq!(search(&keys, percent("29")), (0xabcd_0000_0000_0000 + 28, 8));
    }

    #[test]
    fn devices_that_vanish_between_walks_end_the_search_all_the_same() {
        let mut search = GraySearch::default();
        [1, 2, 3].into_iter().for_each(|key| search.count(key));
        assert_eq!(search.finish_walk(percent("50")), None);
        assert!(search.finish_walk(percent("50")).is_some());
    }

    #[test]
    fn another_batch_chooses_other_devices() {
        let name = DeviceName::new("lamp").unwrap();
        assert_ne!(gray_key(BatchId([1; 16]), &name), gray_key(BatchId([2; 16]), &name));
    }
}
