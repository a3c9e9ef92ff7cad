//! What holds for the pushes of a batch: never too many, never to the wrong device, and in the end to everyone.

use ota_core::batch::{Batch, RateWindow, admit};
use ota_core::device::{Device, Session};
use ota_core::dispatch::{plan, push_is_due};
use ota_core::ids::DeviceName;
use ota_core::limits;
use ota_core::task::{TaskEvent, TaskStatus};
use ota_core::time::Timestamp;
use proptest::prelude::*;

use crate::world::{START, any_event, any_pause_ms, any_policy, batch, device};

/// How late a granted push may go out.
fn any_delay_ms() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(limits::PUSH_GRANT_MS), 0..=limits::PUSH_GRANT_MS]
}

fn invariant_pushes_within_rate(published: &mut [u64], per_minute_max: u32) {
    published.sort_unstable();
    let rate = usize::try_from(per_minute_max).expect("a rate fits");
    for (index, first) in published.iter().enumerate() {
        // The push that comes `rate` places later must be in another minute.
        if let Some(one_too_many) = published.get(index + rate) {
            assert!(one_too_many - first >= limits::RATE_WINDOW_MS, "{published:?}");
        }
    }
}

fn online(device: &mut Device) {
    device.session = Some(Session { id: "s".to_owned(), since: START });
}

/// Devices with tasks of the batch in any state, some online.
fn any_fleet(batch: Batch) -> impl Strategy<Value = Vec<Device>> {
    let history = prop::collection::vec((any_event(), any_pause_ms()), 0..8);
    prop::collection::vec((history, any::<bool>()), 0..12).prop_map(move |fleet| {
        let numbered = fleet.into_iter().enumerate();
        numbered
            .map(|(number, (history, is_online))| {
                let mut device = device(number);
                admit(&batch, &mut device, &[], START);
                let mut now = START;
                for (event, pause) in history {
                    now = now.plus_ms(pause);
                    device.apply(batch.id, &event, &batch.policy, now);
                }
                if is_online {
                    online(&mut device);
                }
                device
            })
            .collect()
    })
}

fn any_batch_and_fleet() -> impl Strategy<Value = (Batch, Vec<Device>)> {
    any_policy().prop_flat_map(|policy| {
        let batch = Batch { policy, ..batch(1) };
        any_fleet(batch.clone()).prop_map(move |fleet| (batch.clone(), fleet))
    })
}

proptest! {
    #[test]
    fn r93_no_60_s_window_sees_more_pushes_than_the_rate(
        rate in 10..=40_u32,
        requests in prop::collection::vec((0..15_000_u64, 0..30_u32, any_delay_ms()), 0..80),
    ) {
        let mut window = RateWindow::default();
        let mut published = Vec::new();
        let mut now = START;
        for (pause, wanted, delay) in requests {
            now = now.plus_ms(pause);
            let granted = window.grant(wanted, rate, now);
            published.extend((0..granted).map(|_| now.plus_ms(delay).0));
        }
        invariant_pushes_within_rate(&mut published, rate);
    }

    #[test]
    fn a_plan_pushes_to_online_devices_that_are_due_and_to_each_once(
        (batch, fleet) in any_batch_and_fleet(),
        pause in any_pause_ms(),
    ) {
        let now = START.plus_ms(pause);
        let plan = plan(&batch, fleet.iter(), now);
        for name in &plan.push {
            let device = fleet.iter().find(|d| d.name == *name).expect("the plan is about this fleet");
            prop_assert!(device.session.is_some());
            prop_assert!(device.tasks.iter().any(|task| push_is_due(device, task, &batch.policy, now)));
        }
        let mut names: Vec<&DeviceName> = plan.push.iter().chain(plan.end.iter().map(|(name, _)| name)).collect();
        let planned = names.len();
        names.sort_unstable();
        names.dedup();
        prop_assert_eq!(names.len(), planned);
    }

    #[test]
    fn a_performed_plan_leaves_nothing_to_plan(
        (batch, mut fleet) in any_batch_and_fleet(),
        pause in any_pause_ms(),
    ) {
        let now = START.plus_ms(pause);
        let first = plan(&batch, fleet.iter(), now);
        for device in &mut fleet {
            if let Some(event) = first.event_for(&device.name) {
                prop_assert!(device.apply(batch.id, event, &batch.policy, now));
            }
        }
        prop_assert!(plan(&batch, fleet.iter(), now).is_empty());
    }

    /// Ticks at any intervals, pushes that go out late, and dispatchers that die after the decision: before the
    /// publishing, or between it and the note that it went out.
    #[test]
    fn everyone_is_pushed_to_in_the_end_and_never_faster_than_the_rate(
        devices in 1..40_usize,
        ticks in prop::collection::vec((0..20_000_u64, any_delay_ms(), 0..4_u8), 1..20),
    ) {
        let batch = batch(1);
        let mut fleet: Vec<Device> = (0..devices).map(device).collect();
        for device in &mut fleet {
            admit(&batch, device, &[], START);
            online(device);
        }
        let mut window = RateWindow::default();
        let mut published = Vec::new();
        let mut now = START;
        // After the given ticks come enough quiet ones to finish.
        let quiet = std::iter::repeat_n((30_000, 0, 3), 3 * devices);
        for (pause, delay, luck) in ticks.into_iter().chain(quiet) {
            now = now.plus_ms(pause);
            let mut todo = plan(&batch, fleet.iter(), now);
            let wanted = u32::try_from(todo.push.len()).expect("a small fleet");
            todo.limit_pushes(window.grant(wanted, batch.push_per_minute_max, now));
            for device in fleet.iter_mut().filter(|device| todo.push.contains(&device.name)) {
                device.apply(batch.id, &TaskEvent::PushDecided, &batch.policy, now);
                let (is_published, is_noted) = (luck != 0, luck > 1);
                if is_published {
                    published.push(now.plus_ms(delay).0);
                }
                if is_noted {
                    device.apply(batch.id, &TaskEvent::PushSent, &batch.policy, now.plus_ms(delay));
                }
            }
        }
        invariant_pushes_within_rate(&mut published, batch.push_per_minute_max);
        for device in &fleet {
            let task = device.task_of(batch.id).expect("nobody ended it");
            prop_assert_eq!((task.status, task.unsent_since), (TaskStatus::Notified, None));
        }
    }
}

#[test]
fn a_full_minute_is_used_up_to_the_last_token() {
    let mut window = RateWindow::default();
    let granted: u32 = (0..60).map(|second| window.grant(7, 100, Timestamp(second * 1_000))).sum();
    assert_eq!(granted, 100);
}
