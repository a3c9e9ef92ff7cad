//! The kinds of batches: dynamic, gray, regional, scheduled, listed; and what products may ask for.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use super::tests::{
    NOW, all, check, delta_from, fault, faults, faults_with, from, package, specific, trial, trial_on,
};
use super::*;
use crate::batch::{VerificationFields, parse_device_list};
use crate::ids::DeviceName;

fn dynamic(fields: BatchFields<'static>) -> BatchFields<'static> {
    BatchFields { mode: Some("dynamic"), ..fields }
}

fn target(selection: &'static str) -> TargetFields<'static> {
    TargetFields { selection: Some(selection), ..TargetFields::default() }
}

fn with(target: TargetFields<'_>) -> BatchFields<'_> {
    BatchFields { target, ..BatchFields::default() }
}

fn faults_under(terms: &Terms, fields: &BatchFields<'_>) -> Vec<(String, &'static str)> {
    let faults = NewBatch::check(fields, &package(), terms, NOW).err().unwrap_or_default();
    faults.0.into_iter().map(|fault| (fault.pointer, fault.code)).collect()
}

#[test]
fn r55_a_dynamic_batch_of_a_full_package_names_its_source_versions() {
    assert_eq!(faults(&dynamic(all())), fault("/source_versions", "batch.source-versions-required"));
    assert_eq!(faults(&dynamic(from(&["1.0"]))), []);
    assert_eq!(faults_with(&dynamic(all()), &delta_from("1.0")), []);
}

#[test]
fn r68_r89_a_dynamic_batch_is_neither_gray_nor_for_named_devices() {
    let gray = TargetFields { gray_percent: Some("10"), ..target("gray") };
    let fields = BatchFields { target: gray, ..from(&["1.0"]) };
    assert_eq!(faults(&dynamic(fields)), fault("/target/selection", "batch.dynamic-target"));
    let named = BatchFields { mode: Some("dynamic"), ..specific(vec!["lamp"]) };
    assert!(faults(&named).contains(&("/target/selection".to_string(), "batch.dynamic-target")));
    let regions = Some(vec![(Some("330000"), None)]);
    let regional = BatchFields { target: TargetFields { regions, ..target("region") }, ..from(&["1.0"]) };
    assert_eq!(faults(&dynamic(regional)), []);
}

#[test]
fn r77_only_a_static_batch_has_a_schedule() {
    let schedule = Some(ScheduleFields { start_at: Some(NOW.0 + 3_600_000), ..Default::default() });
    assert_eq!(faults(&BatchFields { schedule, ..all() }), []);
    let fields = BatchFields { schedule, ..dynamic(from(&["1.0"])) };
    assert_eq!(faults(&fields), fault("/schedule", "batch.schedule-static-only"));
}

#[test]
fn r109_a_dynamic_batch_takes_present_devices_unless_it_says_otherwise() {
    let mode = |new_reports_only| {
        let fields = BatchFields { new_reports_only, ..dynamic(from(&["1.0"])) };
        check(&fields).unwrap().mode
    };
    assert_eq!(mode(None), UpgradeMode::Dynamic { new_reports_only: false });
    assert_eq!(mode(Some(true)), UpgradeMode::Dynamic { new_reports_only: true });
    let fixed = BatchFields { new_reports_only: Some(true), ..all() };
    assert_eq!(faults(&fixed), fault("/new_reports_only", "value.not-allowed"));
}

#[test]
fn a_mode_that_is_not_offered_is_refused() {
    let fields = BatchFields { mode: Some("continuous"), ..all() };
    assert_eq!(faults(&fields), fault("/mode", "value.not-one-of"));
}

#[test]
fn r71_a_gray_rollout_needs_its_percentage_and_no_other_target_has_one() {
    assert_eq!(faults(&with(target("gray"))), fault("/target/gray_percent", "value.missing"));
    let gray = |text| with(TargetFields { gray_percent: Some(text), ..target("gray") });
    assert_eq!(faults(&gray("33.33")), []);
    assert_eq!(faults(&gray("33.3333")), fault("/target/gray_percent", "value.malformed"));
    assert_eq!(faults(&gray("0")), fault("/target/gray_percent", "value.range"));
    let stray = with(TargetFields { gray_percent: Some("10"), ..target("all") });
    assert_eq!(faults(&stray), fault("/target/gray_percent", "value.not-allowed"));
}

#[test]
fn r72_a_regional_batch_names_1_to_100_regions_each_once() {
    let regional = |regions| with(TargetFields { regions: Some(regions), ..target("region") });
    assert_eq!(faults(&with(target("region"))), fault("/target/regions", "value.missing"));
    assert_eq!(faults(&regional(vec![])), fault("/target/regions", "value.missing"));
    assert_eq!(faults(&regional(vec![(Some("a"), None), (Some("a"), Some("b"))])), []);
    let twice = regional(vec![(Some("a"), None), (Some("a"), None)]);
    assert_eq!(faults(&twice), fault("/target/regions/1", "value.duplicate"));
    assert_eq!(faults(&regional(vec![(None, Some("b"))])), fault("/target/regions/0", "value.missing"));
    let names: Vec<String> = (0..101).map(|n| format!("p{n}")).collect();
    let some = |count: usize| names[..count].iter().map(|name| (Some(name.as_str()), None)).collect();
    assert_eq!(faults(&with(TargetFields { regions: Some(some(100)), ..target("region") })), []);
    let many = with(TargetFields { regions: Some(some(101)), ..target("region") });
    assert_eq!(faults(&many), fault("/target/regions", "value.too-many"));
}

#[test]
fn r66_a_device_list_has_10_000_rows_and_its_bad_rows_are_told() {
    let rows = |count: usize| (0..count).map(|n| format!("lamp-{n}\r\n")).collect::<String>();
    assert_eq!(parse_device_list(&rows(10_000)).map(|names| names.len()), Ok(10_000));
    let told = |text: &str| -> Vec<(String, &str)> {
        let faults = parse_device_list(text).err().unwrap_or_default();
        faults.0.into_iter().map(|fault| (fault.pointer, fault.code)).collect()
    };
    assert_eq!(told(&rows(10_001)), fault("/target/device_list", "batch.list-too-long"));
    assert_eq!(told("\u{feff}lamp-1,lamp-2\n\n lamp-3 \n"), []);
    let expected = [("row:2", "value.charset"), ("row:4", "value.length"), ("row:3", "value.duplicate")];
    assert_eq!(told("lamp-1\nno name\nlamp-1\nx"), expected.map(|(at, code)| (at.to_string(), code)));
    assert_eq!(told(" \n"), fault("/target/device_list", "value.missing"));
}

#[test]
fn r67_names_and_a_device_list_exclude_each_other() {
    let listed = Some(vec![DeviceName::new("lamp").unwrap()]);
    let fields = with(TargetFields { listed: listed.clone(), ..target("specific") });
    assert!(matches!(check(&fields).unwrap().target, TargetSelection::Specific { listed: true, .. }));
    let both = with(TargetFields { listed, devices: Some(vec!["bulb"]), ..target("specific") });
    assert_eq!(faults(&both), fault("/target/device_list", "batch.names-and-list"));
}

#[test]
fn r88_the_package_belongs_to_the_product_that_the_request_names() {
    assert_eq!(faults(&BatchFields { product_key: Some("a1lamp"), ..all() }), []);
    let other = BatchFields { product_key: Some("a1spot"), ..all() };
    assert_eq!(faults(&other), fault("/product_key", "batch.product-mismatch"));
    let trial_of = VerificationFields { product_key: Some("a1spot"), ..trial_on(&["lamp"]) };
    assert_eq!(trial(&trial_of).unwrap_err().0[0].code, "batch.product-mismatch");
}

#[test]
fn r95_r96_a_batch_pushes_and_needs_no_consent_unless_it_says_otherwise() {
    let policy = |push, needs_confirmation| {
        let policy = check(&BatchFields { push, needs_confirmation, ..all() }).unwrap().policy;
        (policy.push, policy.needs_confirmation)
    };
    assert_eq!(policy(None, None), (true, false));
    assert_eq!(policy(Some(false), Some(true)), (false, true));
}

#[test]
fn r141_a_batch_for_single_modules_does_not_overwrite() {
    let fields = BatchFields { multi_module: Some(true), ..all() };
    assert!(check(&fields).unwrap().multi_module);
    let both = BatchFields { overwrite: Some(true), ..fields };
    assert_eq!(faults(&both), fault("/overwrite", "batch.multi-module-overwrite"));
}

#[test]
fn r45_r47_a_trial_may_name_source_versions_but_not_the_target() {
    let trial_from = |versions: &[&'static str]| {
        let fields = VerificationFields { source_versions: versions.to_vec(), ..trial_on(&["lamp"]) };
        trial(&fields).map(|new| new.source_versions.len())
    };
    assert_eq!(trial_from(&[]), Ok(0));
    assert_eq!(trial_from(&["1.0", "1.1"]), Ok(2));
    assert_eq!(trial_from(&["2.0"]).unwrap_err().0[0].code, "batch.source-is-target");
}

#[test]
fn the_rate_goes_as_far_as_the_service_allows() {
    let fast = Terms { push_per_minute_max: limits::PUSH_PER_MINUTE_MAX_FAST, ..Terms::default() };
    let rate = |rate| BatchFields { push_per_minute_max: Some(rate), ..all() };
    assert_eq!(faults_under(&fast, &rate(10_000)), []);
    assert_eq!(faults_under(&fast, &rate(10_001)), fault("/push_per_minute_max", "value.range"));
    assert_eq!(faults_under(&fast, &rate(9)), fault("/push_per_minute_max", "value.range"));
}

#[test]
fn a_product_may_ask_for_a_retry_interval_below_the_timeout() {
    let fields = BatchFields { retry: Some((60, 1)), timeout_minutes: Some(60), ..all() };
    assert_eq!(faults(&fields), []);
    let strict = Terms { strict_retry_interval: true, ..Terms::default() };
    let expected = fault("/retry/after_minutes", "batch.retry-after-timeout");
    assert_eq!(faults_under(&strict, &fields), expected);
    assert_eq!(faults_under(&strict, &BatchFields { timeout_minutes: Some(61), ..fields }), []);
}

#[test]
fn a_product_may_retry_only_batches_that_name_their_source_versions() {
    let narrow = Terms { narrow_retries: true, ..Terms::default() };
    let fields = BatchFields { retry: Some((10, 1)), ..all() };
    assert_eq!(faults_under(&narrow, &fields), fault("/retry", "batch.retry-needs-source-versions"));
    let named = BatchFields { retry: Some((10, 1)), ..from(&["1.0"]) };
    assert!(NewBatch::check(&named, &package(), &narrow, NOW).unwrap().policy.retry_begun_only);
}
