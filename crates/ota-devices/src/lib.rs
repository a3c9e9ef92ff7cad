//! Simulated devices that are real MQTT and HTTP clients, and the demo's story.
