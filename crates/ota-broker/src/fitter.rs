//! What the library negotiates with each connection.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rmqtt::codec::types::Publish;
use rmqtt::fitter::{Fitter, FitterManager};
use rmqtt::types::{ConnectInfo, Disconnect, FitterType, Id, ListenerConfig};

use crate::config::BrokerConfig;

/// Gives each connection its terms.
pub(crate) struct Terms {
    pub(crate) config: Arc<BrokerConfig>,
}

impl FitterManager for Terms {
    fn create(&self, connect: Arc<ConnectInfo>, _: Id, _: ListenerConfig) -> FitterType {
        let wanted = match connect.as_ref() {
            ConnectInfo::V5(_, connect) => connect.receive_max,
            ConnectInfo::V3(..) => None,
        };
        let inflight = NonZeroU16::new(self.config.inflight_max).unwrap_or(NonZeroU16::MIN);
        Arc::new(Term {
            inflight: wanted.map_or(inflight, |wanted| wanted.min(inflight)),
            queued_messages_max: self
                .config
                .device_queue
                .messages_max
                .max(self.config.service_queue.messages_max),
            message_expiry: self.config.message_expiry,
        })
    }
}

struct Term {
    inflight: NonZeroU16,
    /// Never reached: the backlog, which grows with the sub-devices of a gateway, is full before.
    queued_messages_max: usize,
    message_expiry: Duration,
}

#[async_trait]
impl Fitter for Term {
    /// A device's keep-alive has been checked at login, while its old session was still untouched. The service,
    /// in the same process as a rule, may choose any, and none.
    fn keep_alive(&self, keep_alive: &mut u16) -> anyhow::Result<u16> {
        // One and a half times, as the protocol has it, and a little grace for the very short ones.
        let seconds = *keep_alive;
        Ok(if seconds == 0 { 0 } else { seconds.saturating_add((seconds / 2).max(3)) })
    }

    fn max_mqueue_len(&self) -> usize {
        self.queued_messages_max
    }

    fn mqueue_rate_limit(&self) -> (NonZeroU32, Duration) {
        (NonZeroU32::MAX, Duration::from_secs(1))
    }

    fn max_inflight(&self) -> NonZeroU16 {
        self.inflight
    }

    /// No session outlives its connection.
    fn session_expiry_interval(&self, _: Option<&Disconnect>) -> Duration {
        Duration::ZERO
    }

    fn message_expiry_interval(&self, _: &Publish) -> Duration {
        self.message_expiry
    }

    fn max_client_topic_aliases(&self) -> u16 {
        0
    }

    fn max_server_topic_aliases(&self) -> u16 {
        0
    }
}
