//! Closing the connection of a client that says goodbye.
//!
//! The library notes a DISCONNECT and then waits for the client to close. Some clients, among them the one that the
//! Rust device SDK is built on, wait for the broker to close, as the protocol has it; such a device would count as
//! online until its keep-alive ran out. So each session here passes everything on to the library's own and acts on
//! that one event.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use rmqtt::context::ServerContext;
use rmqtt::session::{DefaultSession, SessionLike, SessionManager};
use rmqtt::types::{
    ConnectInfo, ConnectInfoType, Disconnect, DisconnectInfo, FitterType, Id, ListenerConfig,
    MessageQueueType, OutInflightType, Password, Reason, SessionSubs, SubscriptionOptions, Subscriptions,
    TimestampMillis, TopicFilter, UserName,
};

use crate::exchange::{Exchange, end};
use crate::seats::{Seat, Seats};

/// Makes the library's sessions.
pub(crate) struct Farewells {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) seats: Arc<Seats>,
}

#[async_trait]
impl SessionManager for Farewells {
    async fn create(
        &self,
        id: Id,
        context: ServerContext,
        listen_cfg: ListenerConfig,
        _fitter: FitterType,
        subscriptions: SessionSubs,
        deliver_queue: MessageQueueType,
        out_inflight: OutInflightType,
        connect: ConnectInfoType,
        created_at: TimestampMillis,
        connected_at: TimestampMillis,
        session_present: bool,
        superuser: bool,
        connected: bool,
        disconnect: Option<DisconnectInfo>,
        _last_id: Option<Id>,
    ) -> anyhow::Result<Arc<dyn SessionLike>> {
        Ok(Arc::new(PoliteSession {
            exchange: Arc::downgrade(&self.exchange),
            seat: self.seats.get(&id),
            inner: DefaultSession::new(
                id,
                context,
                listen_cfg,
                subscriptions,
                deliver_queue,
                out_inflight,
                connect,
                created_at,
                connected_at,
                session_present,
                superuser,
                connected,
                disconnect,
            ),
        }))
    }
}

struct PoliteSession {
    inner: DefaultSession,
    /// Weak, because the exchange holds the sessions.
    exchange: Weak<Exchange>,
    seat: Option<Arc<Seat>>,
}

impl PoliteSession {
    /// Has the session's own task close the connection, once it is done with the DISCONNECT.
    fn close(&self, disconnect: Disconnect) {
        if let (Some(exchange), Some(seat)) = (self.exchange.upgrade(), &self.seat)
            && let Some(slot) = exchange.get(&seat.holder)
            && slot.session.id == *self.inner.id()
        {
            end(&slot, Reason::ConnectDisconnect(Some(disconnect)));
        }
    }
}

#[async_trait]
impl SessionLike for PoliteSession {
    async fn disconnected_set(
        &self,
        disconnect: Option<Disconnect>,
        reason: Option<Reason>,
    ) -> anyhow::Result<()> {
        self.inner.disconnected_set(disconnect.clone(), reason).await?;
        if let Some(disconnect) = disconnect {
            self.close(disconnect);
        }
        Ok(())
    }

    // From here on everything is passed on as it is.

    fn id(&self) -> &Id {
        self.inner.id()
    }
    fn context(&self) -> &ServerContext {
        self.inner.context()
    }
    fn listen_cfg(&self) -> &ListenerConfig {
        self.inner.listen_cfg()
    }
    fn deliver_queue(&self) -> &MessageQueueType {
        self.inner.deliver_queue()
    }
    fn out_inflight(&self) -> &OutInflightType {
        self.inner.out_inflight()
    }
    async fn subscriptions(&self) -> anyhow::Result<SessionSubs> {
        self.inner.subscriptions().await
    }
    async fn subscriptions_add(
        &self,
        filter: TopicFilter,
        opts: SubscriptionOptions,
    ) -> anyhow::Result<Option<SubscriptionOptions>> {
        self.inner.subscriptions_add(filter, opts).await
    }
    async fn subscriptions_remove(
        &self,
        filter: &str,
    ) -> anyhow::Result<Option<(TopicFilter, SubscriptionOptions)>> {
        self.inner.subscriptions_remove(filter).await
    }
    async fn subscriptions_drain(&self) -> anyhow::Result<Subscriptions> {
        self.inner.subscriptions_drain().await
    }
    async fn subscriptions_extend(&self, other: Subscriptions) -> anyhow::Result<()> {
        self.inner.subscriptions_extend(other).await
    }
    async fn created_at(&self) -> anyhow::Result<TimestampMillis> {
        self.inner.created_at().await
    }
    async fn session_present(&self) -> anyhow::Result<bool> {
        self.inner.session_present().await
    }
    async fn connect_info(&self) -> anyhow::Result<Arc<ConnectInfo>> {
        self.inner.connect_info().await
    }
    fn username(&self) -> Option<&UserName> {
        self.inner.username()
    }
    fn password(&self) -> Option<&Password> {
        self.inner.password()
    }
    async fn protocol(&self) -> anyhow::Result<u8> {
        self.inner.protocol().await
    }
    async fn superuser(&self) -> anyhow::Result<bool> {
        self.inner.superuser().await
    }
    async fn connected(&self) -> anyhow::Result<bool> {
        self.inner.connected().await
    }
    async fn connected_at(&self) -> anyhow::Result<TimestampMillis> {
        self.inner.connected_at().await
    }
    async fn disconnected_at(&self) -> anyhow::Result<TimestampMillis> {
        self.inner.disconnected_at().await
    }
    async fn disconnected_reasons(&self) -> anyhow::Result<Vec<Reason>> {
        self.inner.disconnected_reasons().await
    }
    async fn disconnected_reason(&self) -> anyhow::Result<Reason> {
        self.inner.disconnected_reason().await
    }
    async fn disconnected_reason_has(&self) -> bool {
        self.inner.disconnected_reason_has().await
    }
    async fn disconnected_reason_add(&self, reason: Reason) -> anyhow::Result<()> {
        self.inner.disconnected_reason_add(reason).await
    }
    async fn disconnected_reason_take(&self) -> anyhow::Result<Reason> {
        self.inner.disconnected_reason_take().await
    }
    async fn disconnect(&self) -> anyhow::Result<Option<Disconnect>> {
        self.inner.disconnect().await
    }
    async fn on_drop(&self) -> anyhow::Result<()> {
        self.inner.on_drop().await
    }
}
