//! What a batch lays claim to while it runs, where batches of one product may not run side by side.
//!
//! A package has one dynamic batch at a time (R61); under the conflict policy of the older document, no two packages are
//! rolled out from one version at a time (R63). Both are rules about several batches, so their claims lie in one value.

use alloc::vec::Vec;

use super::BatchError;
use crate::ids::{BatchId, ModuleName, PackageId, Version};
use crate::product::ConflictPolicy;

/// The claim of one running batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The batch.
    pub batch_id: BatchId,
    /// Its package.
    pub package_id: PackageId,
    /// Its package's module.
    pub module: ModuleName,
    /// The versions it upgrades from; empty is all of them.
    pub sources: Vec<Version>,
    /// Whether devices may join it later.
    pub is_dynamic: bool,
}

impl Lane {
    fn shares_a_source(&self, other: &Self) -> bool {
        self.sources.is_empty()
            || other.sources.is_empty()
            || self.sources.iter().any(|version| other.sources.contains(version))
    }
}

/// Tells why a new batch may not run beside the running ones, if it may not.
pub fn refusal(new: &Lane, running: &[Lane], policy: ConflictPolicy) -> Option<BatchError> {
    let others = || running.iter().filter(|lane| lane.batch_id != new.batch_id);
    let dynamic = |lane: &&Lane| new.is_dynamic && lane.is_dynamic && lane.package_id == new.package_id;
    if let Some(lane) = others().find(dynamic) {
        return Some(BatchError::DynamicExists { batch_id: lane.batch_id });
    }
    let conflicts = |lane: &&Lane| {
        policy == ConflictPolicy::SourceVersion
            && lane.package_id != new.package_id
            && lane.module == new.module
            && lane.shares_a_source(new)
    };
    others().find(conflicts).map(|lane| BatchError::Conflict { batch_id: lane.batch_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(batch: u8, package: u8, sources: &[&str], is_dynamic: bool) -> Lane {
        Lane {
            batch_id: BatchId([batch; 16]),
            package_id: PackageId([package; 16]),
            module: ModuleName::default_module(),
            sources: sources.iter().map(|v| Version::new(v).unwrap()).collect(),
            is_dynamic,
        }
    }

    #[test]
    fn r61_a_package_has_one_dynamic_batch_at_a_time() {
        let running = [lane(1, 1, &["1.0"], true)];
        let exists = Some(BatchError::DynamicExists { batch_id: BatchId([1; 16]) });
        assert_eq!(refusal(&lane(2, 1, &["1.1"], true), &running, ConflictPolicy::Device), exists);
        assert_eq!(refusal(&lane(2, 1, &["1.0"], false), &running, ConflictPolicy::Device), None);
        assert_eq!(refusal(&running[0], &running, ConflictPolicy::Device), None, "the same one again");
    }

    #[test]
    fn r62_two_packages_may_have_dynamic_batches_from_one_version() {
        let running = [lane(1, 1, &["1.0"], true)];
        assert_eq!(refusal(&lane(2, 2, &["1.0"], true), &running, ConflictPolicy::Device), None);
    }

    #[test]
    fn r63_under_the_older_policy_another_package_is_not_rolled_out_from_the_same_version() {
        let running = [lane(1, 1, &["A"], false)];
        let conflict = Some(BatchError::Conflict { batch_id: BatchId([1; 16]) });
        let policy = ConflictPolicy::SourceVersion;
        assert_eq!(refusal(&lane(2, 2, &["A"], false), &running, policy), conflict);
        assert_eq!(refusal(&lane(2, 2, &[], false), &running, policy), conflict, "all versions");
        assert_eq!(refusal(&lane(2, 2, &["B"], false), &running, policy), None);
        assert_eq!(refusal(&lane(2, 1, &["A"], false), &running, policy), None, "the same package");
        let other_module = Lane { module: ModuleName::new("mcu").unwrap(), ..lane(2, 2, &["A"], false) };
        assert_eq!(refusal(&other_module, &running, policy), None);
        assert_eq!(refusal(&lane(2, 2, &["A"], false), &running, ConflictPolicy::Device), None);
    }
}
