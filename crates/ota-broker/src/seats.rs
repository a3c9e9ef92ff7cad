//! Who sits at the other end of a connection: the gate's decision, kept for as long as the connection lasts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rmqtt::types::Id;

use crate::DeviceIdentity;
use crate::config::{BrokerConfig, QueueLimit};
use crate::pace::Pace;

/// What makes two connections the same client, of which only the later one may live.
///
/// A device is its identity whatever its client id, because SDKs change that with each connection. A client id says
/// nothing across accounts: were it the key, a device could throw out the service by calling itself the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Seatholder {
    /// A device, by product key and device name.
    Device(String, String),
    /// A connection of the service, by client id.
    Service(String),
}

impl Seatholder {
    /// The identity of a device.
    pub(crate) fn identity(&self) -> Option<DeviceIdentity> {
        match self {
            Self::Device(product_key, device_name) => {
                Some(DeviceIdentity { product_key: product_key.clone(), device_name: device_name.clone() })
            }
            Self::Service(_) => None,
        }
    }
}

impl From<&DeviceIdentity> for Seatholder {
    fn from(device: &DeviceIdentity) -> Self {
        Self::Device(device.product_key.clone(), device.device_name.clone())
    }
}

/// One connection that the gate has let in.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) holder: Seatholder,
    /// `None` for the service.
    pub(crate) device: Option<DeviceIdentity>,
    /// The unique name of this session in presence messages.
    pub(crate) session: String,
    /// Why this connection is turned away after all, with "server unavailable": the gate gave no answer, or a limit
    /// was reached. The client then tries again later instead of taking its credentials for wrong.
    pub(crate) turned_away: Option<String>,
    pub(crate) backlog: Backlog,
    pub(crate) pace: Mutex<Pace>,
    /// How often the device was refused something, so that only the first time is loud in the log.
    pub(crate) refusals: AtomicUsize,
    /// Whether the device has spoken as a gateway does, and hears the replies to that.
    pub(crate) is_gateway: AtomicBool,
    taken: Instant,
}

impl Seat {
    /// Counts a refusal; tells whether it was the first on this connection.
    pub(crate) fn is_first_refusal(&self) -> bool {
        self.refusals.fetch_add(1, Ordering::Relaxed) == 0
    }

    /// How long the next message of this device has to wait.
    pub(crate) fn pace(&self) -> Duration {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
    }
}

/// What waits for one session, counted from routing until it is written to the socket or dropped.
#[derive(Debug)]
pub(crate) struct Backlog {
    limit: QueueLimit,
    /// How many devices this session speaks for, each with a limit of its own.
    shares: AtomicUsize,
    /// What all shares together come to at most.
    shared_limit: QueueLimit,
    messages: AtomicUsize,
    bytes: AtomicUsize,
    /// Whether a loss has been reported since the backlog was last empty.
    is_losing: AtomicBool,
}

impl Backlog {
    pub(crate) fn new(limit: QueueLimit, shared_limit: QueueLimit) -> Self {
        Self {
            limit,
            shares: AtomicUsize::new(1),
            shared_limit,
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            is_losing: AtomicBool::new(false),
        }
    }

    /// Sets how many devices the session speaks for.
    pub(crate) fn set_shares(&self, shares: usize) {
        self.shares.store(shares.max(1), Ordering::Relaxed);
    }

    /// What may wait by now.
    fn limit(&self) -> QueueLimit {
        let shares = self.shares.load(Ordering::Relaxed);
        let of = |one: usize, all: usize| one.saturating_mul(shares).min(all.max(one));
        QueueLimit {
            messages_max: of(self.limit.messages_max, self.shared_limit.messages_max),
            bytes_max: of(self.limit.bytes_max, self.shared_limit.bytes_max),
        }
    }

    /// Takes one more message in, or tells that there is no room for it.
    pub(crate) fn admit(&self, bytes: usize) -> bool {
        let messages = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        let total = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let limit = self.limit();
        let fits = messages <= limit.messages_max && total <= limit.bytes_max;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// Lets one message out again.
    pub(crate) fn release(&self, bytes: usize) {
        for (counter, amount) in [(&self.messages, 1), (&self.bytes, bytes)] {
            // The closure always answers, so there is no failure to look at.
            let _ = counter
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(now.saturating_sub(amount)));
        }
        if self.messages() == 0 {
            self.is_losing.store(false, Ordering::Relaxed);
        }
    }

    /// Tells whether a loss is the first since the backlog was last empty, and so worth a line in the log.
    pub(crate) fn is_first_loss(&self) -> bool {
        !self.is_losing.swap(true, Ordering::Relaxed)
    }

    /// How many messages wait.
    pub(crate) fn messages(&self) -> usize {
        self.messages.load(Ordering::Relaxed)
    }
}

/// All connections that the gate has let in, by their id in the broker.
#[derive(Debug)]
pub(crate) struct Seats {
    by_id: RwLock<HashMap<Id, Arc<Seat>>>,
    /// Tells the sessions of this start of the broker from those of others.
    epoch: u64,
    next_session: AtomicU64,
}

impl Seats {
    pub(crate) fn new(epoch: u64) -> Self {
        Self { by_id: RwLock::new(HashMap::new()), epoch, next_session: AtomicU64::new(1) }
    }

    /// Seats a connection.
    pub(crate) fn take(
        &self,
        id: Id,
        config: &BrokerConfig,
        device: Option<DeviceIdentity>,
        turned_away: Option<String>,
    ) -> Arc<Seat> {
        let now = Instant::now();
        let holder = match &device {
            Some(device) => Seatholder::from(device),
            None => Seatholder::Service(id.client_id.to_string()),
        };
        let limit = if device.is_some() { config.device_queue } else { config.service_queue };
        let number = self.next_session.fetch_add(1, Ordering::Relaxed);
        let seat = Arc::new(Seat {
            holder,
            device,
            session: format!("{:x}-{number:x}", self.epoch),
            turned_away,
            backlog: Backlog::new(limit, config.service_queue),
            pace: Mutex::new(Pace::new(
                config.device_publish_per_second_max,
                config.device_publish_burst_max,
                now,
            )),
            refusals: AtomicUsize::new(0),
            is_gateway: AtomicBool::new(false),
            taken: now,
        });
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).insert(id, seat.clone());
        seat
    }

    /// Makes a unique name for the session of a sub-device on a gateway's session.
    pub(crate) fn name_below(&self, session: &str) -> String {
        format!("{session}-{:x}", self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    /// The seat of a connection.
    pub(crate) fn get(&self, id: &Id) -> Option<Arc<Seat>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Clears the seat of a connection that is over.
    pub(crate) fn leave(&self, id: &Id) -> Option<Arc<Seat>> {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// Clears the seats of logins that came to nothing: taken longer than `patience` ago, and `is_live` knows no
    /// session for them.
    pub(crate) fn sweep(&self, patience: Duration, is_live: impl Fn(&Seatholder, &Id) -> bool) {
        let now = Instant::now();
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).retain(|id, seat| {
            now.saturating_duration_since(seat.taken) < patience || is_live(&seat.holder, id)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r168_each_sub_device_adds_its_own_queue_to_its_gateways() {
        let limit = |messages_max| QueueLimit { messages_max, bytes_max: 10 * messages_max };
        let backlog = Backlog::new(limit(2), limit(5));
        let fill = |count: usize| (0..count).filter(|_| backlog.admit(10)).count();
        assert_eq!(fill(9), 2);
        backlog.set_shares(2);
        assert_eq!(fill(9), 2, "two more");
        backlog.set_shares(1_000);
        assert_eq!(fill(9), 1, "never more than one of the service's connections has");
        backlog.set_shares(1);
        (0..5).for_each(|_| backlog.release(10));
        assert_eq!(fill(9), 2);
    }
}
