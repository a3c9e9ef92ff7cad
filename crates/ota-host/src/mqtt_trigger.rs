//! MQTT messages as a trigger.
//!
//! Unlike Spin's, this trigger acknowledges a message after it was handled, connects again for as long as it takes,
//! and handles several messages at once, those of one sender in order. The triggers of a component share a connection,
//! on which the broker keeps to that order; whose topics fill the wildcards of the triggers alike is one sender. What a
//! device says on one topic would otherwise overtake what it said before on another.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Outgoing, Packet, Publish, QoS, SubscribeFilter,
    SubscribeReasonCode,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use wasmtime::AsContextMut;
use wasmtime::component::{Accessor, InstancePre};

use crate::bindings::mqtt_trigger::spin::mqtt_trigger::spin_mqtt_types::{Error, Metadata};
use crate::bindings::mqtt_trigger::{SpinMqtt, SpinMqttPre};
use crate::mqtt::network_options;
use crate::state::GuestState;
use crate::trigger::{Failure, Handler, Kind, SHUTDOWN_TIMEOUT, stopped};

/// Messages of one component in work at once.
const WORKERS: usize = 16;

/// Messages that wait for a worker. A broker holds back what is not acknowledged long before this; only messages
/// without acknowledgement (QoS 0) can fill it.
const WAITING_PER_WORKER_MAX: usize = 512;

/// Tries of a message whose handler returns an error.
const TRIES_MAX: u32 = 3;

/// The wait before the second try; it grows fivefold.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The wait before connecting again grows from the first to the second.
const RECONNECT_AFTER_MIN: Duration = Duration::from_millis(100);
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(10);

/// Acknowledgements and subscriptions on their way to the connection.
const OUTGOING_MAX: usize = 256;

/// The bindings of `spin:mqtt-trigger@3`.
pub(crate) struct MqttKind;

impl Kind for MqttKind {
    type Event = (Vec<u8>, String);
    type Pre = SpinMqttPre<GuestState>;
    type Instance = SpinMqtt;

    fn find_export(pre: InstancePre<GuestState>) -> wasmtime::Result<Self::Pre> {
        SpinMqttPre::new(pre)
    }

    async fn instantiate(
        pre: &Self::Pre,
        store: impl AsContextMut<Data = GuestState> + Send,
    ) -> wasmtime::Result<SpinMqtt> {
        pre.instantiate_async(store).await
    }

    async fn call(
        instance: &SpinMqtt,
        accessor: &Accessor<GuestState>,
        (payload, topic): Self::Event,
    ) -> wasmtime::Result<Result<(), String>> {
        let result = instance.call_handle_message(accessor, payload, Metadata { topic }).await?;
        Ok(result.map_err(|Error::Other(reason)| reason))
    }
}

/// The `[[trigger.mqtt]]` of one component.
pub(crate) struct Subscription {
    pub(crate) options: MqttOptions,
    pub(crate) filters: Vec<Filter>,
    pub(crate) handler: Arc<Handler<MqttKind>>,
}

/// The topics of one `[[trigger.mqtt]]`.
pub(crate) struct Filter {
    /// With wildcards, and `$share/group/` before it where several hosts share the messages.
    pub(crate) topic: String,
    pub(crate) qos: QoS,
}

impl Filter {
    /// Returns what a topic has in the places of this filter's wildcards, if it fits.
    fn wildcards<'a>(&self, topic: &'a str) -> Option<Vec<&'a str>> {
        let filter = match self.topic.strip_prefix("$share/") {
            Some(shared) => shared.split_once('/')?.1,
            None => &self.topic,
        };
        let mut levels = topic.split('/');
        let mut wild = Vec::new();
        for wanted in filter.split('/') {
            if wanted == "#" {
                wild.extend(levels);
                return Some(wild);
            }
            let level = levels.next()?;
            match wanted {
                "+" => wild.push(level),
                _ if wanted == level => {}
                _ => return None,
            }
        }
        levels.next().is_none().then_some(wild)
    }
}

/// A message in work, and the connection it must be acknowledged on.
struct Message {
    publish: Publish,
    connection: u64,
}

/// What workers need to acknowledge.
struct Acknowledger {
    client: AsyncClient,
    /// Counts connections: on a later one the packet identifier means another message.
    connection: AtomicU64,
}

/// Runs the triggers of a component until the host shuts down. `subscribed` is told when the broker first has accepted all
/// subscriptions.
pub(crate) async fn run(
    mut subscription: Subscription,
    subscribed: oneshot::Sender<()>,
    mut stop: watch::Receiver<bool>,
) {
    subscription.options.set_manual_acks(true);
    subscription.options.set_clean_session(true);
    let (client, mut events) = AsyncClient::new(subscription.options.clone(), OUTGOING_MAX);
    events.set_network_options(network_options());
    let acknowledger = Arc::new(Acknowledger { client, connection: AtomicU64::new(0) });
    let mut workers = JoinSet::new();
    let mut queues = Vec::new();
    for _ in 0..WORKERS {
        let (queue, messages) = mpsc::channel(WAITING_PER_WORKER_MAX);
        workers.spawn(work(messages, subscription.handler.clone(), acknowledger.clone()));
        queues.push(queue);
    }

    let mut subscribed = Some(subscribed);
    let component = subscription.handler.name().to_owned();
    let mut reconnect_after = RECONNECT_AFTER_MIN;
    loop {
        let event = tokio::select! {
            event = events.poll() => event,
            () = stopped(&mut stop) => break,
        };
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                acknowledger.connection.fetch_add(1, Ordering::Relaxed);
                let filters = subscription.filters.iter();
                let filters = filters.map(|filter| SubscribeFilter::new(filter.topic.clone(), filter.qos));
                if let Err(error) = acknowledger.client.try_subscribe_many(filters) {
                    tracing::error!(component, %error, "cannot subscribe");
                }
            }
            Ok(Event::Incoming(Packet::SubAck(answer))) => {
                if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                    tracing::error!(component, "the broker refused a subscription");
                    continue;
                }
                reconnect_after = RECONNECT_AFTER_MIN;
                if let Some(subscribed) = subscribed.take() {
                    // Nobody may be waiting any more.
                    let _ = subscribed.send(());
                }
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let connection = acknowledger.connection.load(Ordering::Relaxed);
                hand_over(&queues, &subscription.filters, Message { publish, connection });
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(component, %error, "MQTT connection lost; trying again");
                tokio::select! {
                    () = tokio::time::sleep(reconnect_after) => {}
                    () = stopped(&mut stop) => break,
                }
                reconnect_after = (reconnect_after * 2).min(RECONNECT_AFTER_MAX);
            }
        }
    }

    // What is in work may finish and be acknowledged.
    drop(queues);
    drop(tokio::time::timeout(SHUTDOWN_TIMEOUT, finish(workers, &acknowledger.client, &mut events)).await);
}

/// Lets workers finish, moving their acknowledgements, and says goodbye to the broker.
async fn finish(mut workers: JoinSet<()>, client: &AsyncClient, events: &mut EventLoop) {
    loop {
        tokio::select! {
            worker = workers.join_next() => if worker.is_none() { break },
            event = events.poll() => if event.is_err() { return },
        }
    }
    if client.try_disconnect().is_ok() {
        while events.poll().await.is_ok_and(|event| event != Event::Outgoing(Outgoing::Disconnect)) {}
    }
}

/// Gives a message to the worker of its sender.
fn hand_over(queues: &[mpsc::Sender<Message>], filters: &[Filter], message: Message) {
    let mut hasher = DefaultHasher::new();
    sender(filters, &message.publish.topic).hash(&mut hasher);
    let worker = usize::try_from(hasher.finish() % WORKERS as u64).unwrap_or_default();
    if let Err(error) = queues[worker].try_send(message) {
        let topic = error.into_inner().publish.topic;
        tracing::error!(topic, "MQTT message dropped: {WAITING_PER_WORKER_MAX} wait before it");
    }
}

/// Returns what tells the sender of a message from others.
fn sender<'a>(filters: &[Filter], topic: &'a str) -> Vec<&'a str> {
    filters.iter().find_map(|filter| filter.wildcards(topic)).unwrap_or_else(|| vec![topic])
}

async fn work(
    mut messages: mpsc::Receiver<Message>,
    handler: Arc<Handler<MqttKind>>,
    acknowledger: Arc<Acknowledger>,
) {
    while let Some(Message { publish, connection }) = messages.recv().await {
        handle(&handler, &publish).await;
        // Also after a failure: a message that the broker sends again would fail again, and block those behind it.
        if publish.qos != QoS::AtMostOnce
            && connection == acknowledger.connection.load(Ordering::Relaxed)
            && let Err(error) = acknowledger.client.ack(&publish).await
        {
            tracing::warn!(topic = publish.topic, %error, "cannot acknowledge an MQTT message");
        }
    }
}

async fn handle(handler: &Handler<MqttKind>, publish: &Publish) {
    let mut retry_after = RETRY_AFTER;
    for tried in 1..=TRIES_MAX {
        match handler.handle((publish.payload.to_vec(), publish.topic.clone())).await {
            Ok(()) => return,
            Err(failure @ (Failure::Refused(_) | Failure::NoRoom)) if tried < TRIES_MAX => {
                tracing::warn!(
                    component = handler.name(),
                    topic = publish.topic,
                    tried,
                    "MQTT message: {failure}"
                );
                tokio::time::sleep(retry_after).await;
                retry_after *= 5;
            }
            Err(failure) => {
                tracing::error!(
                    component = handler.name(),
                    topic = publish.topic,
                    "MQTT message given up: {failure}"
                );
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(topics: &[&str]) -> Vec<Filter> {
        topics.iter().map(|topic| Filter { topic: (*topic).to_owned(), qos: QoS::AtLeastOnce }).collect()
    }

    #[test]
    fn whose_topics_fill_the_wildcards_alike_is_one_sender() {
        let filters = filters(&[
            "$share/overair//ota/device/inform/+/+",
            "$share/overair//ota/device/progress/+/+",
            "/sys/+/+/thing/ota/firmware/get",
            "/log/#",
        ]);
        for topic in [
            "/ota/device/inform/pk/lamp",
            "/ota/device/progress/pk/lamp",
            "/sys/pk/lamp/thing/ota/firmware/get",
        ] {
            assert_eq!(sender(&filters, topic), ["pk", "lamp"], "{topic}");
        }
        assert_eq!(sender(&filters, "/ota/device/inform/pk/other"), ["pk", "other"]);
        assert_eq!(sender(&filters, "/log/a/b"), ["a", "b"]);
        for topic in ["/ota/device/inform/pk", "/ota/device/inform/pk/lamp/more", "/other/pk/lamp"] {
            assert_eq!(sender(&filters, topic), [topic], "a topic that fits no filter is its own sender");
        }
    }
}
