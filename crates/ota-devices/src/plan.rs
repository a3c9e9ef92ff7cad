//! What each device of a fleet will do, dealt from a seed before anything happens.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dialect::Dialect;
use crate::random::Random;

/// How a device fails on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The connection is cut again and again until the device gives up: step -2.
    Download,
    /// A byte was corrupted on its way to flash memory, so the digest differs: step -3.
    Verification,
    /// Writing the image fails: step -4.
    Flashing,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Download, Self::Verification, Self::Flashing];

    /// Returns the step that a device reports.
    pub const fn step(self) -> i8 {
        match self {
            Self::Download => -2,
            Self::Verification => -3,
            Self::Flashing => -4,
        }
    }
}

/// What a device does unlike most others, without failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quirk {
    /// Nothing.
    None,
    /// Asks for its upgrade every few seconds and does not act on what is pushed.
    Asks,
    /// Reports its version, goes offline and comes back later.
    Naps,
    /// Loses the download half way and resumes it.
    Resumes,
    /// Loses its MQTT connection in the middle of an upgrade, without a word.
    Drops,
}

/// One device's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behavior {
    /// Which SDK it speaks like.
    pub dialect: Dialect,
    /// What it does unlike others.
    pub quirk: Quirk,
    /// How it fails, if it does.
    pub failure: Option<Failure>,
    /// How many attempts fail, when it fails; later ones succeed. Most plans say all.
    pub failing_attempts: u32,
}

impl Default for Behavior {
    /// The most common device: the C SDK, and all goes well.
    fn default() -> Self {
        Self { dialect: Dialect::CLink, quirk: Quirk::None, failure: None, failing_attempts: u32::MAX }
    }
}

/// The parts of a whole fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    parts: BTreeMap<String, Behavior>,
}

/// One device in ten asks, one naps, two lose their download, one its connection.
const QUIRKS: [Quirk; 10] = [
    Quirk::Asks,
    Quirk::Resumes,
    Quirk::Naps,
    Quirk::Drops,
    Quirk::Resumes,
    Quirk::None,
    Quirk::None,
    Quirk::None,
    Quirk::None,
    Quirk::None,
];

impl Plan {
    /// Deals parts to devices.
    ///
    /// The plan follows from the seed and the set of names alone. Parts are dealt like cards rather than thrown like
    /// dice: `fail_percent` of the devices fail, rounded, and every way to fail and every dialect occurs as soon as
    /// there are devices enough.
    pub fn deal<'a>(seed: u64, names: impl IntoIterator<Item = &'a str>, fail_percent: u8) -> Self {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let mut random = Random::new(seed);
        let mut parts: BTreeMap<String, Behavior> = BTreeMap::new();

        random.shuffle(&mut names);
        for (name, dialect) in names.iter().zip(Dialect::ALL.into_iter().cycle()) {
            parts.insert((*name).to_owned(), Behavior { dialect, ..Behavior::default() });
        }
        random.shuffle(&mut names);
        for (name, quirk) in names.iter().zip(QUIRKS.into_iter().cycle()) {
            if let Some(part) = parts.get_mut(*name) {
                part.quirk = quirk;
            }
        }
        random.shuffle(&mut names);
        let failing = (names.len() * usize::from(fail_percent.min(100)) + 50) / 100;
        for (name, failure) in names.iter().take(failing).zip(Failure::ALL.into_iter().cycle()) {
            if let Some(part) = parts.get_mut(*name) {
                part.failure = Some(failure);
            }
        }
        Self { parts }
    }

    /// Returns a device's part; one that was not dealt any gets the ordinary one.
    pub fn of(&self, name: &str) -> Behavior {
        self.parts.get(name).cloned().unwrap_or_default()
    }

    /// Goes through all parts by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Behavior)> {
        self.parts.iter().map(|(name, part)| (name.as_str(), part))
    }

    /// Returns up to `count` devices to try a package on: they do not fail, and are plain ones first.
    pub fn trial_devices(&self, count: usize) -> Vec<String> {
        let mut healthy: Vec<_> = self.iter().filter(|(_, part)| part.failure.is_none()).collect();
        healthy.sort_by_key(|(name, part)| (part.quirk, *name));
        healthy.into_iter().take(count).map(|(name, _)| name.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn names(count: usize) -> Vec<String> {
        (1..=count).map(|n| format!("lamp-{n:04}")).collect()
    }

    fn deal(seed: u64, count: usize, fail_percent: u8) -> Plan {
        Plan::deal(seed, names(count).iter().map(String::as_str), fail_percent)
    }

    #[test]
    fn a_plan_follows_from_the_seed_and_the_set_of_names() {
        assert_eq!(deal(1, 50, 14), deal(1, 50, 14));
        assert_ne!(deal(1, 50, 14), deal(2, 50, 14));
        let mut backwards = names(50);
        backwards.reverse();
        assert_eq!(Plan::deal(1, backwards.iter().map(String::as_str), 14), deal(1, 50, 14));
    }

    #[test]
    fn the_percentage_is_a_count_and_every_way_to_fail_occurs() {
        for (count, percent, failing) in [(50, 14, 7), (50, 0, 0), (50, 100, 50), (3, 50, 2), (0, 50, 0)] {
            let plan = deal(9, count, percent);
            assert_eq!(plan.iter().filter(|(_, part)| part.failure.is_some()).count(), failing);
        }
        let ways: BTreeSet<_> = deal(3, 50, 14).iter().filter_map(|(_, part)| part.failure).collect();
        assert_eq!(ways.len(), Failure::ALL.len());
    }

    #[test]
    fn every_dialect_and_quirk_occurs_in_a_fleet_of_fifty() {
        let plan = deal(3, 50, 14);
        let dialects: BTreeSet<_> = plan.iter().map(|(_, part)| part.dialect).collect();
        let quirks: BTreeSet<_> = plan.iter().map(|(_, part)| part.quirk).collect();
        assert_eq!(dialects.len(), Dialect::ALL.len());
        assert_eq!(quirks.len(), 5);
    }

    #[test]
    fn trial_devices_never_fail() {
        for seed in 0..50 {
            let plan = deal(seed, 10, 80);
            let trial = plan.trial_devices(2);
            assert_eq!(trial.len(), 2);
            assert!(trial.iter().all(|name| plan.of(name).failure.is_none()));
        }
        assert!(deal(1, 10, 100).trial_devices(2).is_empty());
    }
}
