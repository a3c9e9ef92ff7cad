//! What must hold after any story, whatever went wrong in it.

use std::collections::{BTreeMap, BTreeSet};

use ota_store::work;

use crate::{Batch, Value, World, minutes};

/// Every task of the batch has ended, and so has the batch.
///
/// # Panics
/// If not.
#[track_caller]
pub fn invariant_every_task_has_ended(batch: &Batch) {
    for task in batch.tasks() {
        let status = task["status"].as_str().unwrap_or_default();
        assert!(matches!(status, "succeeded" | "failed" | "canceled"), "{task}");
    }
    let status = batch.status();
    assert!(matches!(status.as_str(), "completed" | "canceled"), "the batch is {status}");
}

/// The batch has one task for each of these devices, and no other.
///
/// # Panics
/// If not.
#[track_caller]
pub fn invariant_one_task_per_device(batch: &Batch, devices: &[&str]) {
    let tasks = batch.tasks();
    let mut names: Vec<&str> = tasks.iter().filter_map(|task| task["device_name"].as_str()).collect();
    names.sort_unstable();
    let mut expected = devices.to_vec();
    expected.sort_unstable();
    assert_eq!(names, expected, "a task is lost or doubled");
}

/// The counts of the batch are those of its tasks.
///
/// # Panics
/// If not.
#[track_caller]
pub fn invariant_counts_are_the_sum_of_the_tasks(batch: &Batch) {
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for task in batch.tasks() {
        let status = task["status"].as_str().unwrap_or_default().replace('-', "_");
        *counted.entry(status).or_default() += 1;
        *counted.entry("total".to_owned()).or_default() += 1;
    }
    let counts = batch.get()["counts"].clone();
    for (status, told) in counts.as_object().into_iter().flatten() {
        assert_eq!(told.as_u64(), Some(counted.get(status).copied().unwrap_or(0)), "{status} of {counts}");
    }
}

/// No batch is open, no upload waits, and no device has a task.
///
/// # Panics
/// If not.
#[track_caller]
pub fn invariant_nothing_is_left_to_do(world: &World) {
    let batches = world.block_on(work::open_batches(world.kv())).expect("the store works again");
    assert!(batches.0.is_empty(), "open batches: {batches:?}");
    let uploads = world.block_on(work::open_uploads(world.kv())).expect("the store works again");
    assert!(uploads.0.is_empty(), "open uploads: {uploads:?}");
    for device in world.all_devices() {
        let told = device.get();
        assert!(told["tasks"].as_array().is_some_and(Vec::is_empty), "{told}");
    }
}

/// No bytes are kept but those of packages.
///
/// # Panics
/// If there are.
#[track_caller]
pub fn invariant_bytes_belong_to_packages(world: &World) {
    let packages = world.list("/v1/packages", 200);
    let files = |package: &Value| package["files"].as_array().map_or(1, Vec::len);
    let files: usize = packages.iter().map(files).sum();
    let dump = world.kv().dump();
    let blobs = dump.iter().filter_map(|(key, _)| key.strip_prefix("blob/"));
    let owners: BTreeSet<&str> = blobs.map(|rest| rest.split('/').next().unwrap_or_default()).collect();
    assert_eq!(owners.len(), files, "files kept and files of packages");
}

/// No minute has seen more pushes than the rate.
///
/// # Panics
/// If one has.
#[track_caller]
pub fn invariant_pushes_within_rate(world: &World, rate: usize) {
    let published = world.published();
    let pushes: Vec<u64> =
        published.iter().filter(|push| push.topic.contains("/upgrade/")).map(|push| push.at_ms).collect();
    for start in &pushes {
        let seen = pushes.iter().filter(|at| (*start..start + minutes(1)).contains(*at)).count();
        assert!(seen <= rate, "{seen} pushes in the minute from {start}");
    }
}
