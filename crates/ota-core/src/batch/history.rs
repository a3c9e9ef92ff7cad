//! How the counts of a batch went: some hundred points over its whole life, however long that is.

use alloc::vec::Vec;

use super::TaskCounts;
use crate::limits;
use crate::time::Timestamp;

/// How the tasks of a batch stood at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The moment.
    pub at: Timestamp,
    /// How many tasks stood where.
    pub counts: TaskCounts,
}

/// How the tasks of a batch stood over time. A point is noted where something has changed, and at most one an interval; the
/// interval grows, and every second point is forgotten, when there are too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The least minutes between two points.
    pub interval_minutes: u32,
    /// The points, oldest first.
    pub points: Vec<Point>,
}

impl Default for History {
    fn default() -> Self {
        Self { interval_minutes: 1, points: Vec::new() }
    }
}

impl History {
    /// Notes how the tasks stand; returns whether that is a new point. The last counts of a batch, those it has `ended`
    /// with, are noted however short a time after the point before.
    pub fn note(&mut self, point: Point, ended: bool) -> bool {
        if let Some(last) = self.points.last() {
            let too_soon = point.at.ms_since(last.at) < u64::from(self.interval_minutes) * 60_000;
            if last.counts == point.counts || (too_soon && !ended) {
                return false;
            }
        }
        if self.points.len() >= limits::HISTORY_POINTS_MAX {
            // The first is kept, so that the whole span is.
            let mut keep = false;
            self.points.retain(|_| {
                keep = !keep;
                keep
            });
            self.interval_minutes = self.interval_minutes.saturating_mul(2).max(self.pace_minutes(point.at));
        }
        self.points.push(point);
        true
    }

    /// Returns the minutes between points that come as evenly over the span up to `now` as half of them can. Where little
    /// happens points are further apart than they must be, and are to stay so.
    fn pace_minutes(&self, now: Timestamp) -> u32 {
        let span = self.points.first().map_or(0, |first| now.ms_since(first.at));
        let half = limits::HISTORY_POINTS_MAX as u64 / 2;
        u32::try_from(span / (half * 60_000)).unwrap_or(u32::MAX)
    }

    /// Adds what was counted last, if that is not noted yet: it may be less than an interval old.
    #[must_use]
    pub fn up_to(mut self, point: Point) -> Vec<Point> {
        let is_news =
            self.points.last().is_some_and(|last| last.at < point.at && last.counts != point.counts);
        if is_news {
            self.points.push(point);
        }
        self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(minute: u64, succeeded: u32) -> Point {
        Point { at: Timestamp(minute * 60_000), counts: TaskCounts { succeeded, ..TaskCounts::default() } }
    }

    #[test]
    fn a_point_is_noted_where_something_has_changed_and_at_most_one_a_minute() {
        let mut history = History::default();
        assert!(history.note(point(10, 0), false), "the first is how it began");
        assert!(!history.note(point(20, 0), false), "nothing has changed");
        assert!(history.note(point(20, 1), false));
        let soon = Point { at: Timestamp(20 * 60_000 + 59_999), ..point(0, 2) };
        assert!(!history.note(soon, false));
        assert!(history.note(soon, true), "the end is told at once");
        assert!(!history.note(soon, true), "and once");
        assert_eq!(history.points, [point(10, 0), point(20, 1), soon]);
    }

    #[test]
    fn a_history_of_any_length_has_few_points_evenly_over_its_whole_span() {
        let mut history = History::default();
        let minutes = 100_000;
        for minute in 0..minutes {
            history.note(point(minute, minute as u32), false);
            assert!(history.points.len() <= limits::HISTORY_POINTS_MAX);
        }
        let at: Vec<u64> = history.points.iter().map(|point| point.at.0 / 60_000).collect();
        assert!(at.len() >= limits::HISTORY_POINTS_MAX / 2, "{}", at.len());
        assert_eq!(at.first(), Some(&0));
        let interval = u64::from(history.interval_minutes);
        assert!(at.windows(2).all(|pair| pair[1] - pair[0] == interval), "{at:?}");
        assert!(minutes - at.last().unwrap() <= interval);
    }

    #[test]
    fn what_was_counted_last_is_told_although_it_is_not_noted() {
        let mut history = History::default();
        assert_eq!(history.clone().up_to(point(5, 1)), [], "a batch that has no history gets none");
        history.note(point(10, 0), false);
        assert_eq!(history.clone().up_to(point(11, 0)), [point(10, 0)]);
        assert_eq!(history.up_to(point(11, 1)), [point(10, 0), point(11, 1)]);
    }

    #[test]
    fn a_clock_that_goes_back_adds_nothing() {
        let mut history = History::default();
        history.note(point(10, 0), false);
        assert!(!history.note(point(3, 1), false));
        assert_eq!(history.up_to(point(3, 1)), [point(10, 0)]);
    }
}
