//! Devices, where they stand, and sub-devices.

use ota_core::limits;
use ota_core::task::TaskStatus;
use serde_json::json;

use crate::names::{PACKAGE_ID, SUB_PRODUCT_KEY};
use crate::operation::{Operation, operation};
use crate::schema::{
    Schema, device_name, id, list, may, module_name, moment, must, named, object, page, product_key, region,
    request, text, version, whole, words,
};

pub(super) fn operations() -> Vec<Operation> {
    let mut all = fleet();
    all.extend(single());
    all.extend(sub_devices());
    all
}

fn fleet() -> Vec<Operation> {
    let new = request([must("name", device_name()), may("secret", secret()), may("region", region())]);
    let devices = list(new).items(1, limits::REGISTER_DEVICES_MAX);
    let registered = object([must("name", device_name()), must("secret", secret())]);
    vec![
        operation("registerDevices", "POST", "/v1/products/{product_key}/devices", "Registers devices")
            .says(
                "A device's secret is answered here only; it is made unless it is given. Registering a known name again, \
                 with the same secret or none, changes nothing and answers its secret.",
            )
            .body(
                request([must("devices", devices)]),
                vec![("Two devices", json!({"devices": [
                    {"name": "lamp-101"},
                    {"name": "lamp-102", "region": {"province": "330000", "city": "330100"}},
                ]}))],
            )
            .faults(&["device.exists"])
            .answers(201, "The devices' secrets.", object([must("devices", list(registered))])),
        operation("listDevices", "GET", "/v1/products/{product_key}/devices", "Lists devices")
            .says("A page may hold fewer items than asked for, even none, and still have a next one.")
            .pages(limits::PAGE_SIZE_MAX)
            .answers(200, "A page of devices.", page(named("Device"))),
        operation("countVersions", "GET", "/v1/products/{product_key}/versions", "Counts devices by version")
            .says("Some ten thousand devices at a time: the parts of a larger fleet are added up.")
            .query("module", module_name())
            .such_as("default")
            .query("package_id", id().says("Leaves out the version of this package, as it is none to upgrade from."))
            .such_as(PACKAGE_ID)
            .query("cursor", text().says("The `next_cursor` of the part before."))
            .answers(200, "The versions, the most frequent first.", named("VersionCounts")),
    ]
}

fn single() -> Vec<Operation> {
    let path = "/v1/products/{product_key}/devices/{name}";
    let active = TaskStatus::ALL.into_iter().filter(|status| !status.is_terminal()).map(TaskStatus::as_str);
    let active: Vec<&str> = active.collect();
    let statuses = text().pattern(&format!("^(?:{0})(?:,(?:{0}))*$", active.join("|")));
    vec![
        operation("getDevice", "GET", path, "Shows a device").answers(200, "The device.", named("Device")),
        operation("changeDevice", "PATCH", path, "Sets where a device is")
            .says("With `null` it is not known any more.")
            .body(
                request([must("region", region().nullable())]),
                vec![
                    ("A place", json!({"region": {"province": "330000"}})),
                    ("Nowhere", json!({"region": null})),
                ],
            )
            .answers(200, "The device.", named("Device")),
        operation("deleteDevice", "DELETE", path, "Deletes a device")
            .says("Its task is canceled, and it leaves its gateway or its sub-devices.")
            .ends(204, "It is gone.")
            .refuses(&["broker.unreachable"]),
        operation(
            "listDeviceVersions",
            "GET",
            "/v1/products/{product_key}/devices/{name}/versions",
            "Lists what a device's modules run",
        )
        .pages(limits::PAGE_SIZE_MAX)
        .answers(200, "A page of versions, by module.", page(named("DeviceVersion"))),
        operation(
            "listDeviceTasks",
            "GET",
            "/v1/products/{product_key}/devices/{name}/tasks",
            "Lists a device's tasks that have not ended",
        )
        .query("module", module_name())
        .query("status", statuses.says("One or several, with commas between."))
        .such_as("queued,notified")
        .answers(200, "The tasks.", page(named("Task"))),
    ]
}

fn sub_devices() -> Vec<Operation> {
    let path = "/v1/products/{product_key}/devices/{name}/sub-devices";
    let added = list(named("SubDevice")).items(1, limits::SUB_DEVICES_PER_REQUEST_MAX);
    vec![
        operation("addSubDevices", "POST", path, "Puts sub-devices behind a gateway")
            .says("All of them, or none if one cannot be.")
            .body(
                request([must("sub_devices", added)]),
                vec![(
                    "One sub-device",
                    json!({"sub_devices": [{"product_key": SUB_PRODUCT_KEY, "name": "bulb-2"}]}),
                )],
            )
            .faults(&[
                "device.unknown",
                "device.has-gateway",
                "device.is-gateway",
                "device.is-sub-device",
                "device.too-many-sub-devices",
            ])
            .ends(204, "They stand behind the gateway."),
        operation("listSubDevices", "GET", path, "Lists a gateway's sub-devices")
            .pages(limits::PAGE_SIZE_MAX)
            .answers(200, "A page of sub-devices.", page(named("SubDevice"))),
        operation(
            "removeSubDevice",
            "DELETE",
            "/v1/products/{product_key}/devices/{name}/sub-devices/{sub_product_key}/{sub_name}",
            "Takes a sub-device from its gateway",
        )
        .says("It goes offline. That it is not there is as good.")
        .ends(204, "It does not stand behind the gateway.")
        .refuses(&["broker.unreachable"]),
    ]
}

/// Bytes of a device's secret are whatever a factory chose; those made here are 32 hexadecimal digits.
fn secret() -> Schema {
    text().len(1, 64).pattern("^[!-~]+$").says("What the device logs in with.")
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let device = object([
        must("product_key", product_key()),
        must("name", device_name()),
        must("state", words(["unactive", "online", "offline"]).says("`unactive` until it first connects.")),
        must("created_at", moment("When it was registered.")),
        may("activated_at", moment("When it first connected.")),
        must("versions", list(named("DeviceVersion"))),
        may("region", region()),
        must("tasks", list(named("Task")).says("Those that have not ended.")),
    ]);
    let of_module = object([
        must("module", module_name()),
        must("version", version()),
        must("reported_at", moment("When the device said so.")),
        may("previous", version()),
    ]);
    let count = object([must("version", version()), must("devices", whole())]);
    let counts = object([
        must("module", module_name()),
        must("silent", whole().says("Devices that have told no version.")),
        must("versions", list(count)),
        may("next_cursor", text().says("Where the next part begins; not there with the last.")),
    ]);
    let sub_device = object([must("product_key", product_key()), must("name", device_name())]);
    vec![
        ("Device", device),
        ("DeviceVersion", of_module),
        ("VersionCounts", counts),
        ("SubDevice", sub_device),
    ]
}
