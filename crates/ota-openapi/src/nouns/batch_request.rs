//! What is said of a new batch.

use ota_core::batch::DownloadProtocol;
use ota_core::limits;

use crate::schema::{
    Schema, device_name, flag, id, list, may, moment, must, named, numbers, product_key, region, request,
    text, version, whole, words,
};

pub(super) fn protocol() -> Schema {
    words([DownloadProtocol::Https, DownloadProtocol::Mqtt].map(DownloadProtocol::as_str)).default("https")
}

pub(super) fn source_versions() -> Schema {
    list(version()).items(0, limits::SOURCE_VERSIONS_MAX).says("The versions that are upgraded.")
}

pub(super) fn timeout() -> Schema {
    whole()
        .range(1_u64, limits::TIMEOUT_MINUTES_MAX)
        .says("Minutes from the first progress to failure; never unless given.")
}

pub(super) fn tags() -> Schema {
    list(named("Tag")).items(0, limits::TAGS_MAX).says("Pairs that devices are told, whose keys differ.")
}

pub(super) fn mode() -> Schema {
    words(["static", "dynamic"])
}

/// How many devices, in a hundred.
pub(super) fn gray_percent() -> Schema {
    let pattern = format!("^[0-9]{{1,3}}(?:\\.[0-9]{{1,{}}})?$", limits::GRAY_DECIMALS_MAX);
    text().pattern(&pattern).says("How many of a hundred devices, above 0 and up to 100.")
}

pub(super) fn selection() -> Schema {
    words(["all", "specific", "gray", "region"])
}

pub(super) fn retry_fields() -> [crate::schema::Field; 2] {
    [
        must("after_minutes", numbers(limits::RETRY_AFTER_MINUTES.map(u64::from))),
        must("count_max", numbers(limits::RETRY_COUNTS.map(u64::from))),
    ]
}

fn target() -> Schema {
    let devices =
        list(device_name()).items(1, limits::BATCH_DEVICES_MAX).says("With `specific`: the devices.");
    request([
        must("selection", selection()),
        may("devices", devices),
        may("device_list", id().says("With `specific`, in place of `devices`: an upload that lists them.")),
        may("gray_percent", gray_percent()),
        may(
            "regions",
            list(region()).items(1, limits::REGIONS_MAX).says("With `region`: where the devices are."),
        ),
    ])
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let tag = request([
        must("key", text().len(1, limits::TAG_KEY_LEN_MAX).pattern("^[A-Za-z0-9._]+$")),
        must("value", text().len(1, limits::TAG_VALUE_LEN_MAX)),
    ]);
    let schedule = request([
        may("start_at", moment("5 minutes to 7 days ahead.")),
        may("end_at", moment("1 hour to 30 days after the start.")),
        may("hard_stop", flag().says("Whether the end cancels tasks that have begun too.")),
    ]);
    let rate = whole().range(limits::PUSH_PER_MINUTE_MIN, limits::PUSH_PER_MINUTE_MAX_FAST);
    let rate = rate.says(&format!(
        "How many devices are told in a minute; up to {}, the default, unless the service's `fast_push` is on.",
        limits::PUSH_PER_MINUTE_MAX
    ));
    let new = request([
        must("package_id", id().says("A package that is verified, or in no need of it.")),
        must("target", target()),
        may("product_key", product_key().says("That of the package; another one is refused.")),
        may(
            "mode",
            mode()
                .default("static")
                .says("The devices of this moment, or those that come to match later as well."),
        ),
        may(
            "new_reports_only",
            flag().says("Dynamic only: present devices are left alone until they report another version."),
        ),
        may("source_versions", source_versions()),
        may("schedule", named("Schedule")),
        may("push_per_minute_max", rate),
        may("timeout_minutes", timeout()),
        may("retry", request(retry_fields()).says("When and how often a failed attempt is made again.")),
        may(
            "overwrite",
            flag().default(false).says("Whether tasks of older batches that have not begun are replaced."),
        ),
        may(
            "multi_module",
            flag().default(false).says("Whether its tasks occupy the package's module only."),
        ),
        may(
            "push",
            flag()
                .default(true)
                .says("Whether devices are told; otherwise they get the upgrade when they ask."),
        ),
        may("needs_confirmation", flag().default(false).says("Whether each task waits for consent.")),
        may("download_protocol", protocol()),
        may("tags", tags()),
    ]);
    vec![("Tag", tag), ("Schedule", schedule), ("NewBatch", new)]
}
