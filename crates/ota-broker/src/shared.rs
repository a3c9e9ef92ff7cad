//! The exchange as the library's session table.
//!
//! The library asks for a session by its connection's id; the seat taken at login says whose connection that is.

use std::sync::Arc;

use anyhow::{anyhow, bail};
use async_trait::async_trait;
use rmqtt::session::Session;
use rmqtt::shared::{Entry, RetainLoadCallback, Shared};
use rmqtt::types::{
    ClientId, ForwardedCount, ForwardedRecipients, From, Id, IsAdmin, IsOnline, Message, MsgID, NodeId,
    OfflineSession, Publish, Reason, SessionStatus, SharedGroup, SubRelations, SubRelationsMap,
    SubsSearchParams, SubsSearchResult, Subscribe, SubscribeReturn, SubscriptionIdentifier,
    SubscriptionOptions, To, TopicFilter, TopicName, Tx, Unsubscribe,
};
use tokio::sync::OwnedMutexGuard;

use crate::counters::Tally;
use crate::exchange::{self, Exchange, Slot};
use crate::seats::{Seat, Seats};
use crate::turns::Turns;

/// The library's view of all sessions.
#[derive(Clone)]
pub(crate) struct Sessions {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) seats: Arc<Seats>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) device_sessions_max: usize,
}

/// The library's view of one session, or of the place for one.
struct Place {
    sessions: Sessions,
    id: Id,
    seat: Option<Arc<Seat>>,
    /// Held from the end of a login's authentication until the library has the new session running.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Place {
    fn slot(&self) -> Option<Slot> {
        self.sessions.exchange.get(&self.seat.as_ref()?.holder)
    }

    fn seat(&self) -> anyhow::Result<&Arc<Seat>> {
        self.seat.as_ref().ok_or_else(|| anyhow!("the connection is over"))
    }
}

#[async_trait]
impl Entry for Place {
    async fn try_lock(&self) -> anyhow::Result<Box<dyn Entry>> {
        let seat = self.seat()?;
        if let Some(reason) = &seat.turned_away {
            self.sessions.seats.leave(&self.id);
            bail!("{reason}");
        }
        let turn = self.sessions.turns.wait(&seat.holder).await;
        let exchange = &self.sessions.exchange;
        if seat.device.is_some()
            && exchange.sessions() >= self.sessions.device_sessions_max
            && exchange.get(&seat.holder).is_none()
        {
            self.sessions.seats.leave(&self.id);
            Tally::count(&exchange.tally.logins_refused);
            bail!("as many devices are connected as the broker takes");
        }
        Ok(Box::new(Self {
            sessions: self.sessions.clone(),
            id: self.id.clone(),
            seat: self.seat.clone(),
            _turn: Some(turn),
        }))
    }

    fn id(&self) -> Id {
        self.id.clone()
    }

    fn id_same(&self) -> Option<bool> {
        Some(self.slot()?.session.id == self.id)
    }

    async fn set(&mut self, session: Session, tx: Tx) -> anyhow::Result<()> {
        let seat = self.seat()?.clone();
        if let Some(replaced) = self.sessions.exchange.insert(Slot { seat, session, tx }) {
            exchange::kick(&replaced);
        }
        Ok(())
    }

    async fn remove(&mut self) -> anyhow::Result<Option<(Session, Tx)>> {
        let removed = self.sessions.exchange.remove(&self.seat()?.holder);
        Ok(removed.map(|slot| (slot.session, slot.tx)))
    }

    async fn remove_with(&mut self, id: &Id) -> anyhow::Result<Option<(Session, Tx)>> {
        let removed = self.sessions.exchange.remove_session(&self.seat()?.holder, id);
        Ok(removed.map(|slot| (slot.session, slot.tx)))
    }

    /// Ends the session that stands where a new one is about to, and keeps nothing of it.
    ///
    /// To the new session there was none: `clean_start` makes no difference, because a client id that changes with
    /// each connection never finds its old session again, and what is pushed to a device is pushed again anyway.
    async fn kick(&mut self, _: bool, _: bool, _: IsAdmin) -> anyhow::Result<OfflineSession> {
        if let Some(slot) = self.sessions.exchange.remove(&self.seat()?.holder) {
            tracing::debug!(client_id = %slot.session.id.client_id, "a later login takes the session over");
            exchange::kick(&slot);
        }
        Ok(OfflineSession::NotExist)
    }

    async fn online(&self) -> bool {
        self.exist()
    }

    async fn is_connected(&self) -> bool {
        self.exist()
    }

    fn session(&self) -> Option<Session> {
        Some(self.slot()?.session)
    }

    fn exist(&self) -> bool {
        self.slot().is_some()
    }

    fn tx(&self) -> Option<Tx> {
        Some(self.slot()?.tx)
    }

    async fn subscribe(&self, subscribe: &Subscribe) -> anyhow::Result<SubscribeReturn> {
        let seat = self.seat()?;
        let filter = &subscribe.topic_filter;
        if !crate::topics::is_valid_filter(filter) {
            bail!("{filter:?} is no topic filter");
        }
        if !self.sessions.exchange.subscribe(&seat.holder, &self.id, filter, subscribe.opts.clone()) {
            bail!("the session is over, or no longer carries the sub-device");
        }
        let Some(slot) = self.slot() else { bail!("the session is over") };
        let previous = slot.session.subscriptions_add(filter.clone(), subscribe.opts.clone()).await?;
        Ok(SubscribeReturn::new_success(subscribe.opts.qos(), previous))
    }

    async fn unsubscribe(&self, unsubscribe: &Unsubscribe) -> anyhow::Result<bool> {
        let seat = self.seat()?;
        let filter = &unsubscribe.topic_filter;
        if !self.sessions.exchange.unsubscribe(&seat.holder, &self.id, filter) {
            return Ok(false);
        }
        let Some(slot) = self.slot() else { return Ok(false) };
        Ok(slot.session.subscriptions_remove(filter).await?.is_some())
    }

    async fn publish(&self, from: From, publish: Publish) -> Result<(), (From, Publish, Reason)> {
        let Some(slot) = self.slot() else { return Err((from, publish, Reason::ConnectRemoteClose)) };
        match slot.tx.unbounded_send(Message::Forward(from, publish)).map_err(|error| error.into_inner()) {
            Err(Message::Forward(from, publish)) => Err((from, publish, Reason::ConnectRemoteClose)),
            _ => Ok(()),
        }
    }

    async fn subscriptions(&self) -> Option<Vec<SubsSearchResult>> {
        None
    }
}

type Recipients = Result<ForwardedRecipients, (ForwardedRecipients, Vec<(To, From, Publish, Reason)>)>;

#[async_trait]
impl Shared for Sessions {
    fn entry(&self, id: Id) -> Box<dyn Entry> {
        let seat = self.seats.get(&id);
        Box::new(Place { sessions: self.clone(), id, seat, _turn: None })
    }

    fn exist(&self, _client_id: &str) -> bool {
        false
    }

    async fn forwards(
        &self,
        _msg_id: Option<MsgID>,
        from: From,
        publish: Publish,
    ) -> Result<ForwardedCount, (ForwardedCount, Vec<(To, From, Publish, Reason)>)> {
        // What was not delivered is counted and logged over there: the library would only call a hook with it.
        Ok(self.exchange.publish(&from, &publish))
    }

    async fn forwards_and_get_shareds(
        &self,
        from: From,
        publish: Publish,
    ) -> Result<(SubRelationsMap, ForwardedRecipients), (ForwardedRecipients, Vec<(To, From, Publish, Reason)>)>
    {
        // Only a cluster asks for the members of other nodes; here all of them have been served.
        self.exchange.publish(&from, &publish);
        Ok(Default::default())
    }

    async fn forwards_to(&self, _: From, _: &Publish, _: SubRelations, _: Option<MsgID>) -> Recipients {
        // Only a cluster forwards to relations that another node has looked up.
        Ok(Vec::new())
    }

    fn iter(&self) -> Box<dyn Iterator<Item = Box<dyn Entry>> + Sync + Send + '_> {
        Box::new(std::iter::empty())
    }

    fn random_session(&self) -> Option<Session> {
        None
    }

    async fn session_status(&self, _client_id: &str) -> Option<SessionStatus> {
        None
    }

    async fn client_states_count(&self) -> usize {
        self.exchange.sessions()
    }

    fn sessions_count(&self) -> usize {
        self.exchange.sessions()
    }

    async fn query_subscriptions(&self, _: &SubsSearchParams) -> Vec<SubsSearchResult> {
        Vec::new()
    }

    async fn subscriptions_count(&self) -> usize {
        self.exchange.filters()
    }

    async fn retain_load_with(
        &self,
        _: &TopicFilter,
        _: Arc<dyn RetainLoadCallback>,
    ) -> anyhow::Result<Vec<(NodeId, MsgID)>> {
        Ok(Vec::new())
    }
}

/// Tells the library that `$share` is understood. The choice of a member is the exchange's.
pub(crate) struct SharedSubscriptions;

type Member = (NodeId, ClientId, SubscriptionOptions, Option<Vec<SubscriptionIdentifier>>, Option<IsOnline>);

#[async_trait]
impl rmqtt::subscribe::SharedSubscription for SharedSubscriptions {
    fn is_supported(&self) -> bool {
        true
    }

    async fn choice(
        &self,
        _: &rmqtt::context::ServerContext,
        _: &SharedGroup,
        _: &Id,
        _: &TopicName,
        _: &[Member],
    ) -> Option<(usize, IsOnline)> {
        None
    }
}
