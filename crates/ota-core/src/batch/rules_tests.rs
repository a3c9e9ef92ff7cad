use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use super::*;
use crate::batch::{VerificationFields, check_verification};
use crate::device::push::RESERVED_TAG_KEYS;
use crate::digest::{DigestAlgorithm, Digests};
use crate::ids::{DeviceName, ModuleName, PackageId, ProductKey};
use crate::package::{PackageFile, PackageKind, VerificationStatus};
use crate::time::Timestamp;

pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn version(text: &str) -> Version {
    Version::new(text).unwrap()
}

/// A verified full package that leads to 2.0.
pub(super) fn package() -> Package {
    Package {
        id: PackageId([1; 16]),
        product_key: ProductKey::new("a1lamp").unwrap(),
        name: "lamp-2".to_string(),
        module: ModuleName::default_module(),
        kind: PackageKind::Full,
        target_version: version("2.0"),
        algorithm: DigestAlgorithm::Sha256,
        digests: Digests { md5: [0; 16], sha256: [0; 32] },
        size: 1,
        slice_bytes: None,
        file_name: "lamp.bin".to_string(),
        description: String::new(),
        udi: String::new(),
        verification: VerificationStatus::Verified,
        verify_batch: None,
        created_at: Timestamp(0),
        files: vec![],
    }
}

pub(super) fn delta_from(source: &str) -> Package {
    Package { kind: PackageKind::Delta { source_version: version(source) }, ..package() }
}

/// A batch for all devices, everything else left to its default.
pub(super) fn all() -> BatchFields<'static> {
    BatchFields {
        target: TargetFields { selection: Some("all"), ..Default::default() },
        ..Default::default()
    }
}

pub(super) fn specific(names: Vec<&str>) -> BatchFields<'_> {
    BatchFields {
        target: TargetFields { selection: Some("specific"), devices: Some(names), ..Default::default() },
        ..Default::default()
    }
}

pub(super) fn from<'a>(versions: &[&'a str]) -> BatchFields<'a> {
    BatchFields { source_versions: versions.to_vec(), ..all() }
}

pub(super) fn check(fields: &BatchFields<'_>) -> Result<NewBatch, Faults> {
    NewBatch::check(fields, &package(), &Terms::default(), NOW)
}

/// The pointers and codes of the faults of a request.
pub(super) fn faults_with(fields: &BatchFields<'_>, package: &Package) -> Vec<(String, &'static str)> {
    match NewBatch::check(fields, package, &Terms::default(), NOW) {
        Ok(_) => vec![],
        Err(faults) => faults.0.into_iter().map(|fault| (fault.pointer, fault.code)).collect(),
    }
}

pub(super) fn faults(fields: &BatchFields<'_>) -> Vec<(String, &'static str)> {
    faults_with(fields, &package())
}

pub(super) fn fault(pointer: &str, code: &'static str) -> Vec<(String, &'static str)> {
    vec![(pointer.to_string(), code)]
}

// Defaults and the package.

#[test]
fn a_request_that_says_only_all_is_a_batch_with_the_defaults() {
    let batch = check(&all()).unwrap();
    let expected = NewBatch {
        mode: UpgradeMode::Static,
        target: TargetSelection::All,
        download: DownloadProtocol::Https,
        source_versions: vec![],
        push_per_minute_max: 1_000,
        policy: TaskPolicy::new(version("2.0")),
        overwrite: false,
        multi_module: false,
        tags: vec![],
    };
    assert_eq!(batch, expected);
}

#[test]
fn r42_a_package_that_has_not_passed_its_trial_is_refused() {
    for verification in
        [VerificationStatus::Unverified, VerificationStatus::Verifying, VerificationStatus::Failed]
    {
        let package = Package { verification, ..package() };
        assert_eq!(faults_with(&all(), &package), fault("/package_id", "batch.package-not-verified"));
    }
}

#[test]
fn r43_a_package_that_needs_no_trial_is_accepted() {
    let package = Package { verification: VerificationStatus::NotNeeded, ..package() };
    assert_eq!(faults_with(&all(), &package), []);
}

#[test]
fn every_fault_of_a_request_is_told_at_once() {
    let fields = BatchFields {
        push_per_minute_max: Some(9),
        timeout_minutes: Some(0),
        retry: Some((5, 3)),
        tags: vec![("", "")],
        source_versions: vec!["2.0"],
        ..BatchFields::default()
    };
    let pointers: Vec<String> = faults(&fields).into_iter().map(|(pointer, _)| pointer).collect();
    let expected = [
        "/target/selection",
        "/source_versions/0",
        "/push_per_minute_max",
        "/timeout_minutes",
        "/retry/after_minutes",
        "/retry/count_max",
        "/tags/0/key",
        "/tags/0/value",
    ];
    assert_eq!(pointers, expected);
}

// Source versions.

#[test]
fn r54_source_versions_are_optional_for_a_full_package() {
    assert_eq!(faults(&all()), []);
    assert_eq!(faults(&from(&["1.0", "1.1"])), []);
}

#[test]
fn r56_a_batch_for_named_devices_takes_no_source_versions() {
    let fields = BatchFields { source_versions: vec!["1.0"], ..specific(vec!["lamp"]) };
    assert_eq!(faults(&fields), fault("/source_versions", "batch.source-versions-not-allowed"));
}

#[test]
fn r57_a_delta_upgrades_from_its_own_source_version_only() {
    let delta = delta_from("1.0");
    assert_eq!(faults_with(&all(), &delta), []);
    assert_eq!(faults_with(&from(&["1.0"]), &delta), []);
    assert_eq!(faults_with(&from(&["1.1"]), &delta), fault("/source_versions/0", "batch.source-not-deltas"));
}

#[test]
fn r58_the_target_version_is_no_source_version() {
    assert_eq!(faults(&from(&["1.0", "2.0"])), fault("/source_versions/1", "batch.source-is-target"));
}

#[test]
fn r59_ten_source_versions_are_accepted_and_eleven_refused() {
    let versions: Vec<String> = (0..11).map(|n| format!("1.{n}")).collect();
    let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
    assert_eq!(faults(&from(&versions[..10])), []);
    assert_eq!(faults(&from(&versions)), fault("/source_versions", "value.too-many"));
}

#[test]
fn r59_a_source_version_is_listed_once() {
    assert_eq!(faults(&from(&["1.0", "1.0"])), fault("/source_versions/1", "value.duplicate"));
}

#[test]
fn r20_a_source_version_has_a_versions_form() {
    assert_eq!(faults(&from(&["1 0"])), fault("/source_versions/0", "value.charset"));
}

// Which devices.

#[test]
fn r64_a_batch_for_all_names_no_device() {
    let target = TargetFields { selection: Some("all"), devices: Some(vec!["lamp"]), ..Default::default() };
    assert_eq!(faults(&BatchFields { target, ..all() }), fault("/target/devices", "value.not-allowed"));
}

#[test]
fn r65_two_hundred_devices_are_accepted_and_one_more_refused() {
    let names: Vec<String> = (0..201).map(|n| format!("lamp-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(faults(&specific(names[..200].to_vec())), []);
    assert_eq!(faults(&specific(names)), fault("/target/devices", "value.too-many"));
}

#[test]
fn r65_the_names_are_kept_sorted() {
    let batch = check(&specific(vec!["spot", "bulb", "lamp"])).unwrap();
    let devices = ["bulb", "lamp", "spot"].map(|name| DeviceName::new(name).unwrap()).to_vec();
    assert_eq!(batch.target, TargetSelection::Specific { devices, listed: false });
}

#[test]
fn r65_a_batch_for_named_devices_names_some_and_each_once() {
    assert_eq!(faults(&specific(vec![])), fault("/target/devices", "value.missing"));
    assert_eq!(
        faults(&specific(vec!["lamp", "bulb", "lamp"])),
        fault("/target/devices/2", "value.duplicate")
    );
    assert_eq!(faults(&specific(vec!["lamp", "no/name"])), fault("/target/devices/1", "value.charset"));
}

#[test]
fn a_selection_that_is_not_offered_is_refused() {
    let target = TargetFields { selection: Some("group"), ..Default::default() };
    assert_eq!(faults(&BatchFields { target, ..all() }), fault("/target/selection", "value.not-one-of"));
}

// Numbers.

#[test]
fn r81_the_rate_is_10_to_1000() {
    for (rate, good) in [(0, false), (9, false), (10, true), (1_000, true), (1_001, false)] {
        let fields = BatchFields { push_per_minute_max: Some(rate), ..all() };
        assert_eq!(faults(&fields).is_empty(), good, "{rate}");
    }
}

#[test]
fn r82_the_retry_interval_is_one_of_five() {
    for minutes in [0, 10, 30, 60, 1_440] {
        assert_eq!(faults(&BatchFields { retry: Some((minutes, 1)), ..all() }), []);
    }
    for minutes in [1, 9, 11, 1_439, 1_441] {
        let fields = BatchFields { retry: Some((minutes, 1)), ..all() };
        assert_eq!(faults(&fields), fault("/retry/after_minutes", "value.not-one-of"));
    }
}

#[test]
fn r83_the_retry_count_is_one_of_three() {
    for count in 0..=6 {
        let good = [1, 2, 5].contains(&count);
        assert_eq!(faults(&BatchFields { retry: Some((10, count)), ..all() }).is_empty(), good, "{count}");
    }
}

#[test]
fn r84_the_timeout_is_1_to_1440_minutes() {
    for (minutes, good) in [(0, false), (1, true), (1_440, true), (1_441, false)] {
        let fields = BatchFields { timeout_minutes: Some(minutes), ..all() };
        assert_eq!(faults(&fields).is_empty(), good, "{minutes}");
    }
}

#[test]
fn a_retry_that_could_start_only_after_the_timeout_is_accepted() {
    // The clock is never reset, so such a retry never happens; the newer document does not forbid the pair.
    assert_eq!(faults(&BatchFields { retry: Some((60, 1)), timeout_minutes: Some(5), ..all() }), []);
}

#[test]
fn r85_a_batch_overwrites_only_when_it_says_so() {
    let overwrites = |overwrite| check(&BatchFields { overwrite, ..all() }).unwrap().overwrite;
    assert_eq!([None, Some(false), Some(true)].map(overwrites), [false, false, true]);
}

// Tags.

fn tagged<'a>(tags: &[(&'a str, &'a str)]) -> BatchFields<'a> {
    BatchFields { tags: tags.to_vec(), ..all() }
}

#[test]
fn r86_a_tag_key_has_1_to_30_letters_digits_or_dots() {
    for good in ["k", "line.2", &"k".repeat(30)] {
        assert_eq!(faults(&tagged(&[(good, "v")])), [], "{good}");
    }
    for bad in ["", "a b", "a-b", "_package_udi", "键", &"k".repeat(31)] {
        assert_eq!(faults(&tagged(&[(bad, "v")])).len(), 1, "{bad}");
    }
}

#[test]
fn r86_a_tag_value_has_1_to_1024_characters_of_any_script() {
    for (value, good) in
        [("", false), ("值", true), (&*"值".repeat(1_024), true), (&*"v".repeat(1_025), false)]
    {
        assert_eq!(
            faults(&tagged(&[("key", value)])).is_empty(),
            good,
            "{} characters",
            value.chars().count()
        );
    }
}

#[test]
fn r86_ten_tags_are_accepted_and_eleven_refused() {
    let keys: Vec<String> = (0..11).map(|n| format!("k{n}")).collect();
    let tags: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    assert_eq!(faults(&tagged(&tags[..10])), []);
    assert_eq!(faults(&tagged(&tags)), fault("/tags", "value.too-many"));
}

#[test]
fn r86_all_tags_together_have_at_most_4096_characters() {
    let value = "v".repeat(1_022);
    let tags = [("k1", &*value), ("k2", &*value), ("k3", &*value), ("k4", &*value)];
    assert_eq!(faults(&tagged(&tags)), [], "4 x 1,024");
    let longer = [tags.as_slice(), &[("k", "v")]].concat();
    assert_eq!(faults(&tagged(&longer)), fault("/tags", "value.length"));
}

#[test]
fn r86_a_tag_key_is_used_once() {
    assert_eq!(faults(&tagged(&[("key", "a"), ("key", "b")])), fault("/tags/1/key", "value.duplicate"));
}

#[test]
fn a_tag_key_is_not_the_name_of_a_field_of_the_upgrade() {
    for key in RESERVED_TAG_KEYS {
        assert_eq!(faults(&tagged(&[(key, "v")])), fault("/tags/0/key", "value.not-allowed"));
    }
}

// A verification.

pub(super) fn trial(fields: &VerificationFields<'_>) -> Result<NewBatch, Faults> {
    check_verification(fields, &package(), &Terms::default())
}

pub(super) fn trial_on(devices: &[&'static str]) -> VerificationFields<'static> {
    VerificationFields { devices: devices.to_vec(), ..VerificationFields::default() }
}

#[test]
fn r44_a_trial_has_1_to_10_devices() {
    let names: Vec<String> = (0..11).map(|n| format!("lamp-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (count, good) in [(0, false), (1, true), (10, true), (11, false)] {
        assert_eq!(
            trial(&VerificationFields { devices: names[..count].to_vec(), ..Default::default() }).is_ok(),
            good,
            "{count}"
        );
    }
}

#[test]
fn r44_a_test_device_is_named_once() {
    let faults = trial(&trial_on(&["lamp", "lamp"])).unwrap_err();
    assert_eq!((faults.0[0].pointer.as_str(), faults.0[0].code), ("/devices/1", "value.duplicate"));
}

#[test]
fn r48_a_trials_timeout_is_1_to_1440_minutes() {
    for (minutes, good) in [(0, false), (1, true), (1_440, true), (1_441, false)] {
        assert_eq!(
            trial(&VerificationFields { timeout_minutes: Some(minutes), ..trial_on(&["lamp"]) }).is_ok(),
            good,
            "{minutes}"
        );
    }
}

#[test]
fn the_test_devices_are_kept_sorted() {
    let devices = ["bulb", "spot"].map(|name| DeviceName::new(name).unwrap()).to_vec();
    let target = TargetSelection::Specific { devices, listed: false };
    assert_eq!(trial(&trial_on(&["spot", "bulb"])).unwrap().target, target);
}

#[test]
fn a_package_that_is_not_there_hides_no_other_fault() {
    let fields =
        BatchFields { push_per_minute_max: Some(5), timeout_minutes: Some(0), ..BatchFields::default() };
    let pointers: Vec<String> =
        NewBatch::faults_without_package(&fields, NOW).0.into_iter().map(|fault| fault.pointer).collect();
    assert_eq!(pointers, ["/target/selection", "/push_per_minute_max", "/timeout_minutes"]);
}

// Downloading over MQTT.

#[test]
fn r165_a_package_of_up_to_16_mb_may_be_downloaded_over_mqtt() {
    let mqtt = BatchFields { download_protocol: Some("mqtt"), ..all() };
    for (size, expected) in
        [(16_777_216, vec![]), (16_777_217, fault("/download_protocol", "batch.mqtt-too-large"))]
    {
        assert_eq!(faults_with(&mqtt, &Package { size, ..package() }), expected, "{size}");
    }
    let large = Package { size: 16_777_217, ..package() };
    for protocol in [None, Some("https")] {
        assert_eq!(faults_with(&BatchFields { download_protocol: protocol, ..all() }, &large), []);
    }
    assert_eq!(check(&mqtt).unwrap().download, DownloadProtocol::Mqtt);
}

#[test]
fn r31_r165_a_package_of_several_files_is_not_downloaded_over_mqtt() {
    let file = |name: &str| PackageFile {
        name: name.to_string(),
        file_name: "a.bin".to_string(),
        size: 1,
        digests: Digests { md5: [0; 16], sha256: [0; 32] },
    };
    let several = Package { files: vec![file("a"), file("b")], ..package() };
    let mqtt = BatchFields { download_protocol: Some("mqtt"), ..all() };
    assert_eq!(faults_with(&mqtt, &several), fault("/download_protocol", "batch.mqtt-several-files"));
    assert_eq!(faults_with(&all(), &several), []);
}

#[test]
fn another_download_protocol_is_refused_even_without_a_package() {
    let other = BatchFields { download_protocol: Some("ftp"), ..all() };
    assert_eq!(faults(&other), fault("/download_protocol", "value.not-one-of"));
    assert_eq!(NewBatch::faults_without_package(&other, NOW).0.len(), 1);
}
