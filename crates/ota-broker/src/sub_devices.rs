//! Sub-devices come and go on the connections of their gateways, as the service orders (R168).
//!
//! The service has checked that the sub-device stands behind the gateway and that the gateway knows its secret; the
//! broker then lets the gateway's connection use the sub-device's topics, and sends it what is sent to the sub-device. An
//! order holds for the session that is live when it comes: a gateway that reconnects while its login is on the way finds
//! the sub-device on the new connection, which is the same gateway's.

use std::sync::atomic::Ordering;

use rmqtt::session::Session;
use rmqtt::types::{Id, Publish, QoS, SubscriptionOptions};
use serde::Deserialize;

use crate::DeviceIdentity;
use crate::exchange::{self, Attached};
use crate::hooks::Hooks;
use crate::presence::Status;
use crate::seats::{Seat, Seatholder};
use crate::topics::{downlink_topics, is_valid_identity, reply_topics};

/// Where the service gives its orders.
const ORDERS: &str = "/overair/sub-device/";

/// An order of the service: `{"attach":[{"productKey":"..","deviceName":".."}]}`, or the same with `detach`.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Attach(Vec<Named>),
    Detach(Vec<Named>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    product_key: String,
    device_name: String,
}

impl From<Named> for DeviceIdentity {
    fn from(named: Named) -> Self {
        Self { product_key: named.product_key, device_name: named.device_name }
    }
}

/// Reads the gateway of an order from its topic.
fn gateway_of(topic: &str) -> Option<DeviceIdentity> {
    let (product_key, device_name) = topic.strip_prefix(ORDERS)?.split_once('/')?;
    let gateway = DeviceIdentity { product_key: product_key.to_owned(), device_name: device_name.to_owned() };
    is_valid_identity(&gateway).then_some(gateway)
}

/// How everything is delivered that the broker itself subscribes a device to.
fn terms() -> SubscriptionOptions {
    (QoS::AtLeastOnce, None, None).into()
}

impl Hooks {
    /// Carries out what a message orders, if it is an order and from the service.
    ///
    /// This runs before the message is acknowledged and before the next of the same connection is looked at. So what the
    /// service publishes after an order, such as the reply to the gateway, finds it carried out.
    pub(crate) async fn obey(&self, session: Option<&Session>, publish: &Publish) {
        let Some(gateway) = gateway_of(&publish.topic) else { return };
        let seat = session.and_then(|session| self.sessions.seats.get(&session.id));
        if seat.is_none_or(|seat| !matches!(seat.holder, Seatholder::Service(_))) {
            return;
        }
        match serde_json::from_slice(&publish.payload) {
            Ok(Order::Attach(devices)) => {
                for device in devices {
                    self.attach(&gateway, &device.into()).await;
                }
            }
            Ok(Order::Detach(devices)) => {
                let Some(slot) = self.sessions.exchange.get(&Seatholder::from(&gateway)) else { return };
                for device in devices {
                    self.detach(&Seatholder::from(&DeviceIdentity::from(device)), &slot.session.id).await;
                }
            }
            Err(error) => {
                tracing::warn!(topic = %publish.topic, %error, "an order about sub-devices makes no sense")
            }
        }
    }

    async fn attach(&self, gateway: &DeviceIdentity, device: &DeviceIdentity) {
        let (holder, carrier) = (Seatholder::from(device), Seatholder::from(gateway));
        if !is_valid_identity(device) || holder == carrier {
            tracing::warn!(?gateway, ?device, "what should be attached is no sub-device");
            return;
        }
        let turn = self.sessions.turns.wait(&holder).await;
        let attached = self.sessions.exchange.attach(
            &carrier,
            &holder,
            &downlink_topics(device),
            &terms(),
            self.config.sub_devices_max,
            |session| self.sessions.seats.name_below(session),
        );
        match attached {
            Attached::Done { session, replaced } => {
                if let Some(replaced) = replaced {
                    tracing::debug!(?device, ?gateway, "the gateway takes the session over");
                    exchange::kick(&replaced);
                }
                // Said again if it was attached before: should the first have been lost, this one is not.
                self.announce(device, &session, Status::Online);
            }
            Attached::Refused(why) => tracing::warn!(?gateway, ?device, why, "a sub-device is not attached"),
        }
        drop(turn);
    }

    /// Takes a sub-device from the session that carries it and announces that it is gone. Nothing happens if that session
    /// does not carry it, or no longer does.
    async fn detach(&self, sub_device: &Seatholder, id: &Id) {
        let turn = self.sessions.turns.wait(sub_device).await;
        let detached = self.sessions.exchange.detach(sub_device, id);
        if let (Some((attachment, _)), Some(device)) = (&detached, sub_device.identity()) {
            self.announce(&device, &attachment.session, Status::Offline);
        }
        drop(turn);
        // What the gateway subscribed to by itself no longer counts as its subscription.
        let Some((_, filters)) = detached else { return };
        let holder = self.sessions.seats.get(id).map(|seat| seat.holder.clone());
        let slot = holder.and_then(|holder| self.sessions.exchange.get(&holder));
        let Some(slot) = slot.filter(|slot| slot.session.id == *id) else { return };
        for filter in filters {
            if let Err(error) = slot.session.subscriptions_remove(&filter).await {
                tracing::debug!(%filter, %error, "a subscription is still counted");
            }
        }
    }

    /// Takes all sub-devices from a session that has ended.
    pub(crate) async fn detach_all(&self, id: &Id) {
        for sub_device in self.sessions.exchange.carried(id) {
            self.detach(&sub_device, id).await;
        }
    }

    /// Subscribes a device that speaks as a gateway to the replies, before what it says is passed on.
    pub(crate) fn hear_replies(&self, seat: &Seat, id: &Id) {
        let Some(device) = &seat.device else { return };
        if seat.is_gateway.swap(true, Ordering::Relaxed) {
            return;
        }
        for filter in reply_topics(device) {
            self.sessions.exchange.subscribe_unless(&seat.holder, id, &filter, terms());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_its_gateway_in_the_topic() {
        let gateway = gateway_of("/overair/sub-device/pk/gate-1").unwrap();
        assert_eq!((gateway.product_key.as_str(), gateway.device_name.as_str()), ("pk", "gate-1"));
        for topic in [
            "/overair/sub-device/pk",
            "/overair/sub-device/pk/",
            "/overair/sub-device//gate-1",
            "/overair/sub-device/pk/gate-1/more",
            "/overair/presence/pk/gate-1",
            "/x/overair/sub-device/pk/gate-1",
        ] {
            assert!(gateway_of(topic).is_none(), "{topic}");
        }
    }

    #[test]
    fn orders_are_read_in_the_words_of_the_service() {
        let order = br#"{"attach":[{"productKey":"pk","deviceName":"a@b"}]}"#;
        let Ok(Order::Attach(devices)) = serde_json::from_slice(order) else { panic!("an order to attach") };
        assert_eq!(devices[0].device_name, "a@b");
        assert!(matches!(serde_json::from_slice(br#"{"detach":[]}"#), Ok(Order::Detach(_))));
        assert!(serde_json::from_slice::<Order>(br#"{"explode":[]}"#).is_err());
    }
}
