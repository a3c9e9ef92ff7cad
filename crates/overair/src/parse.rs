//! What arguments say: times, shares, pairs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many items a list asks for at most: a bound for `--limit all`, far beyond the largest fleet.
const ITEMS_MAX: usize = 10_000_000;

/// Reads `90s`, `10m`, `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; such as `90s`, `10m` or `2h`"))
}

/// Reads a number of whole minutes: `60`, `60m` or `1h`.
pub(crate) fn minutes(text: &str) -> Result<u64, String> {
    if let Ok(minutes) = text.parse() {
        return Ok(minutes);
    }
    let seconds = duration(text)?.as_secs();
    if seconds.is_multiple_of(60) { Ok(seconds / 60) } else { Err("expected whole minutes".to_owned()) }
}

/// Reads a moment as milliseconds since 1970: `2030-01-31T22:00:00Z`, with any offset; `+2h` from now; or the milliseconds.
pub(crate) fn moment(text: &str) -> Result<u64, String> {
    moment_from(text, SystemTime::now())
}

fn moment_from(text: &str, now: SystemTime) -> Result<u64, String> {
    let expected = "expected a time such as `2030-01-31T22:00:00Z`, or `+2h` from now";
    if let Some(ahead) = text.strip_prefix('+') {
        let at = now.duration_since(UNIX_EPOCH).unwrap_or_default() + duration(ahead)?;
        return u64::try_from(at.as_millis()).map_err(|_| expected.to_owned());
    }
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    let at = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| expected.to_owned())?;
    u64::try_from(at.timestamp_millis()).map_err(|_| expected.to_owned())
}

/// Renders milliseconds since 1970 as people read them, in UTC.
pub(crate) fn render_moment(millis: u64) -> String {
    match UNIX_EPOCH.checked_add(Duration::from_millis(millis)) {
        // The year 9999 is the last that the format has.
        Some(at) if millis < 253_402_300_800_000 => humantime::format_rfc3339_seconds(at).to_string(),
        _ => millis.to_string(),
    }
}

/// Reads a share: `10%`, `33.33`. What it may be at most, and how many decimals, is for the service to say.
pub(crate) fn percent(text: &str) -> Result<String, String> {
    let bare = text.strip_suffix('%').unwrap_or(text).trim();
    let (whole, decimals) = bare.split_once('.').unwrap_or((bare, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits(whole) && digits(decimals) {
        Ok(bare.to_owned())
    } else {
        Err("expected a share such as `10%` or `33.33`".to_owned())
    }
}

/// Reads `key=value`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected key=value".to_owned()),
    }
}

/// Reads `province` or `province/city`.
pub(crate) fn region(text: &str) -> Result<(String, Option<String>), String> {
    let (province, city) = text.split_once('/').map_or((text, None), |(p, c)| (p, Some(c)));
    if province.is_empty() || city.is_some_and(str::is_empty) {
        return Err("expected a province, or province/city".to_owned());
    }
    Ok((province.to_owned(), city.map(str::to_owned)))
}

/// Reads `host:port`, with or without `mqtt://` before it.
pub(crate) fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let bare = text.strip_prefix("mqtt://").unwrap_or(text);
    let (host, port) = bare.rsplit_once(':').ok_or("expected host:port")?;
    let port = port.parse().map_err(|_| format!("`{port}` is no port"))?;
    if host.is_empty() { Err("expected host:port".to_owned()) } else { Ok((host.to_owned(), port)) }
}

/// Reads how many items a list shows: a number, or `all`.
pub(crate) fn limit(text: &str) -> Result<usize, String> {
    match text {
        "all" => Ok(ITEMS_MAX),
        _ => match text.parse() {
            Ok(limit @ 1..=ITEMS_MAX) => Ok(limit),
            _ => Err("expected a number from 1 on, or `all`".to_owned()),
        },
    }
}

/// Reads the value of a setting as JSON has it: `true`, `false` and numbers are what they look like, all else is text.
pub(crate) fn setting(text: &str) -> serde_json::Value {
    match serde_json::from_str(text) {
        Ok(value @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_))) => value,
        _ => serde_json::Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_whole() {
        for (text, wanted) in
            [("60", 60), ("60m", 60), ("1h 30m", 90), ("1h30m", 90), ("1d", 1440), ("120s", 2)]
        {
            assert_eq!(minutes(text), Ok(wanted), "{text}");
        }
        for bad in ["", "90s", "-1", "1.5", "soon"] {
            assert!(minutes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_moment_is_a_date_or_so_long_from_now() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        for (text, wanted) in [
            ("+2h", 8_200_000),
            ("1970-01-01T00:00:05Z", 5_000),
            ("1970-01-01T02:00:00+02:00", 0),
            ("1700000000000", 1_700_000_000_000),
        ] {
            assert_eq!(moment_from(text, now), Ok(wanted), "{text}");
        }
        for bad in ["", "tomorrow", "+", "+x", "2030-01-31", "1960-01-01T00:00:00Z"] {
            assert!(moment_from(bad, now).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_moment_is_told_in_utc() {
        assert_eq!(render_moment(1_893_456_000_123), "2030-01-01T00:00:00Z");
        assert_eq!(render_moment(u64::MAX), u64::MAX.to_string());
    }

    #[test]
    fn a_share_may_have_decimals_and_a_sign() {
        for (text, wanted) in [("10%", "10"), ("33.33", "33.33"), ("0.001 %", "0.001")] {
            assert_eq!(percent(text).as_deref(), Ok(wanted), "{text}");
        }
        for bad in ["", "%", "ten", "-1", "1.", ".5", "1e2"] {
            assert!(percent(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pairs_regions_and_brokers_have_two_parts() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("a").is_err() && pair("=b").is_err());
        assert_eq!(region("330000"), Ok(("330000".into(), None)));
        assert_eq!(region("330000/330100"), Ok(("330000".into(), Some("330100".into()))));
        assert!(region("").is_err() && region("/x").is_err() && region("x/").is_err());
        assert_eq!(host_and_port("mqtt://broker:1"), Ok(("broker".into(), 1)));
        assert!(
            host_and_port("broker").is_err() && host_and_port(":1").is_err() && host_and_port("b:x").is_err()
        );
    }

    #[test]
    fn a_limit_is_a_number_or_all() {
        assert_eq!(limit("7"), Ok(7));
        assert_eq!(limit("all"), Ok(ITEMS_MAX));
        assert!(limit("0").is_err() && limit("-1").is_err() && limit("many").is_err());
    }

    #[test]
    fn settings_are_what_they_look_like() {
        assert_eq!(setting("true"), serde_json::json!(true));
        assert_eq!(setting("10"), serde_json::json!(10));
        assert_eq!(setting("legacy"), serde_json::json!("legacy"));
    }
}
