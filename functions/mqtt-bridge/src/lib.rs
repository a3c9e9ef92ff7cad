//! The MQTT trigger's shim: one POST per message to progress-webhook.
//!
//! Spin's trigger has acknowledged a message before it calls this function, so that the broker will not send it again:
//! whatever can be done against a fault that passes is done here, before the error is returned. Other hosts may call
//! again after an error; a message that comes twice does no harm.
#![cfg(target_arch = "wasm32")]

use core::time::Duration;

use bindings::{Error, Guest, Metadata, Payload};
use ota_shim::{DeliveryError, Patience, post, query_value};

mod bindings {
    #![allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated from the WIT files")]

    wit_bindgen::generate!({ path: "../../wit", world: "overair:ota/mqtt-bridge", generate_all });

    export!(MqttBridge);

    use super::MqttBridge;
}

/// Four tries within about a second of waiting: enough for a restart of the store's host or a burst of swaps lost to
/// others, and not so long that the messages behind this one pile up.
const PATIENCE: Patience = Patience {
    waits: &[Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)],
    answer_timeout: Duration::from_secs(5),
};

struct MqttBridge;

impl Guest for MqttBridge {
    async fn handle_message(message: Payload, metadata: Metadata) -> Result<(), Error> {
        let path = format!("/internal/device-messages?topic={}", query_value(&metadata.topic));
        let Err(error) = post(&path, &message, &PATIENCE).await else { return Ok(()) };
        // Quoted with escapes, because a topic is what a client made of it.
        let text = format!("a message on {:?} is given up: {error}", metadata.topic);
        eprintln!("{text}");
        match error {
            // No redelivery would cure it, so a host that redelivers after an error must not hear of one.
            DeliveryError::Refused { .. } => Ok(()),
            DeliveryError::Variable { .. } | DeliveryError::BaseUrl | DeliveryError::Exhausted { .. } => {
                Err(Error::Other(text))
            }
        }
    }
}
