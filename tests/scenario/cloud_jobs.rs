//! What a client that was written for the vendor's cloud API does: it makes packages and jobs, follows them, and cancels
//! them.

use ota_tests::{Cloud, Value, World, json, minutes, seconds};

fn world(devices: usize) -> (World, Cloud) {
    let world = World::new().product("lamp").devices(devices);
    let cloud = world.cloud();
    (world, cloud)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Makes a job for all devices, or as `more` says, and returns its id.
#[track_caller]
fn job(cloud: &Cloud, action: &str, firmware: &str, product: &str, more: &[(&str, &str)]) -> String {
    let mut told = vec![("FirmwareId", firmware), ("ProductKey", product)];
    told.extend_from_slice(more);
    let made = cloud.ask(action, &told);
    assert!(made["Data"]["UtcCreate"].as_str().is_some_and(|at| at.ends_with('Z')), "{made}");
    text(&made["Data"]["JobId"])
}

/// Returns the tasks of a job in words: the device and the status.
#[track_caller]
fn outcome(cloud: &Cloud, job: &str) -> Vec<String> {
    let told = cloud.ask("ListOTATaskByJob", &[("JobId", job), ("PageSize", "100"), ("CurrentPage", "1")]);
    let tasks = told["Data"]["SimpleOTATaskInfo"].as_array().cloned().unwrap_or_default();
    assert_eq!(told["Total"], tasks.len(), "{told}");
    let mut words: Vec<String> = tasks
        .iter()
        .map(|task| format!("{} {}", text(&task["DeviceName"]), text(&task["TaskStatus"])))
        .collect();
    words.sort();
    words
}

#[test]
fn r177_r178_a_client_of_the_vendors_makes_verifies_and_rolls_out_a_package() {
    let (world, cloud) = world(3);
    let product = world.product_key();
    let upload = format!("upload:{}", world.upload(b"the image").expect(201).text_of("upload_id"));
    let firmware = [
        ("FirmwareName", "lamp_1_1"),
        ("ProductKey", &product),
        ("DestVersion", "1.1.0"),
        ("FirmwareUrl", &upload),
        ("SignMethod", "MD5"),
    ];
    let firmware = text(&cloud.ask("CreateOTAFirmware", &firmware)["Data"]["FirmwareId"]);
    let info = |field: &str| {
        cloud.ask("QueryOTAFirmware", &[("FirmwareId", &firmware)])["FirmwareInfo"][field].clone()
    };
    assert_eq!((info("Status"), info("Type"), info("FirmwareSize")), (json!(0), json!(0), json!(9)));
    assert!(text(&info("FirmwareUrl")).starts_with("http://ota.test/d/"));

    let all = [("TargetSelection", "ALL"), ("FirmwareId", &firmware), ("ProductKey", &product)];
    assert_eq!(cloud.refusal("CreateOTAStaticUpgradeJob", &all), "FirmwareNotVerified");
    let verify = job(&cloud, "CreateOTAVerifyJob", &firmware, &product, &[("TargetDeviceName.1", "lamp-1")]);
    assert_eq!(info("Status"), 2);
    assert_eq!(outcome(&cloud, &verify), ["lamp-1 NOTIFIED"]);
    world.device("lamp-1").upgrade();
    world.run(seconds(10));
    assert_eq!((info("Status"), info("VerifyProgress")), (json!(1), json!(100)));

    let rollout =
        job(&cloud, "CreateOTAStaticUpgradeJob", &firmware, &product, &[("TargetSelection", "ALL")]);
    assert_eq!(outcome(&cloud, &rollout), ["lamp-2 NOTIFIED", "lamp-3 NOTIFIED"]);
    world.device("lamp-2").upgrade();
    world.device("lamp-3").progress(-2, "no route");
    world.run(seconds(10));
    assert_eq!(outcome(&cloud, &rollout), ["lamp-2 SUCCEEDED", "lamp-3 FAILED"]);
    let told = cloud.ask("QueryOTAJob", &[("JobId", &rollout)]);
    assert_eq!(
        (&told["Data"]["JobStatus"], &told["Data"]["Name"]),
        (&json!("COMPLETED"), &json!("lamp_1_1"))
    );

    let failed = format!("{rollout}.lamp-3");
    let again = cloud.ask("ReupgradeOTATask", &[("JobId", &rollout), ("TaskId.1", &failed)]);
    assert_eq!(again["Success"], true);
    world.run(seconds(10));
    world.device("lamp-3").upgrade();
    assert_eq!(outcome(&cloud, &rollout), ["lamp-2 SUCCEEDED", "lamp-3 SUCCEEDED"]);

    let jobs = [("FirmwareId", firmware.as_str()), ("CurrentPage", "1"), ("PageSize", "200")];
    let jobs = cloud.ask("ListOTAJobByFirmware", &jobs);
    let kinds: Vec<_> = jobs["Data"]["SimpleOTAJobInfo"].as_array().into_iter().flatten().collect();
    let kinds: Vec<_> = kinds.iter().map(|job| (text(&job["JobId"]), text(&job["JobType"]))).collect();
    assert_eq!(kinds, [(rollout, "UPGRADE_FIRMWARE".into()), (verify, "VERIFY_FIRMWARE".into())]);
    cloud.ask("DeleteOTAFirmware", &[("FirmwareId", &firmware)]);
    assert_eq!(cloud.refusal("QueryOTAFirmware", &[("FirmwareId", &firmware)]), "FirmwareNotFound");
}

#[test]
fn r145_r146_r149_a_client_of_the_vendors_cancels_a_dynamic_job() {
    let (world, cloud) = world(2);
    let (product, firmware) = (world.product_key(), world.ready_package("1.1.0").id);
    world.device("lamp-2").disconnect();
    let dynamic = "CreateOTADynamicUpgradeJob";
    let named = [("FirmwareId", firmware.as_str()), ("ProductKey", product.as_str())];
    assert_eq!(cloud.refusal(dynamic, &named), "NullSrcVersions");
    let version = [("SrcVersion.1", "1.0.0")];
    let id = job(&cloud, dynamic, &firmware, &product, &version);
    assert_eq!(outcome(&cloud, &id), ["lamp-1 NOTIFIED", "lamp-2 QUEUED"]);
    let again = [named[0], named[1], version[0]];
    assert_eq!(cloud.refusal(dynamic, &again), "InProgressDynamicJobExisted");

    cloud.ask("CancelOTAStrategyByJob", &[("JobId", &id)]);
    assert_eq!(outcome(&cloud, &id), ["lamp-1 NOTIFIED", "lamp-2 QUEUED"]);
    assert_eq!(cloud.refusal("CancelOTAStrategyByJob", &[("JobId", &id)]), "JobAlreadyCanceled");
    assert_eq!(cloud.refusal("CancelOTATaskByJob", &[("JobId", &id)]), "CancelOptionIsMandatory");
    cloud.ask("CancelOTATaskByJob", &[("JobId", &id), ("CancelQueuedTask", "true")]);
    assert_eq!(outcome(&cloud, &id), ["lamp-1 NOTIFIED", "lamp-2 CANCELED"]);
    cloud.ask("CancelOTATaskByDevice", &[named[0], named[1], ("DeviceName.1", "lamp-1")]);
    assert_eq!(outcome(&cloud, &id), ["lamp-1 CANCELED", "lamp-2 CANCELED"]);

    let fixed = job(&cloud, "CreateOTAStaticUpgradeJob", &firmware, &product, &[("TargetSelection", "ALL")]);
    assert_eq!(cloud.refusal("CancelOTAStrategyByJob", &[("JobId", &fixed)]), "NotDynamicJob");
    let scheduled = [("JobId", fixed.as_str()), ("CancelScheduledTask", "true")];
    assert_eq!(cloud.refusal("CancelOTATaskByJob", &scheduled), "JobHasNoScheduleTime");
}

#[test]
fn r96_r97_a_client_of_the_vendors_confirms_tasks() {
    let (world, cloud) = world(2);
    let (product, firmware) = (world.product_key(), world.ready_package("1.1.0").id);
    let more = [("TargetSelection", "ALL"), ("NeedConfirm", "true")];
    let id = job(&cloud, "CreateOTAStaticUpgradeJob", &firmware, &product, &more);
    assert_eq!(outcome(&cloud, &id), ["lamp-1 CONFIRM", "lamp-2 CONFIRM"]);
    let task = format!("{id}.lamp-1");
    cloud.ask("ConfirmOTATask", &[("TaskId.1", &task)]);
    assert_eq!(outcome(&cloud, &id), ["lamp-1 NOTIFIED", "lamp-2 CONFIRM"]);
    let again = cloud.refusal("ConfirmOTATask", &[("TaskId.1", &task)]);
    assert_eq!(again, "IncorrectDeviceUpgradeJobStatus");
    assert_eq!(cloud.refusal("ConfirmOTATask", &[]), "NullTaskId");
    let foreign = [("JobId", id.as_str()), ("TaskId.1", "00000000000000000000000000000000.lamp-1")];
    assert_eq!(cloud.refusal("ReupgradeOTATask", &foreign), "InvalidOTATaskId");
}

#[test]
fn r179_a_job_shows_optional_settings_only_when_they_are_set() {
    let (world, cloud) = world(3);
    let (product, firmware) = (world.product_key(), world.ready_package("1.1.0").id);
    let optional = [
        "GrayPercent",
        "RetryInterval",
        "RetryCount",
        "TimeoutInMinutes",
        "DynamicMode",
        "UtcScheduleTime",
        "UtcScheduleFinishTime",
    ];
    let shown = |id: &str| {
        let told = cloud.ask("QueryOTAJob", &[("JobId", id)])["Data"].clone();
        let set = optional.iter().filter(|name| told.get(**name).is_some());
        (set.copied().collect::<Vec<_>>(), told)
    };
    let start = (world.now_ms() + minutes(10)).to_string();
    let end = (world.now_ms() + minutes(90)).to_string();
    let full = [
        ("TargetSelection", "GRAY"),
        ("GrayPercent", "33.333"),
        ("SrcVersion.1", "1.0.0"),
        ("RetryInterval", "10"),
        ("RetryCount", "2"),
        ("TimeoutInMinutes", "60"),
        ("ScheduleTime", &start),
        ("ScheduleFinishTime", &end),
        ("MaximumPerMinute", "20"),
        ("OverwriteMode", "2"),
        ("Tag.1.Key", "k"),
        ("Tag.1.Value", "v"),
    ];
    let id = job(&cloud, "CreateOTAStaticUpgradeJob", &firmware, &product, &full);
    let (set, told) = shown(&id);
    assert_eq!(
        set,
        [
            "GrayPercent",
            "RetryInterval",
            "RetryCount",
            "TimeoutInMinutes",
            "UtcScheduleTime",
            "UtcScheduleFinishTime"
        ]
    );
    let expected = json!({
        "GrayPercent": "33.333", "RetryInterval": 10, "RetryCount": 2, "TimeoutInMinutes": 60, "MaximumPerMinute": 20,
        "OverwriteMode": 2, "JobStatus": "PLANNED", "JobType": "UPGRADE_FIRMWARE", "SelectionType": "STATIC",
        "TargetSelection": "GRAY", "DestVersion": "1.1.0", "SrcVersions": {"SrcVersion": ["1.0.0"]},
        "Tags": {"OtaTagDTO": [{"Key": "k", "Value": "v"}]}, "UtcCreate": "2023-11-14T22:13:20.000Z",
        "UtcScheduleTime": "2023-11-14T22:23:20.000Z",
    });
    for (name, value) in expected.as_object().into_iter().flatten() {
        assert_eq!(&told[name], value, "{name}");
    }

    let plain = job(
        &cloud,
        "CreateOTAVerifyJob",
        &world.package("1.2.0").id,
        &product,
        &[("TargetDeviceName.1", "lamp-3")],
    );
    let (set, told) = shown(&plain);
    assert_eq!(set, [""; 0], "{told}");
    assert_eq!((&told["OverwriteMode"], &told["NeedPush"]), (&json!(1), &json!(true)));
    let more = [("SrcVersion.1", "0.9.0"), ("DynamicMode", "2")];
    let dynamic = job(&cloud, "CreateOTADynamicUpgradeJob", &firmware, &product, &more);
    let (set, told) = shown(&dynamic);
    assert_eq!((set, &told["DynamicMode"]), (vec!["DynamicMode"], &json!(2)));
}

#[test]
fn r178_what_a_job_is_refused_for_is_told_in_the_vendors_codes() {
    let (world, cloud) = world(2);
    let (product, firmware) = (world.product_key(), world.ready_package("1.1.0").id);
    let refused = |more: &[(&str, &str)]| {
        let mut told = vec![("FirmwareId", firmware.as_str()), ("ProductKey", product.as_str())];
        told.extend_from_slice(more);
        cloud.refusal("CreateOTAStaticUpgradeJob", &told)
    };
    for (more, code) in [
        (vec![("TargetSelection", "SOME")], "InvalidTargetSelection"),
        (vec![("TargetSelection", "GRAY")], "NullGrayPercent"),
        (vec![("TargetSelection", "SPECIFIC")], "NullTargetDeviceNames"),
        (
            vec![("TargetSelection", "SPECIFIC"), ("TargetDeviceName.1", "lamp-9")],
            "iot.device.NotExistedDevice",
        ),
        (vec![("TargetSelection", "ALL"), ("TargetDeviceName.1", "lamp-1")], "TargetDeviceNamesNotAllowed"),
        (vec![("TargetSelection", "ALL"), ("SrcVersion.1", "1.1.0")], "SrcDestVersionMatched"),
        (vec![("TargetSelection", "ALL"), ("SrcVersion.1", "0.1.0")], "NoDeviceCanUpgrade"),
        (vec![("TargetSelection", "ALL"), ("MaximumPerMinute", "9")], "InvalidMaximumPerMinute"),
        (vec![("TargetSelection", "ALL"), ("MaximumPerMinute", "many")], "InvalidMaximumPerMinute"),
        (
            vec![("TargetSelection", "ALL"), ("RetryInterval", "11"), ("RetryCount", "1")],
            "InvalidRetryInterval",
        ),
        (vec![("TargetSelection", "ALL"), ("RetryInterval", "10")], "InvalidRetryCount"),
        (vec![("TargetSelection", "ALL"), ("TimeoutInMinutes", "1441")], "InvalidTimeoutSetting"),
        (vec![("TargetSelection", "ALL"), ("OverwriteMode", "3")], "InvalidOverwriteMode"),
        (vec![("TargetSelection", "ALL"), ("ScheduleFinishTime", "1")], "ScheduleFinishTimeWithoutStartTime"),
        (vec![("TargetSelection", "ALL"), ("ScheduleTime", "1")], "FireTimeMustLargeThanCurrentTime"),
        (vec![("TargetSelection", "ALL"), ("GroupId", "g")], "iot.common.InvalidFormattedParameter"),
    ] {
        assert_eq!(refused(&more), code, "{more:?}");
    }
    let other = [("FirmwareId", firmware.as_str()), ("ProductKey", "a1"), ("TargetSelection", "ALL")];
    let other = cloud.refusal("CreateOTAStaticUpgradeJob", &other);
    assert_eq!(other, "FirmwareAndProductKeyMismatch");
    let gray = [("SrcVersion.1", "1.0.0"), ("TargetSelection", "GRAY")];
    let gray = [("FirmwareId", firmware.as_str()), ("ProductKey", product.as_str()), gray[0], gray[1]];
    assert_eq!(cloud.refusal("CreateOTADynamicUpgradeJob", &gray), "DynamicGrayNotSupported");
    // Every fault is told in words, the first by its code.
    let both = [
        ("FirmwareId", firmware.as_str()),
        ("ProductKey", product.as_str()),
        ("TargetSelection", "ALL"),
        ("MaximumPerMinute", "9"),
        ("TimeoutInMinutes", "0"),
    ];
    let told = cloud.post("CreateOTAStaticUpgradeJob", &both).text_of("ErrorMessage");
    assert_eq!(told, "must be from 10 to 1000; must be from 1 to 1440");
}
