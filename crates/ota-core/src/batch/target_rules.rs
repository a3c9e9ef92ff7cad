//! Which devices a request may ask for: all, named ones, those of a list, a share, those of regions (R64-R72).

use alloc::format;
use alloc::vec::Vec;

use super::{BatchError, GrayPercent, TargetSelection};
use crate::device::Region;
use crate::error::{Faults, ValueError};
use crate::ids::DeviceName;
use crate::limits;

/// The raw words of `target`.
#[derive(Clone, Debug, Default)]
pub struct TargetFields<'a> {
    /// `selection`.
    pub selection: Option<&'a str>,
    /// `devices`.
    pub devices: Option<Vec<&'a str>>,
    /// The names of the uploaded list that `device_list` names; the caller has read it.
    pub listed: Option<Vec<DeviceName>>,
    /// `gray_percent`.
    pub gray_percent: Option<&'a str>,
    /// `regions`: provinces and cities.
    pub regions: Option<Vec<(Option<&'a str>, Option<&'a str>)>>,
}

/// Reads an uploaded device list: one name per line, or several with commas between (R66). Empty rows and a byte order
/// mark are passed over.
///
/// # Errors
/// Every bad row, as the fault of `row:7`; or that there are too many, or none.
pub fn parse_device_list(text: &str) -> Result<Vec<DeviceName>, Faults> {
    let mut faults = Faults::new();
    let mut devices: Vec<(DeviceName, usize)> = Vec::new();
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let names = lines.flat_map(|(at, line)| line.split(',').map(move |name| (at + 1, name.trim())));
    let mut rows = 0;
    for (row, name) in names.filter(|(_, name)| !name.is_empty()) {
        rows += 1;
        if rows > limits::DEVICE_LIST_ROWS_MAX {
            continue;
        }
        if let Some(name) = faults.take(&format!("row:{row}"), DeviceName::new(name)) {
            devices.push((name, row));
        }
    }
    if rows > limits::DEVICE_LIST_ROWS_MAX {
        faults = Faults::new();
        faults.add("/target/device_list", &BatchError::ListTooLong { rows });
        return Err(faults);
    }
    if rows == 0 {
        faults.add("/target/device_list", &ValueError::Missing);
    }
    devices.sort();
    for pair in devices.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        faults.add(&format!("row:{}", pair[1].1), &ValueError::Duplicate { item: pair[1].0.as_str().into() });
    }
    faults.into_result()?;
    Ok(devices.into_iter().map(|(name, _)| name).collect())
}

/// Checks a list of device names: 1 to `max`, well formed, each once. Returns them sorted.
pub(super) fn check_devices(
    names: &[&str],
    max: usize,
    pointer: &str,
    faults: &mut Faults,
) -> Option<Vec<DeviceName>> {
    let before = faults.0.len();
    if names.is_empty() {
        faults.add(pointer, &ValueError::Missing);
    }
    if names.len() > max {
        faults.add(pointer, &ValueError::TooMany { count: names.len(), max });
        return None;
    }
    let mut devices: Vec<DeviceName> = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        let Some(name) = faults.take(&pointer, DeviceName::new(name)) else { continue };
        match devices.binary_search(&name) {
            Ok(_) => faults.add(&pointer, &ValueError::Duplicate { item: name.as_str().into() }),
            Err(at) => devices.insert(at, name),
        }
    }
    (faults.0.len() == before).then_some(devices)
}

/// Checks `target`.
pub(super) fn check_target(fields: &TargetFields<'_>, faults: &mut Faults) -> Option<TargetSelection> {
    let Some(selection) = fields.selection else {
        faults.add("/target/selection", &ValueError::Missing);
        return None;
    };
    let before = faults.0.len();
    let mut refuse = |is_given: bool, owner: &str, pointer: &str, why: &'static str| {
        if is_given && selection != owner {
            faults.add(pointer, &ValueError::NotAllowed { why });
        }
    };
    refuse(
        fields.devices.is_some(),
        "specific",
        "/target/devices",
        "only a batch for named devices names them",
    );
    refuse(
        fields.listed.is_some(),
        "specific",
        "/target/device_list",
        "only a batch for named devices has a list",
    );
    refuse(
        fields.gray_percent.is_some(),
        "gray",
        "/target/gray_percent",
        "only a gray rollout has a percentage",
    );
    refuse(fields.regions.is_some(), "region", "/target/regions", "only a regional batch has regions");
    let target = match selection {
        "all" => Some(TargetSelection::All),
        "specific" => check_named(fields, faults),
        "gray" => {
            let percent = fields.gray_percent.ok_or(ValueError::Missing).and_then(GrayPercent::new);
            let percent = faults.take("/target/gray_percent", percent);
            percent.map(|percent| TargetSelection::Gray { percent, cutoff: None })
        }
        "region" => check_regions(fields.regions.as_deref().unwrap_or_default(), faults),
        _ => {
            let allowed = "all, specific, gray, region";
            faults.add("/target/selection", &ValueError::NotOneOf { allowed });
            None
        }
    };
    target.filter(|_| faults.0.len() == before)
}

fn check_named(fields: &TargetFields<'_>, faults: &mut Faults) -> Option<TargetSelection> {
    match (&fields.devices, &fields.listed) {
        (Some(_), Some(_)) => {
            faults.add("/target/device_list", &BatchError::NamesAndList);
            None
        }
        (None, Some(listed)) => Some(TargetSelection::Specific { devices: listed.clone(), listed: true }),
        (names, None) => {
            let names = names.as_deref().unwrap_or_default();
            check_devices(names, limits::BATCH_DEVICES_MAX, "/target/devices", faults)
                .map(|devices| TargetSelection::Specific { devices, listed: false })
        }
    }
}

fn check_regions(listed: &[(Option<&str>, Option<&str>)], faults: &mut Faults) -> Option<TargetSelection> {
    if listed.is_empty() {
        faults.add("/target/regions", &ValueError::Missing);
    }
    if listed.len() > limits::REGIONS_MAX {
        let max = limits::REGIONS_MAX;
        faults.add("/target/regions", &ValueError::TooMany { count: listed.len(), max });
        return None;
    }
    let mut regions: Vec<Region> = Vec::with_capacity(listed.len());
    for (index, (province, city)) in listed.iter().enumerate() {
        let pointer = format!("/target/regions/{index}");
        let region = province.ok_or(ValueError::Missing).and_then(|province| Region::new(province, *city));
        match faults.take(&pointer, region) {
            Some(region) if regions.contains(&region) => {
                faults.add(&pointer, &ValueError::Duplicate { item: format!("{region}") });
            }
            Some(region) => regions.push(region),
            None => {}
        }
    }
    Some(TargetSelection::Region { regions })
}
