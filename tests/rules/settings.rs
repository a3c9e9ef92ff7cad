//! Keeps `docs/settings.md` true: every setting is on the page with its default, and the page has no other.

use std::fs;
use std::path::Path;

use ota_core::product::ProductSettings;
use ota_core::settings::ServiceSettings;

/// The settings of a product with their defaults. It does not compile when one is missing.
fn of_a_product() -> Vec<(&'static str, String)> {
    let ProductSettings {
        conflict_policy,
        verification_mode,
        forgive_source_version,
        narrow_retries,
        strict_retry_interval,
        lenient_aliases,
        editable_tags,
        delta_capable,
        md5_deltas,
    } = ProductSettings::default();
    vec![
        ("conflict_policy", conflict_policy.as_str().to_owned()),
        ("verification_mode", verification_mode.as_str().to_owned()),
        ("forgive_source_version", forgive_source_version.to_string()),
        ("narrow_retries", narrow_retries.to_string()),
        ("strict_retry_interval", strict_retry_interval.to_string()),
        ("lenient_aliases", lenient_aliases.to_string()),
        ("editable_tags", editable_tags.to_string()),
        ("delta_capable", delta_capable.to_string()),
        ("md5_deltas", md5_deltas.to_string()),
    ]
}

/// The settings of the service with their defaults. It does not compile when one is missing.
fn of_the_service() -> Vec<(&'static str, String)> {
    let ServiceSettings { package_limits, fast_push } = ServiceSettings::default();
    vec![("package_limits", package_limits.as_str().to_owned()), ("fast_push", fast_push.to_string())]
}

/// The first two cells of the table rows of a section, without their backquotes.
fn listed(page: &str, heading: &str) -> Vec<(String, String)> {
    let (_, section) = page.split_once(heading).expect("the page has the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let (name, default) = (cells.next()?.trim_matches('`'), cells.next()?.trim_matches('`'));
        Some((name.to_owned(), default.to_owned()))
    });
    rows.collect()
}

#[test]
fn the_page_of_settings_lists_every_setting_with_its_default_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let page = fs::read_to_string(path).expect("docs/settings.md is there");
    for (heading, settings) in [("## Of a product", of_a_product()), ("## Of the service", of_the_service())]
    {
        let expected: Vec<_> =
            settings.into_iter().map(|(name, default)| (name.to_owned(), default)).collect();
        assert_eq!(listed(&page, heading), expected, "{heading}");
    }
}
