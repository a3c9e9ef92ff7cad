//! The MQTT trigger's shim: one POST per message to progress-webhook.
