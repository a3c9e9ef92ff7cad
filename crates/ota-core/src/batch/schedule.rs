//! When a static batch begins and ends (R77-R80).

use super::BatchError;
use crate::error::Faults;
use crate::limits;
use crate::task::Window;
use crate::time::Timestamp;

/// The raw words of `schedule`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScheduleFields {
    /// `start_at`, in milliseconds since 1970.
    pub start_at: Option<u64>,
    /// `end_at`, in milliseconds since 1970.
    pub end_at: Option<u64>,
    /// `hard_stop`; absent is no.
    pub hard_stop: Option<bool>,
}

/// Checks a schedule against the moment of the request: it begins 5 minutes to 7 days from now (R78), and ends, if it
/// does, 1 hour to 30 days after its start (R79). All bounds are inclusive.
pub(super) fn check_schedule(fields: ScheduleFields, now: Timestamp, faults: &mut Faults) -> Window {
    let start = fields.start_at.map(Timestamp);
    let end = fields.end_at.map(Timestamp);
    match start {
        None => faults.add("/schedule/start_at", &BatchError::EndWithoutStart),
        Some(at) if at < now => faults.add("/schedule/start_at", &BatchError::StartInPast),
        Some(at) if at.ms_since(now) < limits::SCHEDULE_START_MS_MIN => {
            faults.add("/schedule/start_at", &BatchError::StartTooSoon);
        }
        Some(at) if at.ms_since(now) > limits::SCHEDULE_START_MS_MAX => {
            faults.add("/schedule/start_at", &BatchError::StartTooLate);
        }
        Some(_) => {}
    }
    if let (Some(start), Some(end)) = (start, end) {
        if end < start {
            faults.add("/schedule/end_at", &BatchError::EndBeforeStart);
        } else if end.ms_since(start) < limits::SCHEDULE_LENGTH_MS_MIN {
            faults.add("/schedule/end_at", &BatchError::EndTooSoon);
        } else if end.ms_since(start) > limits::SCHEDULE_LENGTH_MS_MAX {
            faults.add("/schedule/end_at", &BatchError::EndTooLate);
        }
    }
    Window { opens_at: start, closes_at: end, hard_stop: fields.hard_stop.unwrap_or(false) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const NOW: u64 = 1_700_000_000_000;
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;

    fn faults(start_in: Option<u64>, lasts: Option<u64>) -> Vec<&'static str> {
        let start_at = start_in.map(|ms| NOW + ms);
        let end_at = lasts.map(|ms| start_at.unwrap_or(NOW) + ms);
        let mut faults = Faults::new();
        let fields = ScheduleFields { start_at, end_at, hard_stop: None };
        check_schedule(fields, Timestamp(NOW), &mut faults);
        faults.0.into_iter().map(|fault| fault.code).collect()
    }

    #[test]
    fn r78_a_schedule_begins_5_minutes_to_7_days_ahead() {
        for good in [5 * MINUTE, HOUR, 7 * DAY] {
            assert_eq!(faults(Some(good), None), [""; 0], "{good}");
        }
        assert_eq!(faults(Some(5 * MINUTE - SECOND), None), ["batch.start-too-soon"]);
        assert_eq!(faults(Some(5 * MINUTE - 1), None), ["batch.start-too-soon"]);
        assert_eq!(faults(Some(7 * DAY + 1), None), ["batch.start-too-late"]);
        let mut past = Faults::new();
        let fields = ScheduleFields { start_at: Some(NOW - 1), ..ScheduleFields::default() };
        check_schedule(fields, Timestamp(NOW), &mut past);
        assert_eq!(past.0[0].code, "batch.start-in-past");
    }

    #[test]
    fn r79_a_schedule_ends_1_hour_to_30_days_after_its_start_or_never() {
        for good in [Some(HOUR), Some(30 * DAY), None] {
            assert_eq!(faults(Some(HOUR), good), [""; 0], "{good:?}");
        }
        assert_eq!(faults(Some(HOUR), Some(HOUR - 1)), ["batch.end-too-soon"]);
        assert_eq!(faults(Some(HOUR), Some(30 * DAY + 1)), ["batch.end-too-late"]);
        let fields = ScheduleFields { start_at: Some(NOW + DAY), end_at: Some(NOW + HOUR), hard_stop: None };
        let mut before = Faults::new();
        check_schedule(fields, Timestamp(NOW), &mut before);
        assert_eq!(before.0[0].code, "batch.end-before-start");
    }

    #[test]
    fn r80_an_end_needs_a_start() {
        assert_eq!(faults(None, Some(HOUR)), ["batch.end-without-start"]);
    }
}
