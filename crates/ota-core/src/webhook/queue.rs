//! How far a webhook has come in the list of events, and what is on its way to it.
//!
//! An event costs nothing when it happens: the queue is a cursor into the list, and takes what comes next when there is
//! room. Each event it has taken goes its own way from then on, so one that fails does not hold the others up. When nothing
//! more fits, the rest waits in the list; what the list forgets meanwhile is counted as missed.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Webhook, WebhookError, retry};
use crate::event::{Event, EventKind};
use crate::ids::{EventId, WebhookId};
use crate::limits;
use crate::time::Timestamp;

/// A webhook's queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// The number of the event to look at next.
    pub cursor: u64,
    /// Until when one dispatcher has the turn to deliver.
    pub turn_until: Timestamp,
    /// What is on its way, and the latest of what has arrived or was given up, in the order they were taken.
    pub deliveries: Vec<Delivery>,
    /// How many have arrived.
    pub delivered: u64,
    /// How many that were given up are not kept any more.
    pub dropped: u64,
    /// How many events the list had forgotten before they were looked at or delivered.
    pub missed: u64,
}

/// One event on its way to one webhook. It has the event's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The event's id.
    pub event_id: EventId,
    /// What it tells.
    pub what: What,
    /// How it stands.
    pub status: DeliveryStatus,
    /// How many tries have ended since it was queued, or queued again.
    pub tries: u32,
    /// When it was queued first.
    pub created_at: Timestamp,
    /// What the last try was answered with.
    pub last_status: Option<u16>,
    /// Why the last try failed.
    pub last_error: Option<String>,
}

/// What a delivery tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An event of the list.
    Listed {
        /// Its number in the list, where the rest of it lies.
        number: u64,
        /// Its kind.
        kind: EventKind,
    },
    /// That somebody tries whether the webhook works.
    Test,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It is to be tried, or tried again.
    Pending {
        /// When.
        next_at: Timestamp,
    },
    /// It has arrived.
    Delivered {
        /// When.
        at: Timestamp,
    },
    /// All its tries have failed.
    Dead,
}

impl DeliveryStatus {
    /// The words of the API, in the order of a life.
    pub const ALL: [&'static str; 3] = ["pending", "delivered", "dead"];

    /// Returns the word used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Delivered { .. } => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has answered.
    Answered(Answered),
    /// There was no answer; why, in a few words.
    Unanswered(String),
    /// There was nothing to send: the list has forgotten the event.
    Forgotten,
}

/// A receiver's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// How long it asks to be left alone.
    pub retry_after_ms: Option<u64>,
}

impl Answered {
    /// Tells whether the receiver has taken the event. A redirect is none: it would lead to a place nobody chose.
    pub const fn is_taken(self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Tells whether the receiver wants no more events at all (Standard Webhooks).
    pub const fn is_gone(self) -> bool {
        self.status == 410
    }
}

impl Queue {
    /// Begins at this place of the list.
    pub fn new(cursor: u64) -> Self {
        Self { cursor, ..Self::default() }
    }

    /// Returns how many deliveries stand so.
    pub fn count(&self, status: &str) -> usize {
        self.deliveries.iter().filter(|delivery| delivery.status.as_str() == status).count()
    }

    /// Returns how many events can be taken.
    pub fn room(&self) -> usize {
        limits::WEBHOOK_PENDING_MAX.saturating_sub(self.count("pending"))
    }

    /// Takes the turn to deliver; `false` when another has it.
    pub fn take_turn(&mut self, now: Timestamp) -> bool {
        let until = now.plus_ms(limits::WEBHOOK_TURN_MS);
        // A turn from far in the future was taken before the clock was set back.
        let free = self.turn_until <= now || self.turn_until > until;
        if free {
            self.turn_until = until;
        }
        free
    }

    /// Looks at the events from the cursor on, each with its number, and takes those that the webhook wants, as far as there
    /// is room. `oldest` is the first that the list has not forgotten, `next` the one to go on with if all were looked at.
    pub fn take(
        &mut self,
        webhook: &Webhook,
        events: &[(u64, Event)],
        oldest: u64,
        next: u64,
        now: Timestamp,
    ) {
        self.missed += oldest.saturating_sub(self.cursor);
        self.cursor = self.cursor.max(oldest);
        let mut room = self.room();
        for (number, event) in events.iter().filter(|(number, _)| *number >= oldest) {
            if *number < self.cursor {
                continue;
            }
            // The list may have an event twice, and this queue one that somebody else has taken.
            if webhook.wants(event) && self.find(EventId(event.id)).is_none() {
                if room == 0 {
                    return;
                }
                room -= 1;
                let what = What::Listed { number: *number, kind: event.kind };
                self.deliveries.push(Delivery::new(EventId(event.id), what, now));
            }
            self.cursor = number + 1;
        }
        self.cursor = self.cursor.max(next);
    }

    /// Queues a test.
    ///
    /// # Errors
    /// [`WebhookError::QueueFull`].
    pub fn test(&mut self, event_id: EventId, now: Timestamp) -> Result<(), WebhookError> {
        if self.room() == 0 {
            return Err(WebhookError::QueueFull);
        }
        self.deliveries.push(Delivery::new(event_id, What::Test, now));
        Ok(())
    }

    /// Returns up to `max` deliveries whose time has come, the longest due first.
    pub fn due(&self, now: Timestamp, max: usize) -> Vec<Delivery> {
        let mut due: Vec<(Timestamp, &Delivery)> = self
            .deliveries
            .iter()
            .filter_map(|delivery| match delivery.status {
                DeliveryStatus::Pending { next_at } if next_at <= now => Some((next_at, delivery)),
                _ => None,
            })
            .collect();
        due.sort_by_key(|(next_at, _)| *next_at);
        due.into_iter().take(max).map(|(_, delivery)| delivery.clone()).collect()
    }

    /// Notes what a try of a delivery came to. Of one that is pending no longer nothing is noted.
    pub fn settle(&mut self, webhook: WebhookId, event_id: EventId, outcome: &Outcome, now: Timestamp) {
        let is_it = |delivery: &Delivery| {
            delivery.event_id == event_id && matches!(delivery.status, DeliveryStatus::Pending { .. })
        };
        let Some(at) = self.deliveries.iter().position(is_it) else { return };
        if *outcome == Outcome::Forgotten {
            self.missed += 1;
            self.deliveries.remove(at);
            return;
        }
        let Some(delivery) = self.deliveries.get_mut(at) else { return };
        delivery.tries += 1;
        let (answered, error) = match outcome {
            Outcome::Answered(answered) => (Some(*answered), None),
            Outcome::Unanswered(why) => (None, Some(cut(why))),
            Outcome::Forgotten => (None, None),
        };
        delivery.last_status = answered.map(|answered| answered.status);
        delivery.last_error = error;
        if answered.is_some_and(Answered::is_taken) {
            delivery.status = DeliveryStatus::Delivered { at: now };
            self.delivered += 1;
            self.forget("delivered", limits::WEBHOOK_DELIVERED_MAX);
            return;
        }
        let asked = answered.and_then(|answered| answered.retry_after_ms);
        match retry::next_try(delivery.tries, webhook, event_id, asked, now) {
            Some(next_at) => delivery.status = DeliveryStatus::Pending { next_at },
            None => {
                delivery.status = DeliveryStatus::Dead;
                self.dropped += self.forget("dead", limits::WEBHOOK_DEAD_MAX);
            }
        }
    }

    /// Queues a delivery again, to be tried now and with all its tries; `false` if there is none. `oldest` is the first event
    /// that the list has not forgotten.
    ///
    /// # Errors
    /// [`WebhookError::QueueFull`]; [`WebhookError::EventForgotten`].
    pub fn replay(&mut self, event_id: EventId, oldest: u64, now: Timestamp) -> Result<bool, WebhookError> {
        let has_room = self.room() > 0;
        let Some(delivery) = self.deliveries.iter_mut().find(|delivery| delivery.event_id == event_id) else {
            return Ok(false);
        };
        if matches!(delivery.what, What::Listed { number, .. } if number < oldest) {
            return Err(WebhookError::EventForgotten);
        }
        if !has_room && !matches!(delivery.status, DeliveryStatus::Pending { .. }) {
            return Err(WebhookError::QueueFull);
        }
        delivery.tries = 0;
        delivery.status = DeliveryStatus::Pending { next_at: now };
        Ok(true)
    }

    fn find(&self, event_id: EventId) -> Option<&Delivery> {
        self.deliveries.iter().find(|delivery| delivery.event_id == event_id)
    }

    /// Forgets the oldest that stand so, but for `keep`; returns how many.
    fn forget(&mut self, status: &str, keep: usize) -> u64 {
        let mut surplus = self.count(status).saturating_sub(keep);
        let before = self.deliveries.len();
        self.deliveries.retain(|delivery| {
            let goes = surplus > 0 && delivery.status.as_str() == status;
            surplus -= usize::from(goes);
            !goes
        });
        (before - self.deliveries.len()) as u64
    }
}

impl Delivery {
    fn new(event_id: EventId, what: What, now: Timestamp) -> Self {
        Self {
            event_id,
            what,
            status: DeliveryStatus::Pending { next_at: now },
            tries: 0,
            created_at: now,
            last_status: None,
            last_error: None,
        }
    }
}

/// Keeps as much of a text as may be kept.
fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(limits::WEBHOOK_ERROR_LEN_MAX)).unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
