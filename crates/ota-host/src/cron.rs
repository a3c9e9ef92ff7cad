//! The clock as a trigger.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use tokio::sync::{Semaphore, watch};
use wasmtime::AsContextMut;
use wasmtime::component::{Accessor, InstancePre};

use crate::bindings::cron::spin::cron::cron_types::{Error, Metadata};
use crate::bindings::cron::{SpinCron, SpinCronPre};
use crate::state::GuestState;
use crate::trigger::{Handler, Kind, SHUTDOWN_TIMEOUT, stopped};

/// Runs of one trigger at once. A run that takes longer than the interval overlaps the next one, as in Spin, but
/// slow runs must not pile up.
const OVERLAP_MAX: usize = 3;

/// The longest sleep, so that a clock that is set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// A cron expression of six fields, seconds first, in UTC.
#[derive(Clone, Debug)]
pub struct Schedule(Cron);

impl Schedule {
    /// Reads an expression; the error says what is wrong with it.
    pub fn parse(expression: &str) -> Result<Self, String> {
        // Sloppy ranges: `0/5`, "from 0 on every 5", is what most manifests say.
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Disallowed)
            .sloppy_ranges(true)
            .build();
        match parser.parse(expression) {
            Ok(cron) if expression.split_whitespace().count() == 6 => Ok(Self(cron)),
            Ok(_) => Err(format!("cron expression `{expression}` has not six fields, seconds first")),
            Err(error) => Err(format!("cron expression `{expression}`: {error}")),
        }
    }

    /// Returns the first second after `unix_seconds` that fits, if ever one does.
    pub fn next_after(&self, unix_seconds: i64) -> Option<i64> {
        let after = DateTime::<Utc>::from_timestamp(unix_seconds, 0)?;
        self.0.find_next_occurrence(&after, false).ok().map(|next| next.timestamp())
    }
}

/// The bindings of `spin:cron@3`.
pub(crate) struct CronKind;

impl Kind for CronKind {
    type Event = u64;
    type Pre = SpinCronPre<GuestState>;
    type Instance = SpinCron;

    fn find_export(pre: InstancePre<GuestState>) -> wasmtime::Result<Self::Pre> {
        SpinCronPre::new(pre)
    }

    async fn instantiate(
        pre: &Self::Pre,
        store: impl AsContextMut<Data = GuestState> + Send,
    ) -> wasmtime::Result<SpinCron> {
        pre.instantiate_async(store).await
    }

    async fn call(
        instance: &SpinCron,
        accessor: &Accessor<GuestState>,
        timestamp: u64,
    ) -> wasmtime::Result<Result<(), String>> {
        let result = instance.call_handle_cron_event(accessor, Metadata { timestamp }).await?;
        Ok(result.map_err(|Error::Other(reason)| reason))
    }
}

/// Runs one trigger until the host shuts down.
pub(crate) async fn run(
    schedule: Schedule,
    handler: Arc<Handler<CronKind>>,
    mut stop: watch::Receiver<bool>,
) {
    let runs = Arc::new(Semaphore::new(OVERLAP_MAX));
    loop {
        let Some(due) = next_due(&schedule) else {
            tracing::warn!(component = handler.name(), "the cron expression fits no time to come");
            return;
        };
        tokio::select! {
            () = sleep_until(due) => {}
            () = stopped(&mut stop) => break,
        }
        let Ok(permit) = runs.clone().try_acquire_owned() else {
            tracing::warn!(component = handler.name(), "tick skipped: the last {OVERLAP_MAX} still run");
            continue;
        };
        let handler = handler.clone();
        tokio::spawn(async move {
            if let Err(failure) = handler.handle(due.unsigned_abs()).await {
                tracing::error!(component = handler.name(), "cron: {failure}");
            }
            drop(permit);
        });
    }
    let all = u32::try_from(OVERLAP_MAX).expect("a small constant");
    drop(tokio::time::timeout(SHUTDOWN_TIMEOUT, runs.acquire_many(all)).await);
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Counted from the present and not from the last tick: what was missed is not made up for.
fn next_due(schedule: &Schedule) -> Option<i64> {
    schedule.next_after(i64::try_from(now().as_secs()).ok()?)
}

async fn sleep_until(unix_seconds: i64) {
    let due = Duration::from_secs(unix_seconds.unsigned_abs());
    while let Some(left) = due.checked_sub(now()).filter(|left| !left.is_zero()) {
        tokio::time::sleep(left.min(SLEEP_MAX)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_come_first() {
        let every_five = Schedule::parse("0/5 * * * * *").unwrap();
        assert_eq!(every_five.next_after(0), Some(5));
        assert_eq!(every_five.next_after(4), Some(5));
        assert_eq!(every_five.next_after(5), Some(10));
        let nightly = Schedule::parse("0 30 2 * * *").unwrap();
        assert_eq!(nightly.next_after(0), Some(2 * 3600 + 30 * 60));
    }

    #[test]
    fn only_six_fields_will_do() {
        for bad in ["* * * * *", "* * * * * * *", "", "@hourly", "61 * * * * *", "a b c d e f"] {
            assert!(Schedule::parse(bad).is_err(), "{bad}");
        }
    }
}
