//! The demo's whole story, told by the program that tells it to people.

use std::process::{Command, Stdio};

use ota_tests::host::program;
use serde_json::Value;

use crate::service::Service;

#[test]
fn the_demos_story_ends_well() {
    tell(&Service::start());
}

/// Lets the program tell its story to a service.
pub(crate) fn tell(service: &Service) {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let told = Command::new(program("ota-devices"))
        .args(["story", "--devices", "12", "--fail-percent", "25", "--package-kib", "256", "--seed", "4"])
        .args(["--within-seconds", "150", "--base-url", &service.base_url()])
        .args(["--mqtt", &service.host.mqtt().to_string(), "--report", report.to_str().unwrap()])
        .args([
            "--",
            "--bytes-per-second",
            "400000",
            "--flash-ms",
            "50",
            "--reboot-ms",
            "100",
            "--nap-ms",
            "1500",
        ])
        .env("OVERAIR_API_TOKEN", &service.api_token)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, complained) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert!(told.status.success(), "{said}\n{complained}");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!((report["devices"].as_u64(), report["upgraded"].as_u64()), (Some(12), Some(9)), "{report:#}");
    assert_eq!(report["failed"].as_array().map(Vec::len), Some(3), "{report:#}");
}
