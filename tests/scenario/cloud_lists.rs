//! Lists of the vendor's cloud API: numbered pages, names, filters.

use ota_tests::{Cloud, Value, World, json};

fn items(told: &Value, name: &str, list: &str, field: &str) -> Vec<String> {
    let items = told[name][list].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
}

/// A job over 25 devices, of which the first three are not there.
fn rollout() -> (World, Cloud, String) {
    let world = World::new().product("lamp").devices(25);
    for name in ["lamp-1", "lamp-2", "lamp-3"] {
        world.device(name).disconnect();
    }
    let job = world.batch(&world.ready_package("1.1.0"), json!({})).id;
    let cloud = world.cloud();
    (world, cloud, job)
}

#[test]
fn r173_tasks_are_listed_in_numbered_pages_by_status_or_by_name() {
    let (_world, cloud, job) = rollout();
    let page = |more: &[(&str, &str)]| {
        let told = [("JobId", job.as_str())].into_iter().chain(more.iter().copied()).collect::<Vec<_>>();
        cloud.ask("ListOTATaskByJob", &told)
    };
    let mut seen = Vec::new();
    for (number, count) in [("1", 10), ("2", 10), ("3", 5), ("4", 0)] {
        let told = page(&[("PageSize", "10"), ("CurrentPage", number)]);
        let paging = ["Total", "PageCount", "PageSize"].map(|name| told[name].as_u64());
        assert_eq!(paging, [Some(25), Some(3), Some(10)], "{told}");
        let names = items(&told, "Data", "SimpleOTATaskInfo", "DeviceName");
        assert_eq!(names.len(), count, "page {number}");
        seen.extend(names);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 25, "every task is on one page");

    let told = page(&[("TaskStatus", "QUEUED"), ("PageSize", "2"), ("CurrentPage", "2")]);
    assert_eq!((&told["Total"], &told["PageCount"]), (&json!(3), &json!(2)));
    assert_eq!(items(&told, "Data", "SimpleOTATaskInfo", "TaskStatus"), ["QUEUED"]);

    // Names win over the page, and a page that is too far away is not looked at then.
    let told = page(&[
        ("DeviceNames.1", "lamp-9"),
        ("DeviceNames.2", "lamp-1"),
        ("DeviceNames.3", "lamp-99"),
        ("PageSize", "100"),
        ("CurrentPage", "9999"),
    ]);
    assert_eq!(items(&told, "Data", "SimpleOTATaskInfo", "DeviceName"), ["lamp-9", "lamp-1"]);
    let names: Vec<(String, String)> =
        (1..=51).map(|n| (format!("DeviceNames.{n}"), format!("lamp-{n}"))).collect();
    let mut told: Vec<(&str, &str)> = names.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    told.push(("JobId", &job));
    assert_eq!(cloud.refusal("ListOTATaskByJob", &told), "ParameterSizeExceedMax");
    let wrong = [("JobId", job.as_str()), ("TaskStatus", "DONE")];
    assert_eq!(cloud.refusal("ListOTATaskByJob", &wrong), "InvalidTaskStatus");
}

#[test]
fn r174_a_page_beyond_item_100_000_is_refused() {
    let (world, cloud, job) = rollout();
    let product = world.product_key();
    let refused = |action: &str, more: &[(&str, &str)], current: &str, size: &str| {
        let page = [("CurrentPage", current), ("PageSize", size)];
        let told: Vec<_> = more.iter().copied().chain(page).collect();
        cloud.post(action, &told).expect(200).json()["Code"].clone()
    };
    let job = [("JobId", job.as_str())];
    let device = [("ProductKey", product.as_str()), ("DeviceName", "lamp-1")];
    for (action, more) in [
        ("ListOTATaskByJob", &job[..]),
        ("ListOTAFirmware", &[]),
        ("ListOTAModuleVersionsByDevice", &device[..]),
    ] {
        assert_eq!(refused(action, more, "1000", "100"), "", "{action}");
        for (current, size) in
            [("1001", "100"), ("100001", "1"), ("0", "10"), ("1", "0"), ("1", "201"), ("x", "1")]
        {
            let code = refused(action, more, current, size);
            assert_eq!(code, "iot.common.InvalidPageParams", "{action} {current} {size}");
        }
    }
}

#[test]
fn r176_a_devices_unfinished_tasks_are_listed_by_module_and_status() {
    let (world, cloud, job) = rollout();
    let product = world.product_key();
    let listed = |name: &str, more: &[(&str, &str)]| {
        let told = [("ProductKey", product.as_str()), ("DeviceName", name)];
        let told: Vec<_> = told.into_iter().chain(more.iter().copied()).collect();
        let told = cloud.ask("ListOTAUnfinishedTaskByDevice", &told);
        items(&told, "Data", "SimpleOTATaskInfo", "TaskStatus")
    };
    assert_eq!(listed("lamp-1", &[]), ["QUEUED"]);
    assert_eq!(listed("lamp-9", &[]), ["NOTIFIED"]);
    assert_eq!(listed("lamp-9", &[("TaskStatus", "QUEUED")]), [""; 0]);
    let both = [("TaskStatusList.1", "QUEUED"), ("TaskStatusList.2", "NOTIFIED"), ("ModuleName", "default")];
    assert_eq!(listed("lamp-9", &both), ["NOTIFIED"]);
    assert_eq!(listed("lamp-9", &[("ModuleName", "mcu")]), [""; 0]);
    world.device("lamp-9").upgrade();
    assert_eq!(listed("lamp-9", &[]), [""; 0]);

    let nobody = [("ProductKey", product.as_str()), ("DeviceName", "lamp-99")];
    assert_eq!(cloud.refusal("ListOTAUnfinishedTaskByDevice", &nobody), "iot.device.NotExistedDevice");
    let ended = [("ProductKey", product.as_str()), ("DeviceName", "lamp-9"), ("TaskStatus", "SUCCEEDED")];
    assert_eq!(cloud.refusal("ListOTAUnfinishedTaskByDevice", &ended), "InvalidTaskStatus");
    // The id that events tell of a device is taken with its names, and must be theirs.
    let tasks = cloud.ask("ListOTATaskByJob", &[("JobId", &job), ("DeviceNames.1", "lamp-1")]);
    let id = tasks["Data"]["SimpleOTATaskInfo"][0]["IotId"].as_str().unwrap_or_default().to_owned();
    assert_eq!(listed("lamp-1", &[("IotId", &id)]), ["QUEUED"]);
    let wrong = [("ProductKey", product.as_str()), ("DeviceName", "lamp-2"), ("IotId", &id)];
    assert_eq!(cloud.refusal("ListOTAUnfinishedTaskByDevice", &wrong), "iot.device.NotExistedDevice");
}

#[test]
fn r180_packages_are_listed_by_product_and_version() {
    let world = World::new().product("lamp").devices(1);
    let (one, two) = (world.package("1.1.0").id, world.package("1.2.0").id);
    let (cloud, product) = (world.cloud(), world.product_key());
    let listed = |more: &[(&str, &str)]| {
        let size = if more.is_empty() { "100" } else { "1" };
        let page = [("CurrentPage", "1"), ("PageSize", size)];
        let told: Vec<_> = page.into_iter().chain(more.iter().copied()).collect();
        items(&cloud.ask("ListOTAFirmware", &told), "FirmwareInfo", "SimpleFirmwareInfo", "FirmwareId")
    };
    assert_eq!(listed(&[]), [two.clone(), one.clone()]);
    assert_eq!(listed(&[("ProductKey", &product), ("DestVersion", "1.1.0")]), [one]);
    assert_eq!(listed(&[("ProductKey", "a1other")]), [""; 0]);
    assert_eq!(listed(&[("ProductKey", &product)]).len(), 1, "one a page");
}

#[test]
fn a_devices_jobs_of_a_package_are_those_it_has_a_task_of() {
    let world = World::new().product("lamp").devices(2);
    let package = world.ready_package("1.1.0");
    let job = world.batch_for(&package, &["lamp-1"]).id;
    let (cloud, product) = (world.cloud(), world.product_key());
    for (device, jobs) in [("lamp-1", vec![job]), ("lamp-2", vec![])] {
        let told = [
            ("FirmwareId", package.id.as_str()),
            ("ProductKey", &product),
            ("DeviceName", device),
            ("CurrentPage", "1"),
            ("PageSize", "10"),
        ];
        let told = cloud.ask("ListOTAJobByDevice", &told);
        assert_eq!(items(&told, "Data", "SimpleOTAJobInfo", "JobId"), jobs);
        assert_eq!(told["Total"], jobs.len());
    }
}

#[test]
fn r7_r8_r175_modules_are_made_changed_listed_and_deleted() {
    let world = World::new().product("lamp").devices(1);
    let (cloud, product) = (world.cloud(), world.product_key());
    let module = |name: &'static str| [("ProductKey", product.as_str()), ("ModuleName", name)];
    let [key, name] = module("mcu");
    cloud.ask("CreateOTAModule", &[key, name, ("AliasName", "MCU-1")]);
    assert_eq!(cloud.refusal("CreateOTAModule", &module("MCU")), "iot.ota.CreateOTAModuleNameExist");
    assert_eq!(cloud.refusal("CreateOTAModule", &module("m/u")), "IncorrectFormattedModuleName");
    assert_eq!(cloud.refusal("DeleteOTAModule", &module("default")), "iot.ota.DeleteOtaDefaultModule");
    assert_eq!(cloud.refusal("UpdateOTAModule", &module("other")), "iot.ota.OTAModuleNotExist");
    let long = "d".repeat(101);
    assert_eq!(
        cloud.refusal("UpdateOTAModule", &[key, name, ("Desc", &long)]),
        "iot.ota.UpdateOTAModuleParamError"
    );
    cloud.ask("UpdateOTAModule", &[key, name, ("Desc", "the controller")]);
    let told = cloud.ask("ListOTAModuleByProduct", &[key]);
    assert_eq!(told["Data"][0]["ModuleName"], "default");
    let expected = json!({
        "ProductKey": product, "ModuleName": "mcu", "AliasName": "MCU-1", "Desc": "the controller",
        "GmtCreate": "Tue, 14-Nov-2023 22:13:20 GMT", "GmtModified": "Tue, 14-Nov-2023 22:13:20 GMT",
    });
    assert_eq!(told["Data"][1], expected);

    world.device("lamp-1").report_module("mcu", "7");
    let versions = [key, ("DeviceName", "lamp-1"), ("CurrentPage", "1"), ("PageSize", "200")];
    let told = cloud.ask("ListOTAModuleVersionsByDevice", &versions);
    assert_eq!(items(&told, "Data", "SimpleOTAModuleInfo", "ModuleName"), ["default", "mcu"]);
    assert_eq!(items(&told, "Data", "SimpleOTAModuleInfo", "ModuleVersion"), ["1.0.0", "7"]);
    cloud.ask("DeleteOTAModule", &[key, name]);
    let nobody = cloud.refusal("ListOTAModuleByProduct", &[("ProductKey", "a1")]);
    assert_eq!(nobody, "iot.prod.NotExistedProduct");
}

#[test]
fn r87_tags_of_a_job_change_where_the_product_lets_them() {
    let (world, cloud, job) = rollout();
    let tag = [("JobId", job.as_str()), ("Tags.1.Key", "k"), ("Tags.1.Value", "v")];
    assert_eq!(cloud.refusal("UpdateOTAJob", &tag), "iot.common.AuthActionPermissionDeny");
    let settings = json!({"settings": {"editable_tags": true}});
    let uri = format!("/v1/products/{}", world.product_key());
    let _changed = world.send(&ota_tests::Call::patch(uri, &settings)).expect(200);
    let rate = [tag[0], tag[1], tag[2], ("MaximumPerMinute", "999")];
    assert_eq!(cloud.refusal("UpdateOTAJob", &rate), "InvalidMaximumPerMinute");
    let same = [tag[0], tag[1], tag[2], ("MaximumPerMinute", "1000")];
    cloud.ask("UpdateOTAJob", &same);
    let tags = || cloud.ask("QueryOTAJob", &tag[..1])["Data"]["Tags"]["OtaTagDTO"].clone();
    assert_eq!(tags(), json!([{"Key": "k", "Value": "v"}]));
    cloud.ask("UpdateOTAJob", &tag[..1]);
    assert_eq!(tags(), json!([]));
}
