//! The push rate of a batch, as a hard limit (R93).

use alloc::vec::Vec;

use crate::limits;
use crate::time::Timestamp;

/// The pushes granted lately, by second.
///
/// It is stored with the batch and changed with it in one swap, so that dispatchers that run at the same time draw from
/// the same minute, and a token that was granted to a process that died is lost rather than used twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateWindow {
    /// Seconds since the epoch and the pushes granted in them, oldest first.
    pub grants: Vec<(u64, u32)>,
}

impl RateWindow {
    /// Grants up to `wanted` pushes at `now` such that no 60 s window sees more than `per_minute_max` of them. A push
    /// may be published up to [`limits::PUSH_GRANT_MS`] after its grant, so grants are kept for that much longer, and
    /// one second more because a grant's place within its second is not kept.
    pub fn grant(&mut self, wanted: u32, per_minute_max: u32, now: Timestamp) -> u32 {
        // A clock that jumps back must not make old grants look like future ones that never age: they are counted
        // from the newest moment seen.
        let second = now.seconds().max(self.grants.last().map_or(0, |(second, _)| *second));
        let kept = (limits::RATE_WINDOW_MS + limits::PUSH_GRANT_MS) / 1000 + 1;
        self.grants.retain(|(granted, _)| granted + kept > second);
        let used: u32 = self.grants.iter().map(|(_, count)| count).sum();
        let granted = wanted.min(per_minute_max.saturating_sub(used));
        if granted > 0 {
            match self.grants.last_mut() {
                Some((last, count)) if *last == second => *count += granted,
                _ => self.grants.push((second, granted)),
            }
        }
        granted
    }

    /// Returns how many of the tokens of a minute are unused at `now`, without taking any.
    pub fn available(&self, per_minute_max: u32, now: Timestamp) -> u32 {
        self.clone().grant(u32::MAX, per_minute_max, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r93_no_60_s_window_sees_more_than_the_rate_however_late_a_granted_push_goes_out() {
        let mut window = RateWindow::default();
        let mut published = Vec::new();
        // Ask all the time, in uneven steps; publish each grant as late as it may be or at once, by turns.
        let mut now = 0;
        while now < 400_000 {
            let granted = window.grant(7, 30, Timestamp(now));
            let delay = if published.len() % 2 == 0 { 0 } else { limits::PUSH_GRANT_MS };
            published.extend((0..granted).map(|_| now + delay));
            now += 900 + now % 700;
        }
        published.sort_unstable();
        assert!(published.len() > 100);
        for start in &published {
            let seen = published.iter().filter(|at| (*start..start + 60_000).contains(*at)).count();
            assert!(seen <= 30, "{seen} pushes in the minute from {start}");
        }
    }

    #[test]
    fn tokens_come_back_after_the_window() {
        let mut window = RateWindow::default();
        assert_eq!(window.grant(50, 20, Timestamp(1_000)), 20);
        assert_eq!(window.grant(50, 20, Timestamp(60_000)), 0);
        assert_eq!(window.grant(50, 20, Timestamp(67_000)), 20);
    }

    #[test]
    fn a_clock_that_jumps_back_grants_nothing_extra() {
        let mut window = RateWindow::default();
        assert_eq!(window.grant(20, 20, Timestamp(100_000)), 20);
        assert_eq!(window.grant(20, 20, Timestamp(10_000)), 0);
    }
}
