//! Times as the cloud API writes them.

use alloc::format;
use alloc::string::String;

use crate::time::Timestamp;

const DAY_MS: u64 = 24 * 60 * 60_000;
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads `2017-10-02T09:39:41Z`; `None` if the text has another form or there is no such moment since 1970.
pub fn parse_utc(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if bytes.len() != 20 || marks.iter().any(|(at, mark)| bytes.get(*at) != Some(mark)) {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let exists = year >= 1970 && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    if !exists || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = (days_before(year, month) + day - 1) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Timestamp(seconds * 1_000))
}

/// Writes `2019-11-04T06:21:54.607Z`.
pub fn render_utc(at: Timestamp) -> String {
    let (year, month, day) = date(at);
    let ms = at.0 % DAY_MS;
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
}

/// Writes `Wed, 20-Feb-2019 02:16:09 GMT`, as the API's list of modules does.
pub fn render_gmt(at: Timestamp) -> String {
    let (year, month, day) = date(at);
    let ms = at.0 % DAY_MS;
    let weekday = WEEKDAYS[(at.0 / DAY_MS % 7) as usize];
    let month = MONTHS[month as usize - 1];
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{weekday}, {day:02}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

const fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from the first of January 1970 to the first of a month.
fn days_before(year: u64, month: u64) -> u64 {
    // Leap years up to and without `year`, counted from the year 0.
    let leaps = |year: u64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let years = (year - 1970) * 365 + leaps(year) - leaps(1970);
    years + (1..month).map(|month| days_of(year, month)).sum::<u64>()
}

/// Returns the year, the month from 1 and the day from 1 of a moment.
fn date(at: Timestamp) -> (u64, u64, u64) {
    let days = at.0 / DAY_MS;
    // The mean year is a little longer than 365 days, so the guess is the year or the one after it.
    let guess = 1970 + days / 365;
    let year = (1970..=guess).rev().find(|year| days_before(*year, 1) <= days).unwrap_or(1970);
    let month = (1..=12).rev().find(|month| days_before(year, *month) <= days).unwrap_or(1);
    (year, month, days - days_before(year, month) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_written_as_the_documents_show() {
        let at = parse_utc("2017-10-02T09:39:41Z").unwrap();
        assert_eq!(at, Timestamp(1_506_937_181_000));
        assert_eq!(render_utc(Timestamp(at.0 + 7)), "2017-10-02T09:39:41.007Z");
        assert_eq!(render_utc(Timestamp(1_572_848_514_607)), "2019-11-04T06:21:54.607Z");
        assert_eq!(render_gmt(Timestamp(1_550_628_969_000)), "Wed, 20-Feb-2019 02:16:09 GMT");
    }

    #[test]
    fn every_day_of_four_centuries_is_read_as_it_was_written() {
        for day in 0..146_097 {
            let at = Timestamp(day * DAY_MS + 86_399_000);
            let text = render_utc(at).replace(".000Z", "Z");
            assert_eq!(parse_utc(&text), Some(at), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_not_read() {
        for text in [
            "",
            "2017-10-02T09:39:41",
            "2017-10-02T09:39:41.000Z",
            "2017-10-02 09:39:41Z",
            "2017-02-29T00:00:00Z",
            "2017-13-01T00:00:00Z",
            "2017-00-01T00:00:00Z",
            "2017-10-00T00:00:00Z",
            "2017-10-02T24:00:00Z",
            "2017-10-02T09:60:41Z",
            "+017-10-02T09:39:41Z",
            "1969-12-31T23:59:59Z",
            "2017-1é-02T09:39:4Z",
        ] {
            assert_eq!(parse_utc(text), None, "{text}");
        }
    }
}
