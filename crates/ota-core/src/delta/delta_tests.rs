use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;
use crate::digest::{DigestAlgorithm, Digests};
use crate::error::{Faults, ValueError};
use crate::ids::{ModuleName, ProductKey, Version};
use crate::package::{NewPackage, Package, PackageKind, VerificationStatus};
use crate::settings::PackageLimits;

const NOW: Timestamp = Timestamp(5);

fn package(version: &str, size: u64) -> Package {
    Package {
        id: PackageId([1; 16]),
        product_key: ProductKey::new("a1lamp").unwrap(),
        name: "lamp".to_string(),
        module: ModuleName::default_module(),
        kind: PackageKind::Full,
        target_version: Version::new(version).unwrap(),
        algorithm: DigestAlgorithm::Sha256,
        digests: Digests { md5: [0; 16], sha256: [0; 32] },
        size,
        slice_bytes: None,
        files: Vec::new(),
        file_name: "lamp.bin".to_string(),
        description: String::new(),
        udi: String::new(),
        verification: VerificationStatus::Unverified,
        verify_batch: None,
        created_at: Timestamp(0),
    }
}

fn codes(result: Result<NewDelta, Faults>) -> Vec<String> {
    let words = |faults: Faults| {
        faults.0.iter().map(|fault| alloc::format!("{} {}", fault.pointer, fault.code)).collect()
    };
    result.map_or_else(words, |_| Vec::new())
}

fn check(target: &Package, source: &Package, slice: &str) -> Vec<String> {
    let fields = DeltaFields { target: Ok(target), source: Ok(source), slice: Some(slice), name: None };
    codes(NewDelta::check(&fields, true, PackageLimits::default()))
}

fn delta(target_size: u64, slice: SliceSize) -> Delta {
    let new = NewDelta { slice, name: None };
    new.begin(DeltaId([9; 16]), &package("2.0", target_size), &package("1.0", 50_000), NOW)
}

#[test]
fn r34_a_slice_has_2_mb_64_kb_or_32_kb_or_all() {
    let (target, source) = (package("2.0", 50_000), package("1.0", 50_000));
    for (slice, bytes) in
        [("none", None), ("2M", Some(2_097_152)), ("64K", Some(65_536)), ("32K", Some(32_768))]
    {
        assert_eq!(SliceSize::parse(slice).map(SliceSize::bytes), Some(bytes));
        assert_eq!(check(&target, &source, slice), [""; 0], "{slice}");
    }
    for slice in ["0", "16K", "128K", "1M", "64k", "65536"] {
        assert_eq!(check(&target, &source, slice), ["/slice value.not-one-of"], "{slice}");
    }
}

#[test]
fn r35_the_target_image_has_at_least_20_kb() {
    let source = package("1.0", 1);
    assert_eq!(check(&package("2.0", 20_480), &source, "32K"), [""; 0], "the source may be of any size");
    let refused = check(&package("2.0", 20_479), &source, "32K");
    assert_eq!(refused, ["/target_package_id delta.target-too-small"]);
}

#[test]
fn an_image_that_does_not_fit_a_functions_memory_is_refused() {
    let (small, large) = (package("1.0", 20_480), |size| package("2.0", size));
    for (slice, max) in [("none", 8 << 20), ("32K", 32 << 20), ("64K", 32 << 20), ("2M", 32 << 20)] {
        assert_eq!(check(&large(max), &small, slice), [""; 0], "{slice}");
        let refused = check(&large(max + 1), &small, slice);
        assert_eq!(refused, ["/target_package_id delta.image-too-large"], "{slice}");
        let refused = check(&small, &large(max + 1), slice);
        assert_eq!(refused, ["/source_package_id delta.image-too-large"], "{slice}");
    }
}

#[test]
fn both_packages_are_full_and_lead_one_module_of_one_product_to_two_versions() {
    let (target, source) = (package("2.0", 50_000), package("1.0", 50_000));
    let other = Package { product_key: ProductKey::new("a1bulb").unwrap(), ..source.clone() };
    assert_eq!(check(&target, &other, "2M"), ["/source_package_id delta.other-product"]);
    let other = Package { module: ModuleName::new("mcu").unwrap(), ..source.clone() };
    assert_eq!(check(&target, &other, "2M"), ["/source_package_id delta.other-module"]);
    assert_eq!(check(&target, &package("2.0", 1), "2M"), ["/source_package_id package.same-versions"]);
    let kind = PackageKind::Delta { source_version: Version::new("0.9").unwrap() };
    let other = Package { kind, ..source };
    assert_eq!(check(&target, &other, "2M"), ["/source_package_id delta.not-full"]);
}

#[test]
fn every_fault_of_a_delta_is_told_at_once() {
    let target = package("2.0", 7);
    let missing = Err(ValueError::Missing);
    let fields = DeltaFields { target: Ok(&target), source: missing, slice: None, name: Some("-") };
    assert_eq!(
        codes(NewDelta::check(&fields, false, PackageLimits::default())),
        [
            "/slice value.missing",
            "/name value.malformed",
            "/source_package_id value.missing",
            "/target_package_id delta.target-too-small",
            "/target_package_id delta.not-capable",
        ]
    );
}

#[test]
fn r38_a_product_that_cannot_apply_deltas_gets_none() {
    let (target, source) = (package("2.0", 50_000), package("1.0", 50_000));
    let fields = DeltaFields { target: Ok(&target), source: Ok(&source), slice: Some("none"), name: None };
    assert_eq!(
        codes(NewDelta::check(&fields, false, PackageLimits::default())),
        ["/target_package_id delta.not-capable"]
    );
    assert_eq!(codes(NewDelta::check(&fields, true, PackageLimits::default())), [""; 0]);
}

#[test]
fn the_package_to_be_is_one_that_an_operator_could_ask_for() {
    let (target, source) = (package("2.0", 50_000), package("1.0", 50_000));
    let made = delta(50_000, SliceSize::Kib32).package(&target, &source);
    let fields = crate::package::PackageFields {
        product_key: Some(made.product_key.as_str()),
        name: Some(&made.name),
        kind: Some("delta"),
        source_version: Some("1.0"),
        target_version: Some("2.0"),
        description: Some(&made.description),
        ..Default::default()
    };
    assert_eq!(NewPackage::check(&fields), Ok(made));
}

#[test]
fn steps_take_a_bounded_share_of_the_target_and_come_to_its_end() {
    for slice in SliceSize::ALL {
        for size in [20_480, 32_768, 4_194_304, 4_194_305, 8_388_608] {
            let mut delta = delta(size, slice);
            let (mut ends, mut seen) = (Vec::new(), 0);
            while !delta.next_step().is_empty() {
                let step = delta.next_step();
                let range = delta.target_range(&step);
                assert_eq!(range.start, seen);
                let bound = if slice == SliceSize::None { size } else { u64::from(limits::DELTA_STEP_BYTES) };
                assert!(range.end - range.start <= bound);
                seen = range.end;
                ends.push(step.end);
                assert!(delta.apply(&DeltaEvent::Made { slices: step, bytes: seen }, NOW));
            }
            assert_eq!(seen, size);
            assert_eq!(delta.steps().collect::<Vec<_>>(), ends);
        }
    }
}

#[test]
fn r36_a_delta_is_making_until_all_of_it_is_made_and_then_ready_for_good() {
    let mut delta = delta(100_000, SliceSize::Kib64);
    assert!(!delta.apply(&DeltaEvent::Finished, NOW), "nothing is made yet");
    let made = |slices, bytes| DeltaEvent::Made { slices, bytes };
    assert!(delta.apply(&made(0..1, 10), NOW));
    assert!(!delta.apply(&made(0..1, 10), NOW), "a step counts once");
    assert!(!delta.apply(&DeltaEvent::Finished, NOW), "a slice is missing");
    assert_eq!(
        (delta.status.as_str(), delta.progress_percent(), delta.saved_percent()),
        ("making", 50, None)
    );
    assert!(delta.apply(&made(1..2, 20_000), NOW));
    assert_eq!(delta.progress_percent(), 99, "the package is missing");
    assert!(delta.apply(&DeltaEvent::Finished, Timestamp(7)));
    assert_eq!(
        (delta.status.as_str(), delta.progress_percent(), delta.saved_percent()),
        ("ready", 100, Some(80))
    );
    let ready = delta.clone();
    for event in [made(0..1, 1), DeltaEvent::Finished, DeltaEvent::Failed(DeltaFailure::NotSmaller)] {
        assert!(!delta.apply(&event, Timestamp(9)));
    }
    assert_eq!(delta, ready);
}

#[test]
fn r36_a_failed_delta_stays_failed_and_says_why() {
    let mut failed = delta(100_000, SliceSize::Kib64);
    assert!(failed.apply(&DeltaEvent::Failed(DeltaFailure::NotSmaller), NOW));
    assert!(!failed.apply(&DeltaEvent::Made { slices: 0..2, bytes: 1 }, NOW));
    assert!(!failed.apply(&DeltaEvent::Finished, NOW));
    assert_eq!(failed.status, DeltaStatus::Failed(DeltaFailure::NotSmaller));
    let taken = DeltaFailure::from(&PackageError::NameTaken { name: "x".to_string() });
    for failure in [DeltaFailure::NotSmaller, DeltaFailure::PackageDeleted, DeltaFailure::Unfaithful, taken] {
        assert_eq!(DeltaFailure::from_code(failure.code()), failure);
    }
}
