//! Every history of small fleets.

use ota_core::task::Retry;
use ota_sim::explore::{Explored, explore};
use ota_sim::small_fleet::SmallFleet;

/// More states than any of these fleets has; a rule that makes their number explode is noticed.
const STATES_MAX: usize = 2_000_000;

#[track_caller]
fn explored(what: &str, fleet: &SmallFleet) -> Explored {
    let explored = explore(fleet, STATES_MAX);
    let explored = explored.unwrap_or_else(|fault| panic!("{what}: {}: {:#?}", fault.what, fault.history));
    println!("{what}: {explored:?}");
    explored
}

fn one_device() -> SmallFleet {
    SmallFleet {
        devices: 1,
        batches: 2,
        pauses: 1,
        retry: Some(Retry { after_minutes: 0, count_max: 1 }),
        timeout_minutes: Some(1),
        needs_confirmation: false,
        has_operator: false,
    }
}

#[test]
fn r93_r128_r135_r138_one_device_in_two_batches_keeps_the_rules_in_every_history() {
    let explored = explored("one device, two batches", &one_device());
    assert!(explored.states > 5_000, "{explored:?}");
    assert!(explored.at_rest > 100, "{explored:?}");
}

#[test]
fn r96_tasks_that_need_consent_keep_the_rules_in_every_history() {
    let fleet = SmallFleet { batches: 1, needs_confirmation: true, has_operator: true, ..one_device() };
    let explored = explored("one device, one batch with consent, an operator", &fleet);
    assert!(explored.states > 1_000, "{explored:?}");
}

#[test]
fn r93_r135_two_devices_that_share_a_rate_keep_the_rules_in_every_history() {
    let fleet = SmallFleet {
        devices: 2,
        batches: 1,
        retry: None,
        timeout_minutes: None,
        has_operator: false,
        ..one_device()
    };
    let explored = explored("two devices, one batch", &fleet);
    assert!(explored.states > 5_000, "{explored:?}");
}
