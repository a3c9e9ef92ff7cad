//! The MQTT broker of the embedded host: device login, server-side subscriptions, presence.
