//! From the upload of a file to the last device that runs it.

use ota_tests::{World, json, minutes, seconds};

#[test]
fn an_upgrade_goes_from_the_upload_over_the_trial_to_every_device() {
    let world = World::new().product("lamp").devices(3);
    let package = world.package("1.1.0");
    assert_eq!(package.verification(), "unverified");

    world.verify(&package, &["lamp-1"]);
    assert_eq!(package.verification(), "verifying");
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    assert_eq!(package.verification(), "verified");

    let batch = world.batch(&package, json!({}));
    assert_eq!(batch.outcome(), ["lamp-2 notified", "lamp-3 notified"], "lamp-1 runs it already");
    world.device("lamp-2").progress(30, "downloading");
    assert_eq!(batch.outcome(), ["lamp-2 in-progress", "lamp-3 notified"]);
    assert_eq!(batch.task("lamp-2")["progress"], 30);
    world.device("lamp-2").restart("1.1.0");
    world.device("lamp-3").upgrade();
    world.run(minutes(1));
    assert_eq!(batch.outcome(), ["lamp-2 succeeded", "lamp-3 succeeded"]);
    assert_eq!(batch.status(), "completed");
}
