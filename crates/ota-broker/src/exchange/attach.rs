//! Sub-devices on the connections of their gateways.
//!
//! Invariants:
//! - A sub-device is attached to at most one session, and has no session of its own meanwhile: whichever came later
//!   holds, as between two connections of one device.
//! - What a gateway's connection may do for a sub-device hangs on that very session. The gateway's next session begins
//!   with no sub-devices.

use std::collections::{HashMap, HashSet};

use rmqtt::types::{Id, SubscriptionOptions};

use super::{Exchange, Slot, Table};
use crate::seats::Seatholder;
use crate::topics::{owner, topic_belongs_to};

/// All sub-devices that are attached now.
#[derive(Default)]
pub(super) struct Attachments {
    by_sub_device: HashMap<Seatholder, Attachment>,
    by_session: HashMap<Id, HashSet<Seatholder>>,
}

/// A sub-device's place on a gateway's session.
#[derive(Clone)]
pub(crate) struct Attachment {
    gateway: Seatholder,
    id: Id,
    /// Its unique name in presence messages.
    pub(crate) session: String,
}

/// What became of an order to attach a sub-device.
pub(crate) enum Attached {
    /// It is attached, under this name of a session. It was before if the name is not the one that was offered.
    Done {
        session: String,
        /// The session that the sub-device had of its own, which is out of the table now.
        replaced: Option<Slot>,
    },
    /// The gateway is not connected, or carries as many as it may.
    Refused(&'static str),
}

impl Attachments {
    fn count(&self, id: &Id) -> usize {
        self.by_session.get(id).map_or(0, HashSet::len)
    }

    fn insert(&mut self, sub_device: Seatholder, attachment: Attachment) {
        self.by_session.entry(attachment.id.clone()).or_default().insert(sub_device.clone());
        self.by_sub_device.insert(sub_device, attachment);
    }

    fn remove(&mut self, sub_device: &Seatholder) -> Option<Attachment> {
        let attachment = self.by_sub_device.remove(sub_device)?;
        if let Some(carried) = self.by_session.get_mut(&attachment.id) {
            carried.remove(sub_device);
            if carried.is_empty() {
                self.by_session.remove(&attachment.id);
            }
        }
        Some(attachment)
    }
}

impl Table {
    /// Tells whether a topic or filter is a session's to use: the device's own, or that of a sub-device it carries (R167,
    /// R168). The service may use any.
    pub(super) fn is_own(&self, holder: &Seatholder, id: &Id, filter: &str) -> bool {
        if matches!(holder, Seatholder::Service(_)) {
            return true;
        }
        owner(filter).is_some_and(|owner| {
            let owner = Seatholder::from(&owner);
            owner == *holder
                || self.attachments.by_session.get(id).is_some_and(|carried| carried.contains(&owner))
        })
    }

    /// Takes a sub-device from the session that carries it, with all that this session subscribed to of the
    /// sub-device's topics. Returns the filters, which the library's session still counts.
    pub(super) fn detach(&mut self, sub_device: &Seatholder) -> Option<(Attachment, Vec<String>)> {
        let attachment = self.attachments.remove(sub_device)?;
        let Some(slot) = self.slots.get(&attachment.gateway) else { return Some((attachment, Vec::new())) };
        // The routes of an older session went with it.
        if slot.session.id != attachment.id {
            return Some((attachment, Vec::new()));
        }
        slot.seat.backlog.set_shares(self.attachments.count(&attachment.id) + 1);
        let mut gone = Vec::new();
        if let (Some(identity), Some(filters)) =
            (sub_device.identity(), self.filters.get_mut(&attachment.gateway))
        {
            filters.retain(|filter| {
                let stays = !topic_belongs_to(&identity, filter);
                if !stays {
                    gone.push(filter.clone());
                }
                stays
            });
        }
        if let Some((gateway, _)) = self.slots.get_key_value(&attachment.gateway) {
            let gateway = gateway.clone();
            for filter in &gone {
                self.routes.remove(filter, &gateway);
            }
        }
        Some((attachment, gone))
    }
}

impl Exchange {
    /// Attaches a sub-device to the live session of its gateway, under the name `offered` for the gateway's name of its
    /// session, and subscribes that session to `filters`. A connection of the sub-device's own makes room, and so does a
    /// place on another session. Done once more it changes nothing.
    pub(crate) fn attach(
        &self,
        gateway: &Seatholder,
        sub_device: &Seatholder,
        filters: &[String],
        terms: &SubscriptionOptions,
        sub_devices_max: usize,
        offered: impl FnOnce(&str) -> String,
    ) -> Attached {
        let mut table = self.write();
        let Some((gateway, slot)) =
            table.slots.get_key_value(gateway).map(|(holder, slot)| (holder.clone(), slot.clone()))
        else {
            return Attached::Refused("the gateway is not connected");
        };
        let id = slot.session.id.clone();
        let known = table.attachments.by_sub_device.get(sub_device).filter(|known| known.id == id);
        let session = match known.map(|known| known.session.clone()) {
            Some(session) => session,
            None if table.attachments.count(&id) >= sub_devices_max => {
                return Attached::Refused("the gateway carries as many sub-devices as it may");
            }
            None => {
                table.detach(sub_device);
                let session = offered(&slot.seat.session);
                let attachment = Attachment { gateway: (*gateway).clone(), id: id.clone(), session };
                let session = attachment.session.clone();
                table.attachments.insert(sub_device.clone(), attachment);
                session
            }
        };
        slot.seat.backlog.set_shares(table.attachments.count(&id) + 1);
        for filter in filters {
            table.subscribe(&gateway, filter, terms.clone());
        }
        // A device that was attached loses its place when it connects by itself, so there is none here to be lost.
        let replaced = table.remove(sub_device);
        Attached::Done { session, replaced }
    }

    /// Takes a sub-device from the session `id` if that is the one which carries it.
    pub(crate) fn detach(&self, sub_device: &Seatholder, id: &Id) -> Option<(Attachment, Vec<String>)> {
        let mut table = self.write();
        if table.attachments.by_sub_device.get(sub_device)?.id != *id {
            return None;
        }
        table.detach(sub_device)
    }

    /// Tells whether a topic or filter is a connection's to use: the device's own, or that of a sub-device which is logged
    /// in on it.
    pub(crate) fn is_own(&self, holder: &Seatholder, id: &Id, filter: &str) -> bool {
        self.read().is_own(holder, id, filter)
    }

    /// How many sub-devices the session `id` carries.
    pub(crate) fn carried_count(&self, id: &Id) -> usize {
        self.read().attachments.count(id)
    }

    /// The sub-devices that the session `id` carries.
    pub(crate) fn carried(&self, id: &Id) -> Vec<Seatholder> {
        self.read().attachments.by_session.get(id).into_iter().flatten().cloned().collect()
    }

    /// The sessions that carry sub-devices and are live no longer.
    pub(crate) fn forsaken(&self) -> Vec<Id> {
        let table = self.read();
        let is_live = |attachment: &Attachment| {
            table.slots.get(&attachment.gateway).is_some_and(|slot| slot.session.id == attachment.id)
        };
        let forsaken: HashSet<&Id> = table
            .attachments
            .by_sub_device
            .values()
            .filter(|attachment| !is_live(attachment))
            .map(|attachment| &attachment.id)
            .collect();
        forsaken.into_iter().cloned().collect()
    }
}
