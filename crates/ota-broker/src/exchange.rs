//! The live sessions and what each of them subscribed to.
//!
//! This takes the place of the library's own session table and router, for what a fleet needs and those lack: one
//! session per device identity instead of per client id, a bound on what may wait for a slow client, and no lock
//! held across an `await` (theirs is, and a task that yields while it holds one can stop all threads for good).
//!
//! Invariants:
//! - A seatholder has at most one session here. The later one replaces the earlier one together with its routes.
//! - Routes belong to sessions that are here, so nothing is ever queued for a client that is not connected.

mod attach;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rmqtt::session::Session;
use rmqtt::types::{From, Id, Message, Publish, Reason, SharedGroup, SubscriptionOptions, Tx};

pub(crate) use self::attach::Attached;
use self::attach::Attachments;
use crate::counters::Tally;
use crate::routes::Routes;
use crate::seats::{Seat, Seatholder};

/// One live session.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) seat: Arc<Seat>,
    pub(crate) session: Session,
    pub(crate) tx: Tx,
}

#[derive(Default)]
struct Table {
    slots: HashMap<Arc<Seatholder>, Slot>,
    /// What each session subscribed to, to undo it when the session ends.
    filters: HashMap<Arc<Seatholder>, HashSet<String>>,
    routes: Routes<Arc<Seatholder>, SubscriptionOptions>,
    /// Which sub-devices the sessions of gateways carry.
    attachments: Attachments,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Exchange {
    table: RwLock<Table>,
    /// Moves on with each message to a shared subscription, so that members with equally little to do take turns.
    turn: AtomicUsize,
    pub(crate) tally: Tally,
}

/// A message's way to one subscriber.
struct Delivery<'a> {
    slot: &'a Slot,
    terms: &'a SubscriptionOptions,
    subscription_ids: Vec<std::num::NonZeroU32>,
}

impl Exchange {
    /// Puts a session in. Returns the one it replaced, whose routes are gone. A place on a gateway's session is lost
    /// without a word, for the device is here.
    pub(crate) fn insert(&self, slot: Slot) -> Option<Slot> {
        let mut table = self.write();
        let holder = Arc::new(slot.seat.holder.clone());
        let replaced = table.remove(&holder);
        table.detach(&holder);
        table.slots.insert(holder, slot);
        replaced
    }

    /// Takes a seatholder's session out, whichever it is.
    pub(crate) fn remove(&self, holder: &Seatholder) -> Option<Slot> {
        self.write().remove(holder)
    }

    /// Takes a session out, unless another one of the same seatholder has replaced it.
    pub(crate) fn remove_session(&self, holder: &Seatholder, id: &Id) -> Option<Slot> {
        let mut table = self.write();
        if table.slots.get(holder)?.session.id != *id {
            return None;
        }
        table.remove(holder)
    }

    /// The session of a seatholder.
    pub(crate) fn get(&self, holder: &Seatholder) -> Option<Slot> {
        self.read().slots.get(holder).cloned()
    }

    /// Tells whether this very connection is the seatholder's live session.
    pub(crate) fn is_live(&self, holder: &Seatholder, id: &Id) -> bool {
        self.read().slots.get(holder).is_some_and(|slot| slot.session.id == *id)
    }

    /// The number of sessions.
    pub(crate) fn sessions(&self) -> usize {
        self.read().slots.len()
    }

    /// The number of different topic filters that are subscribed to.
    pub(crate) fn filters(&self) -> usize {
        self.read().routes.filters()
    }

    /// The sessions whose task ended without a word: its connection broke before it had begun, or it panicked.
    pub(crate) fn abandoned(&self) -> Vec<Slot> {
        self.read().slots.values().filter(|slot| slot.tx.is_closed()).cloned().collect()
    }

    /// Adds a subscription to a live session; tells whether the session still is one. A device's filter must still be its
    /// to use: its sub-device may have left since that was asked.
    pub(crate) fn subscribe(
        &self,
        holder: &Seatholder,
        id: &Id,
        filter: &str,
        terms: SubscriptionOptions,
    ) -> bool {
        let mut table = self.write();
        let Some((holder, slot)) = table.slots.get_key_value(holder) else { return false };
        if slot.session.id != *id || !table.is_own(holder, id, filter) {
            return false;
        }
        let holder = holder.clone();
        table.subscribe(&holder, filter, terms);
        true
    }

    /// Adds a subscription to a live session unless it has it already, in whatever manner.
    pub(crate) fn subscribe_unless(
        &self,
        holder: &Seatholder,
        id: &Id,
        filter: &str,
        terms: SubscriptionOptions,
    ) {
        let mut table = self.write();
        let Some((holder, slot)) = table.slots.get_key_value(holder) else { return };
        if slot.session.id != *id || table.filters.get(holder).is_some_and(|known| known.contains(filter)) {
            return;
        }
        let holder = holder.clone();
        table.subscribe(&holder, filter, terms);
    }

    /// Removes a subscription from a live session; tells whether there was one.
    pub(crate) fn unsubscribe(&self, holder: &Seatholder, id: &Id, filter: &str) -> bool {
        let mut table = self.write();
        let Some((holder, slot)) = table.slots.get_key_value(holder) else { return false };
        if slot.session.id != *id {
            return false;
        }
        let holder = holder.clone();
        if let Some(filters) = table.filters.get_mut(&holder) {
            filters.remove(filter);
        }
        table.routes.remove(filter, &holder)
    }

    /// Hands a message to all its subscribers. Returns how many it was queued for.
    ///
    /// A session with several filters that match gets the message once, at the best service level of them. Of a
    /// shared subscription one member gets it: the one with the least to do.
    pub(crate) fn publish(&self, from: &From, publish: &Publish) -> usize {
        let table = self.read();
        let mut deliveries: HashMap<&Seatholder, Delivery<'_>> = HashMap::new();
        let mut groups: HashMap<(&str, &SharedGroup), Vec<(&Seatholder, Delivery<'_>)>> = HashMap::new();
        table.routes.visit(&publish.topic, |filter, route| {
            let Some(slot) = table.slots.get(&route.subscriber) else { return };
            if route.terms.no_local() == Some(true) && slot.session.id == from.id {
                return;
            }
            let subscription_ids = route.terms.subscription_identifier().into_iter().collect();
            let delivery = Delivery { slot, terms: &route.terms, subscription_ids };
            match route.terms.shared_group() {
                Some(group) => groups.entry((filter, group)).or_default().push((&route.subscriber, delivery)),
                None => merge(&mut deliveries, &route.subscriber, delivery),
            }
        });
        for members in groups.into_values() {
            if let Some((holder, delivery)) = self.choose(members) {
                merge(&mut deliveries, holder, delivery);
            }
        }
        let mut count = 0;
        for delivery in deliveries.into_values() {
            if delivery.send(from, publish) {
                count += 1;
            } else {
                Tally::count(&self.tally.messages_dropped);
            }
        }
        count
    }

    /// The member of a shared subscription with the least to do, in turn among equals.
    fn choose<'a>(
        &self,
        mut members: Vec<(&'a Seatholder, Delivery<'a>)>,
    ) -> Option<(&'a Seatholder, Delivery<'a>)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = members.len();
        let best = (0..count)
            .map(|step| turn.wrapping_add(step) % count)
            .min_by_key(|at| members[*at].1.slot.seat.backlog.messages())?;
        Some(members.swap_remove(best))
    }

    /// Ends all sessions, and with them the references that sessions and this table hold on each other.
    pub(crate) fn clear(&self) {
        let mut table = self.write();
        table.routes.clear();
        table.filters.clear();
        table.attachments = Attachments::default();
        let slots = std::mem::take(&mut table.slots);
        drop(table);
        for slot in slots.into_values() {
            kick(&slot);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn subscribe(&mut self, holder: &Arc<Seatholder>, filter: &str, terms: SubscriptionOptions) {
        self.routes.insert(filter, holder.clone(), terms);
        self.filters.entry(holder.clone()).or_default().insert(filter.to_owned());
    }

    fn remove(&mut self, holder: &Seatholder) -> Option<Slot> {
        let (holder, slot) = self.slots.remove_entry(holder)?;
        for filter in self.filters.remove(&holder).unwrap_or_default() {
            self.routes.remove(&filter, &holder);
        }
        Some(slot)
    }
}

impl Delivery<'_> {
    /// Queues a message for its subscriber; tells whether there was room for it.
    fn send(self, from: &From, publish: &Publish) -> bool {
        let Self { slot, terms, subscription_ids } = self;
        let bytes = publish.payload.len();
        let backlog = &slot.seat.backlog;
        if !backlog.admit(bytes) {
            if backlog.is_first_loss() {
                tracing::warn!(
                    client_id = %slot.session.id.client_id,
                    topic = %publish.topic,
                    "a subscriber is too slow and loses messages"
                );
            }
            return false;
        }
        let mut publish = publish.clone();
        publish.dup = false;
        publish.retain = publish.retain && terms.retain_as_published() == Some(true);
        publish.qos = publish.qos.less_value(terms.qos());
        publish.packet_id = None;
        if let Some(properties) = &mut publish.properties {
            properties.subscription_ids = subscription_ids;
        }
        let queued = slot.tx.unbounded_send(Message::Forward(from.clone(), publish)).is_ok();
        if !queued {
            backlog.release(bytes);
        }
        queued
    }
}

/// Adds a delivery to those to the same subscriber.
fn merge<'a>(
    deliveries: &mut HashMap<&'a Seatholder, Delivery<'a>>,
    holder: &'a Seatholder,
    delivery: Delivery<'a>,
) {
    match deliveries.entry(holder) {
        std::collections::hash_map::Entry::Vacant(entry) => {
            entry.insert(delivery);
        }
        std::collections::hash_map::Entry::Occupied(mut entry) => {
            let known = entry.get_mut();
            known.subscription_ids.extend(delivery.subscription_ids);
            if delivery.terms.qos().value() > known.terms.qos().value() {
                known.terms = delivery.terms;
            }
        }
    }
}

/// Tells a session's task to close its connection. It may be gone already, which is as good.
pub(crate) fn end(slot: &Slot, reason: Reason) {
    let _ = slot.tx.unbounded_send(Message::Closed(reason));
}

/// Tells a session's task that a later login has taken its place.
pub(crate) fn kick(slot: &Slot) {
    end(slot, Reason::ConnectKicked(false));
}
